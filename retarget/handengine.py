"""One tick of a hand, whoever computes it; `handreference` in numpy, `handcompiled` in numba."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from retarget.frames import Array
from retarget.handfile import Objective
from retarget.targets import Status

HOLD, NOTHING = Status.HOLD, float("nan")


@dataclass(frozen=True)
class HandConfig:
    """Settings.

    Attributes:
        objective: What is compared; that of the rig file when None.
        iterations: Gauss-Newton iterations per tick at most.
        enough_rad: No further iteration after one that moved no joint by more than this.
        huber_m: Distance from which errors count linearly [m].
        rest: Charge on the squared motion of a tick [1/rad²].
        pinch_m: Human tips nearer than this are made to meet [m].
        release_m: Until they are farther than this [m].
        pinch_weight: Factor on a vector that pinches.
        pinch_gap_m: How near they are brought [m].
        cross_weight: Factor on the vector of two fingers that both pinch.
        cross_gap_m: How far apart those are kept [m].
        normalise: Take the operator's hand as large as an average one, by its middle finger's
            bones; without it `scale` has to know its size.
    """

    objective: Objective | None = None
    iterations: int = 4
    enough_rad: float = 1e-4
    huber_m: float = 0.02
    rest: float = 4e-3
    pinch_m: float = 0.02
    release_m: float = 0.03
    pinch_weight: float = 50.0
    pinch_gap_m: float = 0.0
    cross_weight: float = 100.0
    cross_gap_m: float = 0.03
    normalise: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class HandState:
    """Everything a tick depends on, in one array that is never changed.

    Attributes:
        memory: Positions (n,), the last step (n,), which terms pinch, (terms,), and the size of
            the operator's hand.
        n: Driven joints.
        resting: Saturation bits, (n,) uint8, of a hand that moves no more unless it is asked.
    """

    memory: Array
    n: int
    resting: NDArray[np.uint8] | None = None

    @classmethod
    def rest(cls, q: Array, terms: int) -> HandState:
        """At rest at `q`, (n,), nothing pinched, no hand seen."""
        return cls(np.concatenate([q, np.zeros(len(q) + terms + 1)]), len(q))

    @property
    def q(self) -> Array:
        """Driven joints, (n,) [rad]."""
        return self.memory[: self.n]

    @property
    def step(self) -> Array:
        """What the last tick added to them, (n,) [rad]."""
        return self.memory[self.n : 2 * self.n]

    @property
    def pinched(self) -> Array:
        """1 for terms whose pinch is on, (terms,)."""
        return self.memory[2 * self.n : -1]

    @property
    def size_m(self) -> float:
        """Length of the operator's hand, smoothed [m]; 0 before one was seen."""
        return float(self.memory[-1])


class HandTick(NamedTuple):
    """What a tick did.

    Attributes:
        state: What the next tick starts from.
        status: `TRACKING`, `HOLD` (nothing asked), `INVALID` (not a hand: it brakes) or `JOINTS`.
        saturation: `Saturation` bits per joint, (n,) uint8.
        objective: Before the last iteration; NaN when nothing was followed.
    """

    state: HandState
    status: Status
    saturation: NDArray[np.uint8]
    objective: float


def hold(engine: HandEngine, start: HandState) -> HandTick:
    """Brake; a hand that rests is not computed again."""
    if start.resting is not None:
        return HandTick(start, HOLD, start.resting, NOTHING)
    tick = engine.follow(start, None)
    if tick.state.step.any():
        return tick
    state = HandState(tick.state.memory, start.n, tick.saturation)
    return HandTick(state, HOLD, tick.saturation, NOTHING)


class HandEngine(Protocol):
    """Computes ticks; keeps nothing between them that an answer depends on.

    Attributes:
        terms: How many vectors are compared.
    """

    terms: int

    def follow(self, start: HandState, joints: Array | None) -> HandTick:
        """Move towards a human hand, (26, 3) or (25, 3) [m]; brake without one."""

    def approach(self, start: HandState, goal: Array, speed: float) -> HandTick:
        """Move towards a posture, (n,), at a share `speed` of the limits."""
