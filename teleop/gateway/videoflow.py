"""Pictures on their way to one client: how many may be, and how long they take. Pure.

Sockets buffer: what is written to a slow link is shown late. So only as many pictures of a stream
are on their way as the distance to the client asks for, one on a local network, and a picture that
cannot be sent yet is replaced by the next. A slow link then shows fewer pictures, not older ones.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median

ACK_PATIENCE_NS = 1_000_000_000
"""Acknowledgements that take longer are taken as lost, so that video starts again."""
DISTANCE_WINDOW_NS = 10_000_000_000
DELAY_WINDOW_NS = 500_000_000
PERIOD_NS = 33_000_000
"""Between pictures, about: what is on its way longer than this needs another one behind it."""
MAX_ON_WAY = 4


@dataclass(slots=True)
class _Stream:
    on_way: deque[tuple[int, int, int]] = field(default_factory=deque)
    """Number, times of sending and of capture [ns]."""


@dataclass(slots=True)
class VideoFlow:
    """One client's pictures.

    Attributes:
        acknowledges: It answers pictures; until the first answer nothing is held back.
    """

    acknowledges: bool = False
    _streams: dict[str, _Stream] = field(default_factory=dict)
    _delays: deque[tuple[int, int]] = field(default_factory=deque)
    _nearest: deque[tuple[int, int]] = field(default_factory=deque)

    def open(self, stream: str, now_ns: int) -> bool:
        """Whether a picture of this stream may be sent now."""
        on_way = self._streams.setdefault(stream, _Stream()).on_way
        while on_way and now_ns - on_way[0][1] > ACK_PATIENCE_NS:
            on_way.popleft()
        return not self.acknowledges or len(on_way) < self.allowed

    @property
    def allowed(self) -> int:
        """Pictures of a stream that may be on their way."""
        return min(1 + (self.distance_ns or 0) // PERIOD_NS, MAX_ON_WAY)

    @property
    def distance_ns(self) -> int | None:
        """From sending to the answer at best [ns]: the link without a queue."""
        return self._nearest[0][1] if self._nearest else None

    def delay_ns(self, now_ns: int) -> int | None:
        """From sending to the answer just now, median [ns]; what is still out counts as it is.

        None where nothing was sent in the last half second.
        """
        while self._delays and now_ns - self._delays[0][0] > DELAY_WINDOW_NS:
            self._delays.popleft()
        waiting = [now_ns - s.on_way[0][1] for s in self._streams.values() if s.on_way]
        known = [delay for _, delay in self._delays]
        typical = median(known) if known else 0
        late = [age for age in waiting if age > typical]
        return round(median(known + late)) if known or late else None

    def sent(self, stream: str, seq: int, t_capture_ns: int, now_ns: int) -> None:
        """A picture was handed to the socket."""
        on_way = self._streams.setdefault(stream, _Stream()).on_way
        if not self.acknowledges:
            on_way.clear()  # this may be a client that never answers
        on_way.append((seq, now_ns, t_capture_ns))

    def acknowledge(self, stream: str, seq: int, now_ns: int) -> int | None:
        """The client has decoded picture `seq`; when that was captured [ns], None if unknown."""
        self.acknowledges = True
        on_way = self._streams.setdefault(stream, _Stream()).on_way
        captured = None
        while on_way and on_way[0][0] <= seq:
            number, t_sent_ns, t_capture_ns = on_way.popleft()
            if number == seq:
                captured = t_capture_ns
                self._measured(now_ns - t_sent_ns, now_ns)
        return captured

    def _measured(self, delay_ns: int, now_ns: int) -> None:
        self._delays.append((now_ns, delay_ns))
        # a queue of falling candidates: its first is the least of the window
        while self._nearest and self._nearest[-1][1] >= delay_ns:
            self._nearest.pop()
        self._nearest.append((now_ns, delay_ns))
        while now_ns - self._nearest[0][0] > DISTANCE_WINDOW_NS:
            self._nearest.popleft()
