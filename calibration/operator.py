"""The operator's frame and size, captured from one neutral pose.

The operator stands upright, looks the way the robot should face, lets the hands hang or stretches
them forward, and confirms. From that follow the map from OpenXR STAGE to the robot root and how
many robot metres one metre of the operator's hand is worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from calibration.errors import NeutralPoseError
from retarget.frames import stage_to_robot

Matrix = npt.NDArray[np.float64]
ReachSource = Literal["hands", "stature", "default"]

# Segment lengths as fractions of stature H: Drillis & Contini, Body Segment Parameters (1966),
# as in Winter, Biomechanics and Motor Control of Human Movement, figure 4.1.
EYE_HEIGHT = 0.936
SHOULDER_HEIGHT = 0.818
HALF_SHOULDER_BREADTH = 0.129
UPPER_ARM = 0.186
FOREARM = 0.146
HAND = 0.108
ARM_TO_GRIP = UPPER_ARM + FOREARM + HAND / 2
"""Shoulder to the middle of the palm, where a controller's grip pose lies, in statures."""

DEFAULT_STATURE_M = 1.70
STANDING_EYE_M = (1.25, 2.1)
"""Head heights taken for a standing person [m]; others sit or have no floor calibration."""
REACH_SCALE = (0.5, 2.0)
"""Sane range of robot reach over operator reach."""
MAX_GAZE_PITCH_RAD = math.radians(60.0)
STRETCHED = (0.90, 1.15)
"""Hand to shoulder distance over expected reach that counts as a stretched arm."""


@dataclass(frozen=True, slots=True, eq=False)
class OperatorProfile:
    """What is known of one operator.

    Attributes:
        name: Operator name; also the folder in a `ProfileStore`.
        created: When it was captured, ISO 8601 UTC.
        version: Number in the store, 0 before it is saved.
        T_robot_stage: (4, 4), maps STAGE (y up, -z forward) to the robot root (z up, x forward):
            the operator's facing direction becomes robot x, the floor point under the head
            becomes the origin, the floor z = 0 [m]. Head pitch and roll are ignored.
        reach_scale: Robot metres per operator metre.
        operator_reach_m: Shoulder to grip of the operator's straight arm [m].
        eye_height_m: Head height over the floor [m].
        reach_source: Where the reach comes from: stretched `hands`, `stature` from the head's
            height, or the `default` stature when the head is not at a standing person's height.
    """

    name: str
    created: str
    version: int
    T_robot_stage: Matrix
    reach_scale: float
    operator_reach_m: float
    eye_height_m: float
    reach_source: ReachSource

    def __post_init__(self) -> None:
        T = np.array(self.T_robot_stage, dtype=np.float64)
        if T.shape != (4, 4) or not np.isfinite(T).all():
            raise ValueError(f"T_robot_stage must be a finite (4, 4) matrix, got shape {T.shape}")
        if not np.allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-6):
            raise ValueError("T_robot_stage must hold a rotation")
        T.setflags(write=False)
        object.__setattr__(self, "T_robot_stage", T)
        if not REACH_SCALE[0] <= self.reach_scale <= REACH_SCALE[1]:
            raise ValueError(f"reach_scale must be within {REACH_SCALE}, got {self.reach_scale}")

    def numbered(self, version: int) -> OperatorProfile:
        """The same with its version."""
        return replace(self, version=version)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "created": self.created,
            "version": self.version,
            "T_robot_stage": self.T_robot_stage.tolist(),
            "reach_scale": self.reach_scale,
            "operator_reach_m": self.operator_reach_m,
            "eye_height_m": self.eye_height_m,
            "reach_source": self.reach_source,
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> OperatorProfile:
        """Read what `to_dict` wrote; keys it does not know are left alone.

        Raises:
            KeyError: A key is missing.
            ValueError: A value is out of its range.
        """
        return cls(
            name=str(document["name"]),
            created=str(document["created"]),
            version=int(document["version"]),
            T_robot_stage=np.asarray(document["T_robot_stage"], dtype=np.float64),
            reach_scale=float(document["reach_scale"]),
            operator_reach_m=float(document["operator_reach_m"]),
            eye_height_m=float(document["eye_height_m"]),
            reach_source=document["reach_source"],
        )


