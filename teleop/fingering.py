"""What is asked of hands with fingers: the operator's own, or how far a trigger is pulled. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from retarget import Rig, Verdict
from retarget.fingers import grasp_of
from teleop.following import CONTROLLER_BITS, HAND_BITS, Follower
from teleop.samples import Tracking

Array = npt.NDArray[np.float64]
# as ints: IntFlag's operators are slow
_VALID, _STAND_IN = Tracking.VALID.value, Tracking.STAND_IN.value
HELD = (Verdict.INVALID, Verdict.JUMPED, Verdict.EMULATED)
"""Of a wrist: its fingers are not to be trusted either."""


class FingerControl:
    """Which hands follow what. Keeps nothing between ticks.

    A bare hand leads the fingers themselves, a controller closes them with its trigger, which
    takes over as softly as that of a gripper. Where a controller only stands in for a bare hand's
    deadman, as in a replay, the hand counts. What is lost holds.

    Attributes:
        home: Home of the fingers by side.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig, self._sides = rig, tuple(rig.finger_slices)
        self.home: Mapping[str, Array] = MappingProxyType(
            {side: rig.hands[side].q_home for side in self._sides}
        )

    def measured(self, state: np.void) -> Mapping[str, Array]:
        """Fingers of a `robot/state` row by side; a little beyond a stop counts as at it."""
        hands = self._rig.hands
        return {
            side: np.clip(state["finger"][where], hands[side].lower, hands[side].upper)
            for side, where in self._rig.finger_slices.items()
        }

    def grasp(self, side: str, fingers: Mapping[str, Array]) -> float:
        """How far a hand is closed, 0 to 1; 0 where there is none."""
        if side not in fingers:
            return 0.0
        hand = self._rig.hands[side]
        return grasp_of(fingers[side], hand.q_home, hand.q_closed)

    def asked(
        self, followers: Mapping[str, Follower], frame: np.void | None
    ) -> tuple[dict[str, Any], dict[str, float]]:
        """Hand joints (26, 3) and grasps by side, of the arms that follow."""
        hands: dict[str, Any] = {}
        grasps: dict[str, float] = {}
        for side in self._sides:
            follower = followers.get(side)
            if follower is None or frame is None or not follower.following:
                continue
            if _is_bare(frame, side):
                joints = _joints(frame, side, follower.verdict)
                if joints is not None:
                    hands[side] = joints
            elif follower.opening is not None:
                grasps[side] = 1.0 - follower.opening
        return hands, grasps


def _is_bare(frame: np.void, side: str) -> bool:
    """Whether the hand itself leads its fingers."""
    presence = int(frame["presence"])
    if not presence & HAND_BITS[side]:
        return False
    if not presence & CONTROLLER_BITS[side]:
        return True
    return bool(int(frame[f"{side}_controller"]["flags"]) & _STAND_IN)


def _joints(frame: np.void, side: str, verdict: Verdict) -> Array | None:
    """Joints of a tracked hand, (26, 3) [m]; None when they cannot be used."""
    hand = frame[f"{side}_hand"]
    if int(hand["flags"]) & _VALID != _VALID or verdict in HELD:
        return None
    joints: Array = hand["joints"][:, :3]
    return joints
