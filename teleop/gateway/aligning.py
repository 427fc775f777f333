"""The absolute clutch as the gateway sees it: which mode, are the hands where the tips are."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from retarget.frames import pose_to_matrix
from teleop.alignment import AlignmentGate, ArmGeometry, ClutchMode
from teleop.effects import Tracked, View
from teleop.gateway.neutral import Neutral
from teleop.gateway.tips import TipWatch, pose7
from teleop.protocol import AlignmentInfo
from teleop.session import Session


@dataclass(slots=True)
class Aligning:
    """Mode of the clutches, and the gate before absolute ones.

    Args:
        neutral: Calibration.
        tips: Where the tips are.
        geometry: Of the robot; None where it is not known: the clutch is relative then.
        mode: How hands map to tips.
    """

    neutral: Neutral
    tips: TipWatch
    geometry: ArmGeometry | None = None
    mode: ClutchMode = ClutchMode.RELATIVE
    _gate: AlignmentGate | None = None

    def __post_init__(self) -> None:
        self._gate = None if self.geometry is None else AlignmentGate(self.geometry)

    @property
    def absolute(self) -> bool:
        """Whether clutches are absolute."""
        return self.mode is ClutchMode.ABSOLUTE

    def choose(self, mode: ClutchMode, session: Session) -> str:
        """Choose how hands map to tips; returns why not."""
        absolute = mode is ClutchMode.ABSOLUTE
        if absolute and self._gate is None:
            return "the geometry of this robot is not known"
        refused = session.choose_clutch(absolute)
        self.mode = self.mode if refused else mode
        return refused

    def judge(self, tracked: Tracked, frame: Any, view: View, now_ns: int) -> Tracked:
        """Add to a frame's facts whether its hands are aligned."""
        gate, profile = self._gate, self.neutral.profile
        if not self.absolute or gate is None:
            return tracked
        if profile is None or not view.calibrated or all(view.engaged):
            gate.lose()
            return tracked
        T_robot_stage = pose_to_matrix(self.neutral.T_robot_stage)
        scale, eye_m = self.neutral.reach_scale, profile.eye_height_m
        tips = self.tips.matrices()
        aligned = gate.read(frame, T_robot_stage, scale, eye_m, tips, now_ns)
        return replace(tracked, aligned=aligned)

    def infos(self, view: View) -> tuple[AlignmentInfo, ...]:
        """Offsets of the hands whose arms do not follow."""
        if not self.absolute or self._gate is None:
            return ()
        follows = dict(zip(("left", "right"), view.engaged, strict=True))
        return tuple(
            AlignmentInfo(
                side=side,
                distance_m=round(offset.metres, 3),
                angle_deg=round(math.degrees(offset.radians), 1),
                direction=offset.direction,
                ghost=pose7(offset.T_stage_ghost),
            )
            for side, offset in self._gate.offsets.items()
            if not follows[side]
        )

    def put(self, row: Any) -> None:
        """Write the mode into a SESSION_STATE row."""
        profile = self.neutral.profile
        row["clutch"] = self.mode
        row["eye_height_m"] = 0.0 if profile is None else profile.eye_height_m
