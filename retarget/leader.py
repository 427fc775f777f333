"""A leader arm leads a follower joint by joint: start check, soft ramp, then one to one.

Nothing is solved here and collisions are not looked at: the operator holds a copy of the arm and
feels where it goes. The limits are those of the retargeter, in the same box.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retarget.engine import State, whole_box
from retarget.errors import LeaderStartError, TargetError, TickError
from retarget.frames import Array
from retarget.leaderfile import LeaderConfig
from retarget.limits import braking_step
from retarget.rig import Rig
from retarget.solution import Shape, Solution
from retarget.takeover import GripperTakeover
from retarget.targets import Status

CAUGHT_UP_RAD = 1e-3
"""Nearer than this to its leader, a joint has caught up."""


class LeaderMapping:
    """Follow the joints of a leader with those of a rig, tick by tick.

    After `engage` each joint closes in on its leader at a share of its limits; once it has caught
    up it moves as its leader does, as long as the rig's limits allow. Joints that are not led, and
    all of them after `release`, come to rest. Readings that are not finite hold, and a leader that
    jumps is approached like any other goal: no input makes a joint jump.

    Attributes:
        rig: The follower.
        config: The leader.
        dt: Length of a tick [s].
    """

    def __init__(self, rig: Rig, config: LeaderConfig, rate_hz: float = 200.0) -> None:
        """Follow at `rate_hz` ticks per second.

        Raises:
            LeaderConfigError: The leader does not fit the rig.
        """
        config.check(rig)
        self.rig, self.config = rig, config
        self.dt = 1.0 / rate_hz
        self._shape = Shape(len(rig.joint_names), float(rate_hz), tuple(rig.tips))
        self._led = np.array([rig.joint_names.index(j.follower) for j in config.joints], dtype=int)
        self._gain = np.array([j.sign * j.scale for j in config.joints])
        self._offset = np.array([j.offset for j in config.joints])
        self._box = whole_box(rig, self.dt)
        self._sides = {side: rig.gripper_names.index(side) for side in config.grippers}
        self._takeovers = {side: GripperTakeover() for side in config.grippers}
        self._goal: Array | None = None
        self._caught_up = np.zeros(len(config.joints), dtype=bool)
        self._closing: Array = np.zeros(len(config.joints))
        self._x: Array | None = None
        self._step: Array = np.zeros(len(rig.joint_names) + len(rig.gripper_names))

    @property
    def following(self) -> bool:
        """Whether the follower is led."""
        return self._goal is not None

    @property
    def caught_up(self) -> bool:
        """Whether every led joint has reached its leader since it was engaged."""
        return self.following and bool(self._caught_up.all())

    def reading(self, values: Mapping[str, float]) -> Array:
        """Readings by name as a vector, (n_channels,), in the order of `config.channels`.

        Raises:
            TargetError: A channel is missing.
        """
        missing = [name for name in self.config.channels if name not in values]
        if missing:
            raise TargetError(f"the leader does not read {missing}; it reads {sorted(values)}")
        return np.array([values[name] for name in self.config.channels], dtype=np.float64)

    def posture(self, reading: ArrayLike) -> Array:
        """Where led joints should be for a reading, in the order of `config.joints` [rad].

        Raises:
            TargetError: Wrong length.
        """
        n = len(self._led)
        led: Array = self._gain * self._vector(reading)[:n] + self._offset
        return led

    def reset(self, q: ArrayLike, grippers: ArrayLike) -> None:
        """Start at rest from `q`, (nq,), and openings, (n_grippers,); nothing is led."""
        self._x = np.concatenate([np.array(q, np.float64), np.array(grippers, np.float64)])
        if self._x.shape != self._step.shape or not np.isfinite(self._x).all():
            raise TargetError(f"reset() needs {len(self._step)} finite numbers, got {self._x}")
        self._step = np.zeros(len(self._step))
        self.release()

    def apart(self, reading: ArrayLike) -> dict[str, float]:
        """How far every led joint is from its leader, by follower's name [rad]."""
        off = self._clipped(self.posture(reading)) - self._at()[self._led]
        return dict(zip(self.config.followers, off.tolist(), strict=True))

    def engage(self, reading: ArrayLike) -> None:
        """Let the leader lead from now on.

        Raises:
            LeaderStartError: A joint is too far from its leader, or a reading is not finite;
                nothing changed then.
        """
        apart = self.apart(reading)
        limit = self.config.start_rad
        far = {name: off for name, off in apart.items() if not abs(off) <= limit}
        if far:
            raise LeaderStartError(far, limit)
        self._goal = self._clipped(self.posture(reading))
        self._caught_up[:] = False
        self._closing = self._step[self._led].copy()
        for side, opening in self._openings(reading).items():
            held = float(self._at()[self._shape.joints + self._sides[side]])
            self._takeovers[side].engage(1.0 - opening, held)

    def release(self) -> None:
        """Come to rest; only `engage` follows again."""
        self._goal = None
        for takeover in self._takeovers.values():
            takeover.release()

    def step(self, reading: ArrayLike | None) -> Solution:
        """Advance one tick; without a reading the follower goes where the last one led.

        Raises:
            TickError: The follower's state is not known; see `reset`.
        """
        x, wanted = self._at(), self._box.brake(self._step)
        if self._goal is not None:
            wanted[self._led] = self._follow(x[self._led], self._goal, self._new_goal(reading))
            self._grip(wanted, x, reading)
        low, high = self._box.bounds(x, self._step)
        step = np.minimum(np.maximum(wanted, low), high)
        after = self._box.advance(x, step)
        saturation = self._box.saturation(self._step, step, after)[: self._shape.joints]
        self._x, self._step = after, step
        return self._answer(saturation)

    # ----------------------------------------------------------------- joints
    def _new_goal(self, reading: ArrayLike | None) -> Array:
        """Goal of this tick: the last one where the reading is missing or not finite."""
        before = self._goal
        if before is None:
            raise TickError("the leader does not lead: engage() first")
        if reading is None:
            return before
        goal = self._clipped(self.posture(reading))
        return np.where(np.isfinite(goal), goal, before)

    def _follow(self, q: Array, before: Array, goal: Array) -> Array:
        """Steps of led joints: as the leader moves, plus what closes the gap and can be braked."""
        v, a = self._box.velocity[self._led], self._box.acceleration[self._led]
        moved = goal - before
        carried = np.where(np.abs(moved) <= v, moved, 0.0)
        gap = goal - q - carried
        self._caught_up |= np.abs(gap) <= CAUGHT_UP_RAD
        share = np.where(self._caught_up, 1.0, self.config.approach)
        most = np.minimum(braking_step(np.abs(gap), share * a), share * v)
        closing = np.sign(gap) * np.minimum(np.abs(gap), most)
        self._closing = np.clip(closing, self._closing - share * a, self._closing + share * a)
        self._goal = goal
        step: Array = carried + self._closing
        return step

    def _clipped(self, posture: Array) -> Array:
        """Led joints within the rig's position limits."""
        lower, upper = self._box.lower[self._led], self._box.upper[self._led]
        return np.clip(posture, lower, upper)

    # --------------------------------------------------------------- grippers
    def _grip(self, wanted: Array, x: Array, reading: ArrayLike | None) -> None:
        openings = {} if reading is None else self._openings(reading)
        for side, takeover in self._takeovers.items():
            index = self._shape.joints + self._sides[side]
            opening = takeover.update(1.0 - openings.get(side, math.nan))
            gap = opening - x[index]
            most = braking_step(np.abs(gap), self._box.acceleration[index])
            wanted[index] = math.copysign(min(abs(gap), float(most)), gap)

    def _openings(self, reading: ArrayLike) -> dict[str, float]:
        """Opening that each gripper channel asks for, 0 to 1; NaN where it reads none."""
        values = self._vector(reading)[len(self._led) :].tolist()
        found = {}
        for (side, gripper), value in zip(self.config.grippers.items(), values, strict=True):
            opening = (value - gripper.closed) / (gripper.open - gripper.closed)
            found[side] = min(max(opening, 0.0), 1.0) if math.isfinite(opening) else math.nan
        return found

    # ---------------------------------------------------------------- answers
    def _at(self) -> Array:
        if self._x is None:
            raise TickError("the follower's state is not known: reset() first")
        return self._x

    def _vector(self, reading: ArrayLike) -> Array:
        vector = np.asarray(reading, dtype=np.float64)
        channels = self.config.channels
        if vector.shape != (len(channels),):
            raise TargetError(
                f"a reading has {len(channels)} values ({', '.join(channels)}), got {vector.shape}"
            )
        return vector

    def _answer(self, saturation: NDArray[np.uint8]) -> Solution:
        tips = len(self._shape.tips)
        state = State.rest(self._at(), tips, 0)
        state.memory[len(self._step) : 2 * len(self._step)] = self._step
        return Solution(state, Status.JOINTS, saturation, math.nan, self._shape)
