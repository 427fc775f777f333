"""What waits to be sent to one client: texts in order; status and pictures, latest wins. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from teleop.gateway.journey import Journeys
from teleop.gateway.pictures import Offer
from teleop.gateway.videoflow import VideoFlow
from teleop.gateway.videolevel import H264, PLAIN, SOURCE, Level, LevelControl
from teleop.protocol import encode_video

MAX_RUN = 3
"""Pictures of video that wait for a client at most."""
MAX_TEXTS = 256
"""A client that leaves this many messages unread is cut off rather than fed from memory."""


@dataclass(frozen=True, slots=True)
class Encode:
    """A picture to be encoded at a level, then sent.

    Attributes:
        fresh: The client got the one before as the camera encoded it: nothing can build on it.
    """

    offer: Offer
    level: Level
    fresh: bool


@dataclass(slots=True)
class _Waiting:
    """Pictures of one stream that have not left yet: the newest, or a run of video."""

    newest: Offer | None = None
    run: deque[Offer] = field(default_factory=deque)
    next_seq: int | None = None
    """What can be added to the run; None before a key picture."""

    def put(self, offer: Offer, *, passes_video: bool) -> int:
        """Let a picture wait; how many others it replaces."""
        if not (offer.is_video and passes_video):
            self.break_run()
            if offer.is_video and not offer.can_be_encoded:
                return 0
            replaced = int(self.newest is not None)
            self.newest = offer
            return replaced
        replaced, self.newest = int(self.newest is not None), None
        if offer.picture.key:
            replaced += len(self.run)
            self.break_run()
        elif offer.picture.seq != self.next_seq:
            return replaced + 1
        elif len(self.run) >= MAX_RUN:  # too slow for this: go on with the next key picture
            replaced += len(self.run) + 1
            self.break_run()
            return replaced
        self.run.append(offer)
        self.next_seq = (offer.picture.seq + 1) & 0xFFFFFFFF
        return replaced

    def take(self) -> Offer | None:
        """What may be sent next."""
        if self.run:
            return self.run.popleft()
        offer, self.newest = self.newest, None
        return offer

    def break_run(self) -> None:
        """What follows cannot be decoded before the next key picture."""
        self.run.clear()
        self.next_seq = None

    @property
    def is_empty(self) -> bool:
        """Nothing waits."""
        return not self.run and self.newest is None


@dataclass(slots=True)
class Outbox:
    """Messages for one client, most urgent first."""

    overflowed: bool = False
    replaced: int = 0
    """Pictures that a newer one of their stream replaced before they were sent."""
    flow: VideoFlow = field(default_factory=VideoFlow)
    control: LevelControl = field(default_factory=LevelControl)
    journeys: Journeys = field(default_factory=Journeys)
    _texts: deque[str | bytes] = field(default_factory=deque)
    _status: str | None = None
    _pictures: dict[str, _Waiting] = field(default_factory=dict)
    _plain: set[str] = field(default_factory=set)
    _decodes_video: bool = False

    def put_text(self, message: str | bytes) -> None:
        """Queue a message that must arrive."""
        if len(self._texts) >= MAX_TEXTS:
            self.overflowed = True
        else:
            self._texts.append(message)

    def put_status(self, message: str) -> None:
        """Replace the status that has not left yet."""
        self._status = message

    def put_picture(self, stream: str, offer: Offer) -> None:
        """Replace the picture of this stream that has not left yet.

        Video as the camera encoded it is not replaced one by one: a short run of it waits, until a
        key picture takes its place.
        """
        waiting = self._pictures.setdefault(stream, _Waiting())
        self.replaced += waiting.put(offer, passes_video=self.passes_video)

    def understands(self, codecs: tuple[str, ...]) -> None:
        """The client decodes these codecs."""
        if "h264" in codecs:
            self.control.ladder = H264
            self._decodes_video = True

    @property
    def passes_video(self) -> bool:
        """Video goes to this client as the camera encoded it."""
        return self._decodes_video and self.control.level is SOURCE

    def acknowledge(self, stream: str, seq: int, now_ns: int) -> int | None:
        """The client has decoded picture `seq`; when that was captured [ns], None if unknown."""
        return self.flow.acknowledge(stream, seq, now_ns)

    def take(self, now_ns: int) -> str | bytes | Encode | None:
        """What to send next, None when there is nothing."""
        if self._texts:
            return self._texts.popleft()
        if self._status is not None:
            message, self._status = self._status, None
            return message
        return self._next_picture(now_ns)

    def _next_picture(self, now_ns: int) -> bytes | Encode | None:
        if self.flow.acknowledges:
            self.control.update(self.flow.delay_ns(now_ns), self.flow.distance_ns, now_ns)
        for stream, waiting in self._pictures.items():
            if waiting.is_empty or not self.flow.open(stream, now_ns):
                continue
            offer = waiting.take()
            if offer is not None:
                # the stream that waited longest stays first
                self._pictures[stream] = self._pictures.pop(stream)
                return self._sent(stream, offer, now_ns)
        return None

    def _sent(self, stream: str, offer: Offer, now_ns: int) -> bytes | Encode:
        picture, level = offer.picture, self.control.level
        self.flow.sent(stream, picture.seq, picture.t_capture_ns, now_ns)
        times_ns = (picture.t_capture_ns, offer.t_encoded_ns, offer.t_heard_ns)
        self.journeys.sent(stream, picture.seq, times_ns, now_ns)
        if level is SOURCE and picture.payload and (self._decodes_video or not offer.is_video):
            self._plain.add(stream)
            return encode_video(picture)
        fresh = stream in self._plain
        self._plain.discard(stream)
        return Encode(offer, PLAIN if level is SOURCE else level, fresh)
