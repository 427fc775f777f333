"""Server side of one `telecap.v1` connection: messages in, events out. No sockets, no clock."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import Enum, auto

from teleop.errors import ProtocolError
from teleop.intents import Intent, IntentArgs
from teleop.protocol.bucket import TokenBucket
from teleop.protocol.codes import HELLO_TIMEOUT_NS, CloseCode, Limits
from teleop.protocol.messages import (
    Claim,
    ClientMessage,
    ClientPing,
    ClientPong,
    Error,
    Event,
    Hello,
    Release,
    ServerMessage,
    ServerPing,
    ServerPong,
    VideoAck,
    Welcome,
    decode_client_message,
    encode_message,
)
from teleop.protocol.tracking import Row, clear_unusable, unpack_tracking
from teleop.samples import Source

SOURCES = {
    "webxr": Source.WEBXR,
    "openxr": Source.OPENXR,
    "replay": Source.REPLAY,
    "synthetic": Source.SYNTHETIC,
}
MAX_OPEN_PINGS = 16


class Phase(Enum):
    """Where a connection stands."""

    HELLO = auto()
    """Waiting for the first message."""
    DECIDING = auto()
    """Hello received; the server has not answered it yet."""
    OPEN = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """Answer with `accept` or `refuse`."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class ClaimAsked:
    """The client wants the robot."""


@dataclass(frozen=True, slots=True)
class ReleaseAsked:
    """The client gives the robot back."""


@dataclass(frozen=True, slots=True)
class IntentAsked:
    """The client asks something of the session."""

    intent: Intent
    args: IntentArgs


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """A ping came back: host send, device answer, host receive [ns]."""

    t_send_ns: int
    t_device_ns: int
    t_receive_ns: int


@dataclass(frozen=True, slots=True)
class PictureDecoded:
    """The client has decoded a picture, or with `key` asks for one it can decode."""

    stream: str
    seq: int
    t_device_ns: int
    key: bool = False
    shown_seq: int | None = None
    t_shown_ns: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class TrackingReceived:
    """One OPERATOR_FRAME row, checked, newer than every one before."""

    frame: Row


ConnectionEvent = (
    HelloReceived
    | ClaimAsked
    | ReleaseAsked
    | IntentAsked
    | RoundTrip
    | PictureDecoded
    | TrackingReceived
)


@dataclass(slots=True)
class Counters:
    """What one connection sent, and what was wrong with it."""

    messages: int = 0
    tracking: int = 0
    out_of_order: int = 0
    """Tracking messages dropped because their `seq` did not increase."""
    invalid_poses: int = 0
    """Poses that arrived flagged valid but could not be used."""
    unmatched_pongs: int = 0


