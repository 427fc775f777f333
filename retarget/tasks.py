"""Terms of the retargeting cost: each a residual, its Jacobian, and a cost.

The solver minimises the sum of |cost * (e + J dq)|² over the joint step dq.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import pinocchio as pin

from retarget.frames import Array
from retarget.kinematics import Kinematics
from retarget.settings import SwivelConfig


class Task(Protocol):
    """What the solver needs of a term."""

    @property
    def rows(self) -> int:
        """Length of the residual."""

    def residual(self, kinematics: Kinematics) -> Array:
        """`e(q)`, (rows,), without the cost."""

    def jacobian(self, kinematics: Kinematics) -> Array:
        """`de/dq`, (rows, nv), without the cost."""

    def linearise(self, kinematics: Kinematics, J: Array, e: Array) -> None:
        """Write cost * Jacobian into `J`, (rows, nv), and cost * residual into `e`, (rows,).

        `J` arrives zeroed.
        """


class FrameTask:
    """Bring a tip to a pose: e = [p - p_target, log(R R_target^T)], (6,), robot root axes.

    The Jacobian is exact: the rotation rows carry the inverse left Jacobian of SO(3) at the error
    (Chirikjian 2012, section 10.6), so Gauss-Newton steps stay good for large turns too.

    Attributes:
        tip: Name of the tip in the kinematics.
        T_robot_tip: Target, (4, 4).
    """

    rows = 6

    def __init__(self, tip: str, position_cost: float = 1.0, rotation_cost: float = 0.25) -> None:
        """Costs: `position_cost` in [cost] / [m], `rotation_cost` in [cost] / [rad]."""
        self.tip = tip
        self._costs = (position_cost, rotation_cost)
        self._weight = 1.0
        self._R_target = np.eye(3)
        self._p_target = np.zeros(3)
        # maps the twist at the root's origin to the change of the weighted residual
        self._map = np.zeros((6, 6))

    def set_target(self, T_robot_tip: Array, weight: float = 1.0) -> None:
        """Copy the target; `weight` scales both costs."""
        self._p_target[:] = T_robot_tip[:3, 3]
        self._R_target[:] = T_robot_tip[:3, :3]
        self._weight = weight

    def squared_cost(self, e: Array) -> float:
        """Weighted square of a residual (6,)."""
        x, y, z, a, b, c = e.tolist()
        cp, cr = self._costs
        position, rotation = x * x + y * y + z * z, a * a + b * b + c * c
        weighted: float = cp * cp * position + cr * cr * rotation
        return self._weight * self._weight * weighted

    def residual(self, kinematics: Kinematics) -> Array:
        """`e(q)`, (6,) [m, rad]."""
        tip = kinematics.tips[self.tip]
        e = np.empty(6)
        e[:3] = tip.position() - self._p_target
        e[3:] = pin.log3(tip.rotation() @ self._R_target.T)
        return e

    def jacobian(self, kinematics: Kinematics) -> Array:
        """`de/dq`, (6, nv)."""
        J = np.zeros((6, kinematics.model.nv))
        self._fill(kinematics, 1.0, 1.0, J, np.empty(6))
        return J

    def linearise(self, kinematics: Kinematics, J: Array, e: Array) -> None:
        """Weighted Jacobian and residual."""
        position_cost, rotation_cost = self._costs
        self._fill(kinematics, self._weight * position_cost, self._weight * rotation_cost, J, e)

    def _fill(self, kinematics: Kinematics, cp: float, cr: float, J: Array, e: Array) -> None:
        """Residual and Jacobian with costs `cp`, `cr` on position and rotation.

        v(tip) = v(origin) + w x p gives the position rows, the inverse Jacobian the others.
        """
        tip = kinematics.tips[self.tip]
        position = tip.position()
        R_error = tip.rotation() @ self._R_target.T
        e[:3] = cp * (position - self._p_target)
        e[3:] = cr * pin.log3(R_error)
        x, y, z = position.tolist()
        M = self._map
        M[0, 0] = M[1, 1] = M[2, 2] = cp
        M[0, 4], M[0, 5] = cp * z, -cp * y
        M[1, 3], M[1, 5] = -cp * z, cp * x
        M[2, 3], M[2, 4] = cp * y, -cp * x
        # Jlog3 is the inverse right Jacobian; its transpose is the left one, for root-axis turns
        M[3:, 3:] = cr * pin.Jlog3(R_error).T
        J[:, tip.span] = M @ tip.spatial_jacobian()


class SwivelTask:
    """Turn an arm about the line from shoulder to tip until its elbow points like the operator's.

    e = angle from the half-plane of the target to that of the elbow, (1,) [rad]: the dihedral
    angle target, shoulder, tip, elbow; its derivative is exact (Blondel, Karplus 1996). The cost
    fades where the elbow or its target comes near the line, and half a turn away, where either
    way round is as good. Only a part of the residual is asked of one tick, so that a far target is
    approached calmly.
    """

    rows = 1

    def __init__(
        self, shoulder: int, elbow: int, tip: str, config: SwivelConfig, dt: float
    ) -> None:
        """Take the Pinocchio joints at shoulder and elbow, the tip's name, and a tick's length."""
        self._part, self._most = dt / config.approach_s, config.max_speed * dt
        self._joints, self._tip, self._config = (elbow, shoulder), tip, config
        self._target = np.zeros(3)

    def set_target(self, p_robot_elbow: Array) -> None:
        """Copy where the elbow should be, (3,) [m]."""
        self._target[:] = p_robot_elbow

    def residual(self, kinematics: Kinematics) -> Array:
        """`e(q)`, (1,), not cut off."""
        return np.array([self._evaluate(kinematics)[0]])

    def jacobian(self, kinematics: Kinematics) -> Array:
        """`de/dq`, (1, nv)."""
        _, _, ways, points, joints = self._evaluate(kinematics)
        twists = np.concatenate([ways, np.cross(points, ways)], axis=1)
        rows: Array = (twists @ kinematics.J) * kinematics.chains[list(joints)]
        total: Array = rows.sum(axis=0, keepdims=True)
        return total

    def linearise(self, kinematics: Kinematics, J: Array, e: Array) -> None:
        """Weighted Jacobian and residual."""
        angle, share, *_ = self._evaluate(kinematics)
        weight, most = self._config.cost * share, self._most
        J[:] = weight * self.jacobian(kinematics)
        e[:] = weight * min(max(self._part * angle, -most), most)

    def _evaluate(
        self, kinematics: Kinematics
    ) -> tuple[float, float, Array, Array, tuple[int, int, int]]:
        """Angle, share of the cost, derivatives by elbow, tip and shoulder (3, 3), and those."""
        elbow, shoulder = self._joints
        tip = kinematics.tips[self._tip]
        e, s = (np.array(kinematics.data.oMi[k].translation) for k in (elbow, shoulder))
        points = np.array([e, tip.position(), s])
        joints = elbow, tip.joint, shoulder
        axis = points[1] - s
        length = float(np.sqrt(axis @ axis))
        nothing = 0.0, 0.0, np.zeros((3, 3)), points, joints
        if not length > 1e-6:
            return nothing
        u = axis / length
        a, b = self._target - s, e - s
        along_a, along_b = float(a @ u), float(b @ u)
        a, b = a - along_a * u, b - along_b * u
        a2, b2 = float(a @ a), float(b @ b)
        if not (a2 > 1e-12 and b2 > 1e-12):
            return nothing
        angle = math.atan2(float(u @ np.cross(a, b)), float(a @ b))
        fade = self._config.fade_m
        share = min(math.sqrt(a2) / fade, 1.0) * min(math.sqrt(b2) / fade, 1.0)
        turn_a, turn_b = np.cross(u, a) / a2, np.cross(u, b) / b2
        x, y = along_a / length, along_b / length
        ways = np.array([turn_b, x * turn_a - y * turn_b, (1 - x) * turn_a - (1 - y) * turn_b])
        return angle, 0.5 * (1.0 + math.cos(angle)) * share, ways, points, joints


class PostureTask:
    """Keep joints near a posture: e = q - q_posture, (nv,) [rad].

    Attributes:
        cost: [cost] / [rad]; keep it small, it pulls tips off their targets.
    """

    def __init__(self, q_posture: Array, cost: float) -> None:
        self._q_posture = np.array(q_posture, dtype=np.float64)
        self.cost = cost
        self.rows = len(self._q_posture)

    def residual(self, kinematics: Kinematics) -> Array:
        """`e(q)`, (nv,)."""
        return kinematics.q - self._q_posture

    def jacobian(self, kinematics: Kinematics) -> Array:
        """Identity, (nv, nv)."""
        return np.eye(self.rows)

    def linearise(self, kinematics: Kinematics, J: Array, e: Array) -> None:
        """Weighted Jacobian and residual."""
        np.fill_diagonal(J, self.cost)
        e[:] = self.cost * (kinematics.q - self._q_posture)
