from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retarget.conditioning import GripperTakeover, OneEuro, OneEuroConfig, PoseGate, Verdict

MS = 1_000_000
TICK = 14 * MS


def pose(x=0.0, quat=(0, 0, 0, 1)):
    return np.array([x, 1.2, -0.3, *quat], float)


@pytest.mark.parametrize(
    "bad",
    [
        pose(np.nan),
        pose(np.inf),
        pose(11.0),
        pose(0, (0, 0, 0, 0)),
        pose(0, (np.nan, 0, 0, 1)),
        np.zeros(6),
    ],
)
def test_gate_refuses_what_is_not_a_pose(bad):
    gate = PoseGate()
    assert gate.check(bad, True, 0) == Verdict.INVALID
    assert gate.check(pose(), True, TICK) == Verdict.OK


def test_gate_refuses_what_the_device_calls_invalid():
    assert PoseGate().check(pose(), False, 0) == Verdict.INVALID


def test_a_single_outlier_is_skipped():
    gate = PoseGate()
    verdicts = [gate.check(pose(x), True, k * TICK) for k, x in enumerate([0, 0.01, 0.5, 0.02])]
    assert verdicts == [Verdict.OK, Verdict.OK, Verdict.OUTLIER, Verdict.OK]


def test_a_tracking_jump_passes_nothing_until_rebase():
    gate = PoseGate()
    gate.check(pose(0), True, 0)
    verdicts = [gate.check(pose(1.0), True, k * TICK) for k in range(1, 8)]
    assert verdicts[:2] == [Verdict.OUTLIER] * 2
    assert set(verdicts[2:]) == {Verdict.JUMPED}
    assert gate.check(pose(0), True, 9 * TICK) == Verdict.JUMPED
    gate.rebase()
    assert gate.check(pose(1.0), True, 10 * TICK) == Verdict.OK


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=60))
def test_a_passed_pose_is_never_far_from_the_one_before(xs):
    gate = PoseGate()
    last = None
    for k, x in enumerate(xs):
        if gate.check(pose(x), True, k * TICK) == Verdict.OK:
            if last is not None:
                assert abs(x - last) <= 3.0 * 0.1 + 0.01 + 1e-9
            last = x


def test_opposite_quaternions_are_no_jump():
    gate = PoseGate()
    gate.check(pose(0, (0, 0, 0, 1)), True, 0)
    assert gate.check(pose(0, (0, 0, 0, -1)), True, TICK) == Verdict.OK


def test_one_euro_passes_the_first_pose_and_a_still_hand_unchanged():
    euro = OneEuro()
    for k in range(20):
        assert np.allclose(euro.filter(pose(0.3), k * TICK), pose(0.3), atol=1e-12)


def test_one_euro_calms_jitter_and_follows_motion():
    rng = np.random.default_rng(0)
    euro, still, noisy = OneEuro(), [], []
    for k in range(400):
        x = 0.001 * rng.normal()
        noisy.append(x)
        still.append(euro.filter(pose(x), k * TICK)[0])
    assert np.std(still[100:]) < 0.5 * np.std(noisy)
    euro.reset()
    lag = [0.5 * k * 0.014 - euro.filter(pose(0.5 * k * 0.014), k * TICK)[0] for k in range(100)]
    assert abs(lag[-1]) < 0.02


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.1, 1))
def test_one_euro_does_not_care_about_the_quaternion_sign(a, b, c):
    quat = np.array([a, b, 0.1, c]) / np.linalg.norm([a, b, 0.1, c])
    one, other = OneEuro(), OneEuro()
    one.filter(pose(), 0)
    other.filter(pose(), 0)
    x, y = one.filter(pose(0, quat), TICK), other.filter(pose(0, -quat), TICK)
    assert np.array_equal(x, y)


def test_one_euro_refuses_senseless_settings():
    with pytest.raises(ValueError, match="cut-offs"):
        OneEuroConfig(min_cutoff_hz=0)


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