@dataclass(slots=True)
class ServerConnection:
    """One client as the server sees it.

    Feed it with `receive_text`, `receive_bytes` and `tick`; then take `events_received()` and
    `data_to_send()`. When `close_code` is set, send what is left and close with it.

    Args:
        now_ns: Host time at which the connection opened [ns].
        limits: What to accept.
    """

    now_ns: int
    limits: Limits = field(default_factory=Limits)
    phase: Phase = Phase.HELLO
    hello: Hello | None = None
    close_code: int | None = None
    close_reason: str = ""
    counters: Counters = field(default_factory=Counters)
    _bucket: TokenBucket = field(init=False)
    _events: list[ConnectionEvent] = field(default_factory=list)
    _outgoing: list[str | bytes] = field(default_factory=list)
    _pings: dict[int, int] = field(default_factory=dict)
    _ping_id: int = field(default_factory=lambda: secrets.randbelow(2**31))
    _last_seq: int = -1

    def __post_init__(self) -> None:
        self._bucket = TokenBucket(self.limits.max_messages_per_s, self.now_ns)

    # ------------------------------------------------------------------ in
    def receive_text(self, text: str, now_ns: int) -> None:
        """Take one text message that arrived at `now_ns`."""
        if self.phase is Phase.CLOSED:
            return
        try:
            # Never shorter in bytes than in characters, so this bounds the work before decoding.
            self._admit(len(text), now_ns)
            self._dispatch(decode_client_message(text), now_ns)
        except ProtocolError as error:
            self.refuse(error.code, error.reason)

    def receive_bytes(self, data: bytes, now_ns: int) -> None:
        """Take one binary message that arrived at `now_ns`."""
        if self.phase is Phase.CLOSED:
            return
        try:
            self._admit(len(data), now_ns)
            self._take_tracking(data, now_ns)
        except ProtocolError as error:
            self.refuse(error.code, error.reason)

    def tick(self, now_ns: int) -> None:
        """Let time pass: a client that does not introduce itself is closed with 4408."""
        if self.phase is Phase.HELLO and now_ns - self.now_ns > HELLO_TIMEOUT_NS:
            self.refuse(CloseCode.HELLO_TIMEOUT, "no hello within 5 s")

    # ------------------------------------------------------------- answers
    def accept(self, welcome: Welcome) -> None:
        """Answer the hello: the client is in."""
        if self.phase is not Phase.DECIDING:
            raise RuntimeError(f"accept() in phase {self.phase.name}; it answers HelloReceived")
        self.phase = Phase.OPEN
        self.send(welcome)

    def refuse(self, code: int, reason: str) -> None:
        """Say why, then close; what arrives afterwards is ignored."""
        if self.phase is Phase.CLOSED:
            return
        self._events.clear()
        self.send(Error(code=code, reason=reason[:500]))
        self.phase = Phase.CLOSED
        self.close_code = code
        # A close frame holds 123 bytes of reason; cut by bytes, on a character boundary.
        self.close_reason = reason.encode("utf-8", "replace")[:120].decode("utf-8", "ignore")

    def send(self, message: ServerMessage) -> None:
        """Queue a text message."""
        if self.phase is not Phase.CLOSED:
            self._outgoing.append(encode_message(message))

    def ping(self, now_ns: int) -> None:
        """Ask the device for its clock; the answer becomes a `RoundTrip`."""
        if self.phase is not Phase.OPEN:
            return
        while len(self._pings) >= MAX_OPEN_PINGS:
            self._pings.pop(next(iter(self._pings)))
        self._ping_id += 1
        self._pings[self._ping_id] = now_ns
        self.send(ServerPing(id=self._ping_id))

    # ----------------------------------------------------------------- out
    def events_received(self) -> list[ConnectionEvent]:
        """What happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> list[str | bytes]:
        """What to put on the socket, in order."""
        data, self._outgoing = self._outgoing, []
        return data

    # -------------------------------------------------------------- inside
    def _admit(self, size: int, now_ns: int) -> None:
        self.counters.messages += 1
        if size > self.limits.max_message_bytes:
            raise ProtocolError(
                CloseCode.TOO_LARGE,
                f"message of {size} bytes; the limit is {self.limits.max_message_bytes}",
            )
        if not self._bucket.take(now_ns):
            raise ProtocolError(
                CloseCode.TOO_MANY,
                f"more than {self.limits.max_messages_per_s} messages per second",
            )

    def _dispatch(self, message: ClientMessage, now_ns: int) -> None:
        if isinstance(message, Hello):
            self._take_hello(message)
            return
        if self.phase is not Phase.OPEN:
            raise ProtocolError(CloseCode.MALFORMED, "the first message must be a hello")
        match message:
            case Claim():
                self._events.append(ClaimAsked())
            case Release():
                self._events.append(ReleaseAsked())
            case Event(name=intent, args=args):
                self._events.append(IntentAsked(intent, args))
            case ClientPing(id=ping_id, t_device_ns=t_device_ns):
                self.send(ServerPong(id=ping_id, t_device_ns=t_device_ns, t_server_ns=now_ns))
            case ClientPong(id=ping_id, t_device_ns=t_device_ns):
                self._take_pong(ping_id, t_device_ns, now_ns)
            case VideoAck():
                self._events.append(
                    PictureDecoded(
                        message.stream,
                        message.seq,
                        message.t_device_ns,
                        message.key,
                        message.shown_seq,
                        message.t_shown_ns,
                    )
                )

    def _take_hello(self, hello: Hello) -> None:
        if self.phase is not Phase.HELLO:
            raise ProtocolError(CloseCode.MALFORMED, "a second hello; one is allowed")
        self.hello = hello
        self.phase = Phase.DECIDING
        self._events.append(HelloReceived(hello))

    def _take_pong(self, ping_id: int, t_device_ns: int, now_ns: int) -> None:
        t_send_ns = self._pings.pop(ping_id, None)
        if t_send_ns is None:
            self.counters.unmatched_pongs += 1
        else:
            self._events.append(RoundTrip(t_send_ns, t_device_ns, now_ns))

    def _take_tracking(self, data: bytes, now_ns: int) -> None:
        if self.phase is not Phase.OPEN or self.hello is None:
            raise ProtocolError(CloseCode.MALFORMED, "the first message must be a hello")
        source = SOURCES.get(self.hello.client, Source.UNKNOWN)
        frame = unpack_tracking(data, now_ns, source)
        seq = int(frame["seq"])
        if seq <= self._last_seq:
            self.counters.out_of_order += 1
            return
        self._last_seq = seq
        self.counters.tracking += 1
        self.counters.invalid_poses += clear_unusable(frame)
        self._events.append(TrackingReceived(frame))
