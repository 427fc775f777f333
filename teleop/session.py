"""The session: one state machine fed by headset, console, keyboard and HTTP alike.

It holds the motion machine (who may move the robot, `teleop.motion`) and the recording machine
(whether a take runs, `teleop.takes`) and the few rules between them. Pure: facts in, orders out,
time is a parameter.
"""

from __future__ import annotations

from teleop.effects import (
    Asked,
    Calibrated,
    CalibrationFailed,
    Effect,
    Input,
    Mark,
    OperatorArrived,
    OperatorLeft,
    RecorderReported,
    Refused,
    ResetScene,
    RobotReported,
    Tell,
    Tracked,
    View,
)
from teleop.intents import Intent, IntentArgs
from teleop.motion import MotionMachine
from teleop.samples import Motion
from teleop.takes import TakeMachine


class Session:
    """State machine of one robot.

    Args:
        now_ns: Host time [ns].
        countdown_ns: Time between asking for a take and its start [ns].
    """

    def __init__(self, now_ns: int, countdown_ns: int = 0) -> None:
        self._effects: list[Effect] = []
        self.motion = MotionMachine(now_ns, self._effects)
        self.takes = TakeMachine(now_ns, self._effects, countdown_ns)

    def handle(self, event: Input, now_ns: int) -> list[Effect]:
        """Take one input; returns what must be done, in order."""
        self._advance(now_ns)
        match event:
            case Tracked():
                self.motion.tracked(event)
            case Asked(intent=intent, args=args, by=by):
                self._asked(intent, args, by)
            case OperatorArrived(name=name, resumed=resumed):
                self.motion.operator_arrived(name, resumed)
            case OperatorLeft(reason=reason):
                self._operator_left(reason)
            case Calibrated():
                self.motion.calibrated = True
                self.motion.engage_waiting()
            case CalibrationFailed(reason=reason):
                self._effects.append(Tell("warning", reason))
            case RobotReported(fault=fault, at_home=at_home):
                self._robot_reported(fault, at_home)
            case RecorderReported():
                self.takes.recorder_reported(event)
        return self._drain()

    def choose_clutch(self, absolute: bool) -> str:
        """Choose how hands map to tips; returns why not, while an arm follows or waits."""
        if any(side.active for side in self.motion.sides):
            return "let go of both arms first"
        self.motion.absolute = absolute
        return ""

    def tick(self, now_ns: int) -> list[Effect]:
        """Let time pass: staleness, countdown, timeouts. Call it at least every 20 ms."""
        self._advance(now_ns)
        return self._drain()

    def view(self) -> View:
        """The session as others see it."""
        left, right = self.motion.sides
        return View(
            motion=self.motion.state,
            recording=self.takes.state,
            engaged=(left.engaged, right.engaged),
            engage_count=(left.engage_count, right.engage_count),
            take=self.takes.take,
            operator_connected=self.motion.operator is not None,
            calibrated=self.motion.calibrated,
            home_count=self.motion.home_count,
        )

    def _advance(self, now_ns: int) -> None:
        self.motion.advance(now_ns)
        self.takes.advance(now_ns)

    def _asked(self, intent: Intent, args: IntentArgs, by: str) -> None:
        match intent:
            case Intent.ESTOP:
                self.motion.estop(by or "asked")
                self.takes.cancel_countdown()
            case Intent.ESTOP_RESET:
                self.motion.estop_reset()
            case Intent.HOME:
                self.motion.home()
            case Intent.SCENE_RESET:
                self._scene_reset(args.seed)
            case Intent.RECORD_START | Intent.RECORD_TOGGLE | Intent.REDO if (
                self._estop_bars_start()
            ):
                self._effects.append(Refused(intent, "reset the emergency stop first"))
            case _:
                self.takes.asked(intent, args)

    def _estop_bars_start(self) -> bool:
        return self.motion.state is Motion.ESTOP and not self.takes.running

    def _scene_reset(self, seed: int | None) -> None:
        if self.takes.running:
            self._effects.append(Refused(Intent.SCENE_RESET, "a take is running"))
        else:
            self._effects += [ResetScene(seed), Mark("scene_reset", {"seed": seed})]

    def _operator_left(self, reason: str) -> None:
        if self.motion.operator is not None:
            self.motion.operator_left(reason)
            self.takes.cancel_countdown()

    def _robot_reported(self, fault: bool, at_home: bool) -> None:
        self.motion.robot_reported(fault, at_home)
        if self.motion.state is Motion.ESTOP:
            self.takes.cancel_countdown()

    def _drain(self) -> list[Effect]:
        effects = list(self._effects)
        self._effects.clear()
        return effects
