"""Laws of hands within a rig: they move with its arms, in the same ticks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retarget import HandRetargeter, Retargeter, Status, Targets
from retarget.errors import TargetError
from tests.retarget.conftest import FILES, HAND_RIGS, cached_rig
from tests.retarget.test_hands import human

SIDES = ("left", "right")


@pytest.fixture(params=[name for name in HAND_RIGS if FILES[name].arms], scope="module")
def rig(request):
    return cached_rig(request.param)


def curled(c, sides=SIDES):
    return Targets(hands={side: human(c, side) for side in sides})


def test_a_hand_in_a_rig_moves_as_it_does_alone(rig):
    retargeter = Retargeter(rig)
    alone = {side: HandRetargeter(hand) for side, hand in rig.hands.items()}
    for k in range(60):
        solution = retargeter.step(curled(0.02 * k))
        for side, hand in solution.hands.items():
            expected = alone[side].step(human(0.02 * k, side))
            np.testing.assert_array_equal(hand.q, expected.q)
            assert hand.status == Status.TRACKING


def test_hands_are_not_joints_of_the_arms(rig):
    moved = Retargeter(rig).step(curled(0.5))
    np.testing.assert_array_equal(moved.q, rig.q_home)
    assert moved.status == Status.HOLD


def test_revising_a_tick_moves_fingers_once(rig):
    once, twice = Retargeter(rig), Retargeter(rig)
    for k in range(30):
        once.step(curled(0.03 * k))
        twice.step(curled(0.9))
        revised = twice.revise(curled(0.03 * k))
    for side, q in once.fingers.items():
        np.testing.assert_array_equal(revised.hands[side].q, q)


def test_a_grasp_closes_and_opens_the_hand(rig):
    retargeter = Retargeter(rig)
    for grasp, name in ((1.0, "q_closed"), (0.0, "q_home")):
        for _ in range(400):
            solution = retargeter.step(Targets(grasps=dict.fromkeys(SIDES, grasp)))
        for side, hand in rig.hands.items():
            np.testing.assert_allclose(solution.hands[side].q, getattr(hand, name), atol=1e-6)


def test_what_is_not_asked_brakes_and_rests(rig):
    retargeter = Retargeter(rig)
    for _ in range(20):
        retargeter.step(curled(1.0))
    for _ in range(60):
        solution = retargeter.step(curled(0.0, sides=("left",)))
    assert not solution.hands["right"].dq.any()
    assert solution.hands["right"].status == Status.HOLD
    assert solution.hands["left"].status == Status.TRACKING


def test_fingers_go_home_with_the_arms(rig):
    retargeter = Retargeter(rig)
    for _ in range(100):
        retargeter.step(curled(1.0))
    home = {side: hand.q_home for side, hand in rig.hands.items()}
    for _ in range(1200):
        solution = retargeter.step_joints(rig.q_home, speed=0.3, fingers_goal=home)
    for side, q in home.items():
        np.testing.assert_allclose(solution.hands[side].q, q, atol=1e-6)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_is_asked_of_hands_stays_within_their_limits(rig, seed):
    rng = np.random.default_rng(seed)
    retargeter = Retargeter(rig)
    rate = {side: np.zeros(len(hand.q_home)) for side, hand in rig.hands.items()}
    for _ in range(60):
        joints = {s: human(rng.uniform(-0.3, 1.6), s) for s in SIDES if rng.random() < 0.6}
        if joints and rng.random() < 0.2:
            next(iter(joints.values()))[rng.integers(26)] = rng.choice([np.nan, 0.0, 9.0])
        grasps = {s: rng.uniform(-0.5, 1.5) for s in SIDES if rng.random() < 0.5}
        solution = retargeter.step(Targets(hands=joints, grasps=grasps))
        for side, hand in rig.hands.items():
            answer = solution.hands[side]
            assert (answer.q >= hand.lower).all()
            assert (answer.q <= hand.upper).all()
            assert (np.abs(answer.dq) <= hand.velocity_limit + 1e-9).all()
            change = np.abs(answer.dq - rate[side])
            assert (change <= hand.acceleration_limit * retargeter.dt + 1e-9).all()
            rate[side] = answer.dq


def test_fingers_start_where_they_are_told(rig):
    retargeter = Retargeter(rig)
    closed = {"left": rig.hands["left"].q_closed}
    retargeter.reset(rig.q_home, fingers=closed)
    np.testing.assert_array_equal(retargeter.fingers["left"], closed["left"])
    np.testing.assert_array_equal(retargeter.fingers["right"], rig.hands["right"].q_home)


def test_fingers_a_rig_does_not_have_are_named(openarm):
    with pytest.raises(TargetError, match="left"):
        Retargeter(openarm).reset(openarm.q_home, fingers={"left": [0.0]})
    with pytest.raises(TargetError, match="right"):
        Retargeter(openarm, hand_scales={"right": 1.1})


def test_names_of_fingers_are_in_the_order_of_finger_vectors(rig):
    for side, where in rig.finger_slices.items():
        assert rig.finger_names[where] == rig.hands[side].joint_names
        np.testing.assert_array_equal(rig.fingers_home[where], rig.hands[side].q_home)
