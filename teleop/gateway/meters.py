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
