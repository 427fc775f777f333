"""What waits to be sent to one client: texts in order; status and pictures, latest wins. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from teleop.gateway.videoflow import VideoFlow
from teleop.gateway.videolevel import H264, SOURCE, Level, LevelControl
from teleop.protocol import VideoPicture, encode_video

MAX_TEXTS = 256
"""A client that leaves this many messages unread is cut off rather than fed from memory."""


@dataclass(frozen=True, slots=True)
class Encode:
    """A picture to be encoded at a level, then sent.

    Attributes:
        fresh: The client got the one before as the camera encoded it: nothing can build on it.
    """

    picture: VideoPicture
    level: Level
    fresh: bool


@dataclass(slots=True)
class Outbox:
    """Messages for one client, most urgent first."""

    overflowed: bool = False
    replaced: int = 0
    """Pictures that a newer one of their stream replaced before they were sent."""
    flow: VideoFlow = field(default_factory=VideoFlow)
    control: LevelControl = field(default_factory=LevelControl)
    _texts: deque[str | bytes] = field(default_factory=deque)
    _status: str | None = None
    _pictures: dict[str, VideoPicture] = field(default_factory=dict)
    _plain: set[str] = field(default_factory=set)

    def put_text(self, message: str | bytes) -> None:
        """Queue a message that must arrive."""
        if len(self._texts) >= MAX_TEXTS:
            self.overflowed = True
        else:
            self._texts.append(message)

    def put_status(self, message: str) -> None:
        """Replace the status that has not left yet."""
        self._status = message

    def put_picture(self, stream: str, picture: VideoPicture) -> None:
        """Replace the picture of this stream that has not left yet."""
        # the stream that waited longest stays first
        self.replaced += stream in self._pictures
        self._pictures[stream] = picture

    def understands(self, codecs: tuple[str, ...]) -> None:
        """The client decodes these codecs."""
        if "h264" in codecs:
            self.control.ladder = H264

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
        for stream in self._pictures:
            if not self.flow.open(stream, now_ns):
                continue
            picture = self._pictures.pop(stream)
            self.flow.sent(stream, picture.seq, picture.t_capture_ns, now_ns)
            level = self.control.level
            if level is SOURCE:
                self._plain.add(stream)
                return encode_video(picture)
            fresh = stream in self._plain
            self._plain.discard(stream)
            return Encode(picture, level, fresh)
        return None
