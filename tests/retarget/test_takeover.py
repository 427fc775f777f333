from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retarget import GripperTakeover


def test_gripper_holds_until_the_trigger_moves():
    takeover = GripperTakeover()
    takeover.engage(trigger=0.0, opening=0.3)
    assert takeover.update(0.0) == 0.3
    assert takeover.update(0.04) == 0.3
    assert takeover.update(0.10) == pytest.approx(0.9)
    assert takeover.taken


def test_gripper_is_taken_when_the_trigger_meets_it():
    takeover = GripperTakeover(threshold=2.0)
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
