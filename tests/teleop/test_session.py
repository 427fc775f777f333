"""Laws of the session, by example; `test_session_properties.py` has them for random sequences."""

from __future__ import annotations

import pytest

from teleop.effects import (
    Asked,
    Calibrated,
    CalibrationFailed,
    CaptureNeutral,
    DiscardTake,
    Effect,
    LabelTake,
    Mark,
    OperatorArrived,
    OperatorLeft,
    PauseRecording,
    RecorderReported,
    Refused,
    ResetScene,
    RobotReported,
    StartRecording,
    StopRecording,
    Tracked,
)
from teleop.intents import Intent, IntentArgs
from teleop.samples import Motion, Recording
from teleop.session import Session

MS = 1_000_000
NONE, LEFT, RIGHT, BOTH = (False, False), (True, False), (False, True), (True, True)


class Rig:
    """A session with a clock, a living robot, a living recorder and an operator."""

    def __init__(self, countdown_ns: int = 0) -> None:
        self.now_ns = 10_000 * MS
        self.session = Session(self.now_ns, countdown_ns)
        self.recorder = "idle"
        self.effects: list[Effect] = []
        self.do(OperatorArrived("headset"))
        self.live(1)

    def do(self, event: object) -> list[Effect]:
        effects = self.session.handle(event, self.now_ns)  # type: ignore[arg-type]
        self.effects += effects
        for effect in effects:
            if isinstance(effect, StartRecording):
                self.recorder = "recording"
            elif isinstance(effect, StopRecording):
                self.recorder = "idle"
            elif isinstance(effect, CaptureNeutral):
                self.do(Calibrated())
        return effects

    def ask(self, intent: Intent, **args: object) -> list[Effect]:
        return self.do(Asked(intent, IntentArgs(**args)))  # type: ignore[arg-type]

    def frame(self, deadman: tuple[bool, bool] = NONE, **changes: object) -> list[Effect]:
        self.now_ns += 10 * MS
        self.do(RobotReported())
        self.do(RecorderReported(self.recorder))  # type: ignore[arg-type]
        values = {
            "t_pose_ns": self.now_ns,
            "head_valid": True,
            "hands_valid": BOTH,
            "has_buttons": BOTH,
            "deadman": deadman,
        }
        return self.do(Tracked(**(values | changes)))  # type: ignore[arg-type]

    def live(self, ms: int, deadman: tuple[bool, bool] = NONE, **changes: object) -> None:
        for _ in range(max(1, ms // 10)):
            self.frame(deadman, **changes)

    def wait(self, ms: int) -> None:
        for _ in range(ms // 10):
            self.now_ns += 10 * MS
            self.effects += self.session.tick(self.now_ns)

    @property
    def motion(self) -> Motion:
        return self.session.view().motion

    @property
    def engaged(self) -> tuple[bool, bool]:
        return self.session.view().engaged

    @property
    def recording(self) -> Recording:
        return self.session.view().recording


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_press_calibrates_then_engages_that_side_only(rig: Rig) -> None:
    rig.frame(LEFT)
    assert rig.engaged == LEFT
    assert rig.motion is Motion.ENGAGED
    assert rig.session.view().engage_count == (1, 0)
    assert sum(isinstance(e, CaptureNeutral) for e in rig.effects) == 1


def test_releasing_one_side_leaves_the_other_engaged(rig: Rig) -> None:
    rig.frame(BOTH)
    rig.frame(RIGHT)
    assert (rig.engaged, rig.motion) == (RIGHT, Motion.ENGAGED)
    rig.frame(NONE)
    assert (rig.engaged, rig.motion) == (NONE, Motion.HOLD)


def test_a_deadman_held_while_connecting_does_not_engage(rig: Rig) -> None:
    rig.do(OperatorLeft("gone"))
    rig.do(OperatorArrived("headset"))
    rig.live(500, BOTH)
    assert rig.engaged == NONE
    rig.frame(NONE)
    rig.frame(BOTH)
    assert rig.engaged == BOTH


def test_a_tracking_gap_holds_and_needs_a_release(rig: Rig) -> None:
    rig.frame(BOTH)
    rig.wait(90)
    assert rig.engaged == BOTH
    rig.wait(20)
    assert (rig.engaged, rig.motion) == (NONE, Motion.HOLD)
    rig.live(300, BOTH)
    assert rig.engaged == NONE
    rig.frame(NONE)
    rig.frame(BOTH)
    assert rig.engaged == BOTH


def test_one_lost_hand_holds_its_arm_only(rig: Rig) -> None:
    rig.frame(BOTH)
    rig.live(150, BOTH, hands_valid=RIGHT)
    assert rig.engaged == RIGHT
    rig.live(150, BOTH)
    assert rig.engaged == RIGHT


def test_stale_buttons_hold_although_poses_go_on(rig: Rig) -> None:
    rig.frame(BOTH)
    rig.live(150, BOTH, has_buttons=NONE)
    assert rig.engaged == NONE


def test_poses_out_of_a_queue_hold(rig: Rig) -> None:
    rig.frame(BOTH)
    for _ in range(15):
        rig.frame(BOTH, t_pose_ns=rig.now_ns - 400 * MS)
    assert rig.engaged == NONE


def test_a_press_without_tracking_is_spent(rig: Rig) -> None:
    rig.live(150, NONE, hands_valid=NONE)
    rig.live(100, LEFT, hands_valid=NONE)
    rig.live(100, LEFT)
    assert rig.engaged == NONE


def test_failed_calibration_does_not_engage_and_is_tried_again(rig: Rig) -> None:
    session = rig.session
    rig.now_ns += 10 * MS
    asked = 0
    for _ in range(30):
        rig.now_ns += 10 * MS
        session.handle(RobotReported(), rig.now_ns)
        effects = session.handle(Tracked(rig.now_ns, True, BOTH, BOTH, LEFT), rig.now_ns)
        if CaptureNeutral() in effects:
            asked += 1
            session.handle(CalibrationFailed("look ahead"), rig.now_ns)
    assert rig.motion is Motion.ALIGNING
    assert 2 <= asked <= 4
    for _ in range(200):
        rig.now_ns += 10 * MS
        session.handle(RobotReported(), rig.now_ns)
        session.handle(Tracked(rig.now_ns, True, BOTH, BOTH, LEFT), rig.now_ns)
    assert rig.motion is Motion.HOLD  # the press is spent


def test_a_silent_robot_is_not_engaged_and_an_engaged_one_holds(rig: Rig) -> None:
    rig.frame(BOTH)
    for _ in range(60):
        rig.now_ns += 10 * MS
        rig.session.handle(Tracked(rig.now_ns, True, BOTH, BOTH, BOTH), rig.now_ns)
    assert rig.engaged == NONE
    rig.session.handle(Tracked(rig.now_ns, True, BOTH, BOTH, NONE), rig.now_ns)
    rig.session.handle(Tracked(rig.now_ns, True, BOTH, BOTH, BOTH), rig.now_ns)
    assert rig.engaged == NONE


@pytest.mark.parametrize("motion", list(Motion))
def test_estop_from_any_state_is_latched(motion: Motion) -> None:
    rig = Rig()
    rig.session.motion.state = motion
    rig.ask(Intent.ESTOP)
    assert rig.motion is Motion.ESTOP
    rig.live(100)
    rig.live(100, BOTH)
    assert (rig.motion, rig.engaged) == (Motion.ESTOP, NONE)


def test_estop_reset_needs_both_deadmen_released_and_then_a_fresh_press(rig: Rig) -> None:
    rig.frame(LEFT)
    rig.ask(Intent.ESTOP)
    rig.frame(LEFT)
    assert any(isinstance(e, Refused) for e in rig.ask(Intent.ESTOP_RESET))
    rig.frame(NONE)
    rig.ask(Intent.ESTOP_RESET)
    assert rig.motion is Motion.HOLD
    rig.frame(LEFT)
    assert rig.engaged == LEFT


def test_a_robot_fault_is_an_estop_until_it_clears(rig: Rig) -> None:
    rig.frame(BOTH)
    rig.do(RobotReported(fault=True))
    assert (rig.motion, rig.engaged) == (Motion.ESTOP, NONE)
    rig.now_ns += MS
    rig.session.handle(Tracked(rig.now_ns, True, BOTH, BOTH, NONE), rig.now_ns)
    assert any(isinstance(e, Refused) for e in rig.ask(Intent.ESTOP_RESET))
    rig.do(RobotReported())
    rig.ask(Intent.ESTOP_RESET)
    assert rig.motion is Motion.HOLD


def test_home_is_refused_while_engaged_and_ends_at_home(rig: Rig) -> None:
    rig.frame(LEFT)
    assert any(isinstance(e, Refused) for e in rig.ask(Intent.HOME))
    rig.frame(NONE)
    rig.ask(Intent.HOME)
    assert (rig.motion, rig.session.view().home_count) == (Motion.HOMING, 1)
    rig.live(200, BOTH)
    assert (rig.motion, rig.engaged) == (Motion.HOMING, NONE)
    rig.do(RobotReported(at_home=True))
    assert rig.motion is Motion.IDLE
    rig.live(100, BOTH)
    assert rig.engaged == NONE  # pressed while homing: not a fresh press
    rig.frame(NONE)
    rig.frame(BOTH)
    assert rig.engaged == BOTH


def test_homing_stops_when_its_operator_is_gone(rig: Rig) -> None:
    rig.ask(Intent.HOME)
    rig.do(OperatorLeft("gone"))
    assert rig.motion is Motion.HOLD


def test_homing_does_not_last_for_ever(rig: Rig) -> None:
    rig.ask(Intent.HOME)
    rig.wait(31_000)
    assert rig.motion is Motion.HOLD


def test_home_calibrates_again_and_resume_does_not(rig: Rig) -> None:
    rig.frame(LEFT)
    rig.do(OperatorLeft("cut"))
    rig.do(OperatorArrived("headset", resumed=True))
    assert rig.session.view().calibrated
    rig.live(20)
    rig.ask(Intent.HOME)
    assert not rig.session.view().calibrated


def test_a_lost_client_holds_while_the_take_goes_on_marked(rig: Rig) -> None:
    rig.ask(Intent.RECORD_START)
    rig.frame(BOTH)
    rig.do(OperatorLeft("cut"))
    assert (rig.motion, rig.recording) == (Motion.HOLD, Recording.RECORDING)
    assert any(isinstance(e, Mark) and e.kind == "operator_lost" for e in rig.effects)
    rig.do(OperatorArrived("headset", resumed=True))
    assert rig.recording is Recording.RECORDING


def test_a_take_from_start_to_label(rig: Rig) -> None:
    assert StartRecording(1) in rig.ask(Intent.RECORD_TOGGLE)
    rig.live(1000)
    assert PauseRecording(True) in rig.ask(Intent.PAUSE)
    rig.live(1000)
    assert rig.session.takes.recorded_ns == pytest.approx(1e9, rel=0.02)
    assert PauseRecording(False) in rig.ask(Intent.RESUME)
    assert StopRecording("operator") in rig.ask(Intent.RECORD_TOGGLE)
    assert rig.recording is Recording.REVIEW
    assert any(isinstance(e, Refused) for e in rig.ask(Intent.RECORD_START))
    assert any(isinstance(e, Refused) for e in rig.ask(Intent.SAVE))
    assert LabelTake("success", "neat") in rig.ask(Intent.SAVE, outcome="success", notes="neat")
    assert StartRecording(2) in rig.ask(Intent.RECORD_START)
    rig.ask(Intent.RECORD_STOP)
    assert DiscardTake() in rig.ask(Intent.DISCARD)
    assert rig.recording is Recording.IDLE


def test_a_take_is_graded_in_review_and_saved_with_it(rig: Rig) -> None:
    assert any(isinstance(e, Refused) for e in rig.ask(Intent.GRADE_UP)), "there is no take"
    grades = []
    rig.ask(Intent.RECORD_TOGGLE)
    rig.ask(Intent.RECORD_TOGGLE)
    for intent in [Intent.GRADE_UP] * 4 + [Intent.GRADE_DOWN] * 6 + [Intent.GRADE_UP]:
        assert rig.ask(intent) == []
        grades.append(rig.session.takes.grade)
    assert grades == [3, 4, 5, 5, 4, 3, 2, 1, 1, 1, 2]
    assert LabelTake("success", "", 2) in rig.ask(Intent.SAVE, outcome="success")
    assert rig.session.takes.grade is None
    rig.ask(Intent.RECORD_TOGGLE)
    rig.ask(Intent.RECORD_TOGGLE)
    rig.ask(Intent.GRADE_DOWN)
    saved = rig.ask(Intent.SAVE, outcome="failure", grade=5)
    assert LabelTake("failure", "", 5) in saved, "what is said last counts"


@pytest.mark.parametrize("countdown_ms", [0, 500])
def test_once_more_discards_and_records_again(countdown_ms: int) -> None:
    rig = Rig(countdown_ns=countdown_ms * MS)
    assert any(isinstance(e, Refused) for e in rig.ask(Intent.REDO)), "there is no take"
    rig.ask(Intent.RECORD_TOGGLE)
    rig.live(600)
    rig.ask(Intent.RECORD_TOGGLE)
    assert rig.recording is Recording.REVIEW
    rig.ask(Intent.GRADE_UP)
    asked = rig.ask(Intent.REDO)
    assert asked[0] == DiscardTake()
    assert (StartRecording(2) in asked) == (countdown_ms == 0)
    rig.live(600)
    assert rig.recording is Recording.RECORDING
    assert rig.session.takes.take == 2
    rig.ask(Intent.RECORD_TOGGLE)
    assert LabelTake("success", "", None) in rig.ask(Intent.SAVE, outcome="success")


def test_once_more_waits_for_the_estop_and_the_recorder(rig: Rig) -> None:
    rig.ask(Intent.RECORD_TOGGLE)
    rig.ask(Intent.RECORD_TOGGLE)
    rig.ask(Intent.ESTOP)
    assert any(isinstance(e, Refused) for e in rig.ask(Intent.REDO))
    assert rig.recording is Recording.REVIEW, "the take is not lost by it"


def test_countdown_runs_out_into_a_take_and_can_be_cancelled() -> None:
    rig = Rig(countdown_ns=1_000 * MS)
    rig.ask(Intent.RECORD_START)
    assert rig.recording is Recording.COUNTDOWN
    rig.ask(Intent.RECORD_STOP)
    assert rig.recording is Recording.IDLE
    rig.ask(Intent.RECORD_START)
    rig.live(500)
    assert rig.recording is Recording.COUNTDOWN
    rig.live(600)
    assert rig.recording is Recording.RECORDING
    assert sum(isinstance(e, StartRecording) for e in rig.effects) == 1


@pytest.mark.parametrize("event", [Asked(Intent.ESTOP), OperatorLeft("cut")])
def test_estop_and_disconnection_cancel_a_countdown(event: object) -> None:
    rig = Rig(countdown_ns=1_000 * MS)
    rig.ask(Intent.RECORD_START)
    rig.do(event)
    rig.wait(1500)
    assert rig.recording is Recording.IDLE
    assert not any(isinstance(e, StartRecording) for e in rig.effects)


def test_estop_during_a_take_keeps_recording_but_bars_a_new_take(rig: Rig) -> None:
    rig.ask(Intent.RECORD_START)
    rig.ask(Intent.ESTOP)
    assert rig.recording is Recording.RECORDING
    rig.ask(Intent.RECORD_STOP)
    rig.ask(Intent.DISCARD)
    assert any(isinstance(e, Refused) for e in rig.ask(Intent.RECORD_START))


def test_no_take_is_started_without_a_recorder() -> None:
    rig = Rig()
    rig.wait(1500)
    assert any(isinstance(e, Refused) for e in rig.ask(Intent.RECORD_START))
    assert rig.recording is Recording.IDLE


def test_no_take_is_started_without_room_for_it(rig: Rig) -> None:
    problem = "the disk has 100 MB left, 512 MB are needed"
    rig.do(RecorderReported("idle", problem=problem))
    assert rig.ask(Intent.RECORD_START) == [Refused(Intent.RECORD_START, problem)]
    rig.do(RecorderReported("idle"))
    rig.ask(Intent.RECORD_START)
    rig.ask(Intent.RECORD_STOP)
    rig.do(RecorderReported("idle", problem=problem))
    assert rig.ask(Intent.REDO) == [Refused(Intent.REDO, problem)]
    assert rig.recording is Recording.REVIEW


def test_a_take_the_recorder_lost_is_not_shown_as_running(rig: Rig) -> None:
    rig.ask(Intent.RECORD_START)
    rig.live(100)
    rig.recorder = "idle"
    rig.live(1500)
    assert rig.recording is Recording.RECORDING  # it may be on its way
    rig.live(1000)
    assert rig.recording is Recording.IDLE
    assert any(isinstance(e, Mark) and e.kind == "take_lost" for e in rig.effects)


def test_a_restarted_gateway_adopts_the_running_take() -> None:
    session = Session(0)
    session.handle(RecorderReported("recording", take=7, recorded_ns=3_000 * MS), 10)
    view = session.view()
    assert (view.recording, view.take) == (Recording.RECORDING, 7)
    assert session.takes.recorded_ns == 3_000 * MS
    assert StopRecording("operator") in session.handle(Asked(Intent.RECORD_STOP), 20)


def test_a_late_report_does_not_bring_a_stopped_take_back(rig: Rig) -> None:
    rig.ask(Intent.RECORD_START)
    rig.live(500)
    rig.ask(Intent.RECORD_STOP)
    rig.ask(Intent.SAVE, outcome="failure")
    rig.do(RecorderReported("recording", take=1))
    assert rig.recording is Recording.IDLE


def test_the_scene_is_not_reset_under_a_running_take(rig: Rig) -> None:
    assert ResetScene(3) in rig.ask(Intent.SCENE_RESET, seed=3)
    rig.ask(Intent.RECORD_START)
    assert any(isinstance(e, Refused) for e in rig.ask(Intent.SCENE_RESET))
