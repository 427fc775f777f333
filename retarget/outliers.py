"""Reject samples that a tracker threw aside, without delaying the others.

A Hampel identifier (Hampel 1974; Davies and Gather 1993) compares a value with the median of a
window, in units of the median absolute deviation. A hand in motion has no median to compare with,
so it is the innovations that are compared: how far a sample lies from where the hand, carried on
with its own velocity, was expected. Only past samples are used: what passes, passes at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

from numpy.typing import ArrayLike

from retarget.poses import STILL, Pose, floats, minus, norm, plus, turn_between, unit

SIGMA_PER_MAD = 1.4826
"""Standard deviation of a normal distribution per median absolute deviation."""


@dataclass(frozen=True, slots=True)
class HampelConfig:
    """Settings of a `Hampel` filter.

    Added latency: none for samples that pass. A sample or a few that stand aside are never used;
    a shift that stays is believed once it fills half of the window: after 3 to 5 samples, 40 to
    70 ms at 72 Hz.

    Attributes:
        window: Past innovations that are compared with.
        sigmas: Deviations beyond which a sample is an outlier.
        floor_m: Below this no position is an outlier, however quiet the tracker [m].
        floor_rad: Same for rotations [rad].
        acceleration: Fastest believable change of a hand's velocity [m/s²].
        turn_acceleration: Same for its rotation [rad/s²].
        max_gap_s: Samples farther apart say nothing about each other [s].
    """

    window: int = 7
    sigmas: float = 4.0
    floor_m: float = 0.004
    floor_rad: float = 0.04
    acceleration: float = 60.0
    turn_acceleration: float = 600.0
    max_gap_s: float = 0.1

    def __post_init__(self) -> None:
        if self.window < 3 or not self.sigmas > 0:
            raise ValueError(f"window must be at least 3 and sigmas above 0: {self}")


class Hampel:
    """Judges the samples of one pose, in the order of their times.

    Attributes:
        config: Settings.
    """

    def __init__(self, config: HampelConfig | None = None) -> None:
        self.config = config or HampelConfig()
        self._t_ns: int | None = None
        self._seen_ns = 0
        self._p: Pose = STILL
        self._quat: Pose = (0.0, 0.0, 0.0, 1.0)
        self._rates: tuple[Pose, Pose] | None = None
        self._strayed: deque[Pose] = deque(maxlen=self.config.window)
        self._turned: deque[Pose] = deque(maxlen=self.config.window)

    def reset(self) -> None:
        """Forget; the next two poses pass, as they tell the velocity."""
        self._t_ns = None

    def passes(self, pose: ArrayLike, t_ns: int) -> bool:
        """Whether a pose (7,) sampled at `t_ns` is no outlier; later ones build on it then.

        Raises:
            ValueError: The quaternion is zero or not finite.
        """
        values = floats(pose)
        p, quat = values[:3], unit(values[3:])
        gap_s = 0.0 if self._t_ns is None else (t_ns - self._t_ns) * 1e-9
        if self._t_ns is None or gap_s > self.config.max_gap_s:
            self._start(p, quat, t_ns)
            return True
        interval_s, self._seen_ns = (t_ns - self._seen_ns) * 1e-9, t_ns
        if self._rates is None:
            self._build_on(p, quat, t_ns, gap_s)
            return True
        strayed = plus(minus(p, self._p), self._rates[0], -gap_s)
        turned = plus(turn_between(self._quat, quat), self._rates[1], -gap_s)
        if self._as_fast_as_a_hand(strayed, turned, interval_s):
            self._build_on(p, quat, t_ns, gap_s)
        elif self._explained(strayed, turned, interval_s, gap_s):
            self._start(p, quat, t_ns)
        self._strayed.append(strayed)
        self._turned.append(turned)
        return self._t_ns == t_ns

    def _start(self, p: Pose, quat: Pose, t_ns: int) -> None:
        """Begin at a sample, without knowing its velocity."""
        self._p, self._quat, self._t_ns, self._seen_ns = p, quat, t_ns, t_ns
        self._rates = None
        self._strayed.clear()
        self._turned.clear()

    def _build_on(self, p: Pose, quat: Pose, t_ns: int, gap_s: float) -> None:
        if gap_s > 0:
            ways = minus(p, self._p), turn_between(self._quat, quat)
            self._rates = plus(STILL, ways[0], 1 / gap_s), plus(STILL, ways[1], 1 / gap_s)
        self._p, self._quat, self._t_ns = p, quat, t_ns

    def _as_fast_as_a_hand(
        self, strayed: Pose, turned: Pose, interval_s: float, intervals: float = 1.0
    ) -> bool:
        """Whether innovations are small enough for noise and a hand's acceleration."""
        stray_m, stray_rad = self._allowed(interval_s)
        return norm(strayed) <= stray_m * intervals and norm(turned) <= stray_rad * intervals

    def _explained(self, strayed: Pose, turned: Pose, interval_s: float, gap_s: float) -> bool:
        """Whether a sample fits what came before, though not the velocity.

        Where samples were rejected a hand may have gone on changing its velocity; or the window
        is full of the like: a noisy tracker, or a shift that stays.
        """
        waited = gap_s / interval_s if interval_s > 0 else 1.0
        if self._as_fast_as_a_hand(strayed, turned, interval_s, waited):
            return True
        (stray_m, stray_rad), sigmas = self._allowed(interval_s), self.config.sigmas
        return _usual(strayed, self._strayed, sigmas, stray_m) and _usual(
            turned, self._turned, sigmas, stray_rad
        )

    def _allowed(self, interval_s: float) -> tuple[float, float]:
        """Innovations that are never outliers [m], [rad]."""
        c, interval2 = self.config, interval_s * interval_s
        return (
            c.floor_m + c.acceleration * interval2,
            c.floor_rad + c.turn_acceleration * interval2,
        )


def _usual(innovation: Pose, past: deque[Pose], sigmas: float, floor: float) -> bool:
    """Hampel's test: near the median of the past, in units of their own spread."""
    if len(past) < (past.maxlen or 0) // 2:
        return False
    xs, ys, zs = zip(*past, strict=True)
    middle = (median(xs), median(ys), median(zs))
    spread = median([norm(minus(other, middle)) for other in past])
    return norm(minus(innovation, middle)) <= max(floor, sigmas * SIGMA_PER_MAD * spread)
