"""The rate governor: patient, honest, and never above what was asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from teleop.cameras.governor import RateChange, RateGovernor, is_due

MS = 1_000_000


def drive(
    governor: RateGovernor, seconds: float, busy_ms: float, t0_ns: int = 0
) -> tuple[list[RateChange], int]:
    """A loop on an exact grid whose slots take `busy_ms`; returns changes and the time."""
    now_ns, changes = t0_ns, []
    while now_ns < t0_ns + seconds * 1e9:
        period_ns = 1_000_000_000 // governor.rate_hz
        slots = max(1, -(-int(busy_ms * MS) // period_ns))
        now_ns += slots * period_ns
        change = governor.slot(now_ns, int(busy_ms * MS), slots - 1)
        if change:
            changes.append(change)
    return changes, now_ns


def test_a_rate_that_is_held_stays() -> None:
    governor = RateGovernor(30)
    assert drive(governor, 60, busy_ms=25)[0] == []
    assert governor.rate_hz == 30


def test_lasting_overload_lowers_to_a_rate_that_fits() -> None:
    governor = RateGovernor(30)
    changes, _ = drive(governor, 30, busy_ms=55)
    assert [(c.from_hz, c.to_hz) for c in changes] == [(30, 15)]
    assert abs(changes[0].busy_ms - 55) < 1


def test_one_bad_second_changes_nothing() -> None:
    governor = RateGovernor(30)
    _, t = drive(governor, 4, busy_ms=10)
    _, t = drive(governor, 1, busy_ms=120, t0_ns=t)
    assert drive(governor, 20, busy_ms=10, t0_ns=t)[0] == []


def test_the_rate_comes_back_step_by_step_when_the_load_is_gone() -> None:
    governor = RateGovernor(30)
    _, t = drive(governor, 20, busy_ms=90)
    assert governor.rate_hz == 10
    changes, _ = drive(governor, 60, busy_ms=10, t0_ns=t)
    assert [c.to_hz for c in changes] == [15, 20, 30]


def test_a_load_between_two_rates_does_not_flap() -> None:
    governor = RateGovernor(30)
    changes, _ = drive(governor, 600, busy_ms=40)
    assert [c.to_hz for c in changes] == [20]


@given(st.integers(1, 120), st.lists(st.floats(0.1, 500), min_size=1, max_size=6))
def test_rate_stays_between_one_and_what_was_asked(asked_hz: int, loads: list[float]) -> None:
    governor, t = RateGovernor(asked_hz), 0
    for busy_ms in loads:
        changes, t = drive(governor, 10, busy_ms, t)
        assert all(1 <= c.to_hz <= asked_hz and c.to_hz != c.from_hz for c in changes)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 1000))
def test_a_camera_takes_its_rate_of_every_second_of_slots(
    camera_hz: int, group_hz: int, start: int
) -> None:
    taken = sum(is_due(k, camera_hz, group_hz) for k in range(start, start + group_hz))
    assert taken == min(camera_hz, group_hz)
