"""Operators are found by name, and what is wrong with a name or an option is said."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any, Self

import pytest

from teleop import operators
from teleop.cli import main
from teleop.errors import TeleopError
from teleop.operators import ENTRY_POINT_GROUP, make_operator, operator_class, parse_options


class Mine:
    """The smallest operator a user writes."""

    def __init__(self, url: str, token: str, options: Mapping[str, str]) -> None:
        self.asked = {"url": url, "token": token, **options}

    @classmethod
    def open(cls, url: str, token: str, options: Mapping[str, str]) -> Self:
        return cls(url, token, options)

    async def perform(self, on_progress: Any = None) -> dict[str, str]:
        on_progress(1.0, "done")
        return self.asked


class Idle:
    """Not an operator: it cannot perform."""

    open = Mine.open


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a user's package had these entry points."""
    values = {"mine": f"{__name__}:Mine", "idle": f"{__name__}:Idle", "gone": "no_such_module:X"}
    points = [EntryPoint(name, value, ENTRY_POINT_GROUP) for name, value in values.items()]
    loaded = {"mine": Mine, "idle": Idle}
    original = EntryPoint.load
    monkeypatch.setattr(EntryPoint, "load", lambda p: loaded.get(p.name) or original(p))
    monkeypatch.setattr(operators, "entry_points", lambda group: points)


def test_the_built_in_operators_load_by_name() -> None:
    assert set(operators.operators()) >= {"replay", "synthetic"}
    assert operator_class("synthetic").__name__ == "SyntheticOperator"
    assert operator_class("replay").__name__ == "ReplayOperator"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mime", r"no operator 'mime'; installed operators: \['gone', 'idle', 'mine'\]"),
        ("idle", r"operator 'idle' .* has no perform\(\)"),
        ("gone", r"operator 'gone' \(no_such_module:X\) does not load"),
    ],
)
def test_what_is_wrong_with_a_name_is_said(installed: None, name: str, said: str) -> None:
    with pytest.raises(TeleopError, match=said):
        operator_class(name)


def test_a_users_operator_is_run_from_the_command_line(
    installed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--url", "http://h:1", "--token", "t", "--option", "a=1", "b=x=y"]
    with pytest.raises(SystemExit) as ended:
        main(["operate", "mine", *given])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(part in said for part in ('"url": "http://h:1"', '"a": "1"', '"b": "x=y"'))


def test_without_a_name_the_operators_are_listed(
    installed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["operate"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "gone", "idle", "mine",
    ]  # fmt: skip


@pytest.mark.parametrize("given", [("a",), ("=1",), ("a=1", "a=2")])
def test_options_that_cannot_be_meant_are_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(TeleopError, match="option"):
        parse_options(given)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("synthetic", {"sed": 1}, "no options"),
        ("synthetic", {"seed": "x"}, "whole numbers"),
        ("replay", {}, "episode"),
    ],
)
def test_an_operator_says_which_options_it_takes(
    name: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(TeleopError, match=said):
        make_operator(name, "http://h", "t", options)
