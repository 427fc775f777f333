"""Who may move the robot, and when: the motion half of the session. Pure; time is a parameter.

An arm only ever starts to follow on a fresh press of its deadman: one that comes after the deadman
was seen released, with the hand tracked, since the last e-stop, stale input, disconnection or
homing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal

from teleop.effects import Buzz, CaptureNeutral, Effect, Mark, Refused, Tell, Tracked
from teleop.intents import Intent
from teleop.samples import Motion

MS = 1_000_000
STALE_NS = 100 * MS
"""Without a usable pose of that hand, or its buttons, for this long, the arm is let go."""
MAX_POSE_AGE_NS = 250 * MS
"""Poses older than this on arrival come out of a queue somewhere, not from the operator's hand."""
ALIGN_TIMEOUT_NS = 2_000 * MS
"""A press that cannot be followed by then is spent: it would surprise the operator later."""
CALIBRATE_PERIOD_NS = 100 * MS
ROBOT_SILENT_NS = 500 * MS
HOMING_TIMEOUT_NS = 30_000 * MS

SideName = Literal["left", "right"]
SIDES: tuple[SideName, SideName] = ("left", "right")


class Trigger(Enum):
    """What can move the motion machine."""

    PRESS = auto()
    """A fresh press of a deadman."""
    ENGAGE = auto()
    """A pressed side may follow now."""
    WAIT = auto()
    """No side follows any more, but one is pressed and waits."""
    FREE = auto()
    """No side follows or waits any more."""
    HOME = auto()
    ARRIVED = auto()
    """The robot is home."""
    ABANDON = auto()
    """Nobody watches the robot going home, or it does not arrive."""
    ESTOP = auto()
    RESET = auto()


TRANSITIONS: dict[tuple[Motion, Trigger], Motion] = {
    (Motion.IDLE, Trigger.PRESS): Motion.ALIGNING,
    (Motion.HOLD, Trigger.PRESS): Motion.ALIGNING,
    (Motion.ALIGNING, Trigger.ENGAGE): Motion.ENGAGED,
    (Motion.ALIGNING, Trigger.FREE): Motion.HOLD,
    (Motion.ENGAGED, Trigger.WAIT): Motion.ALIGNING,
    (Motion.ENGAGED, Trigger.FREE): Motion.HOLD,
    (Motion.IDLE, Trigger.HOME): Motion.HOMING,
    (Motion.HOLD, Trigger.HOME): Motion.HOMING,
    (Motion.HOMING, Trigger.ARRIVED): Motion.IDLE,
    (Motion.HOMING, Trigger.ABANDON): Motion.HOLD,
    (Motion.ESTOP, Trigger.RESET): Motion.HOLD,
    **{(motion, Trigger.ESTOP): Motion.ESTOP for motion in Motion},
}
"""The machine; a pair that is missing leaves the state as it is."""


@dataclass(slots=True)
class Side:
    """One deadman and its arm."""

    name: SideName
    armed: bool = False
    """The deadman was seen released since the last stop: the next press counts."""
    pressed: bool = False
    waiting_since_ns: int | None = None
    """A fresh press that cannot be followed yet."""
    engaged: bool = False
    engage_count: int = 0
    aligned: bool = False
    """The hand is where an absolute clutch may close."""
    valid_ns: int | None = None
    """Arrival of the last frame with a usable pose."""
    buttons_ns: int | None = None
    """Arrival of the last frame with buttons: their own clock."""

    @property
    def active(self) -> bool:
        """The arm follows or waits to."""
        return self.engaged or self.waiting_since_ns is not None

    def let_go(self) -> bool:
        """Stop following or waiting; returns whether the arm was following."""
        was_engaged, self.engaged, self.waiting_since_ns = self.engaged, False, None
        return was_engaged

    def disarm(self) -> bool:
        """`let_go`, and ask for a release before the next press counts."""
        self.armed = False
        return self.let_go()


