"""Statistics of a dataset's features, in the form of LeRobot v3: min, max, mean, std, quantiles.

Numbers of one episode are exact. Those of the dataset are exact too, except quantiles of more than
`MAX_KEPT_ROWS` rows, which come from an even subsample. Pictures are counted in 8-bit histograms,
from which every figure is exact for the sampled pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
MAX_KEPT_ROWS = 400_000
MAX_STATS_PIXELS = 150
"""Pictures are strided down to about this many pixels a side before they are counted."""

StatsDict = dict[str, list[float] | list[int] | list[list[list[float]]]]
"""One feature's statistics, as JSON and Parquet store them; count is the number of rows."""


def row_stats(rows: NDArray[np.generic]) -> StatsDict:
    """Statistics per column of `rows`, (N, k) or (N,)."""
    numbers = np.asarray(rows, np.float64).reshape(len(rows), -1)
    quantiles = np.quantile(numbers, list(QUANTILES.values()), axis=0)
    return {
        "min": numbers.min(0).tolist(),
        "max": numbers.max(0).tolist(),
        "mean": numbers.mean(0).tolist(),
        "std": numbers.std(0).tolist(),
        "count": [len(numbers)],
        **{name: q.tolist() for name, q in zip(QUANTILES, quantiles, strict=True)},
    }


@dataclass(slots=True)
class RowStats:
    """Statistics of one numeric feature over all episodes, in bounded memory."""

    _count: int = 0
    _stride: int = 1
    _kept: list[NDArray[np.float32]] = field(default_factory=list)
    _kept_rows: int = 0
    _min: NDArray[np.float64] | None = None
    _max: NDArray[np.float64] | None = None
    _mean: NDArray[np.float64] | None = None
    _m2: NDArray[np.float64] | None = None

    def add(self, rows: NDArray[np.generic]) -> None:
        """Add the rows of one episode, (N, k) or (N,), N ≥ 1."""
        numbers = np.asarray(rows, np.float64).reshape(len(rows), -1)
        self._merge_moments(numbers)
        self._keep(numbers.astype(np.float32))

    def result(self) -> StatsDict:
        """Statistics of everything added so far."""
        assert self._mean is not None and self._m2 is not None
        assert self._min is not None and self._max is not None
        stats = row_stats(np.concatenate(self._kept))
        stats["min"], stats["max"] = self._min.tolist(), self._max.tolist()
        stats["mean"] = self._mean.tolist()
        stats["std"] = np.sqrt(self._m2 / self._count).tolist()
        stats["count"] = [self._count]
        return stats

    def _merge_moments(self, rows: NDArray[np.float64]) -> None:
        """Chan, Golub, LeVeque (1983), pairwise update of mean and sum of squares."""
        mean, n = rows.mean(0), len(rows)
        m2 = ((rows - mean) ** 2).sum(0)
        low, high = rows.min(0), rows.max(0)
        if self._mean is None or self._m2 is None or self._min is None or self._max is None:
            self._mean, self._m2, self._min, self._max = mean, m2, low, high
        else:
            total, delta = self._count + n, mean - self._mean
            self._m2 = self._m2 + m2 + delta**2 * (self._count * n / total)
            self._mean = self._mean + delta * (n / total)
            self._min, self._max = np.minimum(self._min, low), np.maximum(self._max, high)
        self._count += n

    def _keep(self, rows: NDArray[np.float32]) -> None:
        first = -(self._count - len(rows)) % self._stride
        self._kept.append(rows[first :: self._stride])
        self._kept_rows += len(self._kept[-1])
        while self._kept_rows > MAX_KEPT_ROWS:
            self._kept = [np.concatenate(self._kept)[::2]]
            self._stride *= 2
            self._kept_rows = len(self._kept[0])


class PictureStats:
    """Histogram of the sampled pixels of one camera, (3, 256), channels RGB."""

    def __init__(self) -> None:
        self.histogram = np.zeros((3, 256), np.int64)
        self.pictures = 0

    def add(self, picture: NDArray[np.uint8]) -> None:
        """Count one picture, (H, W, 3) uint8."""
        stride = max(1, max(picture.shape[:2]) // MAX_STATS_PIXELS)
        small = picture[::stride, ::stride]
        for channel in range(3):
            self.histogram[channel] += np.bincount(small[..., channel].ravel(), minlength=256)
        self.pictures += 1

    def merge(self, other: PictureStats) -> None:
        """Add what another one counted."""
        self.histogram += other.histogram
        self.pictures += other.pictures

    def result(self) -> StatsDict:
        """Statistics per channel, shape (3, 1, 1), pixel values scaled to 0..1."""
        levels = np.arange(256) / 255.0
        total = self.histogram.sum(1, keepdims=True)
        mean = (self.histogram * levels).sum(1, keepdims=True) / total
        variance = (self.histogram * (levels - mean) ** 2).sum(1, keepdims=True) / total
        cumulative = self.histogram.cumsum(1)
        seen = self.histogram > 0
        figures = {
            "min": levels[seen.argmax(1)],
            "max": levels[255 - seen[:, ::-1].argmax(1)],
            "mean": mean[:, 0],
            "std": np.sqrt(variance[:, 0]),
            **{n: levels[(cumulative >= q * total).argmax(1)] for n, q in QUANTILES.items()},
        }
        stats: StatsDict = {k: v.reshape(3, 1, 1).tolist() for k, v in figures.items()}
        stats["count"] = [self.pictures]
        return stats


def sampled_rows(length: int) -> NDArray[np.int64]:
    """Rows whose pictures enter the statistics: all up to 100, then about `length ** 0.75`.

    The same law as LeRobot's `estimate_num_samples`.
    """
    count = min(length, max(100, min(int(length**0.75), 10_000)))
    return np.unique(np.round(np.linspace(0, length - 1, count)).astype(np.int64))
