"""Enclose points in few, thin capsules.

A capsule is a segment `a`, `b` and a radius: what is nearer to the segment than the radius. Links
of robots are long and round, so few capsules describe them well, and the distance between two
takes a dozen multiplications.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from retarget.frames import Array

WORTH = 0.8
"""One more capsule is worth it when all together have less than this share of the volume."""
Circle = Callable[[Array], tuple[Array, float]]

MOST = 4
"""Capsules for one set of points at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Capsule:
    """Everything within `radius` of the segment from `a` to `b`.

    Attributes:
        a: One end, (3,) [m].
        b: Other end, (3,) [m].
        radius: [m].
    """

    a: Array
    b: Array
    radius: float

    @property
    def volume(self) -> float:
        """[m³]."""
        length = float(np.linalg.norm(self.b - self.a))
        return math.pi * self.radius**2 * (length + 4.0 / 3.0 * self.radius)

    def depth(self, points: Array) -> Array:
        """How far inside points (n, 3) are [m], (n,); negative outside."""
        way = self.b - self.a
        length2 = max(float(way @ way), 1e-18)
        along = np.clip((points - self.a) @ way / length2, 0.0, 1.0)
        away = points - self.a - along[:, None] * way
        depth: Array = self.radius - np.sqrt((away * away).sum(axis=1))
        return depth


def fit_capsules(points: Array, most: int = MOST) -> list[Capsule]:
    """Capsules that together hold the convex hull of `points`, (n, 3) [m].

    The hull is cut across its longest direction into equal slabs; as many as are worth it.
    """
    corners, edges = _hull(points)
    best = [fit_capsule(corners)]
    axis = np.linalg.svd(corners - corners.mean(axis=0), full_matrices=False)[2][0]
    for count in range(2, most + 1):
        slabs = _slabs(corners, edges, axis, count)
        capsules = [fit_capsule(slab) for slab in slabs]
        if _volume(capsules) < WORTH * _volume(best):
            best = capsules
    return best


def fit_capsule(points: Array) -> Capsule:
    """The capsule of (nearly) least volume that holds `points`, (n, 3) [m].

    For a direction, the thinnest cylinder around the points is the smallest circle around their
    shadows; the ends then move in as far as the round caps allow. The direction is searched from
    the principal axes of the points.
    """
    from scipy.optimize import minimize  # long to import, and fitted shapes are kept

    axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)[2]
    first = min(axes, key=lambda axis: _along(points, axis, _small_circle).volume)
    u, v = _across(first)

    def volume(turn: Array) -> float:
        return _along(points, first + turn[0] * u + turn[1] * v, _small_circle).volume

    found = minimize(volume, np.zeros(2), method="Nelder-Mead", options={"maxfev": 40})
    best = _along(points, first + found.x[0] * u + found.x[1] * v, _smallest_circle)
    slack = float(-best.depth(points).min())  # of rounding
    return Capsule(best.a, best.b, best.radius + max(slack, 0.0))


def _volume(capsules: list[Capsule]) -> float:
    return sum(capsule.volume for capsule in capsules)


