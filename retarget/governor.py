"""Lead a tip to its target no faster than it could stop there.

A solver that goes all the way in one tick suits targets that move smoothly; after a jump (coarse
input rates, reach lost and regained) it overshoots and rings, since joints cannot brake at will.
The governor gives the solver a reference on the way: the tip's speed relative to the target
follows the discrete braking law, and its change per tick is bounded. A target that moves smoothly
at every tick is passed on unchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from retarget.frames import Array, motion_between


@dataclass(frozen=True, slots=True)
class GovernorConfig:
    """How fast a tip may close in on its target.

    Attributes:
        acceleration: Of the tool centre point [m/s²].
        turn_acceleration: Of its rotation [rad/s²].
        max_speed: Target speed that is believed to be motion, not a jump [m/s].
        max_turn: Same for rotation [rad/s].
    """

    acceleration: float = 8.0
    turn_acceleration: float = 32.0
    max_speed: float = 3.0
    max_turn: float = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class TargetMotion:
    """What is remembered of one tip's target.

    Attributes:
        T: The target of the last tick, (4, 4).
        move: How far it moved in that tick: translation, rotation vector, (6,).
    """

    T: Array
    move: Array


class Governor:
    """Turn the motion that is asked of a tip into one that it can also stop from.

    Attributes:
        config: Settings.
    """

    def __init__(self, config: GovernorConfig, dt: float) -> None:
        self.config = config
        self._a = (config.acceleration * dt * dt, config.turn_acceleration * dt * dt)
        self._v = (config.max_speed * dt, config.max_turn * dt)

    def observe(self, before: TargetMotion | None, T: Array) -> TargetMotion:
        """Remember a new target."""
        return TargetMotion(T, np.zeros(6) if before is None else motion_between(before.T, T))

    def lead(
        self, error: Array, last: Array, before: TargetMotion | None, now: TargetMotion
    ) -> Array:
        """Motion to make in this tick, (6,): translation [m] and rotation vector [rad].

        Args:
            error: Motion that would reach the target, (6,).
            last: Motion the tip made in the last tick, (6,).
            before: The target's motion one tick earlier; None when it is new.
            now: The target's motion.
        """
        earlier = now.move if before is None else before.move
        e, p, m0, m1 = error.tolist(), last.tolist(), earlier.tolist(), now.move.tolist()
        linear = _close_in(e[:3], p[:3], _steady(m0[:3], m1[:3], self._v[0]), self._a[0])
        turning = _close_in(e[3:], p[3:], _steady(m0[3:], m1[3:], self._v[1]), self._a[1])
        return np.array(linear + turning)


def _norm2(v: list[float]) -> float:
    x, y, z = v
    return x * x + y * y + z * z


def _steady(earlier: list[float], now: list[float], v: float) -> list[float]:
    """Target motion that lasted two ticks: the smaller of both, none if it is a jump."""
    before2, now2 = _norm2(earlier), _norm2(now)
    if min(before2, now2) > v * v:
        return [0.0, 0.0, 0.0]
    return now if now2 <= before2 else earlier


def _close_in(error: list[float], last: list[float], carried: list[float], a: float) -> list[float]:
    """One tick's motion: the target's own, plus a share of the rest that can be braked from."""
    motion = error
    (x, y, z), (cx, cy, cz) = error, carried
    x, y, z = x - cx, y - cy, z - cz
    distance = math.sqrt(x * x + y * y + z * z)
    if distance > a:  # less than that can always be braked from
        share = min(_braking(distance, a) / distance, 1.0)
        if share < 1.0:
            motion = [cx + x * share, cy + y * share, cz + z * share]
    (x, y, z), (px, py, pz) = motion, last
    x, y, z = x - px, y - py, z - pz
    change = math.sqrt(x * x + y * y + z * z)
    if change > a:
        share = a / change
        return [px + x * share, py + y * share, pz + z * share]
    return motion


def _braking(distance: float, a: float) -> float:
    """Scalar `limits.braking_step`."""
    k = max(math.ceil(0.5 * (math.sqrt(1.0 + 8.0 * distance / a) - 1.0)), 1)
    return distance / k + 0.5 * a * (k - 1)
