"""One operator's hand (or head) steering one tip: gate, filter, clutch, gripper takeover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from retarget import Clutch, GripperTakeover, OneEuro, OneEuroConfig, PoseGate, Verdict
from retarget.absolute import AbsoluteClutch, AbsoluteMap
from retarget.frames import pose_to_matrix
from teleop.samples import Tracking

Array = npt.NDArray[np.float64]
Side = Literal["left", "right"]

LEFT_CONTROLLER, RIGHT_CONTROLLER, LEFT_HAND, RIGHT_HAND, HEAD = 2, 4, 8, 16, 1
PALM, THUMB_TIP, INDEX_TIP = 0, 5, 10
"""XrHandJointEXT indices."""
_VALID = Tracking.VALID.value  # as an int: IntFlag's operators are slow
PINCH_M = (0.015, 0.075)
"""Distance of thumb tip to index tip at which the pinch counts as closed and as open."""


@dataclass(frozen=True, slots=True, eq=False)
class HandSample:
    """What one hand of an operator frame says.

    Attributes:
        pose: (7,) grip or palm in STAGE.
        valid: Position and orientation are valid.
        trigger: 0 released to 1 pressed; from the pinch for a bare hand.
        t_ns: Time of the pose on the host clock [ns].
    """

    pose: Array
    valid: bool
    trigger: float
    t_ns: int


def head_sample(frame: np.void) -> HandSample | None:
    """The head of a frame, None when it is not in it."""
    if not int(frame["presence"]) & HEAD:
        return None
    return HandSample(frame["head"], _valid(frame["head_flags"]), 0.0, int(frame["t_ns"]))


def hand_sample(frame: np.void, side: Side) -> HandSample | None:
    """The controller of a side, else its bare hand, else None."""
    presence = int(frame["presence"])
    left = side == "left"
    if presence & (LEFT_CONTROLLER if left else RIGHT_CONTROLLER):
        device = frame["left_controller" if left else "right_controller"]
        trigger = float(device["trigger"])
        return HandSample(device["grip"], _valid(device["flags"]), trigger, int(frame["t_ns"]))
    if presence & (LEFT_HAND if left else RIGHT_HAND):
        device = frame["left_hand" if left else "right_hand"]
        joints = device["joints"]
        gap = float(np.linalg.norm(joints[THUMB_TIP, :3] - joints[INDEX_TIP, :3]))
        trigger = float(np.clip((PINCH_M[1] - gap) / (PINCH_M[1] - PINCH_M[0]), 0.0, 1.0))
        return HandSample(joints[PALM], _valid(device["flags"]), trigger, int(frame["t_ns"]))
    return None


def _valid(flags: np.uint8) -> bool:
    return int(flags) & _VALID == _VALID


class Follower:
    """One tip that follows one tracked pose while it is engaged.

    Every frame is judged and filtered once, on arrival; the target then holds until the next.

    Attributes:
        target: `T_robot_tip`, (4, 4), None while not following.
        verdict: What the gate thought of the newest pose.
    """

    def __init__(self, smoothing: OneEuroConfig | None) -> None:
        self.target: Array | None = None
        self.verdict = Verdict.OK
        self._gate = PoseGate()
        self._filter = OneEuro(smoothing) if smoothing is not None else None
        self._clutch = Clutch()
        self._absolute = AbsoluteClutch()
        self._gripper = GripperTakeover()
        self._T_robot_stage = np.eye(4)
        self._t_ns = 0

    @property
    def following(self) -> bool:
        """Whether the clutch is closed."""
        return self._clutch.engaged or self._absolute.engaged

    @property
    def opening(self) -> float | None:
        """Gripper opening asked for, None while not following."""
        return self._gripper.opening if self.following else None

    def release(self) -> None:
        """Let go; only `engage` follows again."""
        self._clutch.release()
        self._absolute.release()
        self._gripper.release()
        self.target = None

    def engage(
        self,
        sample: HandSample,
        T_robot_stage: Array,
        T_robot_tip: Array,
        scale: float,
        opening: float,
        hand_to_tip: AbsoluteMap | None = None,
    ) -> bool:
        """Take the hand and the tip as belonging together from now on.

        The map from STAGE is frozen as well, so that a new calibration cannot move an arm that
        is following.

        Args:
            sample: The hand now.
            T_robot_stage: (4, 4) calibrated map.
            T_robot_tip: (4, 4) where the tip is commanded to be.
            scale: Robot metres per operator metre.
            opening: The gripper's commanded opening.
            hand_to_tip: Closes the absolute clutch instead of the relative one.

        Returns:
            False when the pose cannot be used; nothing changed then.
        """
        self._gate.rebase()
        self.verdict = self._gate.check(sample.pose, sample.valid, sample.t_ns)
        if self.verdict != Verdict.OK:
            return False
        if self._filter is not None:
            self._filter.reset()
        self._t_ns = sample.t_ns
        self._T_robot_stage = T_robot_stage.copy()
        self._clutch.scale = scale
        T_stage_hand = self._T_stage_hand(sample)
        if hand_to_tip is None:
            self._clutch.engage(T_robot_stage @ T_stage_hand, T_robot_tip)
        else:
            self._absolute.engage(hand_to_tip, T_stage_hand, T_robot_tip, sample.t_ns)
        self._gripper.engage(sample.trigger, opening)
        self.target = T_robot_tip.copy()
        return True

    def update(self, sample: HandSample | None) -> bool:
        """Use a new frame's pose; bad poses leave the target where it was.

        Returns:
            Whether the target was renewed.
        """
        if not self.following or sample is None:
            return False
        if sample.t_ns <= self._t_ns:  # the clock fit stepped back: time never does
            sample = HandSample(sample.pose, sample.valid, sample.trigger, self._t_ns + 1)
        self.verdict = self._gate.check(sample.pose, sample.valid, sample.t_ns)
        if self.verdict != Verdict.OK:
            return False
        self._t_ns = sample.t_ns
        T_stage_hand = self._T_stage_hand(sample)
        if self._absolute.engaged:
            self.target = self._absolute.target(T_stage_hand, sample.t_ns)
        else:
            self.target = self._clutch.target(self._T_robot_stage @ T_stage_hand)
        self._gripper.update(sample.trigger)
        return True

    def _T_stage_hand(self, sample: HandSample) -> Array:
        pose = sample.pose
        if self._filter is not None:
            pose = self._filter.filter(pose, sample.t_ns)
        return pose_to_matrix(pose)