def _hull(points: Array) -> tuple[Array, Array]:
    """Corners of the convex hull, (n, 3), and its edges as corner pairs, (m, 2, 3)."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(points)
    except (QhullError, ValueError):  # flat or too few
        return points, points[np.array([(i, j) for i in range(len(points)) for j in range(i)])]
    triangles = points[hull.simplices]
    return points[hull.vertices], np.concatenate([triangles[:, [i, i - 1]] for i in range(3)])


def _slabs(corners: Array, edges: Array, axis: Array, count: int) -> list[Array]:
    """Points whose hulls are the slabs of the hull between equidistant planes across `axis`."""
    height = corners @ axis
    planes = np.linspace(height.min(), height.max(), count + 1)
    cuts = [_cut(edges, axis, plane) for plane in planes[1:-1]]
    borders = [np.empty((0, 3)), *cuts, np.empty((0, 3))]
    inside = [(height >= low) & (height <= high) for low, high in pairwise(planes)]
    return [
        np.concatenate([corners[here], below, above])
        for here, (below, above) in zip(inside, pairwise(borders), strict=True)
    ]


def _cut(edges: Array, axis: Array, plane: float) -> Array:
    """Where edges cross a plane, (n, 3)."""
    start, end = edges[:, 0] @ axis, edges[:, 1] @ axis
    crossing = (start - plane) * (end - plane) < 0.0
    start, end, edges = start[crossing], end[crossing], edges[crossing]
    share = ((plane - start) / (end - start))[:, None]
    crossings: Array = edges[:, 0] + share * (edges[:, 1] - edges[:, 0])
    return crossings


def _across(axis: Array) -> tuple[Array, Array]:
    """Two unit vectors that make a right-handed frame with the unit vector `axis`."""
    other = np.eye(3)[np.argmin(np.abs(axis))]
    u = np.cross(axis, other)
    u /= np.linalg.norm(u)
    return u, np.cross(axis, u)


def _along(points: Array, axis: Array, circle: Circle) -> Capsule:
    """The thinnest capsule around `points` with this direction, and the shortest of those."""
    axis = axis / np.linalg.norm(axis)
    u, v = _across(axis)
    shadow = np.column_stack([points @ u, points @ v])
    centre, radius = circle(shadow)
    off2 = ((shadow - centre) ** 2).sum(axis=1)
    cap = np.sqrt(np.maximum(radius * radius - off2, 0.0))
    height = points @ axis
    low, high = float((height + cap).min()), float((height - cap).max())
    if low > high:
        low = high = 0.5 * (low + high)
    foot = centre[0] * u + centre[1] * v
    return Capsule(foot + low * axis, foot + high * axis, radius)


def _small_circle(points: Array) -> tuple[Array, float]:
    """A circle around points (n, 2), a few per cent too large: quick, for the search.

    Badoiu, Clarkson 2003: go ever shorter ways towards the farthest point.
    """
    centre = 0.5 * (points.min(axis=0) + points.max(axis=0))
    for k in range(2, 12):
        off = points - centre
        centre = centre + off[np.argmax((off * off).sum(axis=1))] / k
    off = points - centre
    return centre, math.sqrt(float((off * off).sum(axis=1).max()))


def _smallest_circle(points: Array) -> tuple[Array, float]:
    """Centre (2,) and radius of the smallest circle around points (n, 2).

    Welzl 1991, in the iterative form: a point outside lies on the circle of those before it.
    """
    from scipy.spatial import ConvexHull, QhullError

    try:
        points = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        points = np.unique(points, axis=0)
    centre, radius = points[0], 0.0
    for i, p in enumerate(points):
        if _outside(p, centre, radius):
            centre, radius = p, 0.0
            for j, q in enumerate(points[:i]):
                if _outside(q, centre, radius):
                    centre, radius = _circle(p, q)
                    for r in points[:j]:
                        if _outside(r, centre, radius):
                            centre, radius = _circle(p, q, r)
    return centre, radius


def _outside(p: Array, centre: Array, radius: float) -> bool:
    return math.dist(p, centre) > radius * (1.0 + 1e-12) + 1e-15


def _circle(p: Array, q: Array, r: Array | None = None) -> tuple[Array, float]:
    """The circle through three points, or the smallest through two."""
    if r is not None:
        a, b = q - p, r - p
        twice = 2.0 * (a[0] * b[1] - a[1] * b[0])
        if abs(twice) > 1e-18:
            a2, b2 = a @ a, b @ b
            way = np.array([b[1] * a2 - a[1] * b2, a[0] * b2 - b[0] * a2]) / twice
            return p + way, float(np.linalg.norm(way))
    centre: Array = 0.5 * (p + q)
    return centre, 0.5 * math.dist(p, q)
