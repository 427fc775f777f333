"""One reading of everything the runtime knows of the operator, as an OPERATOR_FRAME row."""

from __future__ import annotations

from typing import Any

import numpy as np
import xr

from teleop.hmd.openxr.clocks import RuntimeClock
from teleop.hmd.openxr.hands import Hands
from teleop.hmd.openxr.inputs import Inputs
from teleop.hmd.openxr.poses import located
from teleop.hmd.openxr.runtime import HAND_TRACKING, Runtime
from teleop.hmd.openxr.session import Session
from teleop.protocol import (
    HEAD_BIT,
    LEFT_CONTROLLER_BIT,
    LEFT_HAND_BIT,
    RIGHT_CONTROLLER_BIT,
    RIGHT_HAND_BIT,
    empty_frame,
)
from teleop.samples import SIDES, Button, Source

LET_GO = 0.2
"""A squeeze below this has been let go."""
AWAY_NS = 500_000_000
"""Bare hands have no button to let go of: after a jump of the space they are away for this long."""
_CONTROLLERS = (LEFT_CONTROLLER_BIT, RIGHT_CONTROLLER_BIT)
_HANDS = (LEFT_HAND_BIT, RIGHT_HAND_BIT)


class FreshDeadman:
    """After the space of the poses moved, hands count only when newly engaged.

    Every pose jumps then, though no hand did. A held squeeze is reported as let go until it has
    been; bare hands are left out for a while.
    """

    def __init__(self) -> None:
        self._must_let_go = [False, False]
        self._hands_from_ns = 0

    def moved(self, t_ns: int) -> None:
        """The space has moved at this time of the device clock [ns]."""
        self._must_let_go = [True, True]
        self._hands_from_ns = t_ns + AWAY_NS

    def apply(self, frame: Any) -> None:
        """Change a row to what may be acted upon."""
        for side, name in enumerate(SIDES):
            if not self._must_let_go[side]:
                continue
            block = frame[f"{name}_controller"]
            if frame["presence"] & _CONTROLLERS[side] and block["squeeze"] < LET_GO:
                self._must_let_go[side] = False
                continue
            block["squeeze"] = 0.0
            block["buttons"] = int(block["buttons"]) & ~int(Button.SQUEEZE)
        if int(frame["t_device_ns"]) < self._hands_from_ns:
            frame["presence"] = int(frame["presence"]) & ~sum(_HANDS)


class Sampler:
    """Reads head, controllers and hands of one session."""

    def __init__(self, runtime: Runtime, session: Session) -> None:
        self.clock = RuntimeClock(runtime)
        self.inputs = Inputs(runtime, session.handle)
        self.hands = Hands(runtime, session.handle) if runtime.has(HAND_TRACKING) else None
        self._session = session
        self._deadman = FreshDeadman()
        self._recentred = session.recentred
        self._seq = 0

    def frame(self) -> np.void:
        """The row of now: poses as measured, not as predicted for a display."""
        time_xr, t_ns = self.clock.now()
        self._seq += 1
        row = empty_frame()
        row["seq"], row["t_device_ns"], row["source"] = self._seq, t_ns, Source.OPENXR
        self._read_head(row, time_xr)
        if self._session.focused and self._session.worn:
            self._read_hands(row, time_xr)
        if self._recentred != self._session.recentred:
            self._recentred = self._session.recentred
            self._deadman.moved(t_ns)
        self._deadman.apply(row)
        return row

    def _read_head(self, row: np.void, time_xr: int) -> None:
        flags, row["head"] = located(self._session.view, self._session.stage, time_xr)
        row["head_flags"] = flags if self._session.worn else 0
        row["presence"] = HEAD_BIT

    def _read_hands(self, row: np.void, time_xr: int) -> None:
        stage, presence = self._session.stage, int(row["presence"])
        try:
            self.inputs.sync()
        except xr.SessionNotFocused:  # lost since the last look at the events
            return
        for side, name in enumerate(SIDES):
            if self.inputs.read(side, stage, time_xr, row[f"{name}_controller"]):
                presence |= _CONTROLLERS[side]
            if self.hands is not None and self.hands.read(
                side, stage, time_xr, row[f"{name}_hand"]
            ):
                presence |= _HANDS[side]
        row["presence"] = presence
