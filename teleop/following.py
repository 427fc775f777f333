"""One operator's hand (or head) steering one tip: filters, clutch, gripper takeover."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from retarget import Clutch, FilterConfig, GripConfig, GripperTakeover, PoseFilter, Verdict
from retarget.absolute import AbsoluteClutch, AbsoluteMap
from retarget.frames import pose_to_matrix
from teleop.samples import Tracking

Array = npt.NDArray[np.float64]
Side = Literal["left", "right"]

LEFT_CONTROLLER, RIGHT_CONTROLLER, LEFT_HAND, RIGHT_HAND, HEAD = 2, 4, 8, 16, 1
CONTROLLER_BITS = {"left": LEFT_CONTROLLER, "right": RIGHT_CONTROLLER}
HAND_BITS = {"left": LEFT_HAND, "right": RIGHT_HAND}
PALM, THUMB_TIP, INDEX_TIP = 0, 5, 10
"""XrHandJointEXT indices."""
# as ints: IntFlag's operators are slow
_VALID = Tracking.VALID.value
_EMULATED, _MEASURED = Tracking.EMULATED.value, Tracking.POSITION_TRACKED.value
_NO_PINCH = math.nan
"""Of a controller: it has a trigger."""
DEFAULT_GRIP = GripConfig()
FADE_ON_NS = 50_000_000
"""The offset of an absolute clutch fades on for so long after a hand's last pose [ns]."""
_HELD = (Verdict.FROZEN, Verdict.EMULATED, Verdict.REPEATED)
"""Poses that say nothing new, from devices whose triggers still do."""


@dataclass(frozen=True, slots=True, eq=False)
class HandSample:
    """What one hand of an operator frame says.

    Attributes:
        pose: (7,) grip or palm in STAGE.
        valid: Position and orientation are valid.
        trigger: 0 released to 1 pressed; NaN for a bare hand.
        t_ns: Time of the pose on the host clock [ns].
        t_receive_ns: When it came [ns].
        tracked: The position was measured, not guessed.
        pinch_m: Distance of thumb tip to index tip [m]; NaN for a controller, and for a bare hand
            that is not tracked.
    """

    pose: Array
    valid: bool
    trigger: float
    t_ns: int
    t_receive_ns: int
    tracked: bool = True
    pinch_m: float = _NO_PINCH

    def pull(self, grip: GripConfig = DEFAULT_GRIP) -> float:
        """How far the trigger is pulled, or a bare hand pinched, 0 to 1; NaN when not known."""
        return self.trigger if math.isnan(self.pinch_m) else grip.pinch(self.pinch_m)


def head_sample(frame: np.void) -> HandSample | None:
    """The head of a frame, None when it is not in it."""
    if not int(frame["presence"]) & HEAD:
        return None
    return _sample(frame, frame["head"], frame["head_flags"], trigger=0.0)


def hand_sample(frame: np.void, side: Side) -> HandSample | None:
    """The controller of a side, else its bare hand, else None."""
    presence = int(frame["presence"])
    left = side == "left"
    if presence & (LEFT_CONTROLLER if left else RIGHT_CONTROLLER):
        device = frame["left_controller" if left else "right_controller"]
        return _sample(frame, device["grip"], device["flags"], float(device["trigger"]))
    if presence & (LEFT_HAND if left else RIGHT_HAND):
        device = frame["left_hand" if left else "right_hand"]
        joints, flags = device["joints"], device["flags"]
        gap = float(np.linalg.norm(joints[THUMB_TIP, :3] - joints[INDEX_TIP, :3]))
        pinch_m = gap if _valid(flags) else math.nan
        return _sample(frame, joints[PALM], flags, math.nan, pinch_m)
    return None


def _sample(
    frame: np.void, pose: Array, flags: np.uint8, trigger: float, pinch_m: float = _NO_PINCH
) -> HandSample:
    measured = int(flags) & (_MEASURED | _EMULATED) == _MEASURED
    t_ns, t_receive_ns = int(frame["t_ns"]), int(frame["t_receive_ns"])
    return HandSample(pose, _valid(flags), trigger, t_ns, t_receive_ns, measured, pinch_m)


