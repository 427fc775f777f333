"""The swivel of an elbow about the line from shoulder to tip; see `retarget.tasks.SwivelTask`."""

from __future__ import annotations

import math

import numpy as np

from retarget.compiling import jit
from retarget.frames import Array


@jit
def swivel(
    s: Array, e: Array, w: Array, target: Array, n: Array, limits: Array
) -> tuple[float, float]:
    """The angle from the target's half-plane to the elbow's about the axis shoulder to tip.

    Args:
        s: Shoulder, (3,) [m].
        e: Elbow, (3,).
        w: Tip, (3,).
        target: Where the elbow should be, (3,).
        n: Written: derivative of the angle by `e`, `w` and `s`, (3, 3).
        limits: Offset from the axis below which the swivel fades [m], share of the angle that is
            closed in one tick, and largest [rad].

    Returns:
        The part of the angle to be closed in this tick, and a share 0..1 of its cost.
    """
    u, a, b = np.empty(3), np.empty(3), np.empty(3)
    length = 0.0
    for r in range(3):
        u[r] = w[r] - s[r]
        length += u[r] * u[r]
    length = math.sqrt(length)
    if not length > 1e-6:
        n[:] = 0.0
        return 0.0, 0.0
    along_a = along_b = 0.0
    for r in range(3):
        u[r] /= length
        a[r], b[r] = target[r] - s[r], e[r] - s[r]
        along_a, along_b = along_a + a[r] * u[r], along_b + b[r] * u[r]
    a2 = b2 = dot = 0.0
    for r in range(3):
        a[r] -= along_a * u[r]
        b[r] -= along_b * u[r]
        a2, b2, dot = a2 + a[r] * a[r], b2 + b[r] * b[r], dot + a[r] * b[r]
    if not (a2 > 1e-12 and b2 > 1e-12):
        n[:] = 0.0
        return 0.0, 0.0
    sine = 0.0
    for r in range(3):
        r1, r2 = (r + 1) % 3, (r + 2) % 3
        sine += u[r] * (a[r1] * b[r2] - a[r2] * b[r1])
        turn_a = (u[r1] * a[r2] - u[r2] * a[r1]) / a2
        turn_b = (u[r1] * b[r2] - u[r2] * b[r1]) / b2
        share_a, share_b = along_a / length, along_b / length
        n[0, r] = turn_b
        n[1, r] = share_a * turn_a - share_b * turn_b
        n[2, r] = (1.0 - share_a) * turn_a - (1.0 - share_b) * turn_b
    angle = math.atan2(sine, dot)
    fade = min(math.sqrt(a2) / limits[0], 1.0) * min(math.sqrt(b2) / limits[0], 1.0)
    share = 0.5 * (1.0 + math.cos(angle)) * fade  # half a turn away either way is as good
    return min(max(limits[1] * angle, -limits[2]), limits[2]), share


@jit
def linearise_swivel(
    J: Array,
    M: Array,
    chains: Array,
    arm: Array,
    tip: Array,
    target: Array,
    cost: float,
    limits: Array,
    A: Array,
) -> float:
    """Write the weighted Jacobian of one elbow's swivel, (n,); its weighted residual.

    Args:
        J: Spatial Jacobian at the root's origin, (6, n).
        M: Placements of all joints, (joints, 3, 4).
        chains: Which columns move a joint, (joints, n).
        arm: Joints of shoulder, elbow and of the tip's carrier, (3,).
        tip: Position of the tip, (3,).
        target: Where the elbow should be, (3,).
        cost: [cost] / [rad].
        limits: See `swivel`.
        A: Written.
    """
    points, n, cross = np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
    for r in range(3):
        points[0, r], points[1, r] = M[arm[1], r, 3], tip[r]
        points[2, r] = M[arm[0], r, 3]
    angle, share = swivel(points[2], points[0], points[1], target, n, limits)
    weight = cost * share
    for i in range(len(A)):
        A[i] = 0.0
    for k in range(3):
        joint = arm[1] if k == 0 else arm[2] if k == 1 else arm[0]
        p, way = points[k], n[k]
        for r in range(3):
            r1, r2 = (r + 1) % 3, (r + 2) % 3
            cross[r] = p[r1] * way[r2] - p[r2] * way[r1]
        for i in range(len(A)):
            if chains[joint, i]:
                for r in range(3):
                    A[i] += weight * (way[r] * J[r, i] + cross[r] * J[3 + r, i])
    return weight * angle
