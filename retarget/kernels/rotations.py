"""Rotations and poses; a pose is `[R | p]`, (3, 4)."""

from __future__ import annotations

import math

import numpy as np

from retarget.compiling import jit
from retarget.frames import Array


@jit
def log3(R: Array, w: Array) -> None:
    """Write the rotation vector of a rotation matrix."""
    x, y, z = R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]
    s, c = 0.5 * math.sqrt(x * x + y * y + z * z), 0.5 * (R[0, 0] + R[1, 1] + R[2, 2] - 1.0)
    if c > -0.99:
        half = 0.5 * (math.atan2(s, c) / s if s > 1e-9 else 1.0)
        w[0], w[1], w[2] = half * x, half * y, half * z
        return
    # near half a turn the axis is in the symmetric part: row of the largest diagonal element
    i = 0
    for j in range(1, 3):
        if R[j, j] > R[i, i]:
            i = j
    norm = 0.0
    for j in range(3):
        w[j] = 0.5 * (R[i, j] + R[j, i]) - (c if i == j else 0.0)
        norm += w[j] * w[j]
    share = math.atan2(s, c) / math.sqrt(norm)
    if w[0] * x + w[1] * y + w[2] * z < 0.0:
        share = -share
    for j in range(3):
        w[j] *= share


@jit
def exp3(w: Array, R: Array) -> None:
    """Write the rotation matrix of a rotation vector (Rodrigues)."""
    x, y, z = w[0], w[1], w[2]
    angle2 = x * x + y * y + z * z
    angle = math.sqrt(angle2)
    if angle < 1e-4:
        s, c = 1.0 - angle2 / 6.0, 0.5 - angle2 / 24.0
    else:
        s, c = math.sin(angle) / angle, 2.0 * (math.sin(0.5 * angle) / angle) ** 2
    R[0, 0], R[0, 1], R[0, 2] = 1.0 - c * (y * y + z * z), c * x * y - s * z, c * x * z + s * y
    R[1, 0], R[1, 1], R[1, 2] = c * x * y + s * z, 1.0 - c * (x * x + z * z), c * y * z - s * x
    R[2, 0], R[2, 1], R[2, 2] = c * x * z - s * y, c * y * z + s * x, 1.0 - c * (x * x + y * y)


@jit
def log3_jacobian(w: Array, M: Array) -> None:
    """Write the inverse left Jacobian of SO(3) at the rotation vector `w`, (3, 3)."""
    x, y, z = w[0], w[1], w[2]
    angle2 = x * x + y * y + z * z
    if angle2 < 1e-4:
        b = 1.0 / 12.0 + angle2 * (1.0 / 720.0 + angle2 / 30240.0)
    else:
        angle = math.sqrt(angle2)
        b = 1.0 / angle2 - 0.5 / (angle * math.tan(0.5 * angle))
    M[0, 0], M[0, 1], M[0, 2] = 1.0 - b * (y * y + z * z), b * x * y + 0.5 * z, b * x * z - 0.5 * y
    M[1, 0], M[1, 1], M[1, 2] = b * x * y - 0.5 * z, 1.0 - b * (x * x + z * z), b * y * z + 0.5 * x
    M[2, 0], M[2, 1], M[2, 2] = b * x * z + 0.5 * y, b * y * z - 0.5 * x, 1.0 - b * (x * x + y * y)


@jit
def motion_between(T0: Array, T1: Array, motion: Array) -> None:
    """Write the motion (6,) from one pose to another: translation, rotation vector."""
    R = np.empty((3, 3))
    for r in range(3):
        motion[r] = T1[r, 3] - T0[r, 3]
        for c in range(3):
            R[r, c] = T1[r, 0] * T0[c, 0] + T1[r, 1] * T0[c, 1] + T1[r, 2] * T0[c, 2]
    log3(R, motion[3:])


@jit
def copy_pose(T: Array, copy: Array) -> None:
    """Write a pose; plain loops, as numba's array assignment takes seconds to compile."""
    for r in range(3):
        for c in range(4):
            copy[r, c] = T[r, c]


@jit
def compose(T: Array, U: Array, product: Array) -> None:
    """Write `T U`."""
    for r in range(3):
        for c in range(4):
            product[r, c] = T[r, 0] * U[0, c] + T[r, 1] * U[1, c] + T[r, 2] * U[2, c]
        product[r, 3] += T[r, 3]
