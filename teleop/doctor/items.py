"""What a look at one thing found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "warn", "fail"]
WORST: dict[Level, int] = {"ok": 0, "warn": 1, "fail": 2}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was looked at.

    Attributes:
        level: `ok`, `warn` (it works, with less) or `fail` (it will not work).
        name: What was looked at.
        found: What it is like.
        todo: What to do; empty when nothing needs to be done.
    """

    level: Level
    name: str
    found: str
    todo: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)
