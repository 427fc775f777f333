"""The One-Euro filter of a pose: calm at rest, quick in motion (Casiez, Roussel, Vogel 2012)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from retarget.frames import Array
from retarget.poses import STILL, Pose, floats, minus, norm, plus, turn_between, turned, unit


@dataclass(frozen=True, slots=True)
class OneEuroConfig:
    """A trade of jitter against lag.

    Attributes:
        min_cutoff_hz: Cut-off at rest; lower means calmer and later [Hz].
        beta: Cut-off gained per speed of the position [Hz / (m/s)].
        beta_rotation: Cut-off gained per speed of the rotation [Hz / (rad/s)].
        speed_cutoff_hz: Cut-off of the speed estimate [Hz].
    """

    min_cutoff_hz: float = 3.0
    beta: float = 40.0
    beta_rotation: float = 8.0
    speed_cutoff_hz: float = 5.0

    def __post_init__(self) -> None:
        if not (self.min_cutoff_hz > 0 and self.speed_cutoff_hz > 0 and self.beta >= 0):
            raise ValueError(f"cut-offs must be above 0 and beta at least 0: {self}")

    def lag_s(self, speed_m_s: float) -> float:
        """How long a hand of steady speed is behind in its position [s].

        `1 / (2 π (min_cutoff_hz + beta speed))`: the time constant of a first-order low-pass. It
        holds exactly for a ramp sampled at any rate, once the speed estimate has settled; while
        the hand speeds up the lag is longer. The way behind, speed times lag, never exceeds
        `1 / (2 π beta)`.
        """
        return 1.0 / (2.0 * math.pi * (self.min_cutoff_hz + self.beta * speed_m_s))

    def rotation_lag_s(self, speed_rad_s: float) -> float:
        """How long a hand that turns steadily is behind in its rotation [s]; see `lag_s`."""
        return 1.0 / (2.0 * math.pi * (self.min_cutoff_hz + self.beta_rotation * speed_rad_s))


class OneEuro:
    """One-Euro filter of a pose: position in R³, rotation on SO(3) along its geodesics."""

    def __init__(self, config: OneEuroConfig | None = None) -> None:
        self.config = config or OneEuroConfig()
        self._t_ns: int | None = None
        self._p: Pose = STILL
        self._quat: Pose = (0.0, 0.0, 0.0, 1.0)
        self._raw: tuple[Pose, Pose] = (self._p, self._quat)
        self._velocity: Pose = STILL
        self._turn_rate: Pose = STILL

    def reset(self) -> None:
        """Forget; the next pose passes unchanged."""
        self._t_ns = None

    @property
    def lag_s(self) -> float:
        """How long the position is behind at the present speed [s]."""
        return self.config.lag_s(norm(self._velocity))

    @property
    def rotation_lag_s(self) -> float:
        """How long the rotation is behind at the present speed [s]."""
        return self.config.rotation_lag_s(norm(self._turn_rate))

    def filter(self, pose: ArrayLike, t_ns: int) -> Array:
        """Filtered pose (7,) of a pose (7,) sampled at `t_ns`; times must not run backwards.

        Raises:
            ValueError: The quaternion is zero or not finite.
        """
        values = floats(pose)
        p, quat = values[:3], unit(values[3:])
        if self._t_ns is None:
            self._p, self._quat = p, quat
            self._velocity = self._turn_rate = STILL
        elif t_ns > self._t_ns:
            self._smooth(p, quat, (t_ns - self._t_ns) * 1e-9)
        self._t_ns, self._raw = t_ns, (p, quat)
        return np.array([*self._p, *self._quat])

    def _smooth(self, p: Pose, quat: Pose, dt: float) -> None:
        """Go part of the way towards the new pose, further the faster it moves."""
        c = self.config
        share = _share(c.speed_cutoff_hz, dt)
        # from raw to raw: from the filtered pose the speed would grow with the lag and the rate
        moved, turn = minus(p, self._raw[0]), turn_between(self._raw[1], quat)
        self._velocity = _towards(self._velocity, moved, share, dt)
        self._turn_rate = _towards(self._turn_rate, turn, share, dt)
        moved, turn = minus(p, self._p), turn_between(self._quat, quat)
        go = _share(c.min_cutoff_hz + c.beta * norm(self._velocity), dt)
        go_turn = _share(c.min_cutoff_hz + c.beta_rotation * norm(self._turn_rate), dt)
        self._p = plus(self._p, moved, go)
        self._quat = turned(self._quat, turn, go_turn)


def _towards(rate: Pose, way: Pose, share: float, dt: float) -> Pose:
    """A rate after a low-pass step towards `way / dt`."""
    return tuple(old + share * (new / dt - old) for old, new in zip(rate, way, strict=True))


def _share(cutoff_hz: float, dt: float) -> float:
    """Weight of the new sample in a first-order low-pass."""
    r = 2.0 * math.pi * cutoff_hz * dt
    return r / (r + 1.0)
