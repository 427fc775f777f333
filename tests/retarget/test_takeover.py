from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retarget import GripConfig, GripperTakeover


def test_gripper_holds_until_the_trigger_moves():
    takeover = GripperTakeover()
    takeover.engage(trigger=0.0, opening=0.3)
    assert takeover.update(0.0) == 0.3
    assert takeover.update(0.04) == 0.3
    assert takeover.update(0.10) == pytest.approx(0.9)
    assert takeover.taken


def test_gripper_is_taken_when_the_trigger_meets_it():
    takeover = GripperTakeover(config=GripConfig(takeover=2.0))
    takeover.engage(trigger=0.0, opening=0.3)
    assert takeover.update(0.5) == 0.3
    assert takeover.update(0.71) == pytest.approx(0.29)


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_engaging_never_moves_the_gripper(triggers, opening, trigger):
    takeover = GripperTakeover(opening)
    takeover.engage(trigger)
    assert takeover.update(trigger) == pytest.approx(opening, abs=1e-3)
    for value in triggers:
        assert 0.0 <= takeover.update(value) <= 1.0
    takeover.release()
    held = takeover.opening
    assert takeover.update(0.123) == held


def test_a_trigger_that_is_not_a_number_holds():
    takeover = GripperTakeover(0.4)
    takeover.engage(0.6)
    assert takeover.update(float("nan")) == 0.4


seeds = st.integers(0, 2**32 - 1)
BINARY = GripConfig(mode="binary")


@given(seeds, st.floats(0.0, 1.0))
def test_a_held_pinch_does_not_chatter(seed, held):
    rng = np.random.default_rng(seed)
    takeover = GripperTakeover(0.5)
    takeover.engage(0.5)
    settled = [takeover.update(held, pinched=True) for _ in range(3)][-1]
    shaken = np.clip(held + rng.uniform(-0.03, 0.03, 200), 0, 1)  # 2 mm of fingertips
    openings = [takeover.update(x, pinched=True) for x in shaken]
    assert np.ptp(openings) <= 0.07
    moves = np.diff(openings)
    assert (moves >= 0).all() or (moves <= 0).all(), "it creeps to rest, never to and fro"
    assert abs(openings[-1] - settled) <= 0.07


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_a_pinch_reaches_both_ends(values):
    takeover = GripperTakeover(0.5)
    takeover.engage(0.5)
    for value in values:
        takeover.update(value, pinched=True)
    assert takeover.update(1.0, pinched=True) == 0.0
    assert takeover.update(0.0, pinched=True) == 1.0


@given(st.lists(st.floats(0, 1), max_size=60))
def test_a_binary_grip_changes_only_at_its_thresholds(values):
    takeover = GripperTakeover(1.0, BINARY)
    takeover.engage(0.0)
    before = 1.0
    for value in values:
        opening = takeover.update(value)
        assert opening in (0.0, 1.0)
        if opening < before:
            assert value >= BINARY.close_at
        if opening > before:
            assert value <= BINARY.open_at
        before = opening


@given(st.floats(0.31, 0.69), seeds)
def test_a_binary_grip_never_chatters_between_its_thresholds(middle, seed):
    rng = np.random.default_rng(seed)
    for start in (0.0, 1.0):
        takeover = GripperTakeover(1.0, BINARY)
        takeover.engage(0.0)
        takeover.update(start)
        values = np.clip(middle + rng.uniform(-0.2, 0.2, 100), 0.301, 0.699)
        assert len({takeover.update(x) for x in values}) == 1


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["continuous", "binary"]))
def test_engaging_holds_in_every_mode(trigger, opening, mode):
    takeover = GripperTakeover(config=GripConfig(mode=mode))
    takeover.engage(trigger, opening)
    assert takeover.update(trigger) == pytest.approx(opening, abs=1e-3)


def test_a_pinch_is_a_distance_between_tips():
    config = GripConfig(pinch_m=(0.02, 0.08))
    assert [config.pinch(d) for d in (0.0, 0.02, 0.05, 0.08, 0.2)] == pytest.approx(
        [1, 1, 0.5, 0, 0]
    )
    assert np.isnan(config.pinch(float("nan")))


@pytest.mark.parametrize("wrong", [{"open_at": 0.8}, {"pinch_play": 0.6}, {"pinch_m": (0.1, 0.05)}])
def test_senseless_grips_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GripConfig(**wrong)
