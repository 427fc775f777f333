"""Ways of joints between two states: the smooth one, and the one to rest. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
TINY = 1e-12
_CHOOSE = {
    n: np.array(row, dtype=np.float64)
    for n, row in (
        (5, (1, 5, 10, 10, 5, 1)),
        (4, (1, 4, 6, 4, 1)),
        (3, (1, 3, 3, 1)),
        (2, (1, 2, 1)),
    )
}


class Sample(NamedTuple):
    """Where joints are on their way.

    Attributes:
        position: (n,) [rad or m].
        velocity: (n,).
        acceleration: (n,).
    """

    position: Array
    velocity: Array
    acceleration: Array

    @classmethod
    def rest(cls, position: Array) -> Sample:
        """At rest at a position, (n,)."""
        zeros = np.zeros(len(position))
        return cls(position, zeros, zeros)


class Quintic:
    """The polynomial of fifth degree between two states, as Bézier curves of all joints.

    A Bézier curve stays within its control points, and so do its derivatives within theirs, which
    are differences of these: that bounds position, velocity, acceleration and jerk exactly.

    Attributes:
        duration: Time it takes [s].
        points: (6, n) control points of the position.
    """

    def __init__(self, start: Sample, end: Sample, duration: float) -> None:
        self.duration = duration
        d = duration / 5.0
        dd = duration * duration / 20.0
        (p0, v0, a0), (p1, v1, a1) = start, end
        self.points = np.stack(
            [p0, p0 + d * v0, p0 + 2 * d * v0 + dd * a0, p1 - 2 * d * v1 + dd * a1, p1 - d * v1, p1]
        )

    def keeps(self, velocity: Array, acceleration: Array, jerk: Array) -> bool:
        """Whether it surely keeps these limits, (n,) each."""
        derivative = self.points
        for degree, limit in ((5, velocity), (4, acceleration), (3, jerk)):
            derivative = degree / self.duration * np.diff(derivative, axis=0)
            if (np.abs(derivative) > limit).any():
                return False
        return True

    def reach(self) -> tuple[Array, Array]:
        """Lowest and highest it can get, (n,) each."""
        return self.points.min(axis=0), self.points.max(axis=0)

    def at(self, seconds: float) -> Sample:
        """State at a time; the last one from its end on."""
        u = min(max(seconds / self.duration, 0.0), 1.0)
        speeds = 5.0 / self.duration * np.diff(self.points, axis=0)
        changes = 4.0 / self.duration * np.diff(speeds, axis=0)
        return Sample(_bezier(self.points, u), _bezier(speeds, u), _bezier(changes, u))


def _bezier(points: Array, u: float) -> Array:
    """Point of Bézier curves, (degree + 1, n), at 0 <= u <= 1."""
    n = len(points) - 1
    k = np.arange(n + 1)
    weights: Array = _CHOOSE[n] * u**k * (1.0 - u) ** (n - k)
    value: Array = weights @ points
    return value


def stopping_way(v: Array, a: Array, most_a: Array, jerk: Array) -> tuple[Array, Array]:
    """Farthest to either side that joints get while they stop as hard as limits allow, (n,) each.

    Time-optimal profile of three phases: acceleration to `-peak` at full jerk, held, back to 0.
    Its peak follows from the velocity it has to take away, `v + a² / 2j = peak² / j`; it is written
    for a velocity that is above 0 once the acceleration has gone, and mirrored otherwise.
    """
    mirror = np.where(v + 0.5 * a * np.abs(a) / jerk >= 0.0, 1.0, -1.0)
    v, a = mirror * v, mirror * a
    away = np.maximum(v + 0.5 * a * a / jerk, 0.0)
    peak = np.minimum(np.sqrt(jerk * away), most_a)
    peak = np.maximum(peak, -a)  # rounding
    t1, t3 = (a + peak) / jerk, peak / jerk
    t2 = np.maximum(away - peak * peak / jerk, 0.0) / np.maximum(peak, TINY)
    far = v * t1 + a * t1**2 / 2 - jerk * t1**3 / 6
    v1 = v + a * t1 - jerk * t1**2 / 2
    far = far + v1 * t2 - peak * t2**2 / 2
    v2 = v1 - peak * t2
    far = far + v2 * t3 - peak * t3**2 / 2 + jerk * t3**3 / 6
    # where it first still goes the other way: up to the moment it turns
    turn = np.where(v < 0.0, (a - np.sqrt(np.maximum(a * a + 2.0 * jerk * v, 0.0))) / jerk, 0.0)
    back = v * turn + a * turn**2 / 2 - jerk * turn**3 / 6
    low, high = np.minimum(back, 0.0), np.maximum(far, 0.0)
    return np.where(mirror > 0, low, -high), np.where(mirror > 0, high, -low)


def cubic_reach(p: Array, v: Array, a: Array, j: Array, t: Array) -> tuple[Array, Array]:
    """Lowest and highest position in a time `t` of constant jerk, elementwise.

    Where it ends, and where it turns: at the zeros of `v + a s + j s² / 2` within 0 <= s <= t.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.maximum(a * a - 2.0 * j * v, 0.0))
        turns = [-v / a, (-a + root) / j, (-a - root) / j]
    times = [np.zeros_like(t), t, *(np.clip(np.nan_to_num(s), 0.0, t) for s in turns)]
    places = np.array([p + s * (v + s * (a / 2.0 + s * j / 6.0)) for s in times])
    return places.min(axis=0), places.max(axis=0)
