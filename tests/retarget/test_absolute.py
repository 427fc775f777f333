"""Laws of the absolute clutch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retarget.absolute import BLEND_NS, AbsoluteClutch, AbsoluteMap
from retarget.errors import ClutchError
from retarget.frames import distance, exp3

VECTORS = st.tuples(*[st.floats(-1.0, 1.0)] * 3).map(np.array)


@st.composite
def matrices(draw: st.DrawFn, turn: float = 1.8) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = exp3(draw(VECTORS) * turn), draw(VECTORS)
    return T


@st.composite
def maps(draw: st.DrawFn) -> AbsoluteMap:
    scale = draw(st.floats(0.5, 2.0))
    turn = exp3(draw(VECTORS))
    return AbsoluteMap(draw(matrices()), scale, draw(VECTORS), draw(VECTORS), turn)


@settings(max_examples=100, deadline=None)
@given(hand_to_tip=maps(), hand=matrices())
def test_the_ghost_is_where_the_hand_means_the_tip(
    hand_to_tip: AbsoluteMap, hand: np.ndarray
) -> None:
    assert max(distance(hand_to_tip.hand(hand_to_tip.tip(hand)), hand)) < 1e-6


@settings(max_examples=100, deadline=None)
@given(hand_to_tip=maps(), hand=matrices(), off=matrices(turn=0.2))
def test_closing_moves_nothing_and_a_second_later_the_map_rules(
    hand_to_tip: AbsoluteMap, hand: np.ndarray, off: np.ndarray
) -> None:
    clutch, tip = AbsoluteClutch(), hand_to_tip.tip(hand) @ off
    clutch.engage(hand_to_tip, hand, tip, 5)
    assert max(distance(clutch.target(hand, 5), tip)) < 1e-6
    assert max(distance(clutch.target(hand, 5 + BLEND_NS), hand_to_tip.tip(hand))) < 1e-6
    assert max(distance(clutch.target(hand, 5 + 9 * BLEND_NS), hand_to_tip.tip(hand))) < 1e-6


@settings(max_examples=50, deadline=None)
@given(hand_to_tip=maps(), hand=matrices(), off=matrices(turn=0.2))
def test_the_offset_only_fades_and_never_jumps(
    hand_to_tip: AbsoluteMap, hand: np.ndarray, off: np.ndarray
) -> None:
    clutch, want = AbsoluteClutch(), hand_to_tip.tip(hand)
    clutch.engage(hand_to_tip, hand, want @ off, 0)
    left = np.array([distance(clutch.target(hand, i * 10**7), want) for i in range(101)])
    assert (np.diff(left, axis=0) <= 1e-6).all()
    # A smooth step moves at most 1.5 times as fast as an even one.
    assert (-np.diff(left, axis=0) <= 0.0151 * left[0] + 1e-6).all()


def test_scale_is_about_the_shoulders() -> None:
    centre, robot = np.array([0.0, 0.0, 1.4]), np.array([0.1, 0.0, 1.1])
    to_tip = AbsoluteMap(np.eye(4), 1.5, centre, robot, np.eye(3))
    hand = np.eye(4)
    hand[:3, 3] = centre
    np.testing.assert_allclose(to_tip.tip(hand)[:3, 3], robot)
    hand[:3, 3] += [0.2, 0.1, -0.3]
    np.testing.assert_allclose(to_tip.tip(hand)[:3, 3], robot + 1.5 * np.array([0.2, 0.1, -0.3]))


def test_an_open_clutch_has_no_target() -> None:
    with pytest.raises(ClutchError):
        AbsoluteClutch().target(np.eye(4), 0)
