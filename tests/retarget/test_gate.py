from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retarget import PoseGate, PoseGateConfig, Verdict

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


def test_the_same_numbers_again_are_no_news_and_in_the_end_frozen():
    gate = PoseGate(PoseGateConfig(frozen_s=0.1))
    verdicts = [gate.check(pose(0.2), True, k * TICK) for k in range(12)]
    assert verdicts == [Verdict.OK, *[Verdict.REPEATED] * 7, *[Verdict.FROZEN] * 4]


@given(st.floats(-0.29, 0.29).filter(lambda x: abs(x) > 1e-6))
def test_a_frozen_tracker_that_comes_back_within_reach_is_believed_again(x):
    gate = PoseGate()
    for k in range(20):
        gate.check(pose(0), True, k * TICK)
    assert gate.check(pose(x), True, 20 * TICK) == Verdict.OK


def test_a_frozen_tracker_that_comes_back_elsewhere_has_jumped():
    gate = PoseGate()
    for k in range(20):
        gate.check(pose(0), True, k * TICK)
    back = [gate.check(pose(1.0 + 1e-4 * k), True, (20 + k) * TICK) for k in range(4)]
    assert back[-1] == Verdict.JUMPED
    assert Verdict.OK not in back


def test_guessed_poses_are_used_for_a_while_then_held_until_tracked_again():
    gate = PoseGate(PoseGateConfig(emulated_s=0.1))
    assert gate.check(pose(0), True, 0, tracked=True) == Verdict.OK
    guessed = [gate.check(pose(1e-3 * k), True, k * TICK, tracked=False) for k in range(1, 15)]
    assert guessed == [*[Verdict.OK] * 7, *[Verdict.EMULATED] * 7]
    assert gate.check(pose(0.02), True, 15 * TICK, tracked=True) == Verdict.OK


def test_a_withdrawn_pose_is_not_built_upon():
    gate = PoseGate()
    gate.check(pose(0), True, 0)
    assert gate.check(pose(0.05), True, TICK) == Verdict.OK
    gate.withdraw()
    assert gate.check(pose(-0.05), True, 2 * TICK) == Verdict.OK


def test_a_device_that_never_says_tracked_is_used_as_it_is():
    gate = PoseGate(PoseGateConfig(emulated_s=0.1))
    for k in range(40):
        assert gate.check(pose(1e-3 * k), True, k * TICK, tracked=False) == Verdict.OK


def test_engaging_does_not_make_guesses_good_for_longer():
    gate = PoseGate(PoseGateConfig(emulated_s=0.1))
    gate.check(pose(0), True, 0, tracked=True)
    gate.rebase()
    guessed = [gate.check(pose(1e-3 * k), True, k * TICK, tracked=False) for k in range(1, 15)]
    assert guessed[0] == Verdict.OK
    assert guessed[-1] == Verdict.EMULATED
