"""Where the age of a picture comes from, stage by stage, for one client. Pure; time is a parameter.

All times are on the host's clock [ns]; those of the client are mapped to it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from statistics import median
from typing import Any

WINDOW_NS = 1_000_000_000
KEPT = 128
"""Pictures of a stream whose way is remembered."""
STAGES = ("encode", "bus", "wait", "link", "show")
"""Exposure to encoded in the camera process, to the gateway, in the gateway until the client may
have it, from there to decoded by the client (made smaller on the way where it must), to its
display."""


@dataclass(slots=True)
class _Way:
    t_capture_ns: int
    t_encoded_ns: int
    t_heard_ns: int
    t_sent_ns: int
    t_decoded_ns: int | None = None
    t_shown_ns: int | None = None

    def stages_ms(self) -> dict[str, float]:
        times = (
            self.t_capture_ns, self.t_encoded_ns, self.t_heard_ns, self.t_sent_ns,
            self.t_decoded_ns, self.t_shown_ns,
        )  # fmt: skip
        return {
            name: (end - begin) / 1e6
            for name, begin, end in zip(STAGES, times, times[1:], strict=False)
            if begin is not None and end is not None
        }

    @property
    def age_ms(self) -> float:
        """When the operator saw it, or if that is not known, when it was decoded."""
        seen_ns = self.t_shown_ns if self.t_shown_ns is not None else self.t_decoded_ns
        return ((self.t_capture_ns if seen_ns is None else seen_ns) - self.t_capture_ns) / 1e6


@dataclass(slots=True)
class Journeys:
    """The ways of one client's pictures over the last seconds."""

    _known: dict[str, OrderedDict[int, _Way]] = field(default_factory=dict)
    _done: deque[tuple[int, str, _Way]] = field(default_factory=lambda: deque(maxlen=1024))

    def sent(self, stream: str, seq: int, times_ns: tuple[int, int, int], t_sent_ns: int) -> None:
        """A picture left for the client.

        Args:
            stream: Its stream.
            seq: Its number.
            times_ns: When it was captured, encoded, and heard by the gateway.
            t_sent_ns: Now.
        """
        ways = self._known.setdefault(stream, OrderedDict())
        ways[seq] = _Way(*times_ns, t_sent_ns)
        while len(ways) > KEPT:
            ways.popitem(last=False)

    def decoded(self, stream: str, seq: int, t_ns: int, now_ns: int) -> None:
        """The client has decoded it."""
        way = self._way(stream, seq)
        if way is not None and way.t_decoded_ns is None:
            way.t_decoded_ns = t_ns
            self._done.append((now_ns, stream, way))

    def shown(self, stream: str, seq: int, t_ns: int) -> None:
        """The client shows it, or will at this time."""
        way = self._way(stream, seq)
        if way is not None and way.t_decoded_ns is not None and way.t_shown_ns is None:
            way.t_shown_ns = t_ns

    def median_ms(self, now_ns: int) -> float | None:
        """Median age over all streams [ms], None without pictures."""
        ages = [way.age_ms for _, way in self._recent(now_ns)]
        return round(median(ages), 1) if ages else None

    def summary(self, now_ns: int) -> dict[str, dict[str, Any]]:
        """Of each stream: pictures per second, median and largest age, medians of stages [ms]."""
        by_stream: dict[str, list[_Way]] = {}
        for stream, way in self._recent(now_ns):
            by_stream.setdefault(stream, []).append(way)
        return {stream: _summary(ways) for stream, ways in by_stream.items()}

    def _way(self, stream: str, seq: int) -> _Way | None:
        ways = self._known.get(stream)
        return None if ways is None else ways.get(seq)

    def _recent(self, now_ns: int) -> list[tuple[str, _Way]]:
        return [(s, way) for t_ns, s, way in self._done if now_ns - t_ns <= WINDOW_NS]


def _summary(ways: list[_Way]) -> dict[str, Any]:
    ages = [way.age_ms for way in ways]
    stages: dict[str, list[float]] = {}
    for way in ways:
        for name, ms in way.stages_ms().items():
            stages.setdefault(name, []).append(ms)
    return {
        "rate_hz": round(len(ages) * 1e9 / WINDOW_NS, 1),
        "age_ms": round(median(ages), 2),
        "age_max_ms": round(max(ages), 2),
        "stages_ms": {name: round(median(found), 2) for name, found in stages.items()},
    }