def capture_neutral(
    T_stage_head: npt.ArrayLike,
    T_stage_left: npt.ArrayLike | None,
    T_stage_right: npt.ArrayLike | None,
    robot_reach_m: float,
    *,
    name: str = "operator",
    created: datetime | None = None,
) -> OperatorProfile:
    """Make a profile from one neutral pose.

    Args:
        T_stage_head: (4, 4) head in STAGE, -z where the operator looks [m].
        T_stage_left: (4, 4) left grip in STAGE, None if not tracked [m].
        T_stage_right: (4, 4) right grip in STAGE, None if not tracked [m].
        robot_reach_m: Shoulder to tip of the robot's straight arm [m].
        name: Operator name.
        created: Time of capture; now if not given.

    Raises:
        NeutralPoseError: The head looks too far up or down for a facing direction, a pose is not
            a finite rigid pose, or the robot's reach is not positive.
    """
    head = _rigid("head", T_stage_head)
    hands = {
        side: _rigid(f"{side} hand", T)
        for side, T in (("left", T_stage_left), ("right", T_stage_right))
        if T is not None
    }
    if not (math.isfinite(robot_reach_m) and robot_reach_m > 0):
        raise NeutralPoseError(f"the robot's reach must be positive metres, got {robot_reach_m}")
    T_robot_stage = _yaw_aligned(head)
    reach, source = _operator_reach(head, hands, T_robot_stage)
    return OperatorProfile(
        name=name,
        created=(created or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds"),
        version=0,
        T_robot_stage=T_robot_stage,
        reach_scale=float(np.clip(robot_reach_m / reach, *REACH_SCALE)),
        operator_reach_m=reach,
        eye_height_m=float(head[1, 3]),
        reach_source=source,
    )


def _rigid(what: str, T: npt.ArrayLike) -> Matrix:
    matrix = np.asarray(T, dtype=np.float64)
    good = matrix.shape == (4, 4) and bool(np.isfinite(matrix).all())
    if not good or not np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-3):
        raise NeutralPoseError(
            f"the {what} pose is not a finite rigid (4, 4) pose; make sure it is tracked, "
            "then capture again"
        )
    return matrix


def _yaw_aligned(T_stage_head: Matrix) -> Matrix:
    """STAGE to robot root: head's forward to x, floor point under the head to the origin."""
    T_robot_stage = stage_to_robot()
    forward = T_robot_stage[:3, :3] @ -T_stage_head[:3, 2]
    pitch = math.asin(float(np.clip(forward[2], -1.0, 1.0)))
    if abs(pitch) > MAX_GAZE_PITCH_RAD:
        way = "up" if pitch > 0 else "down"
        raise NeutralPoseError(
            f"the head looks {abs(math.degrees(pitch)):.0f}° {way}, so it has no facing direction; "
            "look straight ahead, the way the robot should face, then capture again"
        )
    yaw = math.atan2(forward[1], forward[0])
    c, s = math.cos(yaw), math.sin(yaw)
    R_turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    T = np.eye(4)
    T[:3, :3] = R_turn @ T_robot_stage[:3, :3]
    ground = np.array([T_stage_head[0, 3], 0.0, T_stage_head[2, 3]])
    T[:3, 3] = -T[:3, :3] @ ground
    return T


def _operator_reach(
    T_stage_head: Matrix, hands: dict[str, Matrix], T_robot_stage: Matrix
) -> tuple[float, ReachSource]:
    """Shoulder to grip [m]: measured on stretched hands, else from stature."""
    eye = float(T_stage_head[1, 3])
    standing = STANDING_EYE_M[0] <= eye <= STANDING_EYE_M[1]
    stature = eye / EYE_HEIGHT if standing else DEFAULT_STATURE_M
    expected = ARM_TO_GRIP * stature
    below_eye = (EYE_HEIGHT - SHOULDER_HEIGHT) * stature
    measured = []
    for side, T_stage_hand in hands.items():
        lateral = HALF_SHOULDER_BREADTH * stature * (1.0 if side == "left" else -1.0)
        p_robot_shoulder = np.array([0.0, lateral, eye - below_eye])
        p_robot_hand = T_robot_stage[:3, :3] @ T_stage_hand[:3, 3] + T_robot_stage[:3, 3]
        # A hanging arm is straight as well, but its distance says more about the assumed
        # shoulder height than about the arm.
        forward = p_robot_hand - p_robot_shoulder
        distance = float(np.linalg.norm(forward))
        raised = forward[2] > -0.5 * distance
        if raised and STRETCHED[0] * expected <= distance <= STRETCHED[1] * expected:
            measured.append(distance)
    if len(measured) == 2:
        return float(np.mean(measured)), "hands"
    return expected, "stature" if standing else "default"
