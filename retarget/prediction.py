"""Where a hand is now, from samples that came a while ago and at their own rate.

A headset sends 60 to 120 poses a second, a robot wants 200 and more commands: repeating the last
pose would make it move in jerks, waiting for the next one costs a sample of delay. So the hand is
carried on with its own velocity for a short while, and what a new sample corrects is blended in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from retarget.frames import Array
from retarget.poses import STILL, Pose, floats, minus, plus, turn_between, turned, unit

FADED = 12.0
"""Time constants after which a correction counts as blended in: less than 1e-4 of it is left."""


@dataclass(frozen=True, slots=True)
class PredictionConfig:
    """Settings of a `PosePredictor`.

    Attributes:
        horizon_s: A hand is carried on at full speed for this long after its last sample, and
            for as long as it is predicted ahead [s].
        stop_s: After that it comes to rest within this time [s].
        velocity_s: Time constant of the velocity; longer is calmer and later [s].
        blend_s: Time constant with which a correction is blended in [s].
        max_gap_s: Samples farther apart than this say nothing about velocity [s].
    """

    horizon_s: float = 0.025
    stop_s: float = 0.05
    velocity_s: float = 0.02
    blend_s: float = 0.03
    max_gap_s: float = 0.1

    def __post_init__(self) -> None:
        times = (self.stop_s, self.blend_s, self.max_gap_s)
        if not (min(times) > 0 and self.horizon_s >= 0 and self.velocity_s >= 0):
            raise ValueError(f"times must be above 0, horizon and velocity at least 0: {self}")


class PosePredictor:
    """Continuous pose of one hand from timestamped samples: neither it nor its speed jumps.

    Attributes:
        config: Settings.
    """

    def __init__(self, config: PredictionConfig | None = None) -> None:
        self.config = config or PredictionConfig()
        self.reset()

    def reset(self) -> None:
        """Forget everything; the next sample is taken as it is, at rest."""
        self._t_ns: int | None = None
        self._p: Pose = STILL
        self._quat: Pose = (0.0, 0.0, 0.0, 1.0)
        self._velocity: Pose = STILL
        self._turn_rate: Pose = STILL
        # what the shown pose was off the carried-on one at `_since_ns`, and how fast it went off
        self._since_ns = 0
        self._off: tuple[Pose, Pose] = (STILL, STILL)
        self._drift: tuple[Pose, Pose] = (STILL, STILL)

    def update(
        self, pose: ArrayLike, t_ns: int, shown_ns: int | None = None, lead_s: float = 0.0
    ) -> None:
        """Take a sample, (7,), made at `t_ns`; older ones than the last are ignored.

        Args:
            pose: Position [m] and quaternion xyzw.
            t_ns: When it was sampled [ns].
            shown_ns: Time the pose was last asked for: there the correction begins to be blended
                in; at the sample when left out [ns].
            lead_s: How far ahead that was asked on purpose, see `at` [s].
        """
        if self._t_ns is not None and t_ns <= self._t_ns:
            return
        values = floats(pose)
        p, quat = values[:3], unit(values[3:])
        if self._t_ns is None:
            self._p, self._quat, self._t_ns = p, quat, t_ns
            return
        since_ns = t_ns if shown_ns is None else shown_ns
        place, speed = self._shown(since_ns, lead_s)
        self._measure_velocity(p, quat, (t_ns - self._t_ns) * 1e-9)
        self._p, self._quat, self._t_ns = p, quat, t_ns
        self._blend_from(place, speed, since_ns, lead_s)

    def at(self, t_ns: int, lead_s: float = 0.0) -> Array:
        """Pose (7,) at `t_ns`.

        Args:
            t_ns: Time [ns]; before the last sample it is carried back.
            lead_s: Share of the time since the sample that is asked on purpose, so that it does
                not count as silence of the tracker [s].

        Raises:
            ValueError: There was no sample since the reset.
        """
        if self._t_ns is None:
            raise ValueError("at() before update(): no sample to predict from")
        (p, quat), _ = self._shown(t_ns, lead_s)
        return np.array([*p, *quat])

    def _measure_velocity(self, p: Pose, quat: Pose, gap_s: float) -> None:
        if gap_s > self.config.max_gap_s:
            self._velocity = self._turn_rate = STILL
            return
        share = gap_s / (gap_s + self.config.velocity_s)
        for name, way, rate in (
            ("_velocity", minus(p, self._p), self._velocity),
            ("_turn_rate", turn_between(self._quat, quat), self._turn_rate),
        ):
            setattr(self, name, plus(plus(rate, rate, -share), way, share / gap_s))

    def _blend_from(
        self, place: tuple[Pose, Pose], speed: tuple[Pose, Pose], since_ns: int, lead_s: float
    ) -> None:
        """Go on at `since_ns` with the place and the speed that were shown there."""
        self._since_ns, age_s = since_ns, (since_ns - (self._t_ns or 0)) * 1e-9
        carried, pace = self._carried(age_s, lead_s)
        ways = minus(place[0], self._p), turn_between(self._quat, place[1])
        rates = self._velocity, self._turn_rate
        self._off = plus(ways[0], rates[0], -carried), plus(ways[1], rates[1], -carried)
        self._drift = plus(speed[0], rates[0], -pace), plus(speed[1], rates[1], -pace)

    def _shown(self, t_ns: int, lead_s: float) -> tuple[tuple[Pose, Pose], tuple[Pose, Pose]]:
        """Position and quaternion at a time, and their rates."""
        since_sample_s = 0.0 if self._t_ns is None else (t_ns - self._t_ns) * 1e-9
        carried, pace = self._carried(since_sample_s, lead_s)
        age = max((t_ns - self._since_ns) * 1e-9, 0.0)
        k = 1.0 / self.config.blend_s
        fade = math.exp(-k * age) if k * age < FADED else 0.0
        ways, rates = [], []
        for rate, off, drift in zip(
            (self._velocity, self._turn_rate), self._off, self._drift, strict=True
        ):
            # critically damped: (off + (drift + k off) t) exp(-k t)
            push = plus(drift, off, k)
            left = plus(off, push, age)
            ways.append(plus(_scaled(rate, carried), left, fade))
            rates.append(plus(_scaled(rate, pace), plus(push, left, -k), fade))
        place = (plus(self._p, ways[0]), turned(self._quat, ways[1]))
        return place, (rates[0], rates[1])

    def _carried(self, age_s: float, lead_s: float) -> tuple[float, float]:
        """How long the hand was carried on [s], and at what share of its speed it still goes.

        At full speed up to the horizon, then evenly slower.
        """
        c = self.config
        horizon_s = c.horizon_s + lead_s
        if age_s <= horizon_s:
            return max(age_s, -c.max_gap_s), 1.0
        late = min(age_s - horizon_s, c.stop_s)
        return horizon_s + late - 0.5 * late * late / c.stop_s, 1.0 - late / c.stop_s


def _scaled(v: Pose, share: float) -> Pose:
    x, y, z = v
    return share * x, share * y, share * z