@dataclass(slots=True)
class MotionMachine:
    """Deadmen, homing and e-stop.

    Args:
        now_ns: Host time [ns].
        effects: Where orders are put.

    Attributes:
        absolute: Clutches are absolute: arms wait for aligned hands as long as deadmen are held.
    """

    now_ns: int
    effects: list[Effect]
    absolute: bool = False
    state: Motion = Motion.IDLE
    operator: str | None = None
    calibrated: bool = False
    home_count: int = 0
    sides: tuple[Side, Side] = field(default_factory=lambda: (Side("left"), Side("right")))
    _t_homing_ns: int = 0
    _t_calibrate_ns: int | None = None
    _t_robot_ns: int | None = None
    _robot_fault: bool = False

    # ---------------------------------------------------------------- time
    def advance(self, now_ns: int) -> None:
        """Let time pass: stale sides are let go, homing ends at last."""
        self.now_ns = max(self.now_ns, now_ns)
        for side in self.sides:
            reason = self._stale_reason(side)
            if reason:
                self._drop(side, reason)
        self._settle()
        if self.state is Motion.HOMING and self._older(self._t_homing_ns, HOMING_TIMEOUT_NS):
            self._move(Trigger.ABANDON)
            self.effects.append(Tell("warning", "The robot did not reach home in time; it holds."))

    def _stale_reason(self, side: Side) -> str:
        """Why this side must not follow now, or an empty string."""
        if side.active and self.robot_silent:
            return "the robot does not answer"
        if self._older(side.buttons_ns, STALE_NS):
            return "no news of its buttons"
        if self._older(side.valid_ns, STALE_NS):
            return "its hand is not tracked"
        waiting, aligning = side.waiting_since_ns, self.absolute and self.calibrated
        if waiting is not None and not aligning and self._older(waiting, ALIGN_TIMEOUT_NS):
            return "no calibration in time"
        return ""

    def _older(self, t_ns: int | None, limit_ns: int) -> bool:
        return t_ns is None or self.now_ns - t_ns > limit_ns

    @property
    def robot_silent(self) -> bool:
        """No report of the robot for `ROBOT_SILENT_NS`."""
        return self._older(self._t_robot_ns, ROBOT_SILENT_NS)

    # ------------------------------------------------------------ tracking
    def tracked(self, frame: Tracked) -> None:
        """Take a frame of the claim holder."""
        if self.operator is None:
            return
        fresh = self.now_ns - frame.t_pose_ns <= MAX_POSE_AGE_NS
        for index, side in enumerate(self.sides):
            if frame.hands_valid[index] and fresh:
                side.valid_ns = self.now_ns
            side.aligned = frame.aligned[index]
            if frame.has_buttons[index]:
                side.buttons_ns = self.now_ns
                self._deadman(side, frame.deadman[index])
        self._settle()
        self._align(frame.head_valid and fresh)

    def _deadman(self, side: Side, pressed: bool) -> None:
        was_pressed, side.pressed = side.pressed, pressed
        if pressed:
            if not was_pressed:
                self._press(side)
            return
        side.armed = not self._older(side.valid_ns, STALE_NS)
        if side.let_go():
            self.effects += [Mark("release", {"side": side.name}), Buzz(side.name, 0.3, 30)]

    def _press(self, side: Side) -> None:
        armed, side.armed = side.armed, False  # this press is the one the release allowed
        if self.state in (Motion.ESTOP, Motion.HOMING):
            return
        if not armed:
            self._warn_press(side, "its hand was not tracked")
        elif self.robot_silent:
            self._warn_press(side, "the robot does not answer")
        else:
            side.waiting_since_ns = self.now_ns
            self._move(Trigger.PRESS)

    def _warn_press(self, side: Side, reason: str) -> None:
        self.effects.append(
            Tell("warning", f"The {side.name} arm was not engaged: {reason}. Press again.")
        )

    def _align(self, head_valid: bool) -> None:
        """Engage the sides that wait, once the operator's frame is known."""
        if all(side.waiting_since_ns is None for side in self.sides):
            return
        if self.calibrated:
            self.engage_waiting()
        elif head_valid and self._older(self._t_calibrate_ns, CALIBRATE_PERIOD_NS):
            self._t_calibrate_ns = self.now_ns
            self.effects.append(CaptureNeutral())

    def engage_waiting(self) -> None:
        """Let every side follow that waits and whose hand is tracked in this very frame."""
        for side in self.sides:
            if side.waiting_since_ns is None or side.valid_ns != self.now_ns:
                continue
            if self.absolute and not side.aligned:
                continue
            side.waiting_since_ns = None
            side.engaged = True
            side.engage_count += 1
            self._move(Trigger.ENGAGE)
            self.effects += [Mark("engage", {"side": side.name}), Buzz(side.name, 0.6, 60)]

    def _drop(self, side: Side, reason: str) -> None:
        if side.disarm():
            self.effects += [
                Mark("hold", {"side": side.name, "reason": reason}),
                Tell("warning", f"The {side.name} arm holds: {reason}. Release, then press."),
            ]

    def _settle(self) -> None:
        if any(side.engaged for side in self.sides):
            return
        waiting = any(side.active for side in self.sides)
        self._move(Trigger.WAIT if waiting else Trigger.FREE)

    def _move(self, trigger: Trigger) -> None:
        self.state = TRANSITIONS.get((self.state, trigger), self.state)

    # -------------------------------------------------- operator and robot
    def operator_arrived(self, name: str, resumed: bool) -> None:
        """A client got the claim; its buttons count from the first release on."""
        self.operator = name
        for side in self.sides:
            side.disarm()
            side.pressed = False
            side.valid_ns = side.buttons_ns = None
        self._settle()
        self.calibrated = self.calibrated and resumed
        kind = "operator_resumed" if resumed else "operator_arrived"
        self.effects.append(Mark(kind, {"device": name}))

    def operator_left(self, reason: str) -> None:
        """The claim holder is gone: both arms hold, homing stops."""
        for side in self.sides:
            self._drop(side, "the operator is gone")
            side.pressed = False
        self._settle()
        self._move(Trigger.ABANDON)
        self.effects.append(Mark("operator_lost", {"device": self.operator, "reason": reason}))
        self.operator = None

    def robot_reported(self, fault: bool, at_home: bool) -> None:
        """The robot is alive; a new fault is an e-stop."""
        self._t_robot_ns = self.now_ns
        if fault and not self._robot_fault:
            self.estop("robot fault")
        self._robot_fault = fault
        if at_home and self.now_ns > self._t_homing_ns:
            self._move(Trigger.ARRIVED)

    # ------------------------------------------------------------- intents
    def estop(self, by: str) -> None:
        """Stop now, from any state; stays until reset."""
        already = self.state is Motion.ESTOP
        for side in self.sides:
            side.disarm()
        self._move(Trigger.ESTOP)
        if not already:
            self.effects += [Mark("estop", {"by": by}), Tell("error", f"Emergency stop ({by}).")]
            self.effects += [Buzz(name, 1.0, 300) for name in SIDES]

    def estop_reset(self) -> None:
        """Leave the e-stop, with both deadmen released."""
        if self.state is not Motion.ESTOP:
            self._refuse(Intent.ESTOP_RESET, "there is no emergency stop to reset")
        elif self._robot_fault:
            self._refuse(Intent.ESTOP_RESET, "the robot still reports a fault")
        elif any(side.pressed for side in self.sides):
            self._refuse(Intent.ESTOP_RESET, "release both grips first")
        else:
            self._move(Trigger.RESET)
            self.effects.append(Mark("estop_reset"))

    def home(self) -> None:
        """Let the robot go home; the next engage calibrates again."""
        if (self.state, Trigger.HOME) not in TRANSITIONS:
            state = self.state.name.lower()
            self._refuse(Intent.HOME, f"the robot goes home from idle or hold, it is in {state}")
        elif self.robot_silent:
            self._refuse(Intent.HOME, "the robot does not answer")
        else:
            for side in self.sides:
                side.disarm()
            self._move(Trigger.HOME)
            self._t_homing_ns = self.now_ns
            self.home_count += 1
            self.calibrated = False
            self.effects.append(Mark("home"))

    def _refuse(self, intent: Intent, reason: str) -> None:
        self.effects.append(Refused(intent, reason))
