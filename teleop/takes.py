"""Whether a take runs: the recording half of the session. Pure; time is a parameter."""

from __future__ import annotations

from dataclasses import dataclass

from teleop.effects import (
    DiscardTake,
    Effect,
    LabelTake,
    Mark,
    PauseRecording,
    RecorderReported,
    Refused,
    StartRecording,
    StopRecording,
    Tell,
)
from teleop.intents import Intent, IntentArgs
from teleop.samples import Recording

RECORDER_SILENT_NS = 1_000_000_000
"""Without a report for this long the recorder is not there, and no take is started."""
RECORDER_PATIENCE_NS = 2_000_000_000
"""How long the recorder may take to confirm a start or stop before the session believes it."""

GRADES = (1, 5)
"""Worst and best grade of a take."""
FIRST_GRADE = 3
"""Where `grade_up` and `grade_down` begin."""
TRANSITIONS: dict[tuple[Recording, Intent], Recording] = {
    (Recording.IDLE, Intent.RECORD_START): Recording.COUNTDOWN,
    (Recording.COUNTDOWN, Intent.RECORD_STOP): Recording.IDLE,
    (Recording.RECORDING, Intent.PAUSE): Recording.PAUSED,
    (Recording.PAUSED, Intent.RESUME): Recording.RECORDING,
    (Recording.RECORDING, Intent.RECORD_STOP): Recording.REVIEW,
    (Recording.PAUSED, Intent.RECORD_STOP): Recording.REVIEW,
    (Recording.REVIEW, Intent.SAVE): Recording.IDLE,
    (Recording.REVIEW, Intent.DISCARD): Recording.IDLE,
    (Recording.REVIEW, Intent.REDO): Recording.COUNTDOWN,
}
"""The machine; COUNTDOWN becomes RECORDING by time, and at once without a countdown."""