def _valid(flags: np.uint8) -> bool:
    return int(flags) & _VALID == _VALID


class Follower:
    """One tip that follows one tracked pose while it is engaged.

    Every frame is judged and filtered once, on arrival; between frames the target is carried on
    as far as the settings predict. Times at which it is asked for run with the control grid, so
    that a tick made again, with a newer frame, continues from the same tick before it.

    Attributes:
        target: `T_robot_tip`, (4, 4), None while not following.
    """

    def __init__(self, filters: FilterConfig | None = None, grip: GripConfig | None = None) -> None:
        self.target: Array | None = None
        self._filter = PoseFilter(filters or FilterConfig.gate_only())
        self._clutch = Clutch()
        self._absolute = AbsoluteClutch()
        self._gripper = GripperTakeover(config=grip)
        self._T_robot_stage = np.eye(4)
        self._t_ns = 0
        self._good_ns = 0

    @property
    def verdict(self) -> Verdict:
        """What was thought of the newest pose."""
        return self._filter.verdict

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
        now_ns: int,
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
            now_ns: Time of the tick [ns].
            hand_to_tip: Closes the absolute clutch instead of the relative one.

        Returns:
            False when the pose cannot be used; nothing changed then.
        """
        self._filter.reset()
        if self._judge(sample, None) != Verdict.OK:
            return False
        self._t_ns, self._good_ns = sample.t_ns, now_ns
        self._T_robot_stage = T_robot_stage.copy()
        self._clutch.scale = scale
        T_stage_hand = self._T_stage_hand(sample.t_ns)
        if hand_to_tip is None:
            self._clutch.engage(T_robot_stage @ T_stage_hand, T_robot_tip)
        else:
            self._absolute.engage(hand_to_tip, T_stage_hand, T_robot_tip, now_ns)
        self._gripper.engage(self._trigger(sample), opening)
        self.target = T_robot_tip.copy()
        return True

    def update(self, sample: HandSample | None, shown_ns: int) -> bool:
        """Use a new frame; bad poses change nothing.

        Args:
            sample: What the frame says of the hand.
            shown_ns: For when the target was asked in the tick before this one [ns].

        Returns:
            Whether it was of use.
        """
        if not self.following or sample is None:
            return False
        if sample.t_ns <= self._t_ns:  # the clock fit stepped back: time never does
            sample = replace(sample, t_ns=self._t_ns + 1)
        verdict, pinched = self._judge(sample, shown_ns), not math.isnan(sample.pinch_m)
        if verdict == Verdict.OK:
            self._t_ns = sample.t_ns
        elif verdict not in _HELD or (pinched and verdict == Verdict.EMULATED):
            return False
        self._good_ns = max(sample.t_receive_ns, self._good_ns)
        self._gripper.update(self._trigger(sample), pinched)
        return verdict in (Verdict.OK, Verdict.REPEATED)

    def aim(self, t_ns: int) -> None:
        """Put the target where the hand leads it at a time [ns]."""
        if not self.following:
            return
        T_stage_hand = self._T_stage_hand(t_ns)
        if self._absolute.engaged:
            fading_ns = min(t_ns, self._good_ns + FADE_ON_NS)  # a lost hand moves nothing
            self.target = self._absolute.target(T_stage_hand, fading_ns)
        else:
            self.target = self._clutch.target(self._T_robot_stage @ T_stage_hand)

    def _judge(self, sample: HandSample, shown_ns: int | None) -> Verdict:
        return self._filter.update(
            sample.pose,
            sample.t_ns,
            valid=sample.valid,
            tracked=sample.tracked,
            arrival_ns=sample.t_receive_ns,
            shown_ns=shown_ns,
        )

    def _trigger(self, sample: HandSample) -> float:
        return sample.pull(self._gripper.config)

    def _T_stage_hand(self, t_ns: int) -> Array:
        return pose_to_matrix(self._filter.at(t_ns))
