"""What waits to be sent to one client: texts in order; status and pictures, latest wins. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MAX_TEXTS = 256
"""A client that leaves this many messages unread is cut off rather than fed from memory."""
MAX_UNDECODED = 3
"""Pictures of one stream on their way to a client that acknowledges them."""
ACK_PATIENCE_NS = 1_000_000_000
"""Acknowledgements that take longer are taken as lost, so that video starts again."""


@dataclass(slots=True)
class _Flow:
    """Pictures of one stream on their way."""

    acknowledges: bool = False
    sent: deque[int] = field(default_factory=deque)
    t_sent_ns: int = 0

    def open(self, now_ns: int) -> bool:
        waited = now_ns - self.t_sent_ns > ACK_PATIENCE_NS
        return not self.acknowledges or len(self.sent) < MAX_UNDECODED or waited


@dataclass(slots=True)
class Outbox:
    """Messages for one client, most urgent first.

    Sockets buffer: without acknowledgements a stalled client would later be shown seconds of old
    pictures. So at most `MAX_UNDECODED` pictures of a stream are on their way to a client that
    sends `video_ack`.
    """

    overflowed: bool = False
    replaced: int = 0
    """Pictures that a newer one of their stream replaced before they were sent."""
    _texts: deque[str | bytes] = field(default_factory=deque)
    _status: str | None = None
    _pictures: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    _flows: dict[str, _Flow] = field(default_factory=dict)

    def put_text(self, message: str | bytes) -> None:
        """Queue a message that must arrive."""
        if len(self._texts) >= MAX_TEXTS:
            self.overflowed = True
        else:
            self._texts.append(message)

    def put_status(self, message: str) -> None:
        """Replace the status that has not left yet."""
        self._status = message

    def put_picture(self, stream: str, seq: int, message: bytes) -> None:
        """Replace the picture of this stream that has not left yet."""
        self.replaced += stream in self._pictures
        self._pictures[stream] = (seq, message)

    def acknowledge(self, stream: str, seq: int) -> None:
        """The client has decoded picture `seq`."""
        flow = self._flows.setdefault(stream, _Flow())
        flow.acknowledges = True
        while flow.sent and flow.sent[0] <= seq:
            flow.sent.popleft()

    def take(self, now_ns: int) -> str | bytes | None:
        """What to send next, None when there is nothing."""
        if self._texts:
            return self._texts.popleft()
        if self._status is not None:
            message, self._status = self._status, None
            return message
        for stream in self._pictures:
            flow = self._flows.setdefault(stream, _Flow())
            if flow.open(now_ns):
                seq, picture = self._pictures.pop(stream)
                flow.t_sent_ns = now_ns
                if len(flow.sent) >= MAX_UNDECODED:
                    flow.sent.clear()
                flow.sent.append(seq)
                return picture
        return None
