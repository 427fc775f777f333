"""One connected client as the hub sees it: its connection, its clock, what waits to be sent."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from calibration.clocks import ClockEstimator
from teleop.gateway.outbox import Outbox
from teleop.gateway.pictures import Offer
from teleop.gateway.transcode import Transcoder
from teleop.protocol import (
    Hello,
    Phase,
    PictureDecoded,
    ServerConnection,
    ServerMessage,
)

PING_PERIOD_NS = 1_000_000_000
FIRST_PING_PERIOD_NS = 50_000_000
FIRST_PINGS = 10
MAX_CLOCK_ERROR_NS = 1_000_000_000
"""A device time that maps farther than this from its arrival is of another clock."""


@dataclass(slots=True, eq=False)
class Client:
    """One client.

    Attributes:
        connection: Its protocol state.
        session_id: Names it across reconnections.
        clock: Device clock to host clock.
        outbox: What waits to be sent.
        transcoder: Makes pictures smaller where its link is slow.
        wake: Tells the socket's writer that there is something to send.
        ignored: Tracking messages of a client without the claim.
        odd_times: Tracking messages whose device time fits no clock.
    """

    connection: ServerConnection
    wake: Callable[[], None]
    session_id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    clock: ClockEstimator = field(default_factory=ClockEstimator)
    outbox: Outbox = field(default_factory=Outbox)
    transcoder: Transcoder = field(default_factory=Transcoder)
    streams: frozenset[str] = frozenset()
    ignored: int = 0
    odd_times: int = 0
    _t_last_ns: int = 0
    rtt_ns: int | None = None
    _pings: int = 0
    _next_ping_ns: int = 0

    @property
    def hello(self) -> Hello:
        """What it introduced itself with; only after `HelloReceived`."""
        hello = self.connection.hello
        if hello is None:
            raise RuntimeError("the client has not introduced itself yet")
        return hello

    @property
    def is_open(self) -> bool:
        """It was welcomed and has not been closed."""
        return self.connection.phase is Phase.OPEN

    @property
    def wants_turns(self) -> bool:
        """It hangs pictures where their cameras looked."""
        return self.is_open and self.hello.turns

    @property
    def name(self) -> str:
        """Device, or the kind of client when it names none."""
        return self.hello.device or self.hello.client

    def post(self, message: ServerMessage) -> None:
        """Send a message that must arrive."""
        self.connection.send(message)
        self.flush()

    def flush(self) -> None:
        """Hand what the connection wants to say to the socket."""
        for data in self.connection.data_to_send():
            self.outbox.put_text(data)
        self.wake()

    def post_status(self, text: str) -> None:
        """Send a status; a newer one replaces it while it waits."""
        self.outbox.put_status(text)
        self.wake()

    def post_picture(self, stream: str, offer: Offer) -> None:
        """Send a picture, if this client wants the stream; a newer one replaces it."""
        if stream in self.streams:
            if not self.hello.turns and offer.picture.turn_xyzw is not None:
                offer = replace(offer, picture=replace(offer.picture, turn_xyzw=None))
            self.outbox.put_picture(stream, offer)
            self.wake()

    def decoded(self, ack: PictureDecoded, stream_id: int | None, now_ns: int) -> None:
        """A picture was decoded, or could not be and a key picture is asked for."""
        self.outbox.acknowledge(ack.stream, ack.seq, now_ns)
        journeys = self.outbox.journeys
        decoded_ns = self._mapped(ack.t_device_ns, now_ns)
        if decoded_ns is not None and not ack.key:
            journeys.decoded(ack.stream, ack.seq, decoded_ns, now_ns)
        shown_ns = self._mapped(ack.t_shown_ns, now_ns)
        if shown_ns is not None and ack.shown_seq is not None:
            journeys.shown(ack.stream, ack.shown_seq, shown_ns)
        if ack.key and stream_id is not None:
            self.transcoder.ask_key(stream_id)
        self.wake()

    def _mapped(self, t_device_ns: int, now_ns: int) -> int | None:
        """Host time of a device time that may be just before or after now; None if unknown."""
        if not t_device_ns or not self.clock.ready:
            return None
        t_ns = self.clock.fit().to_host_ns(t_device_ns)
        return t_ns if abs(t_ns - now_ns) < MAX_CLOCK_ERROR_NS else None

    def refuse(self, code: int, reason: str) -> None:
        """Say why, then close."""
        self.connection.refuse(code, reason)
        self.flush()

    def tick(self, now_ns: int) -> None:
        """Ping when it is time; densely at first, so that a clock fit exists soon."""
        self.connection.tick(now_ns)
        if self.is_open and now_ns >= self._next_ping_ns:
            self._pings += 1
            first = self._pings <= FIRST_PINGS
            self._next_ping_ns = now_ns + (FIRST_PING_PERIOD_NS if first else PING_PERIOD_NS)
            self.connection.ping(now_ns)
        self.flush()

    def round_trip(self, t_send_ns: int, t_device_ns: int, t_receive_ns: int) -> None:
        """A ping came back."""
        self.clock.add(t_send_ns, t_device_ns, t_receive_ns)
        rtt_ns = t_receive_ns - t_send_ns
        # Smoothed like TCP's round trip time, RFC 6298: one eighth of the news.
        self.rtt_ns = rtt_ns if self.rtt_ns is None else self.rtt_ns + (rtt_ns - self.rtt_ns) // 8

    def host_time(self, t_device_ns: int, t_receive_ns: int) -> int:
        """Host time of a device time [ns]; the arrival while no clock fit says better.

        Never after the arrival and never backwards: a better fit moves later samples, it does not
        put one before another that came earlier. The raw times are kept beside it.
        """
        t_ns = t_receive_ns
        if self.clock.ready:
            mapped_ns = self.clock.to_host_ns(t_device_ns)
            if abs(mapped_ns - t_receive_ns) > MAX_CLOCK_ERROR_NS:
                self.odd_times += 1
            else:
                t_ns = min(mapped_ns, t_receive_ns)
        self._t_last_ns = max(t_ns, self._t_last_ns + 1)
        return self._t_last_ns
