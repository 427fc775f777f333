"""Ticks in one call of compiled code; same answers as `reference`.

The kernels place the joints of Pinocchio's model themselves: leaving compiled code for Pinocchio
in between would take longer than all the rest. Buffers are allocated once. Importing this module
loads numba (a third of a second); the first tick ever compiles the kernels (seconds), later
processes read them from a cache.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retarget.engine import State, Tick, whole_box
from retarget.fitting import rig_shapes
from retarget.frames import Array
from retarget.kernels import tick
from retarget.kernels.layout import SIZES, cut_views, lengths
from retarget.kinematics import Kinematics
from retarget.rig import SIDES, Rig
from retarget.settings import RetargeterConfig
from retarget.solver import RowQp, approach_rows
from retarget.targets import Status, Targets
from retarget.treedata import describe_tree

TRACKING, LIMITED, INVALID, HOLD = Status.TRACKING, Status.LIMITED, Status.INVALID, Status.HOLD
"""By names of this module: looking up a member of an enumeration takes as long as a kernel call."""


class CompiledEngine:
    """Compute ticks with compiled kernels.

    Attributes:
        pairs: How many pairs of parts must not touch.
        tree: The group `tree` of `layout.cut`.
    """

    def __init__(self, rig: Rig, dt: float, config: RetargeterConfig) -> None:
        self._tips, self._sides, self._n = tuple(rig.tips), rig.gripper_names, len(rig.joint_names)
        self._iterations, self._dt = config.solver.iterations, dt
        self._refine_rad = config.solver.refined_from(dt)
        base = rig.base_joints
        shapes = rig_shapes(rig, config.collision)
        self.pairs = len(shapes.pairs) + len(shapes.box_pairs)
        self._floor = config.collision.floor_m
        self._rows = RowQp() if config.collision.mode == "hard" else None
        self._costs = np.array([config.costs(tip) for tip in rig.tips]).reshape(-1, 2)
        sizes = [self._n, len(self._sides), len(self._tips), rig.model.njoints]
        sizes += [len(a) for a in (shapes.joints, shapes.pairs, shapes.boxes, shapes.box_pairs)]
        floats, ints = lengths(sizes)
        self._floats, self._ints = np.zeros(floats), np.zeros(ints, dtype=np.intp)
        self._ints[:SIZES] = sizes
        self._buffers = (self._floats, self._ints)
        self.tree, robot, fitted, settings, asked, work = cut_views(*self._buffers)
        _fill(self.tree, describe_tree(rig.model, base))
        _fill(robot, _describe_robot(rig, dt, base))
        _fill(fitted, shapes.arrays())
        _fill(settings, _describe_settings(config, dt))
        self._acceleration = robot[0][3, : self._n]
        self._flags, self._T, self._weighted, self._elbows, self._openings, self._velocity = asked
        self._bounds, self._step, self._H, self._g = work[0], work[1], work[7], work[8]
        self._near, self._room, self._active, self._left = work[9], work[10], work[12], work[13]
        self._velocity[:], self._weighted[:] = math.nan, self._costs
        self._fields = tuple(f"T_robot_{tip}" for tip in self._tips)
        self._poses = list(self._T)
        self._elbow_flags = slice(len(self._tips), None)
        self._is_weighted, self._has_base = False, bool(base)
        self._warm_up(rig)

    def _warm_up(self, rig: Rig) -> None:
        """Call every kernel once: the first real tick must not wait for a compiler.

        Kernels see the same types of arrays whatever is asked, so one call covers them all.
        """
        x = np.concatenate([rig.q_home, np.ones(len(self._sides))])
        start = State.rest(x, len(self._tips), self.pairs)
        self.follow(start, Targets(np.eye(4), np.eye(4), np.eye(4)))
        if self._rows is not None:  # made in few ticks only
            tick.refine(self._floats, self._ints, start.memory, start.memory.copy(), 0.0, 0, 0)
        self.approach(start, rig.q_home.copy(), [1.0] * len(self._sides), 1.0)

    def follow(self, start: State, targets: Targets) -> Tick:
        """See `Engine.follow`."""
        given = self._take(targets)
        memory = start.memory
        after, bits = np.empty_like(memory), np.empty(self._n, dtype=np.uint8)
        if self._rows is None:
            left, clearance = tick.follow(
                self._floats, self._ints, memory, after, bits, self._iterations
            )
        else:
            left, clearance = self._keep_apart(memory, after, bits)
        if left == given and left:
            status = TRACKING
        elif left == -given and left:
            status = LIMITED
        else:
            status = INVALID if given else HOLD
        return Tick(State(after, start.sizes), status, bits, clearance)

    def _keep_apart(self, memory: Array, after: Array, bits: Any) -> tuple[int, float]:
        """As `tick.follow`, with rows that keep pairs apart."""
        assert self._rows is not None
        floats, ints = self._floats, self._ints
        withheld, left, m, count = tick.begin(floats, ints, memory, after)
        if left:
            step = self._step[: self._n]
            rows, room = self._near[:count], self._room[:count]
            floors = approach_rows(rows, room, self._floor, self._acceleration, step)
            self._solve_rows(m, count, floors, step)
            for _ in range(1, self._iterations):
                if np.abs(step[self._active[:m]]).max() <= self._refine_rad:
                    break
                tick.refine(floats, ints, memory, after, withheld, m, count)
                self._solve_rows(m, count, floors, step)
        behind, clearance = tick.finish(floats, ints, memory, after, bits)
        return (-left if behind else left), clearance

    def _solve_rows(self, m: int, count: int, floors: Array, step: Array) -> None:
        """Write the step of the active joints that also keeps pairs apart."""
        assert self._rows is not None
        active, rows = self._active[:m], self._near[:count]
        others = step.copy()
        others[active] = 0.0
        step[active] = self._rows.solve(
            self._whole_H(m), self._g[:m], self._bounds[0, active], self._bounds[1, active],
            rows[:, active], floors - rows @ others, step[active],
        )  # fmt: skip

    def _whole_H(self, m: int) -> Array:
        lower = np.tril(self._H[:m, :m], -1)
        H: Array = lower + lower.T + np.diag(np.diag(self._H)[:m])
        return H

    def approach(
        self, start: State, goal: Array, openings: Sequence[float | None], speed: float
    ) -> Tick:
        """See `Engine.approach`."""
        self._open(openings)
        self._flags[:] = 0
        memory = start.memory
        after, bits = np.empty_like(memory), np.empty(self._n, dtype=np.uint8)
        clearance = tick.approach(self._floats, self._ints, memory, goal, float(speed), after, bits)
        return Tick(State(after, start.sizes), Status.JOINTS, bits, clearance)

    def _take(self, targets: Targets) -> int:
        """Copy the targets; how many tips are asked."""
        given, flags, validity = 0, self._flags, targets.validity
        for k, name in enumerate(self._fields):
            pose = getattr(targets, name)
            if pose is None or (validity and not validity.get(self._tips[k], True)):
                flags[k] = 0
            else:
                self._poses[k][:] = pose[:3]
                flags[k] = 1
                given += 1
        flags[self._elbow_flags] = 0
        if self._is_weighted or targets.weights:
            self._weigh(targets.weights)
        for i, side in enumerate(SIDES if targets.elbows else ()):
            elbow = targets.elbow(side)
            if elbow is not None and math.isfinite(elbow.sum()):
                self._elbows[i], flags[len(self._tips) + i] = elbow, 1
        if self._has_base:
            velocity = targets.base_velocity
            self._velocity[:] = math.nan if velocity is None else velocity * self._dt
        if self._sides:
            self._open([targets.grippers.get(side) for side in self._sides])
        return given

    def _weigh(self, weights: Mapping[str, float]) -> None:
        self._weighted[:] = self._costs
        self._is_weighted = bool(weights)
        for tip, weight in weights.items():
            if tip in self._tips:
                self._weighted[self._tips.index(tip)] *= weight

    def _open(self, openings: Sequence[float | None]) -> None:
        for i, opening in enumerate(openings):
            self._openings[i] = math.nan if opening is None else opening


def _fill(arrays: tuple[Any, ...], values: tuple[Any, ...]) -> None:
    for array, value in zip(arrays, values, strict=True):
        array[...] = value


def _describe_robot(rig: Rig, dt: float, base: Sequence[int]) -> tuple[Any, ...]:
    """The group `robot` of `layout.cut`."""
    kinematics, model = Kinematics(rig.model, dict(rig.tips), base), rig.model
    tips, box = list(kinematics.tips.values()), whole_box(rig, dt)
    arms = np.full((2, 4), -1)
    for row, side in zip(arms, SIDES, strict=True):
        if side in rig.elbows:
            k = list(rig.tips).index(f"{side}_wrist")
            shoulder, elbow = rig.limbs[side][0], rig.elbows[side]
            row[:] = model.getJointId(shoulder), model.getJointId(elbow), tips[k].joint, k
    half = np.maximum(0.5 * (rig.upper - rig.lower), 1e-6)
    return (
        [box.lower, box.upper, box.velocity, box.acceleration],
        rig.effort,
        [rig.q_posture, 0.5 * (rig.lower + rig.upper), half],
        [tip.joint for tip in tips],
        np.array([tip.tool() for tip in tips]).reshape(-1, 3, 4),
        kinematics.chains,
        arms,
        base or -1,
    )


def _describe_settings(config: RetargeterConfig, dt: float) -> tuple[list[float], ...]:
    """The group `settings` of `layout.cut`."""
    governor, posture, solver = config.governor, config.posture, config.solver
    collision, swivel = config.collision, config.swivel
    a, turn_a = governor.acceleration * dt * dt, governor.turn_acceleration * dt * dt
    return (
        [a, turn_a, governor.max_speed * dt, governor.max_turn * dt],
        [
            posture.gain * dt,
            posture.stop_gain * dt,
            posture.max_speed * dt,
            posture.per_error,
            dt / (posture.smoothing_s + dt),
        ],
        [
            solver.damping,
            solver.error_damping,
            solver.max_error,
            solver.refined_from(dt),
            config.behind_m,
            config.behind_rad,
        ],
        [
            collision.band_m,
            collision.watch_m,
            collision.cost,
            float(collision.mode == "hard"),
            collision.floor_m,
        ],
        [swivel.cost, swivel.fade_m, dt / swivel.approach_s, swivel.max_speed * dt],
    )
