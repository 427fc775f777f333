"""Parts keep off each other: the nearer, the dearer every further step towards each other.

Only what comes nearer pays. A pair that was near when following began may stay so: its band ends
where it was, and opens up behind it, one way, as joint limits do. So engaging moves nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from retarget.frames import Array
from retarget.kinematics import Columns, Kinematics
from retarget.settings import CollisionConfig
from retarget.shapes import CollisionShapes, Indices


class Near(NamedTuple):
    """Pairs that are within their band.

    Attributes:
        rows: How joints change each distance, (k, n).
        room: Distance, and where the band ends, (k, 2) [m].
    """

    rows: Array
    room: Array


class Repulsion:
    """The cost of coming near, for one robot.

    The residual of a pair at distance d is `cost (band - d)² / (2 band)`: its slope grows from
    zero at the edge of the band.
    """

    def __init__(self, shapes: CollisionShapes, config: CollisionConfig) -> None:
        self._shapes, self._config = shapes, config

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return len(self._shapes.pairs) + len(self._shapes.box_pairs)

    def clearance(self, kinematics: Kinematics) -> float:
        """Smallest distance [m], at most that at which parts are watched; NaN without pairs."""
        if not self.pairs:
            return float("nan")
        return float(self._shapes.distances(kinematics.data, self._config.watch_m).min())

    def near(self, kinematics: Kinematics, opened: Array) -> tuple[Near, Array]:
        """Pairs within their band, and the widest each pair has been now, (pairs,).

        Args:
            kinematics: Where the robot is.
            opened: Widest each pair has been so far, up to the band; NaN where following begins.
        """
        band = self._config.band_m
        chosen, distance, rows = self._linearise(kinematics, band)
        widest = np.full(len(opened), band)
        widest[chosen] = np.minimum(np.fmax(opened[chosen], distance), band)
        inside = distance < widest[chosen]
        room = np.column_stack([distance, widest[chosen]])
        return Near(rows[inside], room[inside]), widest

    def resist(self, near: Near, done: Array, columns: Columns) -> tuple[Array, Array]:
        """Weighted Jacobian (k, columns) and residual (k,), as if `columns` had not moved.

        `done`, (n,), is what they did, and what the other joints will do.
        """
        c = self._config
        went = near.rows @ done
        distance, widest = near.room.T
        short = np.maximum(widest - (distance + went), 0.0)
        slope = -c.cost * short / c.band_m
        mine = near.rows[:, columns]
        back = mine @ done[columns]
        return slope[:, None] * mine, 0.5 * c.cost * short * short / c.band_m - slope * back

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
