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

from retarget.frames import Array
from retarget.kinematics import Columns, Kinematics
from retarget.limits import braking_step
from retarget.repulsion import Near, Repulsion
from retarget.settings import SolverConfig
from retarget.tasks import Task

PRIMAL_TOLERANCE = 1e-11
"""Of a bound, far below a tick's step [rad]; daqp's own 1e-6 is a visible share of one."""


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

    def solve(self, H: Array, g: Array, low: Array, high: Array) -> Array:
        """The minimiser, (n,); inside the box to the last bit."""
        x, info = _solve_positive(H, -g)
        if info == 0 and (np.minimum(np.maximum(x, low), high) == x).all():
            return np.asarray(x)
        rows, sense = np.zeros((0, len(g))), np.zeros(len(g), dtype=np.int32)
        answer: Any = daqp.solve(H, g, rows, high, low, sense, primal_tol=PRIMAL_TOLERANCE)
        clipped: Array = np.minimum(np.maximum(answer[0], low), high)
        return clipped


class RowQp:
    """min 1/2 x'Hx + g'x within low <= x <= high and C x >= floors, H positive definite."""

    def solve(
        self, H: Array, g: Array, low: Array, high: Array, C: Array, floors: Array, fallback: Array
    ) -> Array:
        """The minimiser, (n,); `fallback` where it cannot be found."""
        upper = np.concatenate([high, np.full(len(floors), np.inf)])
        lower = np.concatenate([low, floors])
        sense = np.zeros(len(upper), dtype=np.int32)
        answer: Any = daqp.solve(
            np.ascontiguousarray(H), g, np.ascontiguousarray(C), upper, lower, sense,
            primal_tol=PRIMAL_TOLERANCE,
        )  # fmt: skip
        if answer[2] <= 0:
            return fallback
        clipped: Array = np.minimum(np.maximum(answer[0], low), high)
        return clipped


def approach_rows(rows: Array, room: Array, floor: float, a: Array, braking: Array) -> Array:
    """Least change of the distance of each near pair in one tick, (k,) [m].

    As fast as the approach can be stopped at the floor with half of what the joints can
    decelerate; never more than full braking achieves, so that braking always satisfies all rows.

    Args:
        rows: How joints change each distance, (k, n).
        room: Distance, and widest each pair has been, (k, 2) [m].
        floor: Distance to keep [m]; for pairs that were never farther, what they had.
        a: Acceleration limits per tick², (n,).
        braking: The step that brakes, (n,).
    """
    slowing = np.maximum(0.5 * np.abs(rows) @ a, 1e-12)
    spare = np.maximum(room[:, 0] - np.minimum(floor, room[:, 1]), 0.0)
    floors: Array = np.minimum(-braking_step(spare, slowing), rows @ braking)
    return floors


class GaussNewton:
    """Solve a tick's step from numpy arrays; the reference for any faster solver.

    Attributes:
        config: Settings.
    """

    def __init__(
        self,
        config: SolverConfig,
        effort: Array,
        repulsion: Repulsion,
        acceleration: Array,
        floor_m: float | None,
    ) -> None:
        """Solve for joint steps.

        Args:
            config: Settings.
            effort: Charge per joint for moving it, times the damping, (n,).
            repulsion: The cost of coming near.
            acceleration: Limits per tick², (n,).
            floor_m: Distance that pairs are also held to keep [m]; None leaves it at the cost.
        """
        self.config = config
        self._effort = np.array(effort, dtype=np.float64)
        self._repulsion, self._a, self._floor_m = repulsion, acceleration, floor_m
        self._box_qp, self._row_qp = BoxQp(), RowQp()

    def solve(
        self,
        kinematics: Kinematics,
        tasks: Sequence[Task],
        columns: Columns,
        first: Linearisation,
        q: Array,
        bounds: tuple[Array, Array],
        braking: Array,
        centre: Array,
        withheld: float,
        near: Near,
        last: Array,
        tip_rows: int,
    ) -> Array:
        """The step from `q` that brings down the tasks' cost, (n,).

        Args:
            kinematics: Model to evaluate; left at the last linearisation.
            tasks: Terms of the cost.
            columns: Joints that may answer to the tasks (indices); the others make `braking`.
            first: The tasks linearised at `q`.
            q: Start of the tick, (n,).
            bounds: Lower and upper bound of the step, (n,) each.
            braking: The step that brakes, (n,), inside the bounds.
            centre: Step the damping pulls towards, (n,), inside the bounds.
            withheld: Squared weighted error that the tasks were spared; it only adds damping.
            near: Pairs that matter.
            last: Step of the last tick, (n,).
            tip_rows: How many rows, the first ones, are of tips: their error makes the damping.
        """
        c = self.config
        effort, start = self._effort[columns], centre[columns]
        n = len(effort)
        step, done, now, guess = braking.copy(), braking.copy(), first, last
        done[columns] = 0.0
        floors = np.zeros(0)
        if self._floor_m is not None:
            floors = approach_rows(near.rows, near.room, self._floor_m, self._a, braking)
            floors -= near.rows @ done
        for iteration in range(c.iterations):
            if iteration:
                if np.abs(step[columns]).max() <= c.refine_rad:
                    break
                kinematics.update(q + step)
                now, done = linearise(tasks, kinematics), step.copy()
                guess = done
            A, e = now.J[:, columns], now.e
            error2 = min(float(e[:tip_rows] @ e[:tip_rows]) + withheld, c.max_error**2)
            damping = effort * (c.damping + c.error_damping * error2)
            H = A.T @ A
            H.flat[:: n + 1] += damping
            g = A.T @ (e - A @ done[columns]) - damping * start
            C, d = self._repulsion.resist(near, done, guess, columns)
            H += C.T @ C
            g += C.T @ d
            lower, upper = bounds[0][columns], bounds[1][columns]
            if len(floors):
                rows, before = near.rows[:, columns], step[columns]
                step[columns] = self._row_qp.solve(H, g, lower, upper, rows, floors, before)
            else:
                step[columns] = self._box_qp.solve(H, g, lower, upper)
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


def _solve_positive(H: Array, b: Array) -> tuple[Array, int]:
    """Solve H x = b by Cholesky; the second is not 0 where H is not positive definite."""
    from scipy.linalg.lapack import dposv  # a third of a rig's import time, for this engine only

    _, x, info = dposv(H, b)
    return x, info


def self_motion(J: Array, wish: Array, damping: float = 1e-6) -> Array:
    """The part of a joint motion `wish` that the tasks do not feel: (I - J⁺ J) wish.

    J⁺ is the damped pseudo-inverse; next to a singularity it lets through micrometres.
    """
    G = J @ J.T
    G.flat[:: len(G) + 1] += damping
    y, info = _solve_positive(G, J @ wish)
    return wish - J.T @ y if info == 0 else np.zeros_like(wish)
