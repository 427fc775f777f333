"""Laws of the session for random sequences of everything that can happen."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from teleop.effects import (
    Asked,
    Calibrated,
    CalibrationFailed,
    CaptureNeutral,
    Effect,
    OperatorArrived,
    OperatorLeft,
    RecorderReported,
    RobotReported,
    StartRecording,
    StopRecording,
    Tracked,
)
from teleop.intents import Intent, IntentArgs
from teleop.motion import STALE_NS
from teleop.samples import Motion, Recording
from teleop.session import Session

MS = 1_000_000
PAIR = st.tuples(st.booleans(), st.booleans())
MOSTLY = st.sampled_from([(True, True)] * 4 + [(True, False), (False, True), (False, False)])


class SideModel:
    """What the operator's hand did, told independently of the session."""

    def __init__(self) -> None:
        self.released_since_stop = False
        self.fresh_press = False
        self.pressed = False
        self.valid_ns = self.buttons_ns = -(10**12)

    def stop(self) -> None:
        self.released_since_stop = self.fresh_press = False


class SessionMachine(RuleBasedStateMachine):
    @initialize(countdown_ms=st.sampled_from([0, 0, 500]))
    def start(self, countdown_ms: int) -> None:
        self.now_ns = 0
        self.session = Session(0, countdown_ms * MS)
        self.sides = (SideModel(), SideModel())
        self.operator = False
        self.starts_asked = 0
        self.open_takes = 0
        self.was = self.session.view()
        self.calibrates = True

    # ------------------------------------------------------------- helpers
    def feed(self, event: object) -> None:
        self.obey(self.session.handle(event, self.now_ns))  # type: ignore[arg-type]

    def obey(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, StartRecording):
                assert self.starts_asked > 0, "recording without a start"
                self.open_takes += 1
            elif isinstance(effect, StopRecording):
                self.open_takes -= 1
            elif isinstance(effect, CaptureNeutral):
                self.feed(Calibrated() if self.calibrates else CalibrationFailed("no"))
        assert self.open_takes in (0, 1)

    def stop_sides(self) -> None:
        for side in self.sides:
            side.stop()

    def note_staleness(self) -> None:
        for side in self.sides:
            if self.now_ns - min(side.valid_ns, side.buttons_ns) > STALE_NS:
                side.stop()

    # --------------------------------------------------------------- rules
    @rule(ms=st.integers(0, 30) | st.sampled_from([99, 101, 200, 600, 2500]))
    def wait(self, ms: int) -> None:
        self.now_ns += ms * MS
        self.note_staleness()
        self.obey(self.session.tick(self.now_ns))

    @rule(
        ms=st.integers(1, 40),
        hands=MOSTLY,
        buttons=MOSTLY,
        deadman=PAIR,
        head=st.booleans(),
        age_ms=st.sampled_from([0, 0, 0, 10, 400]),
    )
    def track(
        self,
        ms: int,
        hands: tuple[bool, bool],
        buttons: tuple[bool, bool],
        deadman: tuple[bool, bool],
        head: bool,
        age_ms: int,
    ) -> None:
        self.now_ns += ms * MS
        self.note_staleness()
        if self.operator:
            for index, side in enumerate(self.sides):
                if hands[index] and age_ms <= 250:
                    side.valid_ns = self.now_ns
                if not buttons[index]:
                    continue
                side.buttons_ns = self.now_ns
                if not deadman[index]:
                    side.released_since_stop = True
                    side.fresh_press = False
                elif not side.pressed:
                    side.fresh_press = side.released_since_stop
                side.pressed = deadman[index]
        self.feed(Tracked(self.now_ns - age_ms * MS, head, hands, buttons, deadman))

    @rule(both=st.booleans(), frames=st.integers(2, 5))
    def press_properly(self, both: bool, frames: int) -> None:
        """Make engagement common: alive robot, release, press."""
        self.feed(RobotReported())
        self.track(5, (True, True), (True, True), (False, False), True, 0)
        for _ in range(frames):
            self.track(5, (True, True), (True, True), (True, both), True, 0)

    @rule(resumed=st.booleans())
    def arrive(self, resumed: bool) -> None:
        self.operator = True
        self.stop_sides()
        for side in self.sides:
            side.pressed = False
            side.valid_ns = side.buttons_ns = -(10**12)
        self.feed(OperatorArrived("x", resumed))

    @rule()
    def leave(self) -> None:
        if self.operator:
            self.operator = False
            self.stop_sides()
            for side in self.sides:
                side.pressed = False
        self.feed(OperatorLeft("x"))

    @rule()
    def estop(self) -> None:
        self.stop_sides()
        self.feed(Asked(Intent.ESTOP))
        assert self.session.view().motion is Motion.ESTOP

    @rule(intent=st.sampled_from([i for i in Intent if i is not Intent.ESTOP]))
    def ask(self, intent: Intent) -> None:
        if intent in (Intent.RECORD_START, Intent.RECORD_TOGGLE):
            self.starts_asked += 1
        before = self.session.view().motion
        self.feed(Asked(intent, IntentArgs(outcome="success")))
        if before is Motion.ESTOP and intent is not Intent.ESTOP_RESET:
            assert self.session.view().motion is Motion.ESTOP

    @rule(fault=st.sampled_from([False] * 5 + [True]), at_home=st.booleans())
    def robot(self, fault: bool, at_home: bool) -> None:
        self.feed(RobotReported(fault, at_home))

    @rule()
    def recorder_agrees(self) -> None:
        state = "recording" if self.open_takes else "idle"
        self.feed(RecorderReported(state, self.session.view().take))  # type: ignore[arg-type]

    @rule(ok=st.booleans())
    def calibration_works(self, ok: bool) -> None:
        self.calibrates = ok

    @precondition(lambda self: self.session.view().recording is Recording.REVIEW)
    @rule()
    def label(self) -> None:
        self.feed(Asked(Intent.SAVE, IntentArgs(outcome="failure")))

    # ---------------------------------------------------------- invariants
    @invariant()
    def an_arm_only_follows_a_fresh_press(self) -> None:
        view = self.session.view()
        for index, side in enumerate(self.sides):
            if view.engaged[index]:
                assert self.operator, "following nobody"
                assert side.pressed, "following without a deadman"
                assert side.fresh_press, "following without a fresh press"
                assert self.now_ns - side.valid_ns <= STALE_NS, "following a lost hand"
                assert self.now_ns - side.buttons_ns <= STALE_NS, "following stale buttons"

    @invariant()
    def motion_and_sides_agree(self) -> None:
        view = self.session.view()
        assert (view.motion is Motion.ENGAGED) == any(view.engaged)

    @invariant()
    def engage_counts_change_exactly_at_an_engage(self) -> None:
        view = self.session.view()
        for index in range(2):
            if view.engaged[index] and not self.was.engaged[index]:
                assert view.engage_count[index] > self.was.engage_count[index]
            assert view.engage_count[index] >= self.was.engage_count[index]
        self.was = view

    @invariant()
    def recording_and_the_recorder_agree(self) -> None:
        running = self.session.view().recording in (Recording.RECORDING, Recording.PAUSED)
        assert running == bool(self.open_takes)


TestSession = SessionMachine.TestCase
TestSession.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
