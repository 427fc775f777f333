"""The grid: no drift, no bursts, every skipped slot counted."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop.pacing import NS_PER_S, Grid, sleep_until

RATES = st.integers(1, 2000)
STARTS = st.integers(0, 10**15)


@given(t0=STARTS, rate=RATES, k=st.integers(0, 10**9))
def test_instants_never_drift(t0: int, rate: int, k: int) -> None:
    assert Grid(t0, rate).instant(k * rate) == t0 + k * NS_PER_S


@given(t0=STARTS, rate=RATES, k=st.integers(0, 10**6))
def test_a_slot_is_due_at_its_instant_and_not_before(t0: int, rate: int, k: int) -> None:
    grid = Grid(t0, rate)
    grid.slot = k
    assert grid.take(grid.instant(k) - 1) is None
    assert grid.take(grid.instant(k)) == k
    assert grid.late_ns == 0


@given(t0=STARTS, rate=RATES, waits=st.lists(st.integers(0, 3 * NS_PER_S), max_size=30))
def test_taken_and_skipped_slots_add_up(t0: int, rate: int, waits: list[int]) -> None:
    grid, now, taken = Grid(t0, rate), t0, []
    for wait in waits:
        now += wait
        slot = grid.take(now)
        if slot is not None:
            taken.append(slot)
            assert grid.instant(slot) <= now < grid.next_ns()
            assert grid.late_ns == now - grid.instant(slot)
    assert taken == sorted(set(taken))
    assert len(taken) + grid.skipped == grid.slot


def test_late_slots_are_skipped_not_replayed() -> None:
    grid = Grid(0, 100)
    assert grid.take(0) == 0
    assert grid.take(57_000_000) == 5
    assert grid.skipped == 4
    assert grid.take(57_000_001) is None


def test_a_rate_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        Grid(0, 0)


def test_sleeping_never_ends_early() -> None:
    until = time.monotonic_ns() + 3_000_000
    assert sleep_until(until) >= until
    assert sleep_until(until - 10**9) >= until
