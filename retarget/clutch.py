"""The clutch: an operator's hand moves a tip by as much as the hand itself moves."""

from __future__ import annotations

import numpy as np

from retarget.errors import ClutchError
from retarget.frames import Array


class Clutch:
    """Relative mapping of one hand to one tip.

    Translation since engaging is scaled, rotation is 1:1, both about the axes of the robot root.
    Right after `engage` the target is exactly the tip's pose: engaging moves nothing.

    Attributes:
        scale: Robot metres per operator metre.
    """

    def __init__(self, scale: float = 1.0) -> None:
        if not (np.isfinite(scale) and scale > 0):
            raise ClutchError(f"scale must be a number above 0, got {scale}")
        self.scale = scale
        self._T_robot_hand: Array | None = None
        self._T_robot_tip: Array | None = None
        self._engaged_at = b""

    @property
    def engaged(self) -> bool:
        """Whether the tip follows the hand."""
        return self._T_robot_hand is not None

    def engage(self, T_robot_hand: Array, T_robot_tip: Array) -> None:
        """Take the hand's and the tip's pose, (4, 4) each, as belonging together."""
        self._T_robot_hand = np.array(T_robot_hand, dtype=np.float64)
        self._T_robot_tip = np.array(T_robot_tip, dtype=np.float64)
        self._engaged_at = self._T_robot_hand.tobytes()

    def release(self) -> None:
        """Let go; `target` needs a new `engage`."""
        self._T_robot_hand = self._T_robot_tip = None

    def target(self, T_robot_hand: Array) -> Array:
        """`T_robot_tip` for a hand pose, (4, 4).

        Raises:
            ClutchError: Not engaged.
        """
        hand, tip = self._T_robot_hand, self._T_robot_tip
        if hand is None or tip is None:
            raise ClutchError("target() before engage(): the clutch is open")
        if T_robot_hand.tobytes() == self._engaged_at:
            return tip.copy()
        target = np.eye(4)
        turn = T_robot_hand[:3, :3] @ hand[:3, :3].T
        target[:3, :3] = turn @ tip[:3, :3]
        target[:3, 3] = tip[:3, 3] + self.scale * (T_robot_hand[:3, 3] - hand[:3, 3])
        return target
