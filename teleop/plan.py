"""A session plan: which takes are wanted, how many there are, and which comes next. Pure.

Progress is counted from the dataset itself, so it survives restarts, and a take that is relabelled
or discarded counts again as what it is now.
"""

from __future__ import annotations

import random
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from recorder.catalog import EpisodeRow
from teleop.errors import TeleopError

Order = Literal["sequential", "round_robin", "random"]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class PlanError(TeleopError):
    """A plan file cannot be used."""


class TaskSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `[[tasks]]`.

    Attributes:
        instruction: Language instruction, stored with every take.
        variations: Ways to set the scene up; every one is recorded.
        takes: Good takes wanted, of each variation.
    """

    instruction: Text
    variations: tuple[Text, ...] = ()
    takes: Annotated[int, msgspec.Meta(ge=1)] = 1


class PlanFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A plan file.

    Attributes:
        tasks: In the order they are recorded.
        name: Of the session.
        order: `sequential` finishes one after the other, `round_robin` keeps them level, `random`
            draws from what is left.
        seed: Of `random`.
    """

    tasks: Annotated[tuple[TaskSection, ...], msgspec.Meta(min_length=1)]
    name: str = ""
    order: Order = "sequential"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """One task in one variation.

    Attributes:
        instruction: Language instruction.
        variation: How the scene is set up; empty where it is not varied.
        wanted: Good takes.
    """

    instruction: str
    variation: str
    wanted: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a session stands.

    Attributes:
        item: What comes next; None when nothing is left.
        done: Good takes of it so far.
        total_done: Good takes of the whole plan, no more of an item than are wanted.
        total_wanted: Good takes wanted in all.
    """

    item: Item | None
    done: int
    total_done: int
    total_wanted: int


class Plan:
    """The takes a session wants.

    Args:
        file: The plan.

    Raises:
        PlanError: A task in a variation is wanted twice.
    """

    def __init__(self, file: PlanFile) -> None:
        self.name = file.name
        self._order, self._seed = file.order, file.seed
        self.items = tuple(
            Item(task.instruction, variation, task.takes)
            for task in file.tasks
            for variation in (task.variations or ("",))
        )
        keys = [(item.instruction, item.variation) for item in self.items]
        twice = sorted({" / ".join(filter(None, key)) for key in keys if keys.count(key) > 1})
        if twice:
            raise PlanError(f"the plan wants the same thing twice: {', '.join(twice)}")

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read a plan file.

        Raises:
            PlanError: It cannot be read; the message says what is wrong where.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls(msgspec.convert(content, PlanFile))
        except OSError as error:
            raise PlanError(f"{path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise PlanError(f"{path}: {error}") from error

    def progress(self, rows: Iterable[EpisodeRow]) -> Progress:
        """Where the session stands, from the episodes of its dataset."""
        done = Counter((row.task, row.variation) for row in rows if is_good(row))
        counts = [done[item.instruction, item.variation] for item in self.items]
        left = [k for k, item in enumerate(self.items) if counts[k] < item.wanted]
        total = sum(min(n, item.wanted) for n, item in zip(counts, self.items, strict=True))
        wanted = sum(item.wanted for item in self.items)
        if not left:
            return Progress(None, 0, total, wanted)
        chosen = self._choose(left, counts, total)
        return Progress(self.items[chosen], counts[chosen], total, wanted)

    def _choose(self, left: list[int], counts: list[int], total: int) -> int:
        if self._order == "round_robin":
            return min(left, key=lambda k: (counts[k] / self.items[k].wanted, k))
        if self._order == "random":
            return random.Random(self._seed * 1_000_003 + total).choice(left)  # noqa: S311
        return left[0]


def is_good(row: EpisodeRow) -> bool:
    """Whether a take counts: a success that was not discarded and did not fail its check."""
    return row.outcome == "success" and not row.discarded and row.quality != "fail"
