"""Bare hands through XR_EXT_hand_tracking: 26 joints with their radii."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import xr

from teleop.hmd.openxr.runtime import Runtime
from teleop.samples import N_HAND_JOINTS, Tracking

WRIST = 1
"""XrHandJointEXT index."""
_SETS = (xr.HandEXT.LEFT, xr.HandEXT.RIGHT)
_JOINT = np.dtype(
    {
        "names": ["flags", "orientation", "position", "radius"],
        "formats": ["<u8", ("<f4", 4), ("<f4", 3), "<f4"],
        "offsets": [0, 8, 24, 36],
        "itemsize": 40,
    }
)
"""XrHandJointLocationEXT as numpy sees it."""


class Hands:
    """Two hand trackers of one session.

    The wrapped call passes no joint array and always fails, so the raw function is used.
    """

    def __init__(self, runtime: Runtime, session: Any) -> None:
        self._locate = runtime.function("xrLocateHandJointsEXT", xr.PFN_xrLocateHandJointsEXT)
        self._trackers = [
            xr.create_hand_tracker_ext(
                session,
                xr.HandTrackerCreateInfoEXT(hand=hand, hand_joint_set=xr.HandJointSetEXT.DEFAULT),
            )
            for hand in _SETS
        ]
        self._joints = (xr.HandJointLocationEXT * N_HAND_JOINTS)()
        self._values = np.frombuffer(self._joints, _JOINT)

    def read(self, side: int, base: Any, time_xr: int, block: Any) -> bool:
        """Fill a HAND block; False, and nothing written, when that hand is not seen.

        Args:
            side: 0 left, 1 right.
            base: Space the joints are in.
            time_xr: XrTime of the joints.
            block: Part of an OPERATOR_FRAME row.
        """
        found = xr.HandJointLocationsEXT(joint_count=N_HAND_JOINTS, joint_locations=self._joints)
        wanted = xr.HandJointsLocateInfoEXT(base_space=base, time=time_xr)
        result = self._locate(self._trackers[side], ctypes.byref(wanted), ctypes.byref(found))
        xr.check_result(xr.Result(result))
        if not found.is_active:
            return False
        flags = self._values["flags"]
        # a hand with holes is of no use to a retargeter: all joints or none
        whole = bool((flags & int(Tracking.VALID) == int(Tracking.VALID)).all())
        block["flags"] = int(flags[WRIST]) & 0xF if whole else 0
        block["joints"][:, :3] = self._values["position"]
        block["joints"][:, 3:] = self._values["orientation"]
        block["radius"] = self._values["radius"]
        return True
