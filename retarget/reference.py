"""Ticks in numpy and daqp: the oracle of the compiled engine, and what runs without numba."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from retarget.engine import State, Tick, whole_box
from retarget.fitting import rig_shapes
from retarget.frames import Array, moved
from retarget.governor import Governor, TargetMotion
from retarget.kinematics import Columns, Kinematics, as_slice
from retarget.limits import braking_step
from retarget.repulsion import Repulsion
from retarget.rig import Rig
from retarget.settings import RetargeterConfig
from retarget.solver import GaussNewton, linearise, self_motion
from retarget.targets import Status, Targets, is_rigid
from retarget.tasks import FrameTask, SwivelTask, Task


class ReferenceEngine:
    """Compute ticks with numpy.

    Attributes:
        pairs: How many pairs of parts must not touch.
    """

    def __init__(self, rig: Rig, dt: float, config: RetargeterConfig) -> None:
        self._rig, self._dt, self._config = rig, dt, config
        self._n = n = len(rig.joint_names)
        self._base = rig.base_joints
        self._kinematics = Kinematics(rig.model, dict(rig.tips), self._base)
        self._box = whole_box(rig, dt)
        collision = config.collision
        a = self._box.acceleration[:n]
        self._repulsion = Repulsion(rig_shapes(rig, collision), collision, a)
        self.pairs = self._repulsion.pairs
        floor_m = collision.floor_m if collision.mode == "hard" else None
        solver = replace(config.solver, refine_rad=config.solver.refined_from(dt))
        self._solver = GaussNewton(solver, rig.effort, self._repulsion, a, floor_m)
        self._governor = Governor(config.governor, dt)
        self._tasks = {tip: FrameTask(tip, *config.costs(tip)) for tip in rig.tips}
        joint = rig.model.getJointId
        self._swivels = {
            side: SwivelTask(
                joint(rig.limbs[side][0]), joint(elbow), f"{side}_wrist", config.swivel, dt
            )
            for side, elbow in rig.elbows.items()
        }
        self._columns_of: dict[tuple[str, ...], Columns] = {}
        self._centre = 0.5 * (rig.lower + rig.upper)
        self._half = np.maximum(0.5 * (rig.upper - rig.lower), 1e-6)

    def follow(self, start: State, targets: Targets) -> Tick:
        """See `Engine.follow`."""
        asked, refused = self._asked(targets)
        low, high = self._box.bounds(start.x, start.step)
        step = self._box.brake(start.step)
        self._roll(step, start, targets.base_velocity)
        self._aim_grippers(step, start, [targets.grippers.get(s) for s in self._rig.gripper_names])
        step = np.minimum(np.maximum(step, low), high)
        if not asked:
            return self._finish(start, step, {}, Status.INVALID if refused else None)
        n = self._n
        q, columns = start.x[:n], self._columns(tuple(asked))
        self._kinematics.update(q)
        motions, error2, withheld = self._lead(start, asked, targets.weights)
        tips = [self._tasks[tip] for tip in asked]
        tasks: list[Task] = [*tips, *self._turn(targets, asked)]
        first = linearise(tasks, self._kinematics)
        activity = self._activity(start.activity, error2)
        tip_rows = 6 * len(tips)
        drift = self._drift(q, first.J[:tip_rows, columns], columns, activity)
        centre = step[:n].copy()
        centre[columns] = np.minimum(np.maximum(drift, low[columns]), high[columns])
        near, opened = self._repulsion.near(self._kinematics, start.opened, start.step[:n])
        step[:n] = self._solver.solve(
            self._kinematics, tasks, columns, first, q, (low[:n], high[:n]), step[:n], centre,
            withheld, near, start.step[:n], tip_rows,
        )  # fmt: skip
        status = Status.INVALID if refused else None
        return self._finish(start, step, asked, status, activity, motions, opened)

    def approach(
        self, start: State, goal: Array, openings: Sequence[float | None], speed: float
    ) -> Tick:
        """See `Engine.approach`."""
        n = self._n
        low, high = self._box.bounds(start.x, start.step)
        wanted = self._box.brake(start.step)
        resting = wanted[self._base]
        v, a = self._box.velocity[:n], self._box.acceleration[:n]
        wanted[:n] = _synchronous(goal - start.x[:n], v * speed, a * speed)
        wanted[self._base] = resting
        self._aim_grippers(wanted, start, openings)
        step = np.minimum(np.maximum(wanted, low), high)
        return self._finish(start, step, {}, Status.JOINTS)

    def _roll(self, step: Array, start: State, velocity: Array | None) -> None:
        """Write the steps of a planar base that is asked to move, in its own axes."""
        if not self._base or velocity is None or math.isnan(velocity[0]):
            return
        x, y, yaw = self._base
        forward, left, turn = (velocity * self._dt).tolist()
        c, s = math.cos(start.x[yaw]), math.sin(start.x[yaw])
        step[x], step[y], step[yaw] = c * forward - s * left, s * forward + c * left, turn

    def _turn(self, targets: Targets, asked: Mapping[str, Array]) -> list[SwivelTask]:
        """The elbows that are asked, each along with its wrist only."""
        turned = []
        for side, task in self._swivels.items():
            elbow = targets.elbow(side)
            if elbow is not None and math.isfinite(elbow.sum()) and f"{side}_wrist" in asked:
                task.set_target(elbow)
                turned.append(task)
        return turned

    def _asked(self, targets: Targets) -> tuple[dict[str, Array], bool]:
        """Targets that can be followed, and whether any had to be left out."""
        poses = {tip: targets.pose(tip) for tip in self._tasks}
        given = {tip: pose for tip, pose in poses.items() if pose is not None}
        asked = {tip: pose for tip, pose in given.items() if is_rigid(pose)}
        return asked, len(asked) < len(given)

    def _lead(
        self, start: State, asked: Mapping[str, Array], weights: Mapping[str, float]
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
            before = self._remembered(start, tip)
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

    def _remembered(self, start: State, tip: str) -> TargetMotion | None:
        k = list(self._tasks).index(tip)
        if np.isnan(start.targets[k, 0, 0]):
            return None
        return TargetMotion(start.targets[k], start.moves[k])

    def _columns(self, tips: tuple[str, ...]) -> Columns:
        """Joints that move any of the asked tips."""
        if tips not in self._columns_of:
            chains = [self._kinematics.tips[tip].columns for tip in tips]
            self._columns_of[tips] = as_slice(np.unique(np.concatenate(chains)))
        return self._columns_of[tips]

    def _activity(self, before: float, error2: float) -> float:
        """How much the hands move: the smoothed weighted error that ticks start from."""
        share = self._dt / (self._config.posture.smoothing_s + self._dt)
        return before + share * (math.sqrt(error2) - before)

    def _drift(self, q: Array, J: Array, columns: Columns, activity: float) -> Array:
        """Self-motion of this tick towards the posture and away from stops, (columns,)."""
        c = self._config.posture
        beyond = np.minimum(np.maximum((q - self._centre) / self._half, -1.0), 1.0)
        wish = c.gain * (self._rig.q_posture - q) - c.stop_gain * self._half * beyond**5
        drift = self_motion(J, self._dt * wish[columns])
        limit = min(c.max_speed * self._dt, c.per_error * activity)
        largest = float(np.abs(drift).max())
        return drift * (limit / largest) if largest > limit else drift

    def _finish(
        self,
        start: State,
        step: Array,
        asked: Mapping[str, Array],
        status: Status | None,
        activity: float = 0.0,
        motions: Mapping[str, TargetMotion] | None = None,
        opened: Array | None = None,
    ) -> Tick:
        n = self._n
        x = self._box.advance(start.x, step)
        saturation = self._box.saturation(start.step, step, x)[:n]
        self._kinematics.update(x[:n])
        left = np.full_like(start.left, np.nan)
        targets, moves = np.full_like(start.targets, np.nan), np.zeros_like(start.moves)
        for k, tip in enumerate(self._tasks):
            if motions and tip in motions:
                targets[k], moves[k] = motions[tip].T[:3], motions[tip].move
                left[k] = self._residual(tip, asked[tip])
        opened = np.full_like(start.opened, np.nan) if opened is None else opened
        state = State.of(x, x - start.x, targets, moves, opened, activity, left)
        clearance = self._repulsion.clearance(self._kinematics)
        return Tick(state, status or self._status(left), saturation, clearance)

    def _status(self, left: Array) -> Status:
        if np.isnan(left).all():
            return Status.HOLD
        far, turned = self._config.behind_m, self._config.behind_rad
        behind = bool((left[:, 0] > far).any() or (left[:, 1] > turned).any())
        return Status.LIMITED if behind else Status.TRACKING

    def _residual(self, tip: str, T_target: Array) -> tuple[float, float]:
        """Distance [m] and angle [rad] between a tip and its target."""
        task = self._tasks[tip]
        task.set_target(T_target)
        x, y, z, a, b, c = task.residual(self._kinematics).tolist()
        return math.sqrt(x * x + y * y + z * z), math.sqrt(a * a + b * b + c * c)

    def _aim_grippers(self, step: Array, start: State, openings: Sequence[float | None]) -> None:
        """Write the steps of the grippers that are asked for; the others brake."""
        for i, opening in enumerate(openings, start=self._n):
            if opening is not None and math.isfinite(opening):
                room = min(max(opening, 0.0), 1.0) - start.x[i]
                v, a = self._box.velocity[i], self._box.acceleration[i]
                step[i] = _approach(np.array([room]), v, a)[0]


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
