"""Where the tips are commanded to be, and how far they are from their targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from retarget.frames import matrix_to_pose

Array = npt.NDArray[np.float64]
Forward = Callable[[Array], Mapping[str, Array]]
"""Joint positions to `T_robot_tip`, (4, 4), by tip."""
Pose7 = tuple[float, float, float, float, float, float, float]


def no_tips(q: Array) -> Mapping[str, Array]:
    """For robots of which only the joints are known."""
    return {}


@dataclass(slots=True)
class TipWatch:
    """Newest `solution`, as poses of tips.

    Attributes:
        forward: Kinematics of the rig.
        residual_m: Distance of left and right tip from their targets [m].
    """

    forward: Forward = no_tips
    residual_m: tuple[float, float] = (0.0, 0.0)
    _q: Array | None = None

    def hear(self, solution: Any) -> None:
        """Take a `solution` row."""
        left, right = solution["residual"][:2, 0]
        self.residual_m = (float(left), float(right))
        self._q = np.array(solution["position"])

    def matrices(self) -> dict[str, Array]:
        """`T_robot_tip`, (4, 4), by tip; empty before the first solution."""
        return {} if self._q is None else dict(self.forward(self._q))

    def poses(self) -> dict[str, Pose7]:
        """`matrices` as `[px, py, pz, qx, qy, qz, qw]`, for messages."""
        return {tip: pose7(T) for tip, T in self.matrices().items()}


def pose7(T_a_b: Array) -> Pose7:
    """Pose of a matrix (4, 4), for messages."""
    px, py, pz, qx, qy, qz, qw = (round(v, 6) for v in matrix_to_pose(T_a_b).tolist())
    return px, py, pz, qx, qy, qz, qw
