"""Map a device's clock to the host's from ping round trips.

The host notes `t_send`, the device answers with its own time, the host notes `t_receive`. The
device read its clock somewhere inside that interval, so the midpoint is right to half the round
trip; short round trips are the good ones (the minimum filter of NTP, RFC 5905 section 10).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from calibration.errors import ClockSampleError, NoClockFitError

_FLOOR_NS = 20_000.0
"""Least standard deviation given to one round trip [ns]: scheduling noise of both ends."""
_HUBER = 1.5
"""Residuals beyond this many standard deviations count linearly, not squared."""
_STEP_NS = 20_000_000
"""A midpoint this far off the fit, beyond its own round trip, is a stepped clock, not jitter."""
_STEP_COUNT = 3
_DRIFT_SIGMAS = 2.0
"""Drifts beyond this many prior standard deviations are taken as impossible by the error bound."""


@dataclass(frozen=True, slots=True)
class ClockFit:
    """One straight line from device time to host time.

    Attributes:
        t_device_ns: Device time the line is anchored at, that of the newest round trip [ns].
        offset_ns: Host minus device time at the anchor [ns].
        drift_ppm: How much faster the host clock runs [parts per million].
        uncertainty_ns: Bound of the error at the anchor: half of the shortest round trip in the
            window, plus the drift possible since that round trip [ns].
        samples: Round trips used.
        span_ns: Device time from the oldest to the newest of them [ns].
    """

    t_device_ns: int
    offset_ns: int
    drift_ppm: float
    uncertainty_ns: int
    samples: int
    span_ns: int

    def to_host_ns(self, t_device_ns: int) -> int:
        """Host time of a device time [ns]; strictly increasing, as drift is far below 100 %."""
        ahead = t_device_ns - self.t_device_ns
        return t_device_ns + self.offset_ns + round(ahead * self.drift_ppm * 1e-6)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as stored with an episode."""
        return asdict(self)


