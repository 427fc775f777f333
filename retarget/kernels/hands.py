"""A hand's Gauss-Newton step, compiled; see `retarget.hands` for the reasons."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retarget.compiling import jit
from retarget.frames import Array


@jit
def gather(J: Array, E: Array, supports: Any, points: Array, A: Array) -> None:
    """Write the reduced Jacobians of all links, (links, 3, n).

    Args:
        J: Spatial Jacobian at the root's origin, (6, nv).
        E: From driven to all joints, (nv, n).
        supports: Which joints move a link, (links, nv).
        points: Links in the root, (links, 3).
        A: Written.
    """
    A[:] = 0.0
    for k in range(len(points)):
        x, y, z = points[k, 0], points[k, 1], points[k, 2]
        for j in range(E.shape[0]):
            if not supports[k, j]:
                continue
            a, b, c = J[3, j], J[4, j], J[5, j]
            dx, dy, dz = J[0, j] + b * z - c * y, J[1, j] + c * x - a * z, J[2, j] + a * y - b * x
            for i in range(E.shape[1]):
                s = E[j, i]
                if s != 0.0:
                    A[k, 0, i] += s * dx
                    A[k, 1, i] += s * dy
                    A[k, 2, i] += s * dz


@jit
def hand_step(
    J: Array, E: Array, supports: Any, points: Array, pairs: Any, wanted: Array, weights: Array,
    delta: float, rest: float, moved: Array, bounds: Array, A: Array, H: Array, g: Array,
    sweeps: int,
) -> float:  # fmt: skip
    """Improve the tick's step `moved`, (n,), within `bounds`, (2, n); the objective before."""
    gather(J, E, supports, points, A)
    n = len(moved)
    value = 0.0
    for i in range(n):
        g[i] = 2.0 * rest * moved[i]
        value += rest * moved[i] * moved[i]
        for j in range(n):
            H[i, j] = 2.0 * rest if i == j else 0.0
    row = np.empty((3, n))
    e = np.empty(3)
    for k in range(len(pairs)):
        a, b = pairs[k, 0], pairs[k, 1]
        norm = 0.0
        for r in range(3):
            e[r] = points[b, r] - points[a, r] - wanted[k, r]
            norm += e[r] * e[r]
            for i in range(n):
                row[r, i] = A[b, r, i] - A[a, r, i]
        norm = math.sqrt(norm)
        value += weights[k] * (0.5 * norm * norm / delta if norm < delta else norm - 0.5 * delta)
        w = weights[k] / max(norm, delta)
        for r in range(3):
            for i in range(n):
                g[i] += w * row[r, i] * e[r]
                for j in range(n):
                    H[i, j] += w * row[r, i] * row[r, j]
    descend(H, g, moved, bounds, sweeps)
    return value


@jit
def descend(H: Array, g: Array, moved: Array, bounds: Array, sweeps: int) -> None:
    """Minimise `½ d' H d + g' d` over `moved + d` in the bounds, one coordinate at a time.

    Each coordinate's minimum in an interval is exact, so that the bounds hold at every moment.
    """
    for _ in range(sweeps):
        most = 0.0
        for i in range(len(g)):
            old = moved[i]
            moved[i] = min(max(old - g[i] / H[i, i], bounds[0, i]), bounds[1, i])
            change = moved[i] - old
            most = max(most, abs(change))
            if change != 0.0:
                for j in range(len(g)):
                    g[j] += H[j, i] * change
        if most < 1e-12:
            return
