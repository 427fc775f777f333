"""Operators by name: whoever drives a running system and is not a headset page.

Discovered through the entry-point group `telecap.operators`, so a package of yours adds one
without a change here. `telecap operate NAME` runs one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, Self, cast

from teleop.errors import TeleopError

ENTRY_POINT_GROUP = "telecap.operators"
Progress = Callable[[float, str], None]


class OperatorError(TeleopError):
    """An operator does not exist or cannot be made."""


class Operator(Protocol):
    """What an entry point names: a class with these two methods."""

    @classmethod
    def open(cls, url: str, token: str, options: Mapping[str, str]) -> Self:
        """Make one for a running system.

        Args:
            url: Address of the server, `http(s)://HOST:PORT`.
            token: Bearer token of the run.
            options: What the user gave by `--option key=value`; say which exist if one does not.
        """

    async def perform(self, on_progress: Progress | None = None) -> Any:
        """Drive until done.

        Args:
            on_progress: Called with the share done, 0..1, and what is being done.

        Returns:
            Something JSON or msgspec can write: what was done.
        """


def operators() -> dict[str, EntryPoint]:
    """Installed operators by name."""
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}


def operator_class(name: str) -> type[Operator]:
    """The class of an operator.

    Raises:
        OperatorError: There is none of this name, or it cannot be imported.
    """
    found = operators()
    if name not in found:
        raise OperatorError(f"no operator {name!r}; installed operators: {sorted(found)}")
    point = found[name]
    try:
        loaded = point.load()
    except (ImportError, AttributeError) as error:
        raise OperatorError(f"operator {name!r} ({point.value}) does not load: {error}") from error
    missing = [m for m in ("open", "perform") if not callable(getattr(loaded, m, None))]
    if missing:
        raise OperatorError(
            f"operator {name!r} ({point.value}) has no {' and no '.join(missing)}()"
        )
    return cast(type[Operator], loaded)


def make_operator(name: str, url: str, token: str, options: Mapping[str, object]) -> Operator:
    """An operator of a running system.

    Args:
        name: Its name in the entry-point group.
        url: Address of the server.
        token: Bearer token of the run.
        options: Its options; values are passed on as text.

    Raises:
        OperatorError: There is none of this name.
    """
    text = {key: str(value) for key, value in options.items()}
    return operator_class(name).open(url, token, text)


def parse_options(given: tuple[str, ...]) -> dict[str, str]:
    """`("key=value", …)` as a dict.

    Raises:
        OperatorError: One has no `=`, or a key comes twice.
    """
    options: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise OperatorError(f"option {text!r} is not of the form key=value")
        if key in options:
            raise OperatorError(f"option {key!r} is given twice")
        options[key] = value
    return options
