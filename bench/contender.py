"""What every measured solver does: start somewhere, then a frame at a time, targets in, q out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retarget import RetargeterConfig, Rig

Array = NDArray[np.float64]
POSTURE_COST = 5e-3
"""[cost] / [rad] of the peers' posture task, towards the posture at the start."""
LM_DAMPING = 1.0
"""Levenberg-Marquardt damping of the peers' frame tasks, in proportion to the squared error; with
none they are many times rougher out of reach."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What all are held to: the rig's own limits, in its joint order."""

    lower: Array
    upper: Array
    velocity: Array
    acceleration: Array

    @classmethod
    def of(cls, rig: Rig) -> Limits:
        return cls(rig.lower, rig.upper, rig.velocity_limit, rig.acceleration_limit)


class Contender(Protocol):
    """A solver under test.

    Attributes:
        name: Row of the table.
        settings: What was chosen for it, for the report.
        exceptions: How often it raised since the last reset.
    """

    name: str
    settings: str
    exceptions: int

    def reset(self, q: Array) -> None:
        """Start at rest from `q`."""

    def prepare(self, Ts_robot_tip: Mapping[str, Array]) -> Any:
        """Make the solver's own kind of target from 4x4 poses."""

    def solve(self, prepared: Any) -> Array:
        """One frame; the new q."""


def costs(tip: str) -> tuple[float, float]:
    """Position [cost] / [m] and rotation [cost] / [rad] of a tip, the same for all."""
    return RetargeterConfig().costs(tip)
