"""What the operator sees in one frame: which quads, in which order."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from teleop.hmd.openxr.frames import Frame
from teleop.hmd.openxr.panels import WristPanels
from teleop.hmd.openxr.placing import (
    Eye,
    Quad,
    alignment_quads,
    head_stream,
    heading,
    hud_quad,
    multiply,
    picture_quad,
    skeleton_quads,
    target_quads,
    wrist_quads,
)
from teleop.protocol import Status, StreamInfo
from teleop.samples import SIDES, Button, Tracking

Turn = tuple[float, float, float, float]
"""Quaternion xyzw."""


class OperatorView:
    """The room around the operator.

    The robot's view hangs where its camera looked when the picture was taken, from where the
    operator faced at the start: turning the head looks around in it, and no picture smears.

    Args:
        panels: Where wrist pictures hang.
        arms: Draw the robot's limbs.

    Attributes:
        hud_aspect: Width over height of the HUD.
    """

    def __init__(self, panels: WristPanels | None = None, arms: bool = False) -> None:
        self._panels, self._arms = panels or WristPanels(), arms
        self._row: Any = None
        self._status: Status | None = None
        self._t_s: float | None = None
        self._skeleton: list[Quad] = []
        self.hud_aspect = 1.25
        self._streams: dict[str, StreamInfo] = {}
        self._turns: dict[str, Turn | None] = {}
        self._heading: npt.NDArray[np.float64] | None = None
        self._alignment: list[Quad] = []

    def recentre(self) -> None:
        """Put the robot's view in front of the operator again at the next frame."""
        self._heading = None

    def add(self, stream: StreamInfo, turn_xyzw: Turn | None) -> None:
        """A new picture of this stream is drawn from now on, turned like its camera was."""
        self._streams[stream.name] = stream
        self._turns[stream.name] = turn_xyzw

    def look_at(self, status: Status | None, row: Any) -> None:
        """Take over what the server says of the hands' places, and a pressed thumbstick."""
        pressed = any(
            int(row[f"{side}_controller"]["buttons"]) & Button.THUMBSTICK for side in SIDES
        )
        if pressed:
            self.recentre()
        self._row, self._status = row, status
        self._alignment = []
        if self._arms and status is not None:
            self._skeleton = skeleton_quads(status.skeleton) + target_quads(status.targets)
        if status is not None and status.alignment:
            self._alignment = alignment_quads(status.alignment, _hands(row))

    def quads(self, frame: Frame, eye: Eye) -> list[Quad]:
        """Quads for an eye, far to near."""
        if self._heading is None:
            self._heading = heading(frame.head)
        if eye is frame.eyes[0]:
            self._move_panels(frame.head)
        streams = list(self._streams.values())
        found = []
        main = head_stream(streams, eye.name)
        if main is not None:
            turn = self._turns[main.name]
            direction = self._heading if turn is None else multiply(turn, self._heading)
            found.append(picture_quad(main, eye, frame.head, direction))
        found += wrist_quads(streams, frame.head, self._panels)
        found += self._skeleton
        found += self._alignment
        return [*found, hud_quad(frame.head, self.hud_aspect)]

    def _move_panels(self, head: Any) -> None:
        """Only while no arm follows: the trigger is a gripper's otherwise."""
        now_s = time.monotonic()
        seconds = 0.0 if self._t_s is None else min(now_s - self._t_s, 0.1)
        self._t_s = now_s
        if self._row is None:
            return
        status = self._status
        held = any(float(self._row[f"{side}_controller"]["squeeze"]) > 0.5 for side in SIDES)
        follows = status is not None and any(status.engaged)
        aspects = {
            side: stream.height / stream.width
            for side in SIDES
            if (stream := self._streams.get(f"wrist_{side}")) is not None
        }
        self._panels.update(head, self._row, aspects, not (held or follows), seconds)


def _hands(row: Any) -> dict[str, Any]:
    """Side -> (7,) grip, else palm, of the hands that are seen."""
    found = {}
    for side in SIDES:
        controller, hand = row[f"{side}_controller"], row[f"{side}_hand"]
        if int(controller["flags"]) & Tracking.POSITION_VALID:
            found[side] = controller["grip"]
        elif int(hand["flags"]) & Tracking.POSITION_VALID:
            found[side] = hand["joints"][0]
    return found
