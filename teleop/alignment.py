"""The gate before an absolute clutch: hands must first come to where the tips are. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pinocchio as pin

from retarget import Rig
from retarget.absolute import AbsoluteMap
from retarget.frames import distance, pose_to_matrix, stage_to_robot
from teleop.following import hand_sample
from teleop.motion import SIDES, SideName

Array = npt.NDArray[np.float64]
NEAR_M, NEAR_RAD = 0.05, math.radians(15.0)
DWELL_NS = 300_000_000
"""Both must hold for so long before an arm follows."""
MIN_EYE_M = 0.6
SHOULDER_OVER_EYE = 0.818 / 0.936
"""Shoulder height over eye height: Drillis & Contini (1966), as in `calibration.operator`."""


class ClutchMode(IntEnum):
    """How hands map to tips, as in `session/state`."""

    RELATIVE = 0
    ABSOLUTE = 1


@dataclass(frozen=True, slots=True, eq=False)
class ArmGeometry:
    """What an absolute map needs to know of a robot.

    Attributes:
        p_shoulders: (3,) middle of the shoulders in the robot root [m].
        R_hand_tip: Tip orientation in the hand's frame, (3, 3), by side.
    """

    p_shoulders: Array
    R_hand_tip: Mapping[SideName, Array]

    @classmethod
    def of(cls, rig: Rig) -> ArmGeometry:
        """Shoulders and tips of a rig at home."""
        data = rig.model.createData()
        pin.forwardKinematics(rig.model, data, np.asarray(rig.q_home, dtype=np.float64))
        sides = [side for side in SIDES if rig.limbs.get(side)]
        ids = [rig.model.getJointId(rig.limbs[side][0]) for side in sides]
        places = [np.array(data.oMi[k].translation) for k in ids]
        tips = rig.forward(rig.q_home)
        ahead = stage_to_robot()[:3, :3]
        turns = {side: ahead.T @ tips[f"{side}_wrist"][:3, :3] for side in sides}
        return cls(np.mean(places, axis=0) if places else np.zeros(3), turns)

    def map(
        self, side: SideName, T_robot_stage: Array, scale: float, eye_height_m: float
    ) -> AbsoluteMap:
        """Map of one side for a calibrated operator whose eyes are so high [m]."""
        shoulder_m = SHOULDER_OVER_EYE * max(eye_height_m, MIN_EYE_M)
        centre = np.array([0.0, 0.0, shoulder_m])
        return AbsoluteMap(T_robot_stage, scale, centre, self.p_shoulders, self.R_hand_tip[side])


@dataclass(frozen=True, slots=True, eq=False)
class Offset:
    """How far a hand is from where it must be.

    Attributes:
        T_stage_ghost: (4, 4) where it must be.
        metres: Distance [m].
        radians: Angle [rad].
        direction: Where to go, e.g. "up, forward"; empty when near enough.
    """

    T_stage_ghost: Array
    metres: float
    radians: float
    direction: str

    @property
    def near(self) -> bool:
        """Within both limits."""
        return self.metres <= NEAR_M and self.radians <= NEAR_RAD


@dataclass(slots=True)
class AlignmentGate:
    """Offsets of both hands, and since when each has been near enough.

    Attributes:
        offsets: By side; a side without a usable hand, map or tip is missing.
    """

    geometry: ArmGeometry
    offsets: dict[SideName, Offset] = field(default_factory=dict)
    _near_since: dict[SideName, int] = field(default_factory=dict)

    def read(
        self,
        frame: Any,
        T_robot_stage: Array,
        scale: float,
        eye_height_m: float,
        tips: Mapping[str, Array],
        now_ns: int,
    ) -> tuple[bool, bool]:
        """Whether left and right hand have been near enough for long enough.

        Args:
            frame: OPERATOR_FRAME row.
            T_robot_stage: (4, 4) calibrated map.
            scale: Robot metres per operator metre.
            eye_height_m: Of the operator [m].
            tips: `T_robot_tip`, (4, 4), by tip.
            now_ns: Host time [ns].
        """
        self.offsets.clear()
        for side in SIDES:
            hand, tip = hand_sample(frame, side), tips.get(f"{side}_wrist")
            usable = hand is not None and hand.valid and side in self.geometry.R_hand_tip
            if hand is None or tip is None or not usable:
                self._near_since.pop(side, None)
                continue
            to_tip = self.geometry.map(side, T_robot_stage, scale, eye_height_m)
            offset = offset_of(pose_to_matrix(hand.pose), to_tip.hand(tip), T_robot_stage)
            self.offsets[side] = offset
            if not offset.near:
                self._near_since.pop(side, None)
            else:
                self._near_since.setdefault(side, now_ns)
        left, right = (self._held(side, now_ns) for side in SIDES)
        return left, right

    def lose(self) -> None:
        """Forget: there is nothing to align."""
        self.offsets.clear()
        self._near_since.clear()

    def _held(self, side: SideName, now_ns: int) -> bool:
        since = self._near_since.get(side)
        return since is not None and now_ns - since >= DWELL_NS


def offset_of(T_stage_hand: Array, T_stage_ghost: Array, T_robot_stage: Array) -> Offset:
    """Offset of a hand from its ghost; directions are the operator's, as calibrated."""
    metres, radians = distance(T_stage_hand, T_stage_ghost)
    step = T_robot_stage[:3, :3] @ (T_stage_ghost[:3, 3] - T_stage_hand[:3, 3])
    words = [
        word
        for value, ahead, behind in zip(
            step, ("forward", "left", "up"), ("back", "right", "down"), strict=True
        )
        if abs(value) > NEAR_M / 2 and (word := ahead if value > 0 else behind)
    ]
    if radians > NEAR_RAD:
        words.append("turn the hand")
    near = metres <= NEAR_M and radians <= NEAR_RAD
    return Offset(T_stage_ghost, metres, radians, "" if near else ", ".join(words))
