"""Text messages of `telecap.v1`: one msgspec struct each, told apart by their `type` field."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from teleop.errors import ProtocolError
from teleop.intents import NO_ARGS, Intent, IntentArgs
from teleop.protocol.codes import CloseCode

ShortText = Annotated[str, msgspec.Meta(max_length=256)]
StreamName = Annotated[str, msgspec.Meta(max_length=128)]
Nanoseconds = Annotated[int, msgspec.Meta(ge=-(2**61), le=2**61)]
PingId = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
ClientKind = Literal["webxr", "openxr", "console", "replay", "synthetic"]
Role = Literal["operator", "watcher"]
Side = Literal["left", "right"]
Pose7 = tuple[float, float, float, float, float, float, float]
TrackingWord = Literal["ok", "lost", "absent"]


# --- client to server ---------------------------------------------------------------------------


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """First message of every client, within 5 s.

    Attributes:
        client: Kind of client.
        version: Of the client.
        role: `operator` may claim the robot; `watcher` never sends tracking.
        token: Bearer token of this run.
        device: Free text, e.g. "Meta Quest 3".
        video: Names of the streams wanted; empty for none, `["*"]` for all.
        codecs: What the client decodes: `jpeg`, `h264`.
        turns: The client wants to know how cameras had turned.
        resume: `session_id` of an earlier connection, to regain its claim within 5 s.
    """

    client: ClientKind
    token: Annotated[str, msgspec.Meta(max_length=512)]
    version: ShortText = ""
    role: Role = "operator"
    device: ShortText = ""
    video: Annotated[tuple[StreamName, ...], msgspec.Meta(max_length=64)] = ()
    codecs: Annotated[tuple[ShortText, ...], msgspec.Meta(max_length=8)] = ("jpeg",)
    turns: bool = False
    resume: ShortText | None = None


class Claim(msgspec.Struct, frozen=True, tag="claim"):
    """Ask to be the one operator of the robot."""


class Release(msgspec.Struct, frozen=True, tag="release"):
    """Give the claim back."""


class ClientPing(msgspec.Struct, frozen=True, kw_only=True, tag="ping"):
    """The client measures its link; answered by `ServerPong`."""

    id: PingId
    t_device_ns: Nanoseconds


class ClientPong(msgspec.Struct, frozen=True, kw_only=True, tag="pong"):
    """Answer to `ServerPing`, at once, with the device clock at the moment of answering."""

    id: PingId
    t_device_ns: Nanoseconds


class Event(msgspec.Struct, frozen=True, kw_only=True, tag="event"):
    """A session intent."""

    name: Intent
    args: IntentArgs = NO_ARGS


class VideoAck(msgspec.Struct, frozen=True, kw_only=True, tag="video_ack"):
    """The picture `seq` of the stream has been decoded.

    Attributes:
        stream: Stream name.
        seq: Of the picture.
        t_device_ns: Device clock when it was decoded; 0 when not measured.
        key: It could not be decoded: the next one must be a key picture.
        shown_seq: Picture of the stream that was shown last, where that is measured.
        t_shown_ns: Device clock when that was, or will be, seen; 0 when not measured.
    """

    stream: StreamName
    seq: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
    t_device_ns: Nanoseconds = 0
    key: bool = False
    shown_seq: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] | None = None
    t_shown_ns: Nanoseconds = 0


ClientMessage = Hello | Claim | Release | ClientPing | ClientPong | Event | VideoAck


# --- server to client ---------------------------------------------------------------------------


class RigInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The robot served: joints in the order of `robot/state`, tip name to model frame."""

    name: str
    joint_names: tuple[str, ...]
    gripper_names: tuple[str, ...]
    tips: dict[str, str]


class StreamInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One video stream; `id` is the stream id of video messages, `eye` left, right or empty."""

    id: int
    name: str
    eye: str
    width: int
    height: int
    fovy_deg: float
    codec: str


class LimitsInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the server accepts, see `protocol.codes.Limits`."""

    max_message_bytes: int
    max_messages_per_s: int


class Welcome(msgspec.Struct, frozen=True, kw_only=True, tag="welcome"):
    """Answer to an accepted `Hello`."""

    session_id: str
    role: Role
    rig: RigInfo
    streams: tuple[StreamInfo, ...]
    control_rate_hz: int
    server_time_ns: int
    limits: LimitsInfo


class ClaimGranted(msgspec.Struct, frozen=True, tag="claim_granted"):
    """This client is the operator now."""


class ClaimRefused(msgspec.Struct, frozen=True, kw_only=True, tag="claim_refused"):
    """Another client is; `holder` is its device."""

    reason: str
    holder: str


class ServerPing(msgspec.Struct, frozen=True, kw_only=True, tag="ping"):
    """The server measures clock and link; answer with `ClientPong` at once."""

    id: int


class ServerPong(msgspec.Struct, frozen=True, kw_only=True, tag="pong"):
    """Answer to `ClientPing`: its id and device time, and the host clock."""

    id: int
    t_device_ns: int
    t_server_ns: int


class OperatorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the claim."""

    connected: bool = False
    name: str = ""
    device: str = ""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Medians [ms]; `None` until measured."""

    pose_to_command: float | None = None
    link_rtt: float | None = None
    picture: float | None = None


class TrackingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`ok`: valid and fresh, `lost`: stale or invalid, `absent`: never seen."""

    head: TrackingWord = "absent"
    left: TrackingWord = "absent"
    right: TrackingWord = "absent"


class LastTake(msgspec.Struct, frozen=True, kw_only=True):
    """The take that was finished last, with its quality verdict."""

    id: str
    verdict: str
    reasons: tuple[str, ...] = ()


class GestureInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a gesture of a bare hand offers, or does when `share` reaches 1."""

    text: str
    share: float = 0.0


class AlignmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How far a hand is from where an absolute clutch closes.

    Attributes:
        side: Which hand.
        distance_m: To its place [m].
        angle_deg: To its orientation [deg].
        direction: Where to go, as the operator faces; empty when near enough.
        ghost: Pose in STAGE, `[px, py, pz, qx, qy, qz, qw]`, where grip or palm must be.
    """

    side: Side
    distance_m: float
    angle_deg: float
    direction: str
    ghost: Pose7


class PlanInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session stands in its plan.

    Attributes:
        name: Of the session.
        variation: How the scene is set up for the present task.
        done: Good takes of it.
        wanted: Good takes of it that are wanted; 0 when the plan is done.
        total_done: Good takes of the whole plan.
        total_wanted: Those wanted in all.
    """

    name: str = ""
    variation: str = ""
    done: int = 0
    wanted: int = 0
    total_done: int = 0
    total_wanted: int = 0


class Status(msgspec.Struct, frozen=True, kw_only=True, tag="status"):
    """The whole picture, 10 Hz and at every change.

    Attributes:
        motion: Name of `samples.Motion` in lower case.
        engaged: Left, right arm follows its hand.
        recording: Name of `samples.Recording` in lower case.
        take: Counts takes of this run; the one being recorded or reviewed, else the last.
        countdown_s: Left of the countdown.
        recording_s: Recorded so far, pauses taken out.
        task: Language instruction.
        prompt: What the operator should do next, one sentence.
        review: The take waits for success, failure or discard.
        grade: Given to it so far, 1 to 5.
        operator: Who holds the claim.
        calibrated: A neutral pose was captured.
        reach_scale: Robot metres per operator metre.
        latency_ms: Medians.
        tracking: Per device.
        rates: Measured, by topic [Hz].
        drops: Rows the recorder lost in this take.
        notices: What is wrong right now, one sentence each.
        last_take: With its verdict.
        input: What the operator holds: prompts speak of its buttons or gestures.
        tips: Commanded pose of each tip, `[px, py, pz, qx, qy, qz, qw]` in the robot root.
        targets: The same poses in STAGE.
        skeleton: Points along each limb of the robot as measured, in STAGE [m]; as far as the
            operator is calibrated the arms are where the operator's would be.
        clutch: How hands map to tips.
        alignment: With an absolute clutch, hands whose arms do not follow yet.
        gesture: What a bare hand's gesture is about to do, None while it does nothing.
        plan: Progress of the session's plan, None without one.
    """

    motion: str
    engaged: tuple[bool, bool]
    recording: str
    take: int
    countdown_s: float
    recording_s: float
    task: str
    prompt: str
    review: bool
    operator: OperatorInfo
    calibrated: bool
    reach_scale: float
    latency_ms: Latency
    tracking: TrackingInfo
    rates: dict[str, float]
    drops: int
    notices: tuple[str, ...]
    last_take: LastTake | None
    input: Literal["controllers", "hands"] = "controllers"
    tips: dict[str, Pose7] = {}
    targets: dict[str, Pose7] = {}
    skeleton: dict[str, tuple[tuple[float, ...], ...]] = {}
    clutch: Literal["relative", "absolute"] = "relative"
    alignment: tuple[AlignmentInfo, ...] = ()
    gesture: GestureInfo | None = None
    plan: PlanInfo | None = None
    grade: int | None = None


class Haptics(msgspec.Struct, frozen=True, kw_only=True, tag="haptics"):
    """Buzz one controller; amplitude 0..1."""

    side: Side
    amplitude: float
    duration_ms: int


class Notice(msgspec.Struct, frozen=True, kw_only=True, tag="notice"):
    """One sentence to show for a moment."""

    level: Literal["info", "warning", "error"]
    text: str


class Error(msgspec.Struct, frozen=True, kw_only=True, tag="error"):
    """Why the server closes; the close frame with `code` follows."""

    code: int
    reason: str


ServerMessage = (
    Welcome
    | ClaimGranted
    | ClaimRefused
    | ServerPing
    | ServerPong
    | Status
    | Haptics
    | Notice
    | Error
)

_encoder = msgspec.json.Encoder()
_client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)


def encode_message(message: ClientMessage | ServerMessage) -> str:
    """JSON text of a message."""
    return _encoder.encode(message).decode()


def decode_client_message(text: str) -> ClientMessage:
    """Message of a client.

    Raises:
        ProtocolError: 4400 when it is not JSON, of unknown type, or a field is missing or wrong.
    """
    try:
        return _client_decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ProtocolError(CloseCode.MALFORMED, f"text message refused: {error}") from error


def decode_server_message(text: str) -> ServerMessage:
    """Message of a server; raises as `decode_client_message`."""
    try:
        return _server_decoder.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ProtocolError(CloseCode.MALFORMED, f"text message refused: {error}") from error
