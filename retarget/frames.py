"""Frames and poses: the one axis map STAGE to robot, and pose helpers.

STAGE is OpenXR's: x right, y up, -z forward. The robot root is x forward, y left, z up. A pose is
`(7,)` float64 `[px, py, pz, qx, qy, qz, qw]`; a transform `T_a_b` is `(4, 4)`, the pose of b in a.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pinocchio as pin
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_LAST_ROW = [0.0, 0.0, 0.0, 1.0]
_R_ROBOT_STAGE = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def stage_to_robot() -> Array:
    """`T_robot_stage`, (4, 4): the fixed axis map, origins and headings coinciding."""
    T_robot_stage = np.eye(4)
    T_robot_stage[:3, :3] = _R_ROBOT_STAGE
    return T_robot_stage


def quat_to_matrix(quat_xyzw: ArrayLike) -> Array:
    """Rotation matrix, (3, 3), of a quaternion that need not be of unit length."""
    return np.array(_rotation_rows(np.asarray(quat_xyzw, dtype=np.float64).tolist()))


def _rotation_rows(quat_xyzw: list[float]) -> list[list[float]]:
    """`quat_to_matrix` in plain floats: numpy's calls cost more than the arithmetic."""
    x, y, z, w = quat_xyzw
    norm2 = x * x + y * y + z * z + w * w
    if not (math.isfinite(norm2) and norm2 > 1e-12):
        raise ValueError(f"quaternion {quat_xyzw} is not finite or is zero")
    s = 2.0 / norm2
    return [
        [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
        [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
        [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
    ]


def matrix_to_quat(R: ArrayLike) -> Array:
    """Unit quaternion xyzw, (4,), with w >= 0, of a rotation matrix (3, 3).

    By way of its largest component, which loses no digits (Shepperd, Journal of Guidance and
    Control 1 (3), 1978). Pinocchio's own conversion leaks memory at each call.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.asarray(R, dtype=np.float64).tolist()
    if xx + yy + zz > 0.0:
        quat = [zy - yz, xz - zx, yx - xy, 1.0 + xx + yy + zz]
    elif xx >= yy and xx >= zz:
        quat = [1.0 + xx - yy - zz, xy + yx, xz + zx, zy - yz]
    elif yy >= zz:
        quat = [xy + yx, 1.0 + yy - xx - zz, yz + zy, xz - zx]
    else:
        quat = [xz + zx, yz + zy, 1.0 + zz - xx - yy, yx - xy]
    length = math.copysign(math.hypot(*quat), quat[3])
    return np.array([value / length for value in quat])


def pose_to_matrix(pose: ArrayLike) -> Array:
    """`T_a_b`, (4, 4), of a pose (7,). Raises ValueError for a zero or non-finite quaternion."""
    x, y, z, *quat = np.asarray(pose, dtype=np.float64).tolist()
    r0, r1, r2 = _rotation_rows(quat)
    return np.array([[*r0, x], [*r1, y], [*r2, z], _LAST_ROW])


def matrix_to_pose(T_a_b: ArrayLike) -> Array:
    """Pose (7,) of a transform (4, 4)."""
    matrix = np.asarray(T_a_b, dtype=np.float64)
    return np.concatenate([matrix[:3, 3], matrix_to_quat(matrix[:3, :3])])


def inverse(T_a_b: Array) -> Array:
    """`T_b_a`, by transposing the rotation (exact for rotations, unlike a general inverse)."""
    T_b_a = np.eye(4)
    R = T_a_b[:3, :3].T
    T_b_a[:3, :3] = R
    T_b_a[:3, 3] = -R @ T_a_b[:3, 3]
    return T_b_a


def log3(R: ArrayLike) -> Array:
    """Rotation vector (3,) [rad] of a rotation matrix."""
    return np.asarray(pin.log3(np.asarray(R, dtype=np.float64)))


def exp3(w: ArrayLike) -> Array:
    """Rotation matrix (3, 3) of a rotation vector [rad]."""
    return np.asarray(pin.exp3(np.asarray(w, dtype=np.float64)))


def interpolate(T_a_b0: Array, T_a_b1: Array, u: float) -> Array:
    """Pose between two: straight line for the origin, constant-speed turn for the rotation."""
    T_a_b = np.eye(4)
    R0 = T_a_b0[:3, :3]
    T_a_b[:3, :3] = R0 @ exp3(u * log3(R0.T @ T_a_b1[:3, :3]))
    T_a_b[:3, 3] = T_a_b0[:3, 3] + u * (T_a_b1[:3, 3] - T_a_b0[:3, 3])
    return T_a_b


def distance(T_a_b0: Array, T_a_b1: Array) -> tuple[float, float]:
    """Distance of the origins [m] and angle between the rotations [rad]."""
    step = float(np.linalg.norm(T_a_b1[:3, 3] - T_a_b0[:3, 3]))
    return step, float(np.linalg.norm(log3(T_a_b0[:3, :3].T @ T_a_b1[:3, :3])))


def motion_between(T_a_b0: Array, T_a_b1: Array) -> Array:
    """Motion (6,) from one pose to another: translation [m], rotation vector about a's axes."""
    turn = log3(T_a_b1[:3, :3] @ T_a_b0[:3, :3].T)
    return np.concatenate([T_a_b1[:3, 3] - T_a_b0[:3, 3], turn])


def moved(T_a_b: Array, motion: Array) -> Array:
    """A pose (4, 4) after a motion (6,), as `motion_between` measures it."""
    following = np.eye(4)
    following[:3, :3] = exp3(motion[3:]) @ T_a_b[:3, :3]
    following[:3, 3] = T_a_b[:3, 3] + motion[:3]
    return following


def se3(position: ArrayLike, quat_wxyz: ArrayLike) -> Any:
    """Pinocchio `SE3` from MuJoCo's position and wxyz quaternion."""
    w, x, y, z = (float(value) for value in np.asarray(quat_wxyz))
    rotation = pin.Quaternion(w, x, y, z).normalized().toRotationMatrix()
    return pin.SE3(rotation, np.array(position, dtype=np.float64))
