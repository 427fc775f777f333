"""Forward kinematics and Jacobians at one configuration, without copies.

Pinocchio's `data.J`, `data.oMi[j].translation` and `.rotation` are live views: they are taken once
and read after every update. Only tips are evaluated, each from its parent joint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pinocchio as pin
from numpy.typing import NDArray

from retarget.frames import Array

Columns = slice | NDArray[np.intp]
"""Joints by index; a slice where they are consecutive, for views instead of copies."""


class Tip:
    """A steered frame: its pose, and its part of the Jacobian, read from live views.

    Attributes:
        joint: Pinocchio joint that carries it.
        columns: Joints that move it (indices into q), from the base outwards.
        span: The same as a slice where they are consecutive, for views instead of copies.
    """

    def __init__(self, model: Any, data: Any, frame: str, still: Sequence[int] = ()) -> None:
        placed = model.frames[model.getFrameId(frame)]
        self.joint = joint = int(placed.parentJoint)
        self._p_joint: Array = data.oMi[joint].translation
        self._R_joint: Array = data.oMi[joint].rotation
        self._offset = np.array(placed.placement.translation)
        self._turn = np.array(placed.placement.rotation)
        self._J: Array = data.J
        self._position: Array | None = None
        self._rotation: Array | None = None
        chain = [k for k in model.supports[joint] if k > 0]
        columns = [model.joints[k].idx_v for k in chain]
        self.columns = np.array([i for i in columns if i not in still], dtype=np.intp)
        self.span: Columns = as_slice(self.columns)

    def invalidate(self) -> None:
        """Forget the pose: the configuration has changed."""
        self._position = self._rotation = None

    def position(self) -> Array:
        """Origin in the robot root, (3,) [m]; not to be changed."""
        if self._position is None:
            self._position = self._p_joint + self._R_joint @ self._offset
        return self._position

    def rotation(self) -> Array:
        """`R_robot_tip`, (3, 3); not to be changed."""
        if self._rotation is None:
            self._rotation = self._R_joint @ self._turn
        return self._rotation

    def spatial_jacobian(self) -> Array:
        """Twist per joint speed, (6, columns): of the point at the root's origin, root axes."""
        J: Array = self._J[:, self.span]
        return J

    def tool(self) -> Array:
        """The tip in that joint, `[R | p]`, (3, 4)."""
        return np.column_stack([self._turn, self._offset])

    def pose(self) -> Array:
        """`T_robot_tip`, (4, 4)."""
        T_robot_tip = np.eye(4)
        T_robot_tip[:3, :3] = self.rotation()
        T_robot_tip[:3, 3] = self.position()
        return T_robot_tip

    def motion(self, step: Array) -> Array:
        """Motion of the tip for a small joint step, (6,): of its origin, and rotation vector."""
        twist = self._J[:, self.span] @ step[self.span]
        x, y, z, a, b, c = twist.tolist()
        px, py, pz = self.position().tolist()
        return np.array([x + b * pz - c * py, y + c * px - a * pz, z + a * py - b * px, a, b, c])


def joint_chains(model: Any, still: Sequence[int] = ()) -> NDArray[np.bool_]:
    """Which columns of the Jacobian move each joint, (joints, nv); those `still` move none."""
    chains = np.zeros((model.njoints, model.nv), dtype=np.bool_)
    for joint in range(1, model.njoints):
        chains[joint, [model.joints[k].idx_v for k in model.supports[joint] if k > 0]] = True
    chains[:, list(still)] = False
    return chains


def as_slice(columns: NDArray[np.intp]) -> Columns:
    """Consecutive indices as a slice, others as they are."""
    if len(columns) and (np.diff(columns) == 1).all():
        return slice(int(columns[0]), int(columns[-1]) + 1)
    return columns


class Kinematics:
    """A model at one configuration.

    Attributes:
        model: `pinocchio.Model`; every joint has one coordinate.
        q: Configuration of the last update, (nq,).
        tips: Steered frames by name.
        data: `pinocchio.Data` of it.
        J: Spatial Jacobian at the root's origin, live, (6, nv).
        chains: Which columns move a joint, (joints, nv).
    """

    def __init__(self, model: Any, tips: dict[str, str], still: Sequence[int] = ()) -> None:
        """Keep the joints `still` (indices into q) at zero: a base carries the root along."""
        self.model = model
        self.data = self._data = model.createData()
        self._still = list(still)
        pin.computeJointJacobians(model, self._data, np.array(pin.neutral(model)))
        self.J: Array = self._data.J
        self.chains = joint_chains(model, self._still)
        self.q: Array = np.zeros(model.nq)
        self._key = b""
        self.tips = {
            name: Tip(model, self._data, frame, self._still) for name, frame in tips.items()
        }

    def update(self, q: Array) -> bool:
        """Move to `q`, (nq,); does nothing, and says False, when already there."""
        key = q.tobytes()
        if key == self._key:
            return False
        self.q, self._key = q.copy(), key
        if self._still:
            q = q.copy()
            q[self._still] = 0.0
        pin.computeJointJacobians(self.model, self._data, q)
        for tip in self.tips.values():
            tip.invalidate()
        return True
