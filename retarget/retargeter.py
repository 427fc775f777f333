"""Targets in, joint commands out: one call per tick of a fixed rate, deterministic.

Every tick obeys the position, velocity and acceleration limits of the rig, whatever is asked.
No clock, no thread, no I/O: the same calls give the same numbers, bit for bit.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from retarget.engine import Engine, State, Tick
from retarget.errors import TargetError, TickError
from retarget.filters import FilterConfig, TargetFilter
from retarget.fingers import FingerEngines, States, Ticks
from retarget.frames import Array
from retarget.reference import ReferenceEngine
from retarget.rig import Rig
from retarget.settings import Collision, PostureConfig, RetargeterConfig
from retarget.solution import NO_HANDS, Shape, Solution
from retarget.targets import Targets

__all__ = ["PostureConfig", "Retargeter", "RetargeterConfig", "default_engine"]

NO_NUMBA = "TELECAP_NO_NUMBA"
"""Environment variable: set to anything, ticks are computed without compiled kernels."""


def default_engine(rig: Rig, dt: float, config: RetargeterConfig) -> Engine:
    """The compiled engine; the numpy one where numba is missing or `TELECAP_NO_NUMBA` is set."""
    if os.environ.get(NO_NUMBA) or importlib.util.find_spec("numba") is None:
        return ReferenceEngine(rig, dt, config)
    from retarget.compiled import CompiledEngine

    return CompiledEngine(rig, dt, config)


class Retargeter:
    """Follow targets with one rig.

    Attributes:
        rig: The robot.
        dt: Length of a tick [s].
        config: Settings.
    """

    def __init__(
        self,
        rig: Rig,
        rate_hz: float = 200.0,
        config: RetargeterConfig | None = None,
        engine: Engine | None = None,
        *,
        iterations: int | None = None,
        collision: Collision | None = None,
        filters: FilterConfig | None = None,
        hand_scales: Mapping[str, float] | None = None,
    ) -> None:
        """Follow at `rate_hz` ticks per second.

        Args:
            rig: The robot.
            rate_hz: Ticks per second.
            config: Settings.
            engine: Replaces the default one.
            iterations: Replaces the setting of that name.
            collision: Replaces the mode of `config.collision`.
            filters: Conditions the targets of every tick; None takes them as they are.
            hand_scales: By side, as `scale` of `HandRetargeter`.

        Raises:
            TargetError: A scale is given for a hand that the rig does not have.
        """
        self.rig = rig
        self.dt, self._rate_hz = 1.0 / rate_hz, float(rate_hz)
        self.config = _changed(config or RetargeterConfig(), iterations, collision)
        self._n = len(rig.joint_names)
        self._engine = engine or default_engine(rig, self.dt, self.config)
        self._shape = Shape(self._n, self._rate_hz, tuple(rig.tips))
        self._filter = None if filters is None else TargetFilter(filters, self.dt)
        self._hand_engines = FingerEngines(rig, self.dt, self.config.hands, hand_scales or {})
        self._has_hands = bool(rig.file.hands)
        self._start: State | None = None
        self._state = self._rest(rig.q_home, None)
        self._fingers_start: States = {}
        self._fingers: States = self._hand_engines.rest({})

    @property
    def q(self) -> Array:
        """Joint positions after the last tick, (nq,)."""
        return self._state.x[: self._n].copy()

    @property
    def fingers(self) -> Mapping[str, Array]:
        """Joints of hands after the last tick, by side."""
        return {side: state.q.copy() for side, state in self._fingers.items()}

    def reset(
        self,
        q: ArrayLike,
        grippers: ArrayLike | None = None,
        fingers: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        """Start at rest from `q`, (nq,), kept as it is even outside the limits.

        Args:
            q: Joint positions in `rig.joint_names` order [rad or m].
            grippers: Openings in `rig.gripper_names` order; those of home when left out.
            fingers: Joints of hands by side; those of home when left out.

        Raises:
            TargetError: Wrong length, or not finite.
        """
        state, hands = self._rest(q, grippers), self._hand_engines.rest(fingers or {})
        self._state, self._fingers = state, hands
        self._start = None
        if self._filter is not None:
            self._filter.reset()

    def step(self, targets: Targets) -> Solution:
        """Advance one tick towards `targets`."""
        self._start, self._fingers_start = self._state, self._fingers
        if self._filter is not None:
            targets = self._filter.apply(targets)
        return self._follow(self._start, targets)

    def revise(self, targets: Targets) -> Solution:
        """Make the last tick again, from its start, with newer targets.

        Raises:
            TickError: No tick was made since the reset, or filters have seen the tick already.
        """
        if self._start is None:
            raise TickError("revise() makes the last tick again, but none was made since reset()")
        if self._filter is not None:
            raise TickError("revise() cannot be used with filters: they take each tick once")
        return self._follow(self._start, targets)

    def _follow(self, start: State, targets: Targets) -> Solution:
        tick, hands = self._engine.follow(start, targets), NO_HANDS
        if self._has_hands:
            self._fingers, hands = self._hand_engines.follow(self._fingers_start, targets)
        return self._answer(tick, hands)

    def step_joints(
        self,
        q_goal: ArrayLike,
        grippers_goal: ArrayLike | None = None,
        speed: float = 0.3,
        fingers_goal: Mapping[str, ArrayLike] | None = None,
    ) -> Solution:
        """Advance one tick towards a joint posture, all joints arriving together.

        Args:
            q_goal: Joint positions, (nq,); clipped to the limits by the way it is reached. Joints
                of a mobile base do not move.
            grippers_goal: Openings; held when left out.
            speed: Share of the velocity and acceleration limits, 0 to 1.
            fingers_goal: Joints of hands by side; they brake when left out.

        Raises:
            TargetError: Wrong length, or not finite.
        """
        goal = _vector(q_goal, self._n, "q_goal")
        openings: Sequence[float | None] = [None] * len(self.rig.gripper_names)
        if grippers_goal is not None:
            openings = _vector(grippers_goal, len(openings), "grippers_goal").tolist()
        self._start, self._fingers_start = start, fingers = self._state, self._fingers
        goal[self.rig.base_joints] = start.x[self.rig.base_joints]
        tick = self._engine.approach(start, goal, openings, speed)
        self._fingers, hands = self._hand_engines.approach(fingers, fingers_goal or {}, speed)
        return self._answer(tick, hands)

    def _rest(self, q: ArrayLike, grippers: ArrayLike | None) -> State:
        names, tips = self.rig.gripper_names, len(self.rig.tips)
        if grippers is None:
            grippers = [self.rig.grippers[side].home for side in names]
        joints = _vector(q, self._n, "q")
        x = np.concatenate([joints, _vector(grippers, len(names), "grippers")])
        return State.rest(x, tips, self._engine.pairs)

    def _answer(self, tick: Tick, hands: Ticks) -> Solution:
        self._state, status, saturation, clearance_m = tick
        return Solution(self._state, status, saturation, clearance_m, self._shape, hands)


def _changed(
    config: RetargeterConfig, iterations: int | None, collision: Collision | None
) -> RetargeterConfig:
    if iterations is not None:
        config = replace(config, solver=replace(config.solver, iterations=iterations))
    if collision is not None:
        config = replace(config, collision=replace(config.collision, mode=collision))
    return config


def _vector(values: ArrayLike, n: int, name: str) -> Array:
    """A finite (n,) copy."""
    vector = np.array(values, dtype=np.float64)
    if vector.shape != (n,) or not np.isfinite(vector).all():
        raise TargetError(f"{name} must be {n} finite numbers, got {values!r}")
    return vector
