"""Ticks of a hand with numpy, Pinocchio and daqp: without numba, and as the oracle of tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pinocchio as pin

from retarget.frames import Array
from retarget.handengine import HandConfig, HandState, HandTick
from retarget.handmodel import Hand
from retarget.handshape import hand_length, hand_shape
from retarget.kernels.anatomy import CROSS, HAND_LENGTH_M, PINCH, SIZE_SHARE
from retarget.limits import JointBox, braking_step
from retarget.solver import BoxQp
from retarget.targets import Status


class ReferenceHand:
    """Compute ticks with numpy.

    Attributes:
        terms: How many vectors are compared.
    """

    def __init__(self, hand: Hand, dt: float, config: HandConfig, scale: float = 1.0) -> None:
        self._hand, self._config = hand, config
        self._scale = hand.scale * scale
        self._box = JointBox(
            hand.lower, hand.upper, hand.velocity_limit, hand.acceleration_limit, dt
        )
        self._data = hand.model.createData()
        self._supports = supports_of(hand)
        self._compared = hand.terms(config.objective)
        self._R_root_hand = hand.T_palm_root[:3, :3].T @ hand.R_palm_hand
        self._qp = BoxQp()
        self.terms = len(self._compared.kinds)

    def follow(self, start: HandState, joints: Array | None) -> HandTick:
        """See `HandEngine.follow`."""
        low, high = self._box.bounds(start.q, start.step)
        step = np.clip(self._box.brake(start.step), low, high)
        shape = None if joints is None else hand_shape(np.asarray(joints), self._hand.side)
        status, value = Status.HOLD, float("nan")
        pinched, size = start.pinched, start.size_m
        if joints is not None:
            status = Status.INVALID if shape is None else Status.TRACKING
        if shape is not None:
            length = hand_length(shape)
            size = size + SIZE_SHARE * (length - size) if size > 0.0 else length
            wanted, weights, pinched = self._want(shape, start.pinched, size)
            for _ in range(self._config.iterations):
                value, change = self._improve(start.q, step, low, high, wanted, weights)
                step = np.clip(step + change, low, high)
                if np.abs(change).max() < self._config.enough_rad:
                    break
        return self._close(start, step, pinched, size, status, value)

    def approach(self, start: HandState, goal: Array, speed: float) -> HandTick:
        """See `HandEngine.approach`."""
        low, high = self._box.bounds(start.q, start.step)
        room, v = goal - start.q, speed * self._box.velocity
        times = np.abs(room) / v
        if times.max() >= 1e-9:
            v = v * np.maximum(times / times.max(), 1e-6)
            a = v * (self._box.acceleration / self._box.velocity).min()
            most = np.minimum(np.minimum(np.abs(room), v), braking_step(np.abs(room), a))
            room = np.copysign(most, room)
        step = np.clip(room, low, high)
        nothing = np.zeros(self.terms)
        return self._close(start, step, nothing, start.size_m, Status.JOINTS, float("nan"))

    def _close(
        self,
        start: HandState,
        step: Array,
        pinched: Array,
        size: float,
        status: Status,
        value: float,
    ) -> HandTick:
        after = self._box.advance(start.q, step)
        bits = self._box.saturation(start.step, step, after)
        memory = np.concatenate([after, after - start.q, pinched, [size]])
        return HandTick(HandState(memory, start.n), status, bits, value)

    def _want(self, shape: Array, before: Array, size: float) -> tuple[Array, Array, Array]:
        """Vectors the robot's should be, in the root, (terms, 3), weights, and which pinch."""
        c, terms = self._config, self._compared
        vectors = shape[terms.human[:, 1]] - shape[terms.human[:, 0]]
        lengths = np.linalg.norm(vectors, axis=1)
        threshold = np.where(before > 0, c.release_m, c.pinch_m)
        pinch = (terms.kinds == PINCH) & (lengths < threshold)
        cross = (terms.kinds == CROSS) & pinch[terms.pinches].all(axis=1)
        weights = np.where(pinch, c.pinch_weight, np.where(cross, c.cross_weight, 1.0))
        gaps = np.where(pinch, c.pinch_gap_m, c.cross_gap_m) / np.maximum(lengths, 1e-9)
        scale = self._scale * (HAND_LENGTH_M / size if c.normalise else 1.0)
        factors = np.where(pinch | cross, gaps, scale)
        wanted = factors[:, None] * vectors @ self._R_root_hand.T
        return wanted, weights / len(lengths), (pinch | cross).astype(np.float64)

    def _improve(
        self, q: Array, step: Array, low: Array, high: Array, wanted: Array, weights: Array
    ) -> tuple[float, Array]:
        """The objective where `step` leads, and the change of one Gauss-Newton iteration."""
        c, (starts, ends) = self._config, self._compared.pairs.T
        points, A = self.linearise(q + step)
        e = points[ends] - points[starts] - wanted
        rows = A[ends] - A[starts]
        norms = np.linalg.norm(e, axis=1)
        w = weights / np.maximum(norms, c.huber_m)
        H = np.einsum("k,kri,krj->ij", w, rows, rows) + 2.0 * c.rest * np.eye(len(q))
        g = np.einsum("k,kri,kr->i", w, rows, e) + 2.0 * c.rest * step
        huber = np.where(norms < c.huber_m, 0.5 * norms**2 / c.huber_m, norms - 0.5 * c.huber_m)
        value = float(weights @ huber + c.rest * step @ step)
        return value, self._qp.solve(H, g, low - step, high - step)

    def linearise(self, q: Array) -> tuple[Array, Array]:
        """Links in the root, (links, 3), and their Jacobians, (links, 3, n)."""
        hand, data = self._hand, self._data
        J = pin.computeJointJacobians(hand.model, data, hand.E @ q + hand.offset)
        places = zip(hand.link_joints.tolist(), hand.link_points, strict=True)
        points = np.array([data.oMi[j].act(p) for j, p in places])
        turned = np.cross(J[3:].T[None], points[:, None])  # (links, nv, 3)
        columns = (J[:3].T[None] + turned) * self._supports[:, :, None]
        return points, np.einsum("kjr,ji->kri", columns, hand.E)


def supports_of(hand: Hand) -> Any:
    """Which joints move a link, (links, nv)."""
    table = np.zeros((len(hand.link_joints), hand.model.nv), dtype=bool)
    for k, joint in enumerate(hand.link_joints.tolist()):
        table[k, [hand.model.joints[j].idx_v for j in hand.model.supports[joint] if j]] = True
    return table
