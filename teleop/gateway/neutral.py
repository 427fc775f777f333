"""Calibration at engage: the operator's frame and reach from the frame that asks for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.errors import CalibrationError, ProfileNotFoundError
from calibration.operator import REACH_SCALE, OperatorProfile, capture_neutral
from calibration.store import ProfileStore
from retarget.frames import matrix_to_pose, pose_to_matrix
from teleop.bindings import CONTROLLER_BITS
from teleop.samples import Tracking

log = logging.getLogger(__name__)
PALM = 0
"""XrHandJointEXT index."""
IDENTITY = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])


class Neutral:
    """Captures profiles and keeps the operator's reach over runs.

    Args:
        robot_reach_m: Shoulder to tip of the robot's straight arm [m].
        name: Operator name; empty keeps profiles in memory.
        store: Where profiles are kept.
        run: Runs a function aside: saving waits for the disk.
    """

    def __init__(
        self,
        robot_reach_m: float,
        name: str = "",
        store: ProfileStore | None = None,
        run: Callable[[Callable[[], object]], object] = lambda work: work(),
    ) -> None:
        self._robot_reach_m = robot_reach_m
        self._name = name
        self._store = store if name else None
        self._run = run
        self._known = self._load()
        self.profile: OperatorProfile | None = None
        self.T_robot_stage: npt.NDArray[np.float64] = IDENTITY
        """Pose (7,) of STAGE in the robot root; identity until captured."""

    @property
    def reach_scale(self) -> float:
        """Robot metres per operator metre; 1 until captured."""
        return 1.0 if self.profile is None else self.profile.reach_scale

    def capture(self, frame: Any) -> OperatorProfile:
        """Calibrate from an OPERATOR_FRAME row.

        Raises:
            CalibrationError: The pose does not do; the message says why.
        """
        left, right = (_hand(frame, *side) for side in CONTROLLER_BITS)
        profile = capture_neutral(
            pose_to_matrix(frame["head"]),
            left,
            right,
            self._robot_reach_m,
            name=self._name or "operator",
        )
        self.profile = self._with_known_reach(profile)
        self.T_robot_stage = matrix_to_pose(self.profile.T_robot_stage)
        self._save(self.profile)
        return self.profile

    def adopt(self, profile: OperatorProfile) -> None:
        """Use a profile that was captured elsewhere; the operator's own stays as it is."""
        self.profile = profile
        self.T_robot_stage = matrix_to_pose(profile.T_robot_stage)

    def _with_known_reach(self, profile: OperatorProfile) -> OperatorProfile:
        """A reach measured earlier is better than one guessed from the head's height."""
        known = self._known
        if known is None or known.reach_source != "hands" or profile.reach_source == "hands":
            return profile
        scale = np.clip(self._robot_reach_m / known.operator_reach_m, *REACH_SCALE)
        return replace(
            profile,
            reach_scale=float(scale),
            operator_reach_m=known.operator_reach_m,
            reach_source=known.reach_source,
        )

    def _load(self) -> OperatorProfile | None:
        if self._store is None:
            return None
        try:
            return self._store.load(self._name)
        except ProfileNotFoundError:
            return None

    def _save(self, profile: OperatorProfile) -> None:
        store, self._known = self._store, profile
        if store is not None:
            self._run(lambda: _save(store, profile))


def _save(store: ProfileStore, profile: OperatorProfile) -> None:
    try:
        store.save(profile)
    except (CalibrationError, OSError):
        log.exception("the operator profile was not saved")


def _hand(
    frame: Any, side: str, controller_bit: int, hand_bit: int
) -> npt.NDArray[np.float64] | None:
    """Grip of a side's controller, palm of its bare hand, None where neither can be used."""
    presence = int(frame["presence"])
    if presence & controller_bit:
        controller = frame[f"{side}_controller"]
        return pose_to_matrix(controller["grip"]) if _valid(controller) else None
    hand = frame[f"{side}_hand"]
    return pose_to_matrix(hand["joints"][PALM]) if presence & hand_bit and _valid(hand) else None


def _valid(block: Any) -> bool:
    return int(block["flags"]) & Tracking.VALID == Tracking.VALID
