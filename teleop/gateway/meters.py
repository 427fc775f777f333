"""Rates and latencies as the operator sees them. Pure; time is a parameter."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

RATE_WINDOW_NS = 1_000_000_000


@dataclass(slots=True)
class RateMeter:
    """Messages per second, by topic, from their running counts."""

    rates: dict[str, float] = field(default_factory=dict)
    _marks: dict[str, tuple[int, int]] = field(default_factory=dict)

    def update(self, counts: dict[str, int], now_ns: int) -> None:
        """Take the counts of a moment; a count that went back is a new publisher."""
        for topic, count in counts.items():
            t_ns, before = self._marks.get(topic, (None, 0))
            if t_ns is None or count < before:
                self._marks[topic] = (now_ns, count)
            elif now_ns - t_ns >= RATE_WINDOW_NS:
                self.rates[topic] = round((count - before) * 1e9 / (now_ns - t_ns), 1)
                self._marks[topic] = (now_ns, count)
        for topic, (t_ns, _) in self._marks.items():
            if now_ns - t_ns > 2 * RATE_WINDOW_NS:
                self.rates[topic] = 0.0


@dataclass(slots=True)
class LatencyMeter:
    """Median time from a pose's arrival to the first command that uses it."""

    _samples_ms: deque[float] = field(default_factory=lambda: deque(maxlen=200))

    def add(self, commands: Iterable[Any]) -> None:
        """Take rows of `command/requested`."""
        for row in commands:
            if row["first_use"] and row["t_operator_receive_ns"] > 0:
                self._samples_ms.append(int(row["t_ns"] - row["t_operator_receive_ns"]) / 1e6)

    @property
    def median_ms(self) -> float | None:
        """Median of the newest 200 [ms], None before the first."""
        return round(median(self._samples_ms), 3) if self._samples_ms else None


@dataclass(slots=True)
class PictureMeter:
    """How old pictures are when a client has decoded them, over the last seconds."""

    _ages: deque[tuple[int, str, float]] = field(default_factory=lambda: deque(maxlen=1024))

    def add(self, stream: str, age_ns: int, now_ns: int) -> None:
        """A picture was decoded this long after its capture."""
        self._ages.append((now_ns, stream, age_ns / 1e6))

    def median_ms(self, now_ns: int, window_ns: int = RATE_WINDOW_NS) -> float | None:
        """Median over all streams [ms], None without pictures."""
        ages = [age for t_ns, _, age in self._ages if now_ns - t_ns <= window_ns]
        return round(median(ages), 1) if ages else None

    def summary(self, now_ns: int, window_ns: int = RATE_WINDOW_NS) -> dict[str, dict[str, float]]:
        """Of each stream: pictures per second, median and largest age [ms]."""
        by_stream: dict[str, list[float]] = {}
        for t_ns, stream, age in self._ages:
            if now_ns - t_ns <= window_ns:
                by_stream.setdefault(stream, []).append(age)
        return {
            stream: {
                "rate_hz": round(len(ages) * 1e9 / window_ns, 1),
                "age_ms": round(median(ages), 2),
                "age_max_ms": round(max(ages), 2),
            }
            for stream, ages in by_stream.items()
        }
