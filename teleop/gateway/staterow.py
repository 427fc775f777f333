"""The session as a row of `session/state`."""

from __future__ import annotations

from typing import Any

import numpy as np

from teleop.effects import View
from teleop.gateway.aligning import Aligning
from teleop.gateway.neutral import Neutral
from teleop.samples import SESSION_STATE


class StateRow:
    """Fills one row again and again; `seq` counts them.

    Args:
        neutral: Calibration of the operator.
        aligning: The clutch.
    """

    def __init__(self, neutral: Neutral, aligning: Aligning) -> None:
        self._neutral, self._aligning = neutral, aligning
        self._row = np.zeros(1, SESSION_STATE)[0]

    def fill(self, view: View, now_ns: int) -> Any:
        """The row of now; valid until the next call."""
        row = self._row
        row["t_ns"] = now_ns
        row["seq"] += 1
        row["motion"], row["recording"], row["take"] = view.motion, view.recording, view.take
        row["engaged"], row["engage_count"] = view.engaged, view.engage_count
        row["operator_connected"] = view.operator_connected
        row["T_robot_stage"] = self._neutral.T_robot_stage
        row["reach_scale"] = self._neutral.reach_scale
        row["home_count"] = view.home_count
        self._aligning.put(row)
        return row
