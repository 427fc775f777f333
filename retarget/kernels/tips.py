"""Tips: are their targets poses, how far are they, how do joints move them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retarget.compiling import jit
from retarget.frames import Array
from retarget.kernels.rotations import compose, log3_jacobian, motion_between

Flags = NDArray[np.bool_]


@jit
def screen(T: Array, asked: Flags) -> int:
    """Take back what is asked with a pose that is not finite and rigid; how many are left."""
    left = 0
    for k in range(len(T)):
        if not asked[k]:
            continue
        R = T[k]
        good = abs(R[0, 3]) + abs(R[1, 3]) + abs(R[2, 3]) < 100.0
        for r in range(3):
            for s in range(r + 1):
                dot = R[r, 0] * R[s, 0] + R[r, 1] * R[s, 1] + R[r, 2] * R[s, 2]
                good &= abs(dot - (1.0 if r == s else 0.0)) < 1e-3
        good &= (
            R[0, 0] * (R[1, 1] * R[2, 2] - R[1, 2] * R[2, 1])
            - R[0, 1] * (R[1, 0] * R[2, 2] - R[1, 2] * R[2, 0])
            + R[0, 2] * (R[1, 0] * R[2, 1] - R[1, 1] * R[2, 0])
        ) > 0.0
        asked[k] = good
        left += good
    return left


@jit
def distances(M: Array, tip_joints: Any, tools: Array, T: Array, asked: Flags, out: Array) -> None:
    """Write distance [m] and angle [rad] of each asked tip to its target, (tips, 2)."""
    tip, e = np.empty((3, 4)), np.empty(6)
    for k in range(len(T)):
        if asked[k]:
            compose(M[tip_joints[k]], tools[k], tip)
            motion_between(T[k], tip, e)
            out[k, 0] = math.sqrt(e[0] * e[0] + e[1] * e[1] + e[2] * e[2])
            out[k, 1] = math.sqrt(e[3] * e[3] + e[4] * e[4] + e[5] * e[5])


@jit
def linearise(
    J: Array,
    M: Array,
    tip_joints: Any,
    tools: Array,
    chains: Any,
    asked: Flags,
    reference: Array,
    costs: Array,
    A: Array,
    e: Array,
) -> None:
    """Write the weighted Jacobian, (6 tips, n), and residual, (6 tips,); arguments as of `lead`."""
    tip, L = np.empty((3, 4)), np.empty((3, 3))
    A[: 6 * len(tip_joints)] = 0.0
    e[: 6 * len(tip_joints)] = 0.0
    for k in range(len(tip_joints)):
        if not asked[k]:
            continue
        compose(M[tip_joints[k]], tools[k], tip)
        residual = e[6 * k : 6 * k + 6]
        motion_between(reference[k], tip, residual)
        log3_jacobian(residual[3:], L)
        cp, cr = costs[k, 0], costs[k, 1]
        x, y, z = tip[0, 3], tip[1, 3], tip[2, 3]
        for i in range(A.shape[1]):
            if chains[tip_joints[k], i]:
                a, b, c = J[3, i], J[4, i], J[5, i]
                A[6 * k, i] = cp * (J[0, i] + b * z - c * y)
                A[6 * k + 1, i] = cp * (J[1, i] + c * x - a * z)
                A[6 * k + 2, i] = cp * (J[2, i] + a * y - b * x)
                for r in range(3):
                    A[6 * k + 3 + r, i] = cr * (L[r, 0] * a + L[r, 1] * b + L[r, 2] * c)
        for r in range(3):
            residual[r] *= cp
            residual[3 + r] *= cr
