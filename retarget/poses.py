"""Poses in plain floats, for code that sees one at a time: on seven numbers numpy costs more.

A pose is `(px, py, pz, qx, qy, qz, qw)`, as in `retarget.frames`; quaternions are xyzw.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

Pose = tuple[float, ...]
"""Position [m] and quaternion xyzw, or any part of them."""

STILL: Pose = (0.0, 0.0, 0.0)


def floats(values: ArrayLike) -> Pose:
    """Any array as a tuple of floats."""
    numbers: list[float] = np.asarray(values, dtype=np.float64).tolist()
    return tuple(numbers)


def norm(v: Pose) -> float:
    """Length of a vector."""
    return math.hypot(*v)


def plus(a: Pose, b: Pose, share: float = 1.0) -> Pose:
    """`a + share * b` of two vectors (3,)."""
    (x, y, z), (i, j, k) = a, b
    return x + share * i, y + share * j, z + share * k


def minus(a: Pose, b: Pose) -> Pose:
    """`a - b` of two vectors (3,)."""
    (x, y, z), (i, j, k) = a, b
    return x - i, y - j, z - k


def unit(quat_xyzw: Pose) -> Pose:
    """The unit quaternion with w >= 0 of the same rotation.

    Raises:
        ValueError: It is zero or not finite.
    """
    x, y, z, w = quat_xyzw
    length = norm(quat_xyzw)
    if not (math.isfinite(length) and length > 1e-6):
        raise ValueError(f"quaternion {quat_xyzw} is not finite or is zero")
    s = math.copysign(1.0 / length, w)
    return s * x, s * y, s * z, s * w


def product(p: Pose, q: Pose) -> Pose:
    """Quaternion of the rotation `q`, then `p`."""
    a, b, c, d = p
    x, y, z, w = q
    return (
        d * x + a * w + b * z - c * y,
        d * y - a * z + b * w + c * x,
        d * z + a * y - b * x + c * w,
        d * w - a * x - b * y - c * z,
    )


def turn_between(quat_a: Pose, quat_b: Pose) -> Pose:
    """Rotation vector [rad] that turns `a` to `b` by the shorter way, about the parent's axes."""
    x, y, z, w = quat_a
    return rotation_vector(product(quat_b, (-x, -y, -z, w)))


def turned(quat: Pose, turn: Pose, share: float = 1.0) -> Pose:
    """The unit quaternion after a share of a rotation vector about the parent's axes."""
    return unit(product(_quaternion(turn, share), quat))


def rotation_vector(quat: Pose) -> Pose:
    """Rotation vector [rad] of a unit quaternion, by the shorter way."""
    x, y, z, w = quat
    s = math.sqrt(x * x + y * y + z * z)
    share = 2.0 * math.atan2(s, abs(w)) / s if s > 1e-12 else 2.0
    share = math.copysign(share, w)
    return share * x, share * y, share * z


def _quaternion(turn: Pose, share: float) -> Pose:
    """Quaternion of a share of a rotation vector."""
    x, y, z = turn
    angle = math.sqrt(x * x + y * y + z * z)
    s = math.sin(0.5 * share * angle) / angle if angle > 1e-12 else 0.5 * share
    return s * x, s * y, s * z, math.cos(0.5 * share * angle)
