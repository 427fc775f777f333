"""What is asked of the retargeter and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retarget.errors import TargetError
from retarget.frames import Array

TIPS = ("left_wrist", "right_wrist", "head")
_POSE_FIELDS = {tip: f"T_robot_{tip}" for tip in TIPS}


class Status(IntEnum):
    """How well a tick could follow."""

    HOLD = 0
    """Nothing was asked of any limb: it brakes, then rests."""
    TRACKING = 1
    LIMITED = 2
    """A tip is behind its target: out of reach, or faster than the limits allow."""
    INVALID = 3
    """A target was not a finite rigid pose and was treated as not asked."""
    JOINTS = 4
    """Joint-space motion (`step_joints`)."""


class Saturation(IntFlag):
    """Which limit a joint is at."""

    POSITION = 1
    VELOCITY = 2
    ACCELERATION = 4


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Where the tips and grippers should be. None means not asked: that limb comes to rest.

    A pose that is not finite, or not a rigid transform, counts as not asked and is reported by
    the solution's status: bad samples hold, they do not raise.

    Attributes:
        T_robot_left_wrist: Pose of the left tool centre point, (4, 4).
        T_robot_right_wrist: Pose of the right one, (4, 4).
        T_robot_head: Pose of the head tip, (4, 4); ignored by rigs without a moving head.
        gripper_left: Opening, 0 closed to 1 open; clipped to that range.
        gripper_right: Opening of the right gripper.
        weights: Factor on the cost of a tip, by name; 1 where left out.

    Raises:
        TargetError: A pose is not of shape (4, 4), or a weight names no tip or is not above 0.
    """

    T_robot_left_wrist: Array | None = None
    T_robot_right_wrist: Array | None = None
    T_robot_head: Array | None = None
    gripper_left: float | None = None
    gripper_right: float | None = None
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _POSE_FIELDS.values():
            pose: Any = getattr(self, name)
            if pose is None:
                continue
            copy = np.array(pose, dtype=np.float64)
            if copy.shape != (4, 4):
                raise TargetError(f"{name} has shape {copy.shape}, expected (4, 4)")
            copy.flags.writeable = False
            object.__setattr__(self, name, copy)
        for tip, weight in self.weights.items():
            if tip not in TIPS or not weight > 0:
                raise TargetError(
                    f"weight {tip!r} = {weight}: names are {TIPS}, values are above 0"
                )

    def pose(self, tip: str) -> Array | None:
        """`T_robot_tip`, or None when not asked."""
        pose: Array | None = getattr(self, _POSE_FIELDS[tip])
        return pose

    def gripper(self, side: str) -> float | None:
        """Opening asked of a side."""
        return self.gripper_left if side == "left" else self.gripper_right


def is_rigid(T: Array) -> bool:
    """Whether a (4, 4) is finite and a rotation (to 1e-3) with a translation within 100 m.

    Plain floats: on nine numbers, numpy's calls cost several times the arithmetic.
    """
    (a, b, c, x), (d, e, f, y), (g, h, i, z) = T[:3].tolist()
    if not abs(x) + abs(y) + abs(z) < 100.0:  # also refuses NaN
        return False
    lengths = (a * a + b * b + c * c, d * d + e * e + f * f, g * g + h * h + i * i)
    dots = (a * d + b * e + c * f, a * g + b * h + c * i, d * g + e * h + f * i)
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    unit = all(abs(length - 1.0) < 1e-3 for length in lengths)
    return unit and all(abs(dot) < 1e-3 for dot in dots) and determinant > 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """One tick's answer.

    Attributes:
        q: Joint positions to command, (nq,) [rad or m].
        dq: Joint velocities of this tick, (nq,) [rad/s].
        grippers: Openings, (n_grippers,), in `rig.gripper_names` order.
        status: How well the tick could follow.
        residuals: Per asked tip: distance to its target [m], angle to it [rad], after the tick.
        saturation: `Saturation` bits per joint, (nq,) uint8.
        clearance_m: Smallest self-distance [m]; NaN where it is not computed.
    """

    q: Array
    dq: Array
    grippers: Array
    status: Status
    residuals: Mapping[str, tuple[float, float]]
    saturation: NDArray[np.uint8]
    clearance_m: float = float("nan")
