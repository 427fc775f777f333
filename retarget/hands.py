"""Human hand in, finger joints out: one call per tick, within the limits whatever is asked.

The objective is the mean Huber distance of scaled human vectors to the robot's, plus a charge on
the motion of a tick (Qin et al., AnyTeleop, 2023); which vectors, see `handterms`. It is minimised
by reweighted Gauss-Newton inside the box of steps of `limits`.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retarget.errors import TargetError
from retarget.frames import Array
from retarget.handengine import HandConfig, HandEngine, HandState, HandTick
from retarget.handmodel import Hand
from retarget.handreference import ReferenceHand
from retarget.targets import Status

__all__ = ["HandConfig", "HandRetargeter", "HandSolution", "hand_engine"]


@dataclass(frozen=True, slots=True, eq=False)
class HandSolution:
    """One tick's answer of a hand.

    Attributes:
        q: Driven joints, (n,) [rad].
        dq: Their velocities of this tick, (n,) [rad/s].
        objective: Before the tick's last iteration; NaN when nothing was followed.
        status: `TRACKING`, `HOLD` (nothing asked), `INVALID` (not a hand: it brakes) or `JOINTS`.
        saturation: `Saturation` bits per joint, (n,) uint8.
    """

    q: Array
    dq: Array
    objective: float
    status: Status
    saturation: NDArray[np.uint8]

    @classmethod
    def of(cls, tick: HandTick, dt: float) -> HandSolution:
        """The answer that a tick is."""
        state, status, bits, value = tick
        q = state.q
        q.flags.writeable = False  # the next tick starts from it
        return cls(q, state.step / dt, value, status, bits)


def hand_engine(
    hand: Hand, dt: float, config: HandConfig, scale: float = 1.0, compiled: bool | None = None
) -> HandEngine:
    """The compiled engine; the numpy one where numba is missing or `TELECAP_NO_NUMBA` is set."""
    if compiled is None:
        compiled = not os.environ.get("TELECAP_NO_NUMBA")
    if compiled and importlib.util.find_spec("numba") is not None:
        from retarget.handcompiled import CompiledHand

        return CompiledHand(hand, dt, config, scale)
    return ReferenceHand(hand, dt, config, scale)


class HandRetargeter:
    """Follow a human hand with one robot hand.

    Attributes:
        hand: The robot's hand.
        dt: Length of a tick [s].
        config: Settings.
    """

    def __init__(
        self,
        hand: Hand,
        rate_hz: float = 200.0,
        config: HandConfig | None = None,
        *,
        scale: float = 1.0,
        compiled: bool | None = None,
    ) -> None:
        """Follow at `rate_hz` ticks per second.

        Args:
            hand: The robot's hand.
            rate_hz: Ticks per second.
            config: Settings.
            scale: Further factor on the human's vectors: with `normalise` a matter of taste,
                without it hand of an average adult / theirs.
            compiled: Use numba; where it is installed and `TELECAP_NO_NUMBA` unset if left out.
        """
        self.hand, self.dt, self.config = hand, 1.0 / rate_hz, config or HandConfig()
        self._engine = hand_engine(hand, self.dt, self.config, scale, compiled)
        self.reset(hand.q_home)

    def reset(self, q: ArrayLike) -> None:
        """Start at rest from `q`, (n,), kept as it is even outside the limits.

        Raises:
            TargetError: Wrong length, or not finite.
        """
        self._state = HandState.rest(hand_posture(self.hand, q), self._engine.terms)

    def step(self, joints: Array | None) -> HandSolution:
        """Advance one tick towards a hand, (26, 3) or (25, 3) [m]; None asks for nothing."""
        return self._answer(self._engine.follow(self._state, joints))

    def step_joints(self, q_goal: ArrayLike, speed: float = 1.0) -> HandSolution:
        """Advance one tick towards a posture, (n,), all joints arriving together.

        Args:
            q_goal: Driven joints; clipped to the limits by the way it is reached.
            speed: Share of the velocity and acceleration limits, 0 to 1.

        Raises:
            TargetError: Wrong length, or not finite.
        """
        goal = hand_posture(self.hand, q_goal)
        return self._answer(self._engine.approach(self._state, goal, speed))

    def _answer(self, tick: HandTick) -> HandSolution:
        self._state = tick.state
        return HandSolution.of(tick, self.dt)


def hand_posture(hand: Hand, q: ArrayLike) -> Array:
    """A finite (n,) copy. Raises TargetError."""
    values = np.array(q, dtype=np.float64)
    if values.shape != hand.q_home.shape or not np.isfinite(values).all():
        raise TargetError(f"q must be {len(hand.q_home)} finite numbers, got {q!r}")
    return values
