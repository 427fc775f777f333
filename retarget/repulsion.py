"""Parts keep off each other: the nearer, the dearer every further step towards each other.

What counts is not where a pair is but where it could be stopped, with half of what its joints can
decelerate: robots that brake slowly begin to do so early.

Only what comes nearer pays. A pair that was near when following began may stay so: its band ends
where it was, and opens up behind it, one way, as joint limits do. So engaging moves nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from retarget.frames import Array
from retarget.kinematics import Columns, Kinematics
from retarget.limits import braking_step
from retarget.settings import CollisionConfig
from retarget.shapes import CollisionShapes, Indices

LEAST_SLOWING = 1e-12
"""Of a pair that no joint moves [m per tick²]."""


class Near(NamedTuple):
    """Pairs that are within their band.

    Attributes:
        rows: How joints change each distance, (k, n).
        room: Distance, where the band ends [m], and how an approach can be slowed [m per tick²],
            (k, 3).
    """

    rows: Array
    room: Array


class Repulsion:
    """The cost of coming near, for one robot.

    The residual of a pair that will be at distance d after the tick and the way to stop is
    `cost (band - d)² / (2 band √h)`, h being how d changes with the step: its slope grows from
    zero at the edge of the band.

    Args:
        shapes: Capsules and boxes.
        config: Settings.
        acceleration: Limits of the joints per tick², (n,).
    """

    def __init__(
        self, shapes: CollisionShapes, config: CollisionConfig, acceleration: Array
    ) -> None:
        self._shapes, self._config, self._a = shapes, config, acceleration

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return len(self._shapes.pairs) + len(self._shapes.box_pairs)

    def clearance(self, kinematics: Kinematics) -> float:
        """Smallest distance [m], at most that at which parts are watched; NaN without pairs."""
        if not self.pairs:
            return float("nan")
        return float(self._shapes.distances(kinematics.data, self._config.watch_m).min())

    def near(self, kinematics: Kinematics, opened: Array, last: Array) -> tuple[Near, Array]:
        """Pairs that matter, and the widest each pair has been now, (pairs,).

        Those are the pairs within their band, or so fast that they will be before they can stop;
        with `hard` also those whose approach could become faster than can be stopped at the floor.

        Args:
            kinematics: Where the robot is.
            opened: Widest each pair has been so far, up to the band; NaN where following begins.
            last: Steps of the last tick, (n,).
        """
        c = self._config
        chosen, distance, rows = self._linearise(kinematics, max(c.band_m, c.watch_m))
        widest = np.full(len(opened), c.band_m)
        widest[chosen] = end = np.minimum(np.fmax(opened[chosen], distance), c.band_m)
        went, change = rows @ last, np.abs(rows) @ self._a
        slowing = np.maximum(0.5 * change, LEAST_SLOWING)
        counts = (distance < end) | (distance + went - _stop(went, slowing) < end)
        if c.mode == "hard":
            spare = np.maximum(distance - np.minimum(c.floor_m, end), 0.0)
            counts |= braking_step(spare, slowing) < change - went
        room = np.column_stack([distance, end, slowing])
        return Near(rows[counts], room[counts]), widest

    def resist(
        self, near: Near, done: Array, guess: Array, columns: Columns
    ) -> tuple[Array, Array]:
        """Weighted Jacobian (k, columns) and residual (k,), as if `columns` had not moved.

        `done`, (n,), is what they did, and what the other joints will do; about `guess`, which
        holds `columns` only, the cost is linearised.
        """
        c = self._config
        mine = near.rows[:, columns]
        back = mine @ guess[columns]
        went = near.rows @ done + mine @ (guess[columns] - done[columns])
        distance, widest, slowing = near.room.T
        short = np.maximum(widest - (distance + went - _stop(went, slowing)), 0.0)
        change = 1.0 + np.maximum(-went, 0.0) / slowing
        steep = c.cost / (c.band_m * np.sqrt(change))
        slope = -steep * change * short
        return slope[:, None] * mine, 0.5 * steep * short * short - slope * back

    def _linearise(self, kinematics: Kinematics, near: float) -> tuple[Indices, Array, Array]:
        """Pairs that may be nearer than `near`, their distances, and derivatives by the joints."""
        segments = self._shapes.segments(kinematics.data)
        s = self._shapes.within(segments, near)
        between, p, q = s.between(segments)
        gap = p - q
        apart = np.linalg.norm(gap, axis=1)[:, None]
        n = np.divide(gap, apart, out=np.zeros_like(gap), where=apart > 0.0)
        i, j = s.joints[s.pairs.T]
        rows = self._motion(kinematics, i, p, n) - self._motion(kinematics, j, q, n)
        beside, p, n = s.beside(segments)
        k = s.joints[s.box_pairs[:, 0]]
        rows = np.concatenate([rows, self._motion(kinematics, k, p, n)])
        return s.chosen, np.concatenate([between, beside]), rows

    @staticmethod
    def _motion(kinematics: Kinematics, joints: Indices, p: Array, n: Array) -> Array:
        """How joints move points `p` that are fixed to `joints` along `n`, (k, n)."""
        twist = np.concatenate([n, np.cross(p, n)], axis=1)
        rows: Array = (twist @ kinematics.J) * kinematics.chains[joints]
        return rows


def _stop(went: Array, slowing: Array) -> Array:
    """Way to stop from changes of distance per tick; nothing for what goes apart."""
    v = np.maximum(-went, 0.0)
    way: Array = 0.5 * v * v / slowing
    return way
