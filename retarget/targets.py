"""What is asked of the retargeter and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from types import MappingProxyType
from typing import Any

import numpy as np

from retarget.errors import TargetError
from retarget.frames import Array

TIPS = ("left_wrist", "right_wrist", "head")
SIDES = ("left", "right")
_POSE_FIELDS = {tip: f"T_robot_{tip}" for tip in TIPS}
_ARRAYS_BY_SIDE = {"elbows": ((3,),), "hands": ((26, 3), (25, 3))}
_LIMBS = (*TIPS, *(f"{side}_{part}" for part in ("elbow", "hand") for side in SIDES))
_KNOWN = {
    "elbows": SIDES,
    "hands": SIDES,
    "grippers": SIDES,
    "grasps": SIDES,
    "weights": _LIMBS,
    "validity": _LIMBS,
}
_EMPTY: Mapping[str, Any] = MappingProxyType({})


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


def _nothing() -> Mapping[str, Any]:
    return _EMPTY


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What is asked of a robot in one tick. What is left out is not asked: it comes to rest.

    A pose that is not finite, or not a rigid transform, counts as not asked and is reported by
    the solution's status: bad samples hold, they do not raise.

    Attributes:
        T_robot_left_wrist: Pose of the left tool centre point, (4, 4).
        T_robot_right_wrist: Pose of the right one, (4, 4).
        T_robot_head: Pose of the head tip, (4, 4); ignored by rigs without a moving head.
        elbows: Position of an elbow by side, (3,) [m], robot root: where the operator's elbow is,
            which the arm's swivel follows as far as the wrist allows.
        hands: Hand joints by side, (26, 3) in OpenXR's order or (25, 3) in WebXR's [m], in any
            frame that moves with the hand or not: only shapes count.
        grippers: Opening by side, 0 closed to 1 open; clipped to that range.
        grasps: How far a hand with fingers is closed by side, 0 open to 1 closed; clipped. Where
            `hands` has the side, that counts.
        base_velocity: Of a mobile base: forward, left [m/s], turn to the left [rad/s], (3,).
        weights: Factor on the cost of a tip, by name; 1 where left out.
        validity: Tips, by name, that the tracker vouches for; True where left out. What is not
            valid is not asked.

    Raises:
        TargetError: An array has the wrong shape, a name is unknown, or a weight is not above 0.
    """

    T_robot_left_wrist: Array | None = None
    T_robot_right_wrist: Array | None = None
    T_robot_head: Array | None = None
    elbows: Mapping[str, Array] = field(default_factory=_nothing)
    hands: Mapping[str, Array] = field(default_factory=_nothing)
    grippers: Mapping[str, float] = field(default_factory=_nothing)
    grasps: Mapping[str, float] = field(default_factory=_nothing)
    base_velocity: Array | None = None
    weights: Mapping[str, float] = field(default_factory=_nothing)
    validity: Mapping[str, bool] = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        for name in _POSE_FIELDS.values():
            pose: Any = getattr(self, name)
            if pose is not None:
                object.__setattr__(self, name, _copied(pose, ((4, 4),), name))
        if self.base_velocity is not None:
            velocity = _copied(self.base_velocity, ((3,),), "base_velocity")
            object.__setattr__(self, "base_velocity", velocity)
        for name, shapes in _ARRAYS_BY_SIDE.items():
            arrays = getattr(self, name)
            if arrays:
                copies = {
                    side: _copied(a, shapes, f"{name}[{side!r}]") for side, a in arrays.items()
                }
                object.__setattr__(self, name, MappingProxyType(copies))
        for name, known in _KNOWN.items():
            for key in getattr(self, name):
                if key not in known:
                    raise TargetError(f"{name} has no {key!r}: names are {known}")
        for tip, weight in self.weights.items():
            if not weight > 0:
                raise TargetError(f"weight {tip!r} = {weight}: values are above 0")

    def pose(self, tip: str) -> Array | None:
        """`T_robot_tip`, or None when not asked."""
        pose: Array | None = getattr(self, _POSE_FIELDS[tip])
        return pose if self.validity.get(tip, True) else None

    def elbow(self, side: str) -> Array | None:
        """`p_robot_elbow` of a side, (3,), or None when not asked."""
        return self.elbows.get(side) if self.validity.get(f"{side}_elbow", True) else None

    def hand(self, side: str) -> Array | None:
        """Hand joints of a side, or None when not asked."""
        return self.hands.get(side) if self.validity.get(f"{side}_hand", True) else None


def _copied(values: Any, shapes: tuple[tuple[int, ...], ...], name: str) -> Array:
    """A read-only float64 copy.

    Raises:
        TargetError: Its shape is none of `shapes`.
    """
    copy = np.array(values, dtype=np.float64)
    if copy.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise TargetError(f"{name} has shape {copy.shape}, expected {expected}")
    copy.flags.writeable = False
    return copy


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
