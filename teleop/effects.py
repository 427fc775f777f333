"""What goes into the session and what comes out of it: plain frozen values.

Inputs are facts, named in the past tense; effects are orders the gateway carries out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from teleop.intents import NO_ARGS, Intent, IntentArgs, Outcome
from teleop.samples import Motion, Recording

Pair = tuple[bool, bool]
"""Left, right."""
RecorderState = Literal["idle", "recording", "paused"]


# --- inputs -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tracked:
    """The claim holder sent a frame.

    Attributes:
        t_pose_ns: Host time the poses are for [ns].
        head_valid: Head pose usable.
        hands_valid: Grip poses usable.
        has_buttons: The frame carried that controller's buttons.
        deadman: The deadman is pressed; only read where `has_buttons`.
        aligned: The hand is where an absolute clutch may close; not read with a relative one.
    """

    t_pose_ns: int
    head_valid: bool
    hands_valid: Pair
    has_buttons: Pair
    deadman: Pair
    aligned: Pair = (False, False)


@dataclass(frozen=True, slots=True)
class OperatorArrived:
    """A client got the claim, or came back to it."""

    name: str
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class OperatorLeft:
    """The claim holder is gone: released, closed or cut off."""

    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asks for something."""

    intent: Intent
    args: IntentArgs = NO_ARGS
    by: str = ""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The neutral pose was captured."""


@dataclass(frozen=True, slots=True)
class CalibrationFailed:
    """The neutral pose could not be captured; the operator may hold still and keep pressing."""

    reason: str


@dataclass(frozen=True, slots=True)
class RobotReported:
    """The robot is alive.

    Attributes:
        fault: The adapter reports a fault.
        at_home: The joints are at home and at rest.
    """

    fault: bool = False
    at_home: bool = False


@dataclass(frozen=True, slots=True)
class RecorderReported:
    """The recorder is alive.

    Attributes:
        state: What it does.
        take: Number of the running take, 0 when idle.
        recorded_ns: Length of the running take so far [ns].
        problem: Why it cannot begin a take; empty when it can.
    """

    state: RecorderState
    take: int = 0
    recorded_ns: int = 0
    problem: str = ""


Input = (
    Tracked
    | OperatorArrived
    | OperatorLeft
    | Asked
    | Calibrated
    | CalibrationFailed
    | RobotReported
    | RecorderReported
)


# --- effects ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Begin a take."""

    take: int


@dataclass(frozen=True, slots=True)
class StopRecording:
    """End the running take."""

    reason: str


@dataclass(frozen=True, slots=True)
class PauseRecording:
    """Mark a pause, or its end, in the running take."""

    paused: bool


@dataclass(frozen=True, slots=True)
class LabelTake:
    """Store the outcome of the take that just ended."""

    outcome: Outcome
    notes: str
    grade: int | None = None


@dataclass(frozen=True, slots=True)
class DiscardTake:
    """Throw the take that just ended away."""


@dataclass(frozen=True, slots=True)
class CaptureNeutral:
    """Calibrate from the present frame; answer with `Calibrated` or `CalibrationFailed`."""


@dataclass(frozen=True, slots=True)
class ResetScene:
    """Put the simulated objects back; `None` asks for the next seed."""

    seed: int | None


@dataclass(frozen=True, slots=True)
class Buzz:
    """Let the operator feel it."""

    side: Literal["left", "right"]
    amplitude: float
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Let the operator read it."""

    level: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An intent that does not fit the present state: nothing was done."""

    intent: Intent
    reason: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something a recording should show."""

    kind: str
    data: dict[str, object] = field(default_factory=dict)


Effect = (
    StartRecording
    | StopRecording
    | PauseRecording
    | LabelTake
    | DiscardTake
    | CaptureNeutral
    | ResetScene
    | Buzz
    | Tell
    | Refused
    | Mark
)


@dataclass(frozen=True, slots=True)
class View:
    """The session as others see it.

    Attributes:
        motion: Motion state.
        recording: Recording state.
        engaged: This arm follows its hand.
        engage_count: Changes at every engage of that side.
        take: Number of the take being recorded or reviewed, else of the last one.
        operator_connected: A client holds the claim and is there.
        calibrated: A neutral pose was captured since home.
        home_count: Changes at every request to go home.
    """

    motion: Motion
    recording: Recording
    engaged: Pair
    engage_count: tuple[int, int]
    take: int
    operator_connected: bool
    calibrated: bool
    home_count: int
