"""Wrist pictures are moved by hand: pointed at, dragged, resized; never while an arm follows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from teleop.hmd.openxr.panels import FARTHEST, WIDTHS, Place, WristPanels, hit_point
from teleop.protocol import empty_frame
from teleop.samples import Tracking

ASPECTS = {"left": 0.75, "right": 0.75}
HEAD = np.array([0.3, 1.6, -0.2, *Rotation.from_euler("YX", [0.7, -0.2]).as_quat()])


class Hand:
    """The right controller of an operator whose head is at `HEAD`."""

    def __init__(self, panels: WristPanels) -> None:
        self.panels, self.row = panels, empty_frame()

    def point(
        self, right: float, down: float, trigger: float = 0.0, stick: float = 0.0,
        *, allowed: bool = True, seen: bool = True, seconds: float = 0.0,
    ) -> None:  # fmt: skip
        """Point from beside the head at angles of straight ahead [rad]."""
        controller = self.row["right_controller"]
        turn = Rotation.from_quat(HEAD[3:])
        hand = HEAD[:3] + turn.apply([0.2, -0.4, -0.3])
        goal = HEAD[:3] + turn.apply([math.tan(right), -math.tan(down), -1.0])
        ahead = (goal - hand) / np.linalg.norm(goal - hand)
        aim, _ = Rotation.align_vectors([ahead], [[0, 0, -1]])
        controller["aim"] = (*hand, *aim.as_quat())
        controller["flags"] = Tracking.VALID if seen else 0
        controller["trigger"], controller["thumbstick"][1] = trigger, stick
        self.panels.update(HEAD, self.row, ASPECTS, allowed, seconds)


@given(st.floats(-0.8, 0.8), st.floats(-0.6, 0.6))
def test_a_ray_meets_the_plane_where_it_points(right: float, down: float) -> None:
    hand = Hand(WristPanels())
    hand.point(right, down)
    hit = hit_point(HEAD, hand.row["right_controller"]["aim"])
    assert hit is not None
    np.testing.assert_allclose(hit, [math.tan(right), -math.tan(down)], atol=1e-6)


def test_a_panel_is_dragged_and_stays() -> None:
    panels = WristPanels("low")
    hand = Hand(panels)
    hand.point(0.0, 0.0)
    assert panels.pointed is None and panels.cursor is None
    hand.point(-0.45, 0.42)
    assert panels.pointed == "left" and panels.held is None
    hand.point(-0.45, 0.42, trigger=1.0)
    assert panels.held == "left"
    for share in np.linspace(0.0, 1.0, 20):
        hand.point(-0.45 + 0.5 * share, 0.42 - 0.6 * share, trigger=1.0)
    hand.point(0.05, -0.18)
    assert panels.held is None
    place = panels.place("left")
    assert place is not None
    assert place.right == pytest.approx(0.08, abs=0.05)
    assert place.down == pytest.approx(-0.2, abs=0.05)
    assert panels.place("right") == Place(0.42, 0.4)
    hand.point(-0.45, 0.42)
    assert panels.pointed is None, "it is not there any more"


def test_a_panel_grows_and_shrinks_with_the_stick_within_bounds() -> None:
    panels = WristPanels("low")
    hand = Hand(panels)
    hand.point(0.42, 0.4)
    for stick, bound in ((1.0, WIDTHS[1]), (-1.0, WIDTHS[0])):
        for _ in range(60):
            hand.point(0.42, 0.4, trigger=1.0, stick=stick, seconds=0.1)
        place = panels.place("right")
        assert place is not None and place.width == bound


@given(st.floats(-1.3, 1.3), st.floats(-1.3, 1.3))
def test_a_panel_stays_where_eyes_reach_it(right: float, down: float) -> None:
    panels = WristPanels("side")
    hand = Hand(panels)
    hand.point(0.6, 0.05)
    hand.point(0.6, 0.05, trigger=1.0)
    hand.point(right, down, trigger=1.0)
    place = panels.place("right")
    assert place is not None
    assert abs(place.right) <= FARTHEST[0] and abs(place.down) <= FARTHEST[1]


def test_nothing_moves_while_an_arm_follows_or_by_a_trigger_pulled_elsewhere() -> None:
    panels = WristPanels("low")
    hand = Hand(panels)
    hand.point(0.42, 0.4, trigger=1.0, allowed=False)
    hand.point(0.42, 0.4, trigger=1.0)
    assert panels.held is None, "the trigger was pulled before"
    hand.point(0.0, 0.0)
    hand.point(0.0, 0.0, trigger=1.0)
    hand.point(0.42, 0.4, trigger=1.0)
    assert panels.held is None, "it was pulled beside the panel"
    hand.point(0.42, 0.4)
    hand.point(0.42, 0.4, trigger=1.0)
    assert panels.held == "right"
    hand.point(0.3, 0.3, trigger=1.0, allowed=False)
    assert panels.held is None, "an arm follows now"
    moved = panels.place("right")
    hand.point(0.1, 0.1, trigger=1.0)
    assert panels.place("right") == moved
    hand.point(0.42, 0.4, seen=False)
    hand.point(0.42, 0.4, trigger=1.0)
    assert panels.held is None, "it came back with its trigger pulled"


def test_places_are_kept_until_others_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "state" / "panels.json"
    hand = Hand(WristPanels("low", file))
    hand.point(0.42, 0.4)
    hand.point(0.42, 0.4, trigger=1.0)
    hand.point(0.2, 0.2, trigger=1.0)
    hand.point(0.2, 0.2)
    moved = hand.panels.place("right")
    assert WristPanels("low", file).place("right") == moved != Place(0.42, 0.4)
    assert WristPanels("side", file).place("right") == Place(0.6, 0.05)
    assert WristPanels("off", file).place("right") is None
    for text in ("", "[]", '{"kind": "low", "moved": {"right": {"right": 9, "down": 0}}}', "{"):
        file.write_text(text)
        assert WristPanels("low", file).place("right") == Place(0.42, 0.4)
