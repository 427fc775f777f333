"""The box of steps a joint may make in one tick; never empty.

All quantities are per tick: `v` = velocity limit * dt [rad], `a` = acceleration limit * dt² [rad].
Position and acceleration limits contradict each other unless a joint starts braking in time. The
largest step from which it still can: s + (s - a) + (s - 2a) + … <= room, positive terms only.
With k terms, k s - a k (k - 1) / 2 = room. The usual sqrt(2 a room) is not exact in discrete time
and overruns or goes infeasible.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retarget.frames import Array
from retarget.targets import Saturation


def braking_step(room: Array, a: Array) -> Array:
    """Largest step from which a joint can still stop within `room` >= 0, elementwise."""
    k = np.maximum(np.ceil(0.5 * (np.sqrt(1.0 + 8.0 * room / a) - 1.0)), 1.0)
    step: Array = room / k + 0.5 * a * (k - 1.0)
    return step


class JointBox:
    """Position, velocity, acceleration and braking limits as bounds on one tick's step.

    A joint outside its position limits is kept: that bound opens to where the joint is and closes
    behind it as it comes back (one way). It is never thrown inside.

    Attributes:
        lower: Lower position limit, (n,).
        upper: Upper position limit, (n,).
        velocity: Velocity limit per tick, (n,).
        acceleration: Acceleration limit per tick², (n,).
    """

    def __init__(
        self, lower: Array, upper: Array, velocity: Array, acceleration: Array, dt: float
    ) -> None:
        self.lower = np.array(lower, dtype=np.float64)
        self.upper = np.array(upper, dtype=np.float64)
        self.velocity = np.asarray(velocity) * dt
        self.acceleration = np.asarray(acceleration) * dt * dt
        self._near_upper, self._near_lower = self.upper - 1e-9, self.lower + 1e-9
        self._near_velocity = self.velocity * (1.0 - 1e-6)
        self._near_acceleration = self.acceleration * (1.0 - 1e-6)

    def bounds(self, q: Array, step: Array) -> tuple[Array, Array]:
        """Lower and upper bound of the next step.

        Args:
            q: Where the joints are, (n,).
            step: The step they made in the last tick, (n,).
        """
        v, a = self.velocity, self.acceleration
        room = np.array([self.upper - q, q - self.lower])
        up, down = braking_step(np.maximum(room, 0.0), a)
        high = np.minimum(np.minimum(v, step + a), up)
        low = np.maximum(np.maximum(-v, step - a), -down)
        # by construction low <= high up to rounding; the position bound decides the last bit
        np.minimum(low, up, out=low)
        np.maximum(high, -down, out=high)
        np.maximum(high, low, out=high)
        return low, high

    def brake(self, step: Array) -> Array:
        """The step after `step` when braking as hard as allowed; zero at rest."""
        return np.sign(step) * np.maximum(np.abs(step) - self.acceleration, 0.0)

    def advance(self, q: Array, step: Array) -> Array:
        """`q + step`, with rounding beyond a position limit taken off."""
        following = q + step
        np.minimum(following, np.maximum(self.upper, q), out=following)
        np.maximum(following, np.minimum(self.lower, q), out=following)
        return following

    def saturation(self, step: Array, following: Array, after: Array) -> NDArray[np.uint8]:
        """`Saturation` bits of a tick that made the step `following` after `step`, to `after`."""
        stop = (after >= self._near_upper) | (after <= self._near_lower)
        speed = np.abs(following) >= self._near_velocity
        change = np.abs(following - step) >= self._near_acceleration
        bits: NDArray[np.uint8] = stop.view(np.uint8) * Saturation.POSITION.value
        bits += speed.view(np.uint8) * Saturation.VELOCITY.value
        bits += change.view(np.uint8) * Saturation.ACCELERATION.value
        return bits