@dataclass(slots=True)
class TakeMachine:
    """Countdown, take, pause and review.

    Args:
        now_ns: Host time [ns].
        effects: Where orders are put.
        countdown_ns: Time between asking for a take and its start [ns].
    """

    now_ns: int
    effects: list[Effect]
    countdown_ns: int = 0
    state: Recording = Recording.IDLE
    take: int = 0
    grade: int | None = None
    """Given to the take under review."""
    problem: str = ""
    """Why the recorder cannot begin a take."""
    _since_ns: int = 0  # when the present state began
    _recorded_ns: int = 0  # in this take before that, pauses taken out
    _confirmed_ns: int | None = None  # last asked of, or confirmed by, the recorder
    _reported_ns: int | None = None

    @property
    def running(self) -> bool:
        """A take is open, paused or not."""
        return self.state in (Recording.RECORDING, Recording.PAUSED)

    @property
    def countdown_left_ns(self) -> int:
        """Left of a running countdown [ns]."""
        if self.state is not Recording.COUNTDOWN:
            return 0
        return max(0, self._since_ns + self.countdown_ns - self.now_ns)

    @property
    def recorded_ns(self) -> int:
        """Recorded so far in this take, pauses taken out [ns]."""
        running = self.state is Recording.RECORDING
        return self._recorded_ns + (self.now_ns - self._since_ns if running else 0)

    @property
    def recorder_silent(self) -> bool:
        """No report of the recorder for `RECORDER_SILENT_NS`."""
        reported = self._reported_ns
        return reported is None or self.now_ns - reported > RECORDER_SILENT_NS

    def advance(self, now_ns: int) -> None:
        """Let time pass: the countdown ends."""
        self.now_ns = max(self.now_ns, now_ns)
        if self.state is Recording.COUNTDOWN and not self.countdown_left_ns:
            self._start()

    def asked(self, intent: Intent, args: IntentArgs) -> None:
        """Follow an intent, or refuse it."""
        if intent is Intent.RECORD_TOGGLE:
            idle = self.state is Recording.IDLE
            intent = Intent.RECORD_START if idle else Intent.RECORD_STOP
        if intent in (Intent.GRADE_UP, Intent.GRADE_DOWN):
            self._grade(intent)
            return
        before, after = self.state, TRANSITIONS.get((self.state, intent))
        if after is None:
            self.effects.append(Refused(intent, f"recording is in {before.name.lower()}"))
        elif intent is Intent.SAVE and args.outcome is None:
            self.effects.append(Refused(intent, "say whether it was a success or a failure"))
        elif intent in (Intent.RECORD_START, Intent.REDO) and self.recorder_silent:
            self.effects.append(Refused(intent, "the recorder does not answer"))
        elif intent in (Intent.RECORD_START, Intent.REDO) and self.problem:
            self.effects.append(Refused(intent, self.problem))
        else:
            grade = self.grade if args.grade is None else args.grade
            self._enter(after)
            self._order(intent, before, args, grade)

    def cancel_countdown(self) -> None:
        """Forget a countdown that runs; a take that runs goes on."""
        if self.state is Recording.COUNTDOWN:
            self._enter(Recording.IDLE)

    def recorder_reported(self, report: RecorderReported) -> None:
        """Compare with what the recorder really does."""
        self._reported_ns = self.now_ns
        self.problem = report.problem
        idle = report.state == "idle"
        if idle == (not self.running):
            self._confirmed_ns = self.now_ns
        elif self._confirmed_ns is not None and (
            self.now_ns - self._confirmed_ns <= RECORDER_PATIENCE_NS
        ):
            return  # on its way
        elif idle:
            self._enter(Recording.IDLE)
            self.effects += [
                Mark("take_lost", {"take": self.take}),
                Tell("error", "The recorder lost the take; what it had is kept."),
            ]
        else:
            self._adopt(report)

    def _adopt(self, report: RecorderReported) -> None:
        """A take runs that this session did not start: the gateway was restarted meanwhile."""
        self.take = max(self.take, report.take)
        paused = report.state == "paused"
        self._enter(Recording.PAUSED if paused else Recording.RECORDING)
        self._recorded_ns = report.recorded_ns
        self.effects.append(Mark("take_adopted", {"take": self.take}))

    def _order(
        self, intent: Intent, before: Recording, args: IntentArgs, grade: int | None
    ) -> None:
        if intent is Intent.REDO:
            self.effects.append(DiscardTake())
        if intent in (Intent.RECORD_START, Intent.REDO):
            if not self.countdown_ns:
                self._start()
        elif intent is Intent.RECORD_STOP and before is not Recording.COUNTDOWN:
            self.effects.append(StopRecording("operator"))
        elif intent in (Intent.PAUSE, Intent.RESUME):
            self.effects.append(PauseRecording(intent is Intent.PAUSE))
        elif intent is Intent.SAVE and args.outcome is not None:
            self.effects.append(LabelTake(args.outcome, args.notes, grade))
        elif intent is Intent.DISCARD:
            self.effects.append(DiscardTake())

    def _grade(self, intent: Intent) -> None:
        if self.state is not Recording.REVIEW:
            reason = f"recording is in {self.state.name.lower()}"
            self.effects.append(Refused(intent, reason))
        elif self.grade is None:
            self.grade = FIRST_GRADE
        else:
            step = 1 if intent is Intent.GRADE_UP else -1
            self.grade = min(max(self.grade + step, GRADES[0]), GRADES[1])

    def _start(self) -> None:
        self.take += 1
        self._enter(Recording.RECORDING)
        self._recorded_ns = 0
        self.effects.append(StartRecording(self.take))

    def _enter(self, state: Recording) -> None:
        self._recorded_ns = self.recorded_ns
        was_running = self.running
        self.state = state
        self.grade = None
        self._since_ns = self.now_ns
        if was_running != self.running:
            self._confirmed_ns = self.now_ns
