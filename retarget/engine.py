"""One tick of a `Retargeter`, whoever computes it: what goes in, what comes out.

There are two engines with the same answers: `reference` in numpy and daqp, `compiled` in numba.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from retarget.frames import Array
from retarget.limits import JointBox
from retarget.rig import Rig
from retarget.targets import Targets


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Everything a tick depends on; never changed in place.

    Attributes:
        x: Joint positions, then gripper openings, (nq + n_grippers,).
        step: What the last tick added to them.
        targets: Each tip's target `[R | p]` in the last tick, NaN where there was none,
            (tips, 3, 4).
        moves: How each target moved in that tick, (tips, 6).
        activity: Smoothed weighted error the ticks started from.
    """

    x: Array
    step: Array
    targets: Array
    moves: Array
    activity: float = 0.0


class Tick(NamedTuple):
    """What a tick did.

    Attributes:
        state: What the next tick starts from.
        residuals: Per followed tip: distance to its target [m], angle to it [rad].
        saturation: `Saturation` bits per joint, (nq,).
        refused: Whether a target was left out because it is not a finite rigid pose.
    """

    state: State
    residuals: Mapping[str, tuple[float, float]]
    saturation: NDArray[np.uint8]
    refused: bool = False


class Engine(Protocol):
    """Computes ticks; keeps nothing between them that an answer depends on."""

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
