"""What the retargeter answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retarget.engine import State
from retarget.frames import Array
from retarget.handengine import HandTick
from retarget.hands import HandSolution
from retarget.targets import Status

NO_HANDS: Mapping[str, HandTick] = MappingProxyType({})


class Shape(NamedTuple):
    """What the solutions of one rig have in common.

    Attributes:
        joints: How many driven joints there are.
        rate_hz: Ticks per second.
        tips: Names of the tips.
    """

    joints: int
    rate_hz: float
    tips: tuple[str, ...]


class Solution:
    """One tick's answer; it cannot be changed, and computes what is asked of it.

    Attributes:
        status: How well the tick could follow.
        saturation: `Saturation` bits per joint, (nq,) uint8.
        clearance_m: Smallest distance of parts that must not touch [m], at most the distance at
            which they are watched; NaN where none is known.
    """

    __slots__ = ("_hands", "_shape", "_state", "clearance_m", "saturation", "status")

    def __init__(
        self,
        state: State,
        status: Status,
        saturation: NDArray[np.uint8],
        clearance_m: float,
        shape: Shape,
        hands: Mapping[str, HandTick] = NO_HANDS,
    ) -> None:
        self._state = state
        self._shape = shape
        self.status = status
        self.saturation = saturation
        self.clearance_m = clearance_m
        self._hands = hands

    @property
    def q(self) -> Array:
        """Joint positions to command, (nq,) [rad or m]; read-only."""
        q = self._state.memory[: self._shape.joints]
        q.flags.writeable = False  # the next tick starts from it
        return q

    @property
    def dq(self) -> Array:
        """Joint velocities of this tick, (nq,) [rad/s]."""
        size = self._state.sizes[0]
        step = self._state.memory[size : size + self._shape.joints]
        return step * self._shape.rate_hz

    @property
    def grippers(self) -> Array:
        """Openings, (n_grippers,), in `rig.gripper_names` order; read-only."""
        grippers = self._state.memory[self._shape.joints : self._state.sizes[0]]
        grippers.flags.writeable = False
        return grippers

    @property
    def hands(self) -> Mapping[str, HandSolution]:
        """Answers of hands with fingers, by side."""
        dt = 1.0 / self._shape.rate_hz
        found = {side: HandSolution.of(tick, dt) for side, tick in self._hands.items()}
        return MappingProxyType(found)

    @property
    def residuals(self) -> Mapping[str, tuple[float, float]]:
        """Per followed tip: distance to its target [m], angle to it [rad], after the tick."""
        rows = zip(self._shape.tips, self._state.left.tolist(), strict=True)
        return {tip: (row[0], row[1]) for tip, row in rows if not math.isnan(row[0])}

    def __repr__(self) -> str:
        return f"Solution(status={self.status.name}, q={self.q}, residuals={self.residuals})"
