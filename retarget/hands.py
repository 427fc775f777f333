"""Human hand in, finger joints out: one call per tick, within the limits whatever is asked.

The objective is that of vector retargeting (Qin et al., AnyTeleop, 2023): the mean Huber distance
of scaled human vectors to the robot's, plus a charge on the motion of a tick. It is minimised by
reweighted Gauss-Newton inside the box of steps of `limits`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pinocchio as pin
from numpy.typing import ArrayLike, NDArray

from retarget.errors import TargetError
from retarget.frames import Array
from retarget.handmodel import Hand
from retarget.handshape import hand_shape
from retarget.limits import JointBox
from retarget.targets import Status


@dataclass(frozen=True)
class HandConfig:
    """Settings.

    Attributes:
        iterations: Gauss-Newton iterations per tick.
        sweeps: Most passes over the joints per iteration.
        huber_m: Distance from which errors count linearly [m].
        rest: Charge on the squared motion of a tick [1/rad²].
        pinch_m: Human tips nearer than this are made to meet [m].
        release_m: Until they are farther than this [m].
        pinch_weight: Factor on a vector that pinches.
    """

    iterations: int = 4
    sweeps: int = 60
    huber_m: float = 0.02
    rest: float = 4e-3
    pinch_m: float = 0.02
    release_m: float = 0.03
    pinch_weight: float = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class HandSolution:
    """One tick's answer of a hand.

    Attributes:
        q: Driven joints, (n,) [rad].
        dq: Their velocities of this tick, (n,) [rad/s].
        objective: At the tick's last iterate; NaN when nothing was followed.
        status: `TRACKING`, `HOLD` (nothing asked) or `INVALID` (not a hand: it brakes).
        saturation: `Saturation` bits per joint, (n,) uint8.
    """

    q: Array
    dq: Array
    objective: float
    status: Status
    saturation: NDArray[np.uint8]


class HandRetargeter:
    """Follow a human hand with one robot hand."""

    def __init__(
        self,
        hand: Hand,
        rate_hz: float = 200.0,
        config: HandConfig | None = None,
        compiled: bool | None = None,
    ) -> None:
        """Follow at `rate_hz` ticks per second.

        Args:
            hand: The robot's hand.
            rate_hz: Ticks per second.
            config: Settings.
            compiled: Use numba; where it is installed and `TELECAP_NO_NUMBA` unset if left out.
        """
        self.hand, self.dt, self.config = hand, 1.0 / rate_hz, config or HandConfig()
        speeds = hand.velocity_limit, hand.acceleration_limit
        self._box = JointBox(hand.lower, hand.upper, *speeds, self.dt)
        self._data = hand.model.createData()
        self._supports = _supports(hand)
        self._R_root_hand = hand.T_palm_root[:3, :3].T @ hand.R_palm_hand
        self._improve = _kernel(compiled)
        n = len(hand.joint_names)
        self._work = (np.empty((len(hand.link_points), 3, n)), np.empty((n, n)), np.empty(n))
        self.reset(hand.q_home)

    def reset(self, q: ArrayLike) -> None:
        """Start at rest from `q`, (n,), kept as it is even outside the limits.

        Raises:
            TargetError: Wrong length, or not finite.
        """
        values = np.array(q, dtype=np.float64)
        if values.shape != self.hand.q_home.shape or not np.isfinite(values).all():
            raise TargetError(f"q must be {len(self.hand.q_home)} finite numbers, got {q!r}")
        self._q, self._last = values, np.zeros(len(values))
        self._pinched = np.zeros(len(self.hand.pairs), dtype=bool)

    def step(self, joints: Array | None) -> HandSolution:
        """Advance one tick towards a hand, (26, 3) or (25, 3) [m]; None asks for nothing."""
        low, high = self._box.bounds(self._q, self._last)
        moved = np.clip(self._box.brake(self._last), low, high)
        shape = None if joints is None else hand_shape(np.asarray(joints), self.hand.side)
        status, value = Status.HOLD if joints is None else Status.INVALID, float("nan")
        if shape is not None:
            status = Status.TRACKING
            value = self._follow(shape, moved, np.stack([low, high]))
        after = self._box.advance(self._q, moved)
        bits = self._box.saturation(self._last, moved, after)
        self._q, self._last = after, after - self._q
        return HandSolution(after.copy(), self._last / self.dt, value, status, bits)

    def _follow(self, shape: Array, moved: Array, bounds: Array) -> float:
        """Write the tick's step; the objective before the last iteration."""
        hand, config, value = self.hand, self.config, float("nan")
        wanted, weights = self._wanted(shape)
        for _ in range(config.iterations):
            q = hand.E @ (self._q + moved) + hand.offset
            J = pin.computeJointJacobians(hand.model, self._data, q)
            value = self._improve(
                J, hand.E, self._supports, self._points(), hand.pairs, wanted, weights,
                config.huber_m, config.rest, moved, bounds, *self._work, config.sweeps,
            )  # fmt: skip
        return value

    def _wanted(self, shape: Array) -> tuple[Array, Array]:
        """Vectors the robot's should be, in the root, (vectors, 3), and their weights."""
        hand, config = self.hand, self.config
        vectors = shape[hand.human[:, 1]] - shape[hand.human[:, 0]]
        lengths = np.sqrt((vectors * vectors).sum(axis=1))
        threshold = np.where(self._pinched, config.release_m, config.pinch_m)
        self._pinched = hand.pinch & (lengths < threshold)
        vectors[self._pinched] = 0.0
        weights = np.where(self._pinched, config.pinch_weight, 1.0) / len(vectors)
        return hand.scale * vectors @ self._R_root_hand.T, weights

    def _points(self) -> Array:
        """Links in the root, (links, 3)."""
        oMi = self._data.oMi
        pairs = zip(self.hand.link_joints.tolist(), self.hand.link_points, strict=True)
        return np.array([oMi[j].act(p) for j, p in pairs])


def _supports(hand: Hand) -> Any:
    """Which joints move a link, (links, nv)."""
    table = np.zeros((len(hand.link_joints), hand.model.nv), dtype=bool)
    for k, joint in enumerate(hand.link_joints.tolist()):
        table[k, [hand.model.joints[j].idx_v for j in hand.model.supports[joint] if j]] = True
    return table


def _kernel(compiled: bool | None) -> Callable[..., float]:
    if compiled is None:
        compiled = not os.environ.get("TELECAP_NO_NUMBA")
    if compiled and importlib.util.find_spec("numba") is not None:
        from retarget.kernels.hands import hand_step

        return hand_step
    from retarget.handreference import hand_step as reference

    return reference
