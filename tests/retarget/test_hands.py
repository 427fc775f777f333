"""Laws of hands with fingers, on the hands of G1's Dex3."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retarget.frames import exp3
from retarget.handengine import HandState
from retarget.handreference import ReferenceHand
from retarget.hands import HandConfig, HandRetargeter, hand_engine
from retarget.targets import Status
from tests.retarget.conftest import FILES, HAND_RIGS, cached_rig
from tests.retarget.helpers import finite_difference

NAMES = [(name, side) for name in HAND_RIGS for side in FILES[name].hands]
OBJECTIVES = ("vector", "position", "dexpilot")


@pytest.fixture(scope="module")
def hands():
    return cached_rig("g1-dex3").hands


@pytest.fixture(params=NAMES, ids="-".join, scope="module")
def hand(request):
    name, side = request.param
    return cached_rig(name).hands[side]


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


def pinching(curl, side, finger=1, gap_m=0.012):
    """A hand whose thumb's tip is `gap_m` from another tip; the others curl."""
    joints = human(curl, "right")
    tip = joints[5 + 5 * finger]
    from_thumb = joints[4] - tip
    joints[5] = tip + gap_m * from_thumb / np.linalg.norm(from_thumb)
    return joints if side == "right" else joints * [1, -1, 1]


def nearest_tips(hand, name):
    """How near the tips of thumb and a finger can come, by search among random postures."""
    rng = np.random.default_rng(0)
    best, q_best = np.inf, hand.q_home
    for k in range(3000):
        spread = hand.upper - hand.lower
        q = (
            rng.uniform(hand.lower, hand.upper)
            if k < 1500
            else q_best + rng.normal(0, 0.03, len(spread)) * spread
        )
        q = np.clip(q, hand.lower, hand.upper)
        gap = np.linalg.norm(hand.position("thumb", q) - hand.position(name, q))
        if gap < best:
            best, q_best = gap, q
    return best


def follow(hand, joints, ticks=200, compiled=True):
    retargeter = HandRetargeter(hand, compiled=compiled)
    return [retargeter.step(joints) for _ in range(ticks)]


def test_link_jacobian_is_the_derivative_of_its_position(hand):
    q = hand.lower + 0.4 * (hand.upper - hand.lower)
    _, A = ReferenceHand(hand, 0.005, HandConfig()).linearise(q)
    in_palm = np.einsum("rs,ksi->kri", hand.T_palm_root[:3, :3], A)
    expected = finite_difference(lambda x: hand.positions(x).ravel(), q)
    np.testing.assert_allclose(in_palm.reshape(expected.shape), expected, atol=1e-8)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_compiled_and_numpy_ticks_agree(hand, objective):
    config = HandConfig(objective=objective)
    fast, slow = (hand_engine(hand, 0.005, config, compiled=c) for c in (True, False))
    state = HandState.rest(hand.q_home, fast.terms)
    for k in range(60):
        joints = pinching(0.03 * k, hand.side, finger=k // 10 % 4 + 1)
        joints = (joints, joints[1:], None, joints * np.nan)[0 if k % 7 else k % 4]
        one, other = fast.follow(state, joints), slow.follow(state, joints)
        np.testing.assert_allclose(one.state.memory, other.state.memory, rtol=0, atol=1e-9)
        assert one.status == other.status
        state = one.state
    for _ in range(30):
        one, other = (e.approach(state, hand.q_closed, 0.7) for e in (fast, slow))
        np.testing.assert_allclose(one.state.memory, other.state.memory, rtol=0, atol=1e-9)
        state = one.state


def test_joints_that_are_coupled_follow_exactly(hand):
    q = follow(hand, human(0.7, hand.side), 50)[-1].q
    every = dict(zip(hand.model.names[1:], hand.E @ q + hand.offset, strict=True))
    for name, (source, ratio, constant) in hand.mimic.items():
        assert every[name] == pytest.approx(ratio * every[source] + constant, abs=1e-12)
        low = hand.model.lowerPositionLimit[hand.model.getJointId(name) - 1]
        assert every[name] >= low - 1e-9


def test_an_open_hand_opens_and_a_closed_one_closes(hand):
    reach = []
    for curl in (0.0, 1.1):
        q = follow(hand, human(curl, hand.side))[-1].q
        tips = [hand.position(link, q) for f, link in hand.section.tips.items() if f != "thumb"]
        reach.append(np.mean([np.linalg.norm(t - hand.position("wrist", q)) for t in tips]))
    assert reach[1] < reach[0] - 0.03


def test_a_trigger_closes_the_hand_about_as_a_fist_does(hand):
    fingers = [link for f, link in hand.section.tips.items() if f != "thumb"]
    fist, posture = follow(hand, human(1.1, hand.side))[-1].q, hand.q_closed
    for link in fingers:
        apart = hand.position(link, fist) - hand.position(link, posture)
        assert np.linalg.norm(apart) < 0.075


@pytest.mark.parametrize("finger", [1, 2])
def test_tips_of_a_pinch_come_together(hand, finger):
    name = ("index", "middle")[finger - 1]
    config = HandConfig(objective="dexpilot")
    retargeter = HandRetargeter(hand, config=config)
    gaps = []
    for gap_m in (0.06, 0.008):
        for _ in range(300):
            q = retargeter.step(pinching(0.5, hand.side, finger, gap_m)).q
        gaps.append(np.linalg.norm(hand.position("thumb", q) - hand.position(name, q)))
    nearest = nearest_tips(hand, name)
    assert gaps[1] < max(0.012, nearest + 0.012), f"as near as {nearest:.3f} m is possible"
    assert gaps[1] < gaps[0]


def test_hands_of_any_size_ask_the_same(hand):
    small, large = (follow(hand, size * human(0.4, hand.side), 60)[-1].q for size in (0.8, 1.15))
    np.testing.assert_allclose(small, large, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-0.3, 1.6), min_size=5, max_size=30))
def test_limits_are_never_violated(hand, curls):
    retargeter = HandRetargeter(hand)
    last = np.zeros(len(hand.joint_names))
    for curl in curls:
        answer = retargeter.step(human(curl, hand.side))
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


@pytest.mark.parametrize("bad", [np.nan, 0.0, 10.0])
def test_what_is_no_hand_is_held_and_said(hands, bad):
    retargeter = HandRetargeter(hands["right"])
    for _ in range(300):
        retargeter.step(human(0.4))
    answers = [retargeter.step(human(0.9) * bad) for _ in range(60)]
    assert {a.status for a in answers} == {Status.INVALID}
    assert not answers[-1].dq.any()


def test_the_arm_model_has_no_fingers(hands):
    rig = cached_rig("g1-dex3")
    assert len(rig.joint_names) == 17
    assert not {*hands["left"].joint_names, *hands["right"].joint_names} & {*rig.joint_names}
