"""The status message: the whole picture for headset and console. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from teleop.effects import Tracked, View
from teleop.gateway.tips import Pose7
from teleop.protocol import (
    AlignmentInfo,
    GestureInfo,
    LastTake,
    Latency,
    OperatorInfo,
    PlanInfo,
    Status,
    TrackingInfo,
)
from teleop.protocol.messages import TrackingWord
from teleop.samples import Motion, Recording, RobotStatus

PROCESS_SILENT_NS = 1_000_000_000
OUT_OF_REACH_M = 0.05


@dataclass(slots=True)
class Picture:
    """Everything a status is made of.

    Attributes:
        view: The session.
        countdown_ns: Left of the countdown [ns].
        recorded_ns: Recorded so far [ns].
    grade: int | None
        grade: Given to the take under review.
        task: Language instruction.
        operator: Who holds the claim.
        reach_scale: Robot metres per operator metre.
        latency: Medians.
        tracking: Per device.
        rates: By topic [Hz].
        recorder: Newest `recorder/status`.
        health: Time of the newest heartbeat, by process [ns].
        robot_status: Status bits of the robot.
        residual_m: Distance of left and right tip from their targets [m].
        strain: What keeps the robot from following, in words.
        plan: Progress of the session's plan.
        tips: Commanded poses of the tips, robot root.
        targets: The same in STAGE.
        skeleton: Points along the limbs, STAGE.
        absolute: Clutches are absolute.
        alignment: Hands whose arms do not follow, with an absolute clutch.
        bare_hands: The operator has no controllers.
        gesture: What a gesture is about to do.
    """

    view: View
    countdown_ns: int = 0
    recorded_ns: int = 0
    grade: int | None = None
    task: str = ""
    operator: OperatorInfo = field(default_factory=OperatorInfo)
    reach_scale: float = 1.0
    latency: Latency = field(default_factory=Latency)
    tracking: TrackingInfo = field(default_factory=TrackingInfo)
    rates: Mapping[str, float] = field(default_factory=dict)
    recorder: Mapping[str, Any] | None = None
    health: Mapping[str, int] = field(default_factory=dict)
    robot_status: RobotStatus = RobotStatus.OK
    residual_m: tuple[float, float] = (0.0, 0.0)
    strain: tuple[str, ...] = ()
    plan: PlanInfo | None = None
    tips: Mapping[str, Pose7] = field(default_factory=dict)
    targets: Mapping[str, Pose7] = field(default_factory=dict)
    skeleton: Mapping[str, tuple[tuple[float, ...], ...]] = field(default_factory=dict)
    absolute: bool = False
    alignment: tuple[AlignmentInfo, ...] = ()
    bare_hands: bool = False
    gesture: GestureInfo | None = None


def build_status(picture: Picture, now_ns: int) -> Status:
    """The status message at `now_ns`."""
    view = picture.view
    recorder = picture.recorder or {}
    return Status(
        motion=view.motion.name.lower(),
        engaged=view.engaged,
        recording=view.recording.name.lower(),
        take=view.take,
        countdown_s=round(picture.countdown_ns / 1e9, 2),
        recording_s=round(picture.recorded_ns / 1e9, 2),
        task=picture.task,
        prompt=prompt(view, HANDS if picture.bare_hands else CONTROLLERS),
        review=view.recording is Recording.REVIEW,
        grade=picture.grade,
        operator=picture.operator,
        calibrated=view.calibrated,
        reach_scale=picture.reach_scale,
        latency_ms=picture.latency,
        tracking=picture.tracking,
        rates=dict(picture.rates),
        drops=int(recorder.get("drops", 0)),
        notices=tuple(_notices(picture, now_ns)),
        last_take=_last_take(recorder.get("last")),
        input="hands" if picture.bare_hands else "controllers",
        clutch="absolute" if picture.absolute else "relative",
        alignment=picture.alignment,
        gesture=picture.gesture,
        plan=picture.plan,
        tips=dict(picture.tips),
        targets=dict(picture.targets),
        skeleton=dict(picture.skeleton),
    )


@dataclass(frozen=True, slots=True)
class Words:
    """How the operator's device is spoken of.

    Attributes:
        engage: What moves an arm.
        reset: What leaves the e-stop.
        label: What labels a take.
        recording: What ends or pauses a take.
        paused: What goes on with it.
        start: What starts one.
    """

    engage: str
    reset: str
    label: str
    recording: str
    paused: str
    start: str


CONTROLLERS = Words(
    engage="hold a grip",
    reset="Release both grips, then hold X for 1 s.",
    label="A: success, B: failure, X: discard, X held: again.",
    recording="A: done, B: pause.",
    paused="B: go on, A: done.",
    start="A: start recording.",
)
HANDS = Words(
    engage="hold thumb and middle finger together",
    reset="Open both hands, turn the left palm to your face, keep the index pinch 2 s.",
    label="The right palm labels, the left one discards.",
    recording="Right palm, index: done, middle: pause.",
    paused="Right palm, middle: go on, index: done.",
    start="Right palm to your face, index pinch: start recording.",
)


def prompt(view: View, words: Words = CONTROLLERS) -> str:
    """What the operator should do next: the first line that applies."""
    engaged = any(view.engaged)
    lines = (
        (view.motion is Motion.ESTOP, f"Emergency stop. {words.reset}"),
        (view.motion is Motion.HOMING, "The robot goes home."),
        (view.recording is Recording.REVIEW, f"How was it? {words.label}"),
        (view.recording is Recording.COUNTDOWN, "Recording starts in a moment."),
        (not view.operator_connected, "Waiting for an operator."),
        (not engaged and not view.calibrated, f"Look straight ahead, then {words.engage}."),
        (not engaged, f"{words.engage.capitalize()} to move that arm."),
        (view.recording is Recording.RECORDING, f"Recording. {words.recording}"),
        (view.recording is Recording.PAUSED, f"Paused. {words.paused}"),
    )
    return next((text for applies, text in lines if applies), words.start)


def _notices(picture: Picture, now_ns: int) -> list[str]:
    notices = [
        f"The {process} process does not answer."
        for process, t_ns in picture.health.items()
        if now_ns - t_ns > PROCESS_SILENT_NS
    ]
    if picture.robot_status & RobotStatus.FAULT:
        notices.append("The robot reports a fault.")
    if picture.robot_status & RobotStatus.REFUSED:
        notices.append("The robot refused a command.")
    for side, engaged, residual in zip(
        ("left", "right"), picture.view.engaged, picture.residual_m, strict=True
    ):
        if engaged and residual > OUT_OF_REACH_M:
            notices.append(f"The {side} hand is out of reach.")
    if any(picture.view.engaged):
        notices += picture.strain
    if picture.view.motion is Motion.ALIGNING:
        notices += [
            f"{hand.side.capitalize()} hand to its marker: {100 * hand.distance_m:.0f} cm, "
            f"{hand.angle_deg:.0f}°: {hand.direction}."
            for hand in picture.alignment
            if hand.direction
        ]
    recorder = picture.recorder or {}
    trouble = recorder.get("problem") or recorder.get("warning")
    if trouble:
        notices.append(f"{trouble[0].upper()}{trouble[1:]}.")
    error = (recorder.get("last") or {}).get("error")
    if error:
        notices.append(f"The recorder says: {error}")
    return notices


def _last_take(last: Mapping[str, Any] | None) -> LastTake | None:
    if not last or "id" not in last:
        return None
    reasons = tuple(str(reason) for reason in last.get("reasons", ()))
    return LastTake(id=str(last["id"]), verdict=str(last.get("verdict", "")), reasons=reasons)


@dataclass(slots=True)
class Seen:
    """When each device of the operator was last usable [ns]; None: never present."""

    fresh_ns: int
    head_ns: int | None = None
    left_ns: int | None = None
    right_ns: int | None = None

    def see(self, tracked: Tracked, now_ns: int) -> None:
        """Take a frame."""
        left, right = tracked.hands_valid
        self.head_ns = now_ns if tracked.head_valid else self.head_ns
        self.left_ns = now_ns if left else self.left_ns
        self.right_ns = now_ns if right else self.right_ns

    def words(self, now_ns: int) -> TrackingInfo:
        """One word a device."""

        def word(t_ns: int | None) -> TrackingWord:
            if t_ns is None:
                return "absent"
            return "ok" if now_ns - t_ns <= self.fresh_ns else "lost"

        return TrackingInfo(
            head=word(self.head_ns), left=word(self.left_ns), right=word(self.right_ns)
        )
