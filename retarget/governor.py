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

    acceleration: float = 15.0
    turn_acceleration: float = 60.0
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
        motion = np.empty(6)
        for part, a, v in zip((slice(0, 3), slice(3, 6)), self._a, self._v, strict=True):
            carried = _steady(earlier[part].tolist(), now.move[part].tolist(), v)
            motion[part] = _close_in(error[part].tolist(), last[part].tolist(), carried, a)
        return motion


def _steady(earlier: list[float], now: list[float], v: float) -> list[float]:
    """Target motion that lasted two ticks: the smaller of both, none if it is a jump."""
    before2 = sum(x * x for x in earlier)
    now2 = sum(x * x for x in now)
    steady = now if now2 <= before2 else earlier
    return steady if min(before2, now2) <= v * v else [0.0, 0.0, 0.0]


def _close_in(error: list[float], last: list[float], carried: list[float], a: float) -> list[float]:
    """One tick's motion: the target's own, plus a share of the rest that can be braked from."""
    rest = [e - c for e, c in zip(error, carried, strict=True)]
    motion = error
    distance = math.sqrt(sum(x * x for x in rest))
    allowed = _braking(distance, a)
    if distance > allowed:
        motion = [c + x * (allowed / distance) for c, x in zip(carried, rest, strict=True)]
    change = [m - p for m, p in zip(motion, last, strict=True)]
    size = math.sqrt(sum(x * x for x in change))
    if size > a:
        motion = [p + x * (a / size) for p, x in zip(last, change, strict=True)]
    return motion


def _braking(distance: float, a: float) -> float:
    """Scalar `limits.braking_step`."""
    k = max(math.ceil(0.5 * (math.sqrt(1.0 + 8.0 * distance / a) - 1.0)), 1)
    return distance / k + 0.5 * a * (k - 1)
