"""Placements of joints and their spatial Jacobian: what Pinocchio computes, within a kernel."""

from __future__ import annotations

import math
from typing import Any

from retarget.compiling import jit
from retarget.frames import Array


@jit
def place_joints(
    q: Array,
    parents: Any,
    slides: Any,
    still: Any,
    fixed: Array,
    axes: Array,
    M: Array,
    J: Array,
    at: Array,
) -> None:
    """Write where joints are, and their spatial Jacobian at the root's origin.

    Args:
        q: Joint positions, (at least n,).
        parents: Joint that carries each joint, (n + 1,); joint 0 is the root.
        slides: Which joints slide along their axis instead of turning about it, (n + 1,).
        still: Which joints are kept at zero: those of a base that carries the root along, (n + 1,).
        fixed: Placement of each joint in its parent at zero, `[R | p]`, (n + 1, 3, 4).
        axes: Unit axis of each joint in its own frame, (n + 1, 3).
        M: Written: placements, `[R | p]`, (n + 1, 3, 4).
        J: Written, (6, n): linear, then angular.
        at: Positions that `M` and `J` belong to already, (n,).
    """
    moved = False
    for i in range(len(at)):
        moved |= at[i] != q[i]
        at[i] = q[i]
    if not moved:
        return
    for j in range(1, len(M)):
        up = parents[j]
        value = 0.0 if still[j] else q[j - 1]
        x, y, z = axes[j, 0], axes[j, 1], axes[j, 2]
        if slides[j]:
            s, c = 0.0, 1.0
        else:
            s, c = math.sin(value), math.cos(value)
        v = 1.0 - c
        a, b, d = c + v * x * x, v * x * y - s * z, v * x * z + s * y
        e, f, g = v * x * y + s * z, c + v * y * y, v * y * z - s * x
        h, k, m = v * x * z - s * y, v * y * z + s * x, c + v * z * z
        for r in range(3):
            u0, u1, u2 = M[up, r, 0], M[up, r, 1], M[up, r, 2]
            w0 = u0 * fixed[j, 0, 0] + u1 * fixed[j, 1, 0] + u2 * fixed[j, 2, 0]
            w1 = u0 * fixed[j, 0, 1] + u1 * fixed[j, 1, 1] + u2 * fixed[j, 2, 1]
            w2 = u0 * fixed[j, 0, 2] + u1 * fixed[j, 1, 2] + u2 * fixed[j, 2, 2]
            p = u0 * fixed[j, 0, 3] + u1 * fixed[j, 1, 3] + u2 * fixed[j, 2, 3] + M[up, r, 3]
            J[3 + r, j - 1] = axis = w0 * x + w1 * y + w2 * z
            if slides[j]:
                p += axis * value
            M[j, r, 0] = w0 * a + w1 * e + w2 * h
            M[j, r, 1] = w0 * b + w1 * f + w2 * k
            M[j, r, 2] = w0 * d + w1 * g + w2 * m
            M[j, r, 3] = p
        u, w, t = J[3, j - 1], J[4, j - 1], J[5, j - 1]
        if slides[j]:
            J[0, j - 1], J[1, j - 1], J[2, j - 1] = u, w, t
            J[3, j - 1] = J[4, j - 1] = J[5, j - 1] = 0.0
        else:  # the root's origin moves by p x axis
            p0, p1, p2 = M[j, 0, 3], M[j, 1, 3], M[j, 2, 3]
            J[0, j - 1] = p1 * t - p2 * w
            J[1, j - 1] = p2 * u - p0 * t
            J[2, j - 1] = p0 * w - p1 * u
