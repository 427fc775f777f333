"""The absolute clutch: where the operator's hand is says where the tip shall be.

The hand's place relative to the operator's shoulders, scaled, is the tip's place relative to the
robot's; a hand that points straight ahead gives the tip its home orientation. An absolute clutch
is closed near its target only, and what is left of the offset then fades: closing never jumps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retarget.errors import ClutchError
from retarget.frames import Array, exp3, log3

BLEND_NS = 1_000_000_000
"""Time in which the offset at closing fades [ns]."""


@dataclass(frozen=True, slots=True, eq=False)
class AbsoluteMap:
    """From hand poses to tip poses of one side.

    Attributes:
        T_robot_stage: (4, 4) calibrated map of directions and floor.
        scale: Robot metres per operator metre.
        p_operator: (3,) middle of the operator's shoulders, mapped by `T_robot_stage` [m].
        p_robot: (3,) middle of the robot's shoulders, robot root [m].
        R_hand_tip: (3, 3) tip orientation in the hand's frame.
    """

    T_robot_stage: Array
    scale: float
    p_operator: Array
    p_robot: Array
    R_hand_tip: Array

    def tip(self, T_stage_hand: Array) -> Array:
        """`T_robot_tip`, (4, 4), that a hand pose, (4, 4), asks for."""
        T = self.T_robot_stage @ T_stage_hand
        T[:3, 3] = self.p_robot + self.scale * (T[:3, 3] - self.p_operator)
        T[:3, :3] = T[:3, :3] @ self.R_hand_tip
        return T

    def hand(self, T_robot_tip: Array) -> Array:
        """`T_stage_hand`, (4, 4), that asks for a tip pose: the inverse of `tip`."""
        R_stage_robot = self.T_robot_stage[:3, :3].T
        T = np.eye(4)
        T[:3, :3] = R_stage_robot @ T_robot_tip[:3, :3] @ self.R_hand_tip.T
        p = self.p_operator + (T_robot_tip[:3, 3] - self.p_robot) / self.scale
        T[:3, 3] = R_stage_robot @ (p - self.T_robot_stage[:3, 3])
        return T


class AbsoluteClutch:
    """Absolute mapping of one hand to one tip, with the offset at closing faded out.

    Right after `engage` the target is exactly the tip's pose; after `BLEND_NS` it is the map's.
    """

    def __init__(self) -> None:
        self._map: AbsoluteMap | None = None
        self._step: Array = np.zeros(3)
        self._turn: Array = np.zeros(3)
        self._since_ns = 0

    @property
    def engaged(self) -> bool:
        """Whether the tip follows the hand."""
        return self._map is not None

    def engage(
        self, hand_to_tip: AbsoluteMap, T_stage_hand: Array, T_robot_tip: Array, t_ns: int
    ) -> None:
        """Close with the hand and the tip where they are, (4, 4) each."""
        wanted = hand_to_tip.tip(T_stage_hand)
        self._map, self._since_ns = hand_to_tip, t_ns
        self._step = T_robot_tip[:3, 3] - wanted[:3, 3]
        self._turn = log3(T_robot_tip[:3, :3] @ wanted[:3, :3].T)

    def release(self) -> None:
        """Let go; `target` needs a new `engage`."""
        self._map = None

    def target(self, T_stage_hand: Array, t_ns: int) -> Array:
        """`T_robot_tip` for a hand pose, (4, 4), at a time [ns].

        Raises:
            ClutchError: Not engaged.
        """
        if self._map is None:
            raise ClutchError("target() before engage(): the clutch is open")
        share = min(max((t_ns - self._since_ns) / BLEND_NS, 0.0), 1.0)
        left = 1.0 - share * share * (3.0 - 2.0 * share)
        target = self._map.tip(T_stage_hand)
        target[:3, 3] += left * self._step
        target[:3, :3] = exp3(left * self._turn) @ target[:3, :3]
        return target
