"""Targets in, joint commands out: one call per tick of a fixed rate, deterministic.

Every tick obeys the position, velocity and acceleration limits of the rig, whatever is asked.
No clock, no thread, no I/O: the same calls give the same numbers, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from retarget.errors import TargetError, TickError
from retarget.frames import Array, moved
from retarget.governor import Governor, GovernorConfig, TargetMotion
from retarget.kinematics import Columns, Kinematics, as_slice
from retarget.limits import JointBox, braking_step
from retarget.rig import Rig
from retarget.solver import (
    GaussNewton,
    Solver,
    SolverConfig,
    linearise,
    self_motion,
)
from retarget.targets import Solution, Status, Targets, is_rigid
from retarget.tasks import FrameTask


@dataclass(frozen=True, slots=True)
class PostureConfig:
    """How redundant joints drift towards the rig's posture and away from their stops.

    The drift lies in the null space of the tasks and is paid out only while the hands move: a
    still hand means a still arm, so engaging moves nothing.

    Attributes:
        gain: Rate towards the posture [1/s].
        stop_gain: Rate away from a joint stop, at the stop, as a share of half the range [1/s].
        max_speed: Fastest drift of any joint [rad/s].
        per_error: Drift per weighted error at the start of a tick [rad] / [cost].
        smoothing_s: Time constant with which the drift follows the hands' motion [s].
    """

    gain: float = 0.5
    stop_gain: float = 2.0
    max_speed: float = 1.0
    per_error: float = 3.0
    smoothing_s: float = 0.05


@dataclass(frozen=True, slots=True)
class RetargeterConfig:
    """Settings of a `Retargeter`.

    Attributes:
        wrist_position_cost: [cost] / [m].
        wrist_rotation_cost: [cost] / [rad].
        head_position_cost: [cost] / [m].
        head_rotation_cost: [cost] / [rad].
        behind_m: A tip farther from its target than this counts as behind [m].
        behind_rad: A tip turned from its target by more than this counts as behind [rad].
        solver: Iterations and damping.
        governor: How fast a tip may close in on its target.
        posture: Drift of redundant joints.
    """

    wrist_position_cost: float = 1.0
    wrist_rotation_cost: float = 0.25
    head_position_cost: float = 0.05
    head_rotation_cost: float = 0.05
    behind_m: float = 1e-3
    behind_rad: float = 1e-2
    solver: SolverConfig = field(default_factory=SolverConfig)
    governor: GovernorConfig = field(default_factory=GovernorConfig)
    posture: PostureConfig = field(default_factory=PostureConfig)


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """Everything a tick depends on; never changed in place.

    Attributes:
        x: Joint positions, then gripper openings, (nq + n_grippers,).
        step: What the last tick added to them.
        activity: Smoothed weighted error the ticks started from.
        targets: What is remembered of each asked tip's target.
    """

    x: Array
    step: Array
    activity: float = 0.0
    targets: Mapping[str, TargetMotion] = field(default_factory=dict)


class Retargeter:
    """Follow targets with one rig.

    Attributes:
        rig: The robot.
        dt: Length of a tick [s].
        config: Settings.
    """

    def __init__(
        self, rig: Rig, rate_hz: float = 200.0, config: RetargeterConfig | None = None
    ) -> None:
        self.rig = rig
        self.dt = 1.0 / rate_hz
        self.config = config or RetargeterConfig()
        self._n = n = len(rig.joint_names)
        self._kinematics = Kinematics(rig.model, dict(rig.tips))
        self._box = _whole_box(rig, self.dt)
        self._solver: Solver = GaussNewton(n, self.config.solver, rig.effort)
        self._governor = Governor(self.config.governor, self.dt)
        self._tasks = {tip: self._task(tip) for tip in rig.tips}
        self._columns_of: dict[tuple[str, ...], Columns] = {}
        self._centre = 0.5 * (rig.lower + rig.upper)
        self._half = np.maximum(0.5 * (rig.upper - rig.lower), 1e-6)
        self._start: _State | None = None
        self._state = self._rest(rig.q_home, None)

    @property
    def q(self) -> Array:
        """Joint positions after the last tick, (nq,)."""
        return self._state.x[: self._n].copy()

    def reset(self, q: ArrayLike, grippers: ArrayLike | None = None) -> None:
        """Start at rest from `q`, (nq,), kept as it is even outside the limits.

        Args:
            q: Joint positions in `rig.joint_names` order [rad or m].
            grippers: Openings in `rig.gripper_names` order; those of home when left out.

        Raises:
            TargetError: Wrong length, or not finite.
        """
        self._state = self._rest(q, grippers)
        self._start = None

    def step(self, targets: Targets) -> Solution:
        """Advance one tick towards `targets`."""
        self._start = self._state
        return self._follow(self._start, targets)

    def revise(self, targets: Targets) -> Solution:
        """Make the last tick again, from its start, with newer targets.

        Raises:
            TickError: No tick was made since the reset.
        """
        if self._start is None:
            raise TickError("revise() makes the last tick again, but none was made since reset()")
        return self._follow(self._start, targets)

    def step_joints(
        self, q_goal: ArrayLike, grippers_goal: ArrayLike | None = None, speed: float = 0.3
    ) -> Solution:
        """Advance one tick towards a joint posture, all joints arriving together.

        Args:
            q_goal: Joint positions, (nq,); clipped to the limits by the way it is reached.
            grippers_goal: Openings; held when left out.
            speed: Share of the velocity and acceleration limits, 0 to 1.

        Raises:
            TargetError: Wrong length, or not finite.
        """
        n = self._n
        goal = _vector(q_goal, n, "q_goal")
        openings: Sequence[float | None] = [None] * len(self.rig.gripper_names)
        if grippers_goal is not None:
            openings = list(_vector(grippers_goal, len(openings), "grippers_goal"))
        self._start = start = self._state
        low, high = self._box.bounds(start.x, start.step)
        wanted = self._box.brake(start.step)
        v, a = self._box.velocity[:n], self._box.acceleration[:n]
        wanted[:n] = _synchronous(goal - start.x[:n], v * speed, a * speed)
        self._aim_grippers(wanted, start, openings)
        step = np.minimum(np.maximum(wanted, low), high)
        return self._finish(start, step, Status.JOINTS, {})

    def _task(self, tip: str) -> FrameTask:
        c = self.config
        if tip == "head":
            return FrameTask(tip, c.head_position_cost, c.head_rotation_cost)
        return FrameTask(tip, c.wrist_position_cost, c.wrist_rotation_cost)

    def _rest(self, q: ArrayLike, grippers: ArrayLike | None) -> _State:
        names = self.rig.gripper_names
        if grippers is None:
            grippers = [self.rig.grippers[side].home for side in names]
        joints = _vector(q, self._n, "q")
        x = np.concatenate([joints, _vector(grippers, len(names), "grippers")])
        return _State(x=x, step=np.zeros(len(x)))

    def _follow(self, start: _State, targets: Targets) -> Solution:
        asked, invalid = self._asked(targets)
        low, high = self._box.bounds(start.x, start.step)
        step = self._box.brake(start.step)
        self._aim_grippers(step, start, [targets.gripper(s) for s in self.rig.gripper_names])
        step = np.minimum(np.maximum(step, low), high)
        if not asked:
            status = Status.INVALID if invalid else Status.HOLD
            return self._finish(start, step, status, {})
        n = self._n
        q, columns = start.x[:n], self._columns(tuple(asked))
        self._kinematics.update(q)
        motions, error2, withheld = self._lead(start, asked, targets.weights)
        tasks = [self._tasks[tip] for tip in asked]
        first = linearise(tasks, self._kinematics)
        activity = self._activity(start.activity, error2)
        centre = step[:n].copy()
        drift = self._drift(q, first.J[:, columns], columns, activity)
        centre[columns] = np.minimum(np.maximum(drift, low[columns]), high[columns])
        step[:n] = self._solver.solve(
            self._kinematics, tasks, columns, first, q, low[:n], high[:n], centre, withheld
        )
        status = Status.INVALID if invalid else Status.TRACKING
        return self._finish(start, step, status, asked, activity, motions)

    def _asked(self, targets: Targets) -> tuple[dict[str, Array], bool]:
        """Targets that can be followed, and whether any had to be left out."""
        poses = {tip: targets.pose(tip) for tip in self._tasks}
        given = {tip: pose for tip, pose in poses.items() if pose is not None}
        asked = {tip: pose for tip, pose in given.items() if is_rigid(pose)}
        return asked, len(asked) < len(given)

    def _lead(
        self, start: _State, asked: Mapping[str, Array], weights: Mapping[str, float]
    ) -> tuple[dict[str, TargetMotion], float, float]:
        """Give each task its reference for this tick.

        Returns:
            The targets' motions, the squared weighted error, and the part of it withheld.
        """
        motions: dict[str, TargetMotion] = {}
        error2 = withheld = 0.0
        step = start.step[: self._n]
        for tip, T_target in asked.items():
            task, frame = self._tasks[tip], self._kinematics.tips[tip]
            before = start.targets.get(tip)
            now = motions[tip] = self._governor.observe(before, T_target)
            task.set_target(T_target, weights.get(tip, 1.0))
            error = -task.residual(self._kinematics)
            motion = self._governor.lead(error, frame.motion(step), before, now)
            spared = task.squared_cost(error - motion)
            error2 += task.squared_cost(error)
            if spared > 0.0:
                withheld += spared
                task.set_target(moved(frame.pose(), motion), weights.get(tip, 1.0))
        return motions, error2, withheld

    def _columns(self, tips: tuple[str, ...]) -> Columns:
        """Joints that move any of the asked tips."""
        if tips not in self._columns_of:
            chains = [self._kinematics.tips[tip].columns for tip in tips]
            self._columns_of[tips] = as_slice(np.unique(np.concatenate(chains)))
        return self._columns_of[tips]

    def _activity(self, before: float, error2: float) -> float:
        """How much the hands move: the smoothed weighted error that ticks start from."""
        share = self.dt / (self.config.posture.smoothing_s + self.dt)
        return before + share * (math.sqrt(error2) - before)

    def _drift(self, q: Array, J: Array, columns: Columns, activity: float) -> Array:
        """Self-motion of this tick towards the posture and away from stops, (columns,)."""
        c = self.config.posture
        beyond = np.minimum(np.maximum((q - self._centre) / self._half, -1.0), 1.0)
        wish = c.gain * (self.rig.q_posture - q) - c.stop_gain * self._half * beyond**5
        drift = self_motion(J, self.dt * wish[columns])
        limit = min(c.max_speed * self.dt, c.per_error * activity)
        largest = float(np.abs(drift).max())
        return drift * (limit / largest) if largest > limit else drift

    def _finish(
        self,
        start: _State,
        step: Array,
        status: Status,
        asked: Mapping[str, Array],
        activity: float = 0.0,
        motions: Mapping[str, TargetMotion] | None = None,
    ) -> Solution:
        n = self._n
        x = self._box.advance(start.x, step)
        saturation = self._box.saturation(start.step, step, x)[:n]
        self._kinematics.update(x[:n])
        residuals = {tip: self._residual(tip, T) for tip, T in asked.items()}
        behind = any(
            p > self.config.behind_m or r > self.config.behind_rad for p, r in residuals.values()
        )
        if status == Status.TRACKING and behind:
            status = Status.LIMITED
        self._state = _State(x, x - start.x, activity, motions or {})
        dq = self._state.step[:n] / self.dt
        return Solution(x[:n].copy(), dq, x[n:].copy(), status, residuals, saturation)

    def _residual(self, tip: str, T_target: Array) -> tuple[float, float]:
        """Distance [m] and angle [rad] between a tip and its target."""
        task = self._tasks[tip]
        task.set_target(T_target)
        x, y, z, a, b, c = task.residual(self._kinematics).tolist()
        return math.sqrt(x * x + y * y + z * z), math.sqrt(a * a + b * b + c * c)

    def _aim_grippers(self, step: Array, start: _State, openings: Sequence[float | None]) -> None:
        """Write the steps of the grippers that are asked for; the others brake."""
        for i, opening in enumerate(openings, start=self._n):
            if opening is not None and math.isfinite(opening):
                room = min(max(opening, 0.0), 1.0) - start.x[i]
                v, a = self._box.velocity[i], self._box.acceleration[i]
                step[i] = _approach(np.array([room]), v, a)[0]


def _whole_box(rig: Rig, dt: float) -> JointBox:
    """Limits of the joints and, after them, of the gripper openings."""
    grippers = [rig.grippers[side] for side in rig.gripper_names]
    n = len(grippers)
    return JointBox(
        np.concatenate([rig.lower, np.zeros(n)]),
        np.concatenate([rig.upper, np.ones(n)]),
        np.concatenate([rig.velocity_limit, [g.velocity for g in grippers]]),
        np.concatenate([rig.acceleration_limit, [g.acceleration for g in grippers]]),
        dt,
    )


def _vector(values: ArrayLike, n: int, name: str) -> Array:
    """A finite (n,) copy."""
    vector = np.array(values, dtype=np.float64)
    if vector.shape != (n,) or not np.isfinite(vector).all():
        raise TargetError(f"{name} must be {n} finite numbers, got {values!r}")
    return vector


def _approach(room: Array, v: Array, a: Array) -> Array:
    """Step towards a goal at a signed distance `room` that can still stop there."""
    distance = np.abs(room)
    step: Array = np.sign(room) * np.minimum(np.minimum(distance, v), braking_step(distance, a))
    return step


def _synchronous(room: Array, v: Array, a: Array) -> Array:
    """`_approach` along a straight line: every joint keeps its share of the slowest's motion."""
    times = np.abs(room) / v
    slowest = float(times.max())
    if slowest < 1e-9:
        return room
    speed = v * np.maximum(times / slowest, 1e-6)
    return _approach(room, speed, speed * float((a / v).min()))
