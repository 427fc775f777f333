"""Damped Gauss-Newton inside a box: a few steps per tick, never infeasible.

At most two iterations: at human speed the second brings the error to the converged one, more only
adds jerk. Damping grows with the squared error (Levenberg-Marquardt after Sugihara 2011) and pulls
towards the tick's start, so out of reach the arm slows down instead of thrashing, and the answer
does not depend on round-off: recorded sessions replay exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import daqp
import numpy as np
from scipy.linalg.lapack import dposv

from retarget.frames import Array
from retarget.kinematics import Columns, Kinematics
from retarget.tasks import Task

PRIMAL_TOLERANCE = 1e-11
"""Of a bound, far below a tick's step [rad]; daqp's own 1e-6 is a visible share of one."""


@dataclass(frozen=True, slots=True)
class SolverConfig:
    """Settings of the solver.

    Attributes:
        iterations: Gauss-Newton iterations per tick.
        damping: Damping at zero error, [cost²] / [rad²].
        error_damping: Further damping per squared weighted error, 1 / [rad²].
        max_error: Weighted error beyond which damping grows no further.
    """

    iterations: int = 2
    damping: float = 1e-6
    error_damping: float = 10.0
    max_error: float = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class Linearisation:
    """Weighted terms at one configuration.

    Attributes:
        J: Stacked Jacobian, (rows, n).
        e: Stacked residual, (rows,).
    """

    J: Array
    e: Array


class BoxQp:
    """min 1/2 x'Hx + g'x within low <= x <= high, H positive definite."""

    def __init__(self, n: int) -> None:
        self._no_rows = np.zeros((0, n))
        self._sense = np.zeros(n, dtype=np.int32)

    def solve(self, H: Array, g: Array, low: Array, high: Array) -> Array:
        """The minimiser, (n,); inside the box to the last bit."""
        _, x, info = dposv(H, -g)
        if info == 0 and (np.minimum(np.maximum(x, low), high) == x).all():
            return np.asarray(x)
        answer: Any = daqp.solve(
            H, g, self._no_rows, high, low, self._sense, primal_tol=PRIMAL_TOLERANCE
        )
        clipped: Array = np.minimum(np.maximum(answer[0], low), high)
        return clipped


class GaussNewton:
    """Solve a tick's step from numpy arrays; the reference for any faster solver.

    Attributes:
        config: Settings.
    """

    def __init__(self, n: int, config: SolverConfig, effort: Array) -> None:
        """Solve over `n` joints whose motion costs `effort`, (n,), times the damping."""
        self.config = config
        self._n = n
        self._effort = np.array(effort, dtype=np.float64)
        self._qp: dict[int, BoxQp] = {}

    def solve(
        self,
        kinematics: Kinematics,
        tasks: Sequence[Task],
        columns: Columns,
        first: Linearisation,
        q: Array,
        low: Array,
        high: Array,
        centre: Array,
        withheld: float,
    ) -> Array:
        """The step from `q` that brings down the tasks' cost, (n,).

        Args:
            kinematics: Model to evaluate; left at the last linearisation.
            tasks: Terms of the cost.
            columns: Joints that may answer to the tasks (indices); the others make `centre`.
            first: The tasks linearised at `q`.
            q: Start of the tick, (n,).
            low: Lower bound of the step, (n,).
            high: Upper bound of the step, (n,).
            centre: Step the damping pulls towards, (n,), inside the box.
            withheld: Squared weighted error that the tasks were spared; it only adds damping.
        """
        c = self.config
        effort, start = self._effort[columns], centre[columns]
        n = len(effort)
        qp = self._qp.get(n) or self._qp.setdefault(n, BoxQp(n))
        lower, upper = low[columns], high[columns]
        step = centre.copy()
        now, done = first, np.zeros(self._n)
        for iteration in range(c.iterations):
            if iteration:
                kinematics.update(q + step)
                now, done = linearise(tasks, kinematics), step.copy()
            A, e = now.J[:, columns], now.e
            error2 = min(float(e @ e) + withheld, c.max_error**2)
            damping = effort * (c.damping + c.error_damping * error2)
            H = A.T @ A
            H.flat[:: n + 1] += damping
            # the residual if the answering joints had not moved at all but the others had
            others = step - done
            others[columns] = -done[columns]
            g = A.T @ (e + now.J @ others) - damping * start
            step[columns] = qp.solve(H, g, lower, upper)
        return step


def linearise(tasks: Sequence[Task], kinematics: Kinematics) -> Linearisation:
    """Stack the weighted Jacobians and residuals of `tasks` at the current configuration."""
    rows = sum(task.rows for task in tasks)
    J, e = np.zeros((rows, kinematics.model.nv)), np.empty(rows)
    row = 0
    for task in tasks:
        end = row + task.rows
        task.linearise(kinematics, J[row:end], e[row:end])
        row = end
    return Linearisation(J, e)


def self_motion(J: Array, wish: Array, damping: float = 1e-6) -> Array:
    """The part of a joint motion `wish` that the tasks do not feel: (I - J⁺ J) wish.

    J⁺ is the damped pseudo-inverse; next to a singularity it lets through micrometres.
    """
    G = J @ J.T
    G.flat[:: len(G) + 1] += damping
    _, y, info = dposv(G, J @ wish)
    return wish - J.T @ y if info == 0 else np.zeros_like(wish)
