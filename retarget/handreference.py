"""A hand's Gauss-Newton step with numpy: the fallback without numba, and the oracle of tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from retarget.frames import Array


def hand_step(
    J: Array, E: Array, supports: Any, points: Array, pairs: Any, wanted: Array, weights: Array,
    delta: float, rest: float, moved: Array, bounds: Array, A: Array, H: Array, g: Array,
    sweeps: int,
) -> float:  # fmt: skip
    """Improve the tick's step `moved`, (n,), within `bounds`, (2, n); the objective before.

    Arguments as of `retarget.kernels.hands.hand_step`.
    """
    turned = np.cross(J[3:].T[None], points[:, None])  # (links, nv, 3)
    columns = (J[:3].T[None] + turned) * supports[:, :, None]
    A[:] = np.einsum("kjr,ji->kri", columns, E)
    e = points[pairs[:, 1]] - points[pairs[:, 0]] - wanted
    rows = A[pairs[:, 1]] - A[pairs[:, 0]]
    norms = np.linalg.norm(e, axis=1)
    w = weights / np.maximum(norms, delta)
    H[:] = np.einsum("k,kri,krj->ij", w, rows, rows) + 2.0 * rest * np.eye(len(moved))
    g[:] = np.einsum("k,kri,kr->i", w, rows, e) + 2.0 * rest * moved
    value = float(
        weights @ np.where(norms < delta, 0.5 * norms**2 / delta, norms - 0.5 * delta)
        + rest * moved @ moved
    )
    for _ in range(sweeps):
        start = moved.copy()
        for i in range(len(g)):
            old = moved[i]
            moved[i] = min(max(old - g[i] / H[i, i], bounds[0, i]), bounds[1, i])
            g += H[:, i] * (moved[i] - old)
        if np.abs(moved - start).max() < 1e-12:
            break
    return value