class ClockEstimator:
    """Offset and drift of one device, kept up to date round trip by round trip.

    Args:
        window_ns: How long a round trip counts [ns of host time].
        max_samples: Most round trips kept.
        min_samples: Round trips needed before there is a fit.
        drift_sigma_ppm: Prior standard deviation of the drift; quartz is within 100 ppm, so a
            short window does not mistake network jitter for drift.
    """

    def __init__(
        self,
        *,
        window_ns: int = 120_000_000_000,
        max_samples: int = 256,
        min_samples: int = 3,
        drift_sigma_ppm: float = 50.0,
    ) -> None:
        self._window_ns = window_ns
        self._min_samples = min_samples
        self._drift_sigma = drift_sigma_ppm * 1e-6
        self._trips: deque[tuple[int, int, int]] = deque(maxlen=max_samples)
        self._fit: ClockFit | None = None
        self._strays: list[tuple[int, int, int]] = []
        self._last: tuple[int, int] | None = None
        self.steps = 0
        """How often the device clock jumped (sleep, reboot) and the window was started anew."""

    def add(self, t_send_ns: int, t_device_ns: int, t_receive_ns: int) -> None:
        """Take one round trip: host send, device answer, host receive [ns].

        Raises:
            ClockSampleError: The answer was received before the question was sent.
        """
        if t_receive_ns < t_send_ns:
            raise ClockSampleError(
                f"ping answered at {t_receive_ns} ns, before it was sent at {t_send_ns} ns"
            )
        trip = (t_send_ns, t_device_ns, t_receive_ns)
        if not self._believable(trip):
            self._strays.append(trip)
            if len(self._strays) < _STEP_COUNT:
                return
            self._restart()
        else:
            self._strays.clear()
            self._trips.append(trip)
        while t_receive_ns - self._trips[0][2] > self._window_ns:
            self._trips.popleft()
        self._fit = self._solve() if len(self._trips) >= self._min_samples else None

    @property
    def ready(self) -> bool:
        """Whether there is a fit."""
        return self._fit is not None

    def fit(self) -> ClockFit:
        """The present line.

        Raises:
            NoClockFitError: Fewer round trips than needed were seen.
        """
        if self._fit is None:
            raise NoClockFitError(
                f"{len(self._trips)} ping round trips seen, {self._min_samples} needed for a fit"
            )
        return self._fit

    @property
    def offset_ns(self) -> int:
        """Host minus device time at the newest round trip [ns]."""
        return self.fit().offset_ns

    @property
    def drift_ppm(self) -> float:
        """How much faster the host clock runs [ppm]."""
        return self.fit().drift_ppm

    @property
    def uncertainty_ns(self) -> int:
        """Half of the shortest round trip in the window, plus drift since then [ns]."""
        return self.fit().uncertainty_ns

    def to_host_ns(self, t_device_ns: int) -> int:
        """Host time of a device time [ns], never earlier than that of an earlier device time.

        A refined fit may move the line back a little; samples in order then share one host time
        until the line has caught up, instead of running backwards.
        """
        t_host = self.fit().to_host_ns(t_device_ns)
        if self._last is not None and t_device_ns >= self._last[0]:
            t_host = max(t_host, self._last[1])
        self._last = (t_device_ns, t_host)
        return t_host

    def _believable(self, trip: tuple[int, int, int]) -> bool:
        """Whether the present line passes near the interval this round trip allows."""
        if self._fit is None:
            return True
        t_send, t_device, t_receive = trip
        expected = self._fit.to_host_ns(t_device)
        return t_send - _STEP_NS <= expected <= t_receive + _STEP_NS

    def _restart(self) -> None:
        self._trips.clear()
        self._trips.extend(self._strays)
        self._strays.clear()
        self._last = None
        self.steps += 1

    def _solve(self) -> ClockFit:
        """Weighted Huber line fit with a prior on the slope, by re-weighted least squares."""
        trips = np.array(self._trips, dtype=np.int64)
        t_device = trips[:, 1]
        anchor = int(t_device[-1])
        rtt = (trips[:, 2] - trips[:, 0]).astype(np.float64)
        # Doubling before halving keeps the midpoint an exact integer; differences are then small
        # enough for float64.
        gap = trips[:, 0] - t_device
        base = int(gap[-1])
        y = (gap - base).astype(np.float64) + rtt / 2
        x = (t_device - anchor).astype(np.float64)
        # Beyond the shortest trip, all we know of the excess is that the midpoint may be wrong by
        # half of it. Such errors share a sign when one direction queues, so they do not average
        # out: the factor makes long trips count for much less still.
        excess = rtt - rtt.min()
        sigma = excess / 2 * (1.0 + excess / np.maximum(rtt.min(), _FLOOR_NS)) + _FLOOR_NS
        weight = 1.0 / sigma**2
        offset, slope = _line(x, y, weight, self._drift_sigma)
        for _ in range(4):
            residual = np.abs(y - offset - slope * x) / sigma
            robust = weight * np.minimum(1.0, _HUBER / np.maximum(residual, 1e-12))
            offset, slope = _line(x, y, robust, self._drift_sigma)
        low, high = self._bounds(x, y, rtt)
        offset = min(max(offset, low), high)
        return ClockFit(
            t_device_ns=anchor,
            offset_ns=base + round(offset),
            drift_ppm=slope * 1e6,
            uncertainty_ns=math.ceil(max(high - offset, offset - low)),
            samples=len(trips),
            span_ns=int(t_device.max() - t_device.min()),
        )

    def _bounds(self, x: np.ndarray, y: np.ndarray, rtt: np.ndarray) -> tuple[float, float]:
        """Interval the offset at the anchor must lie in, whatever the jitter did [ns].

        Each round trip bounds it by its own half, widened by the drift since then.
        """
        half = rtt / 2 + _DRIFT_SIGMAS * self._drift_sigma * np.abs(x)
        low, high = float((y - half).max()), float((y + half).min())
        if low <= high:
            return low, high
        best = half.argmin()  # more drift than believed possible: trust the best trip alone
        return float(y[best] - half[best]), float(y[best] + half[best])


def _line(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, slope_sigma: float
) -> tuple[float, float]:
    """Offset at x = 0 and slope of the weighted line, slope ~ N(0, slope_sigma) a priori."""
    total = weight.sum()
    mean_x, mean_y = float(weight @ x / total), float(weight @ y / total)
    dx, dy = x - mean_x, y - mean_y
    information = float(weight @ (dx * dx)) + 1.0 / slope_sigma**2
    slope = float(weight @ (dx * dy)) / information
    return mean_y - slope * mean_x, slope
