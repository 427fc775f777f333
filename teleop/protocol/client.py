"""Client side of one `telecap.v1` connection: messages in, events out. No sockets, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field

from teleop.errors import ProtocolError
from teleop.protocol.messages import (
    Claim,
    ClaimGranted,
    ClaimRefused,
    ClientMessage,
    ClientPong,
    Error,
    Hello,
    Release,
    ServerMessage,
    ServerPing,
    Status,
    Welcome,
    decode_server_message,
    encode_message,
)
from teleop.protocol.tracking import Row, encode_tracking
from teleop.protocol.video import VideoPicture, decode_video

ClientEvent = ServerMessage | VideoPicture


@dataclass(slots=True)
class ClientConnection:
    """One server as a client sees it.

    Server pings are answered here. Everything else comes out of `events_received()` as the
    message structs themselves, and pictures as `VideoPicture`.

    Args:
        hello: First message; it is queued at once.
    """

    hello: Hello
    welcome: Welcome | None = None
    status: Status | None = None
    has_claim: bool = False
    error: Error | None = None
    _events: list[ClientEvent] = field(default_factory=list)
    _outgoing: list[str | bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._outgoing.append(encode_message(self.hello))

    def receive_text(self, text: str, t_device_ns: int) -> None:
        """Take one text message; `t_device_ns` is the device clock now.

        Raises:
            ProtocolError: The server sent what `telecap.v1` does not allow.
        """
        message = decode_server_message(text)
        match message:
            case ServerPing(id=ping_id):
                self.send(ClientPong(id=ping_id, t_device_ns=t_device_ns))
                return
            case Welcome():
                self.welcome = message
            case Status():
                self.status = message
            case ClaimGranted():
                self.has_claim = True
            case ClaimRefused():
                self.has_claim = False
            case Error():
                self.error = message
        self._events.append(message)

    def receive_bytes(self, data: bytes) -> None:
        """Take one binary message.

        Raises:
            ProtocolError: It is not a video message.
        """
        self._events.append(decode_video(data))

    def claim(self) -> None:
        """Ask for the robot."""
        self.send(Claim())

    def release(self) -> None:
        """Give the robot back."""
        self.has_claim = False
        self.send(Release())

    def send(self, message: ClientMessage) -> None:
        """Queue a text message."""
        self._outgoing.append(encode_message(message))

    def send_tracking(self, frame: Row) -> None:
        """Queue one OPERATOR_FRAME row.

        Raises:
            ProtocolError: The server has not welcomed this client yet.
        """
        if self.welcome is None:
            raise ProtocolError(4400, "tracking before the server's welcome")
        self._outgoing.append(encode_tracking(frame))

    def events_received(self) -> list[ClientEvent]:
        """What happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> list[str | bytes]:
        """What to put on the socket, in order."""
        data, self._outgoing = self._outgoing, []
        return data
