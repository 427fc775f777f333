"""One tick of a `Retargeter`, whoever computes it: what goes in, what comes out.

There are two engines with the same answers: `reference` in numpy and daqp, `compiled` in numba.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from retarget.frames import Array
from retarget.limits import JointBox
from retarget.rig import Rig
from retarget.targets import Status, Targets


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Everything a tick depends on, in one array that is never changed.

    Attributes:
        memory: The arrays below, one after the other.
        sizes: Joints and grippers, tips, and pairs that must not touch.
    """

    memory: Array
    sizes: tuple[int, int, int]

    @classmethod
    def of(
        cls,
        x: Array,
        step: Array,
        targets: Array,
        moves: Array,
        opened: Array,
        activity: float,
        left: Array,
    ) -> State:
        """A state of these parts."""
        parts: list[Array] = [x, step, targets.ravel(), moves.ravel(), opened]
        parts += [np.array([activity]), left.ravel()]
        return cls(np.concatenate(parts), (len(x), len(targets), len(opened)))

    @classmethod
    def rest(cls, x: Array, tips: int, pairs: int) -> State:
        """At rest at `x`, (nq + n_grippers,), with nothing followed so far."""
        unknown, unopened = np.full((tips, 3, 4), np.nan), np.full(pairs, np.nan)
        left = np.full((tips, 2), np.nan)
        return cls.of(x, np.zeros(len(x)), unknown, np.zeros((tips, 6)), unopened, 0.0, left)

    @property
    def x(self) -> Array:
        """Joint positions, then gripper openings, (nq + n_grippers,)."""
        return self.memory[: self.sizes[0]]

    @property
    def step(self) -> Array:
        """What the last tick added to them."""
        return self.memory[self.sizes[0] : 2 * self.sizes[0]]

    @property
    def targets(self) -> Array:
        """Each tip's target `[R | p]` in the last tick, NaN where there was none, (tips, 3, 4)."""
        begin, tips = 2 * self.sizes[0], self.sizes[1]
        return self.memory[begin : begin + 12 * tips].reshape(tips, 3, 4)

    @property
    def moves(self) -> Array:
        """How each target moved in that tick, (tips, 6)."""
        begin, tips = 2 * self.sizes[0] + 12 * self.sizes[1], self.sizes[1]
        return self.memory[begin : begin + 6 * tips].reshape(tips, 6)

    @property
    def opened(self) -> Array:
        """Widest each pair that must not touch has been, up to the band [m], (pairs,).

        NaN where nothing was followed.
        """
        begin = 2 * self.sizes[0] + 18 * self.sizes[1]
        return self.memory[begin : begin + self.sizes[2]]

    @property
    def activity(self) -> float:
        """Smoothed weighted error the ticks started from."""
        return float(self.memory[-1 - 2 * self.sizes[1]])

    @property
    def left(self) -> Array:
        """How far each tip is from its target [m], [rad], NaN where there was none, (tips, 2)."""
        return self.memory[len(self.memory) - 2 * self.sizes[1] :].reshape(-1, 2)


class Tick(NamedTuple):
    """What a tick did.

    Attributes:
        state: What the next tick starts from, and how far tips are from their targets.
        status: How well the tick could follow.
        saturation: `Saturation` bits per joint, (nq,).
        clearance_m: Smallest distance of parts that must not touch [m]; NaN where none is known.
    """

    state: State
    status: Status
    saturation: NDArray[np.uint8]
    clearance_m: float = math.nan


class Engine(Protocol):
    """Computes ticks; keeps nothing between them that an answer depends on.

    Attributes:
        pairs: How many pairs of parts must not touch.
    """

    pairs: int

    def follow(self, start: State, targets: Targets) -> Tick:
        """Move towards the targets; what is not asked brakes."""

    def approach(
        self, start: State, goal: Array, openings: Sequence[float | None], speed: float
    ) -> Tick:
        """Move towards a joint posture, (nq,), at a share `speed` of the limits."""


def whole_box(rig: Rig, dt: float) -> JointBox:
    """Limits of the joints and, after them, of the gripper openings."""
    grippers = [rig.grippers[side] for side in rig.gripper_names]
    n = len(grippers)
    return JointBox(
        np.concatenate([rig.lower, np.zeros(n)]),
        np.concatenate([rig.upper, np.ones(n)]),
        np.concatenate([rig.velocity_limit, [g.velocity for g in grippers]]),
        np.concatenate([rig.acceleration_limit, [g.acceleration for g in grippers]]),
        dt,
    )
