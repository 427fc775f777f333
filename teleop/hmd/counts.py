"""What a client counts of its link."""

from __future__ import annotations

from dataclasses import dataclass, field

from teleop.protocol import VideoPicture


@dataclass(slots=True)
class VideoCount:
    """Pictures of one stream.

    Attributes:
        pictures: Received.
        bytes: Of their payloads.
        skipped: Pictures the server left out (latest wins), from gaps of their numbers.
        last_seq: Number of the newest.
    """

    pictures: int = 0
    bytes: int = 0
    skipped: int = 0
    last_seq: int = -1

    def add(self, picture: VideoPicture) -> None:
        """Count one picture."""
        if self.last_seq >= 0:
            self.skipped += max(0, (picture.seq - self.last_seq - 1) & 0xFFFFFFFF)
        self.pictures += 1
        self.bytes += len(picture.payload)
        self.last_seq = picture.seq


@dataclass(slots=True)
class LinkCount:
    """What the link did.

    Attributes:
        sent: Tracking messages put on the socket.
        unsent: Tracking messages dropped because there was no connection.
        reconnects: Times the connection was made again.
        video: By stream name.
    """

    sent: int = 0
    unsent: int = 0
    reconnects: int = 0
    video: dict[str, VideoCount] = field(default_factory=dict)
