"""Ticks in numba kernels, fed by Pinocchio's live views; same answers as `reference`.

Buffers are allocated once. Importing this module loads numba (a third of a second); the first tick
ever compiles the kernels (seconds), later processes read them from numba's cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from retarget import kernels, solver_kernels
from retarget.engine import State, Tick, whole_box
from retarget.frames import Array
from retarget.kinematics import Kinematics
from retarget.rig import Rig
from retarget.settings import RetargeterConfig
from retarget.targets import Targets


class _TipViews:
    """Tips as the kernels read them: copied from Pinocchio's live views after every update.

    Attributes:
        J: Spatial Jacobian at the root's origin, live, (6, n).
        joints: Joint that carries each tip, `[R | p]`, (tips, 3, 4).
        tools: Tip in that joint, (tips, 3, 4).
        chains: Which joints move a tip, (tips, n).
    """

    def __init__(self, rig: Rig) -> None:
        self._kinematics = Kinematics(rig.model, dict(rig.tips))
        tips = list(self._kinematics.tips.values())
        self._live = [tip.joint_views() for tip in tips]
        self.J = self._kinematics.J
        self.joints = np.empty((len(tips), 3, 4))
        self._copies = [(joint[:, :3], joint[:, 3]) for joint in self.joints]
        self.tools = np.array([tip.tool() for tip in tips])
        self.chains = np.zeros((len(tips), rig.model.nv), dtype=np.bool_)
        for chain, tip in zip(self.chains, tips, strict=True):
            chain[tip.columns] = True
        self._copy()

    def update(self, q: Array) -> None:
        """Move to `q`, (nq,)."""
        if self._kinematics.update(q):
            self._copy()

    def _copy(self) -> None:
        for (rotation, position), (R, p) in zip(self._live, self._copies, strict=True):
            R[:] = rotation
            p[:] = position


class CompiledEngine:
    """Compute ticks with compiled kernels."""

    def __init__(self, rig: Rig, dt: float, config: RetargeterConfig) -> None:
        n, tips, size = len(rig.joint_names), len(rig.tips), len(rig.gripper_names)
        posture, governor = config.posture, config.governor
        box = whole_box(rig, dt)
        self._tips, self._sides, self._n = tuple(rig.tips), rig.gripper_names, n
        self._views = _TipViews(rig)
        self._iterations = config.solver.iterations
        self._box = np.array([box.lower, box.upper, box.velocity, box.acceleration])
        self._costs = np.array([config.costs(tip) for tip in rig.tips])
        a, turn_a = governor.acceleration * dt * dt, governor.turn_acceleration * dt * dt
        self._rates = np.array([a, turn_a, governor.max_speed * dt, governor.max_turn * dt])
        half = np.maximum(0.5 * (rig.upper - rig.lower), 1e-6)
        self._posture = np.array([rig.q_posture, 0.5 * (rig.lower + rig.upper), half])
        self._gains = np.array([posture.gain * dt, posture.stop_gain * dt])
        self._max_drift, self._per_error = posture.max_speed * dt, posture.per_error
        self._smoothing = dt / (posture.smoothing_s + dt)
        solver = config.solver
        self._damping = np.array([solver.damping, solver.error_damping, solver.max_error])
        self._effort = np.array(rig.effort, dtype=np.float64)
        self._openings = np.empty(size)
        self._bounds, self._step = np.empty((2, n + size)), np.empty(n + size)
        self._asked, self._T = np.empty(tips, dtype=np.bool_), np.zeros((tips, 3, 4))
        self._weighted, self._reference = np.empty((tips, 2)), np.empty((tips, 3, 4))
        self._A, self._e = np.empty((6 * tips, n)), np.empty(6 * tips)
        self._centre, self._done = np.empty(n), np.empty(n)
        self._left = np.empty((tips, 2))
        self._active_of: dict[bytes, solver_kernels.Indices] = {}
        # shared by every state that follows nothing; states are never changed
        self._unknown, self._unmoved = np.full((tips, 3, 4), np.nan), np.zeros((tips, 6))
        self._warm_up(rig)

    def _warm_up(self, rig: Rig) -> None:
        """Call every kernel once: the first real tick must not wait for a compiler.

        Kernels see arrays of the rig's sizes whatever is asked, so one call covers them all.
        """
        x = np.concatenate([rig.q_home, np.ones(len(self._sides))])
        start = State(x, np.zeros_like(x), self._unknown, self._unmoved)
        self.follow(start, Targets(np.eye(4), np.eye(4), np.eye(4)))
        self.approach(start, rig.q_home.copy(), [1.0] * len(self._sides), 1.0)

    def follow(self, start: State, targets: Targets) -> Tick:
        """See `Engine.follow`."""
        followed, refused = self._take(targets)
        self._open(start, [targets.grippers.get(side) for side in self._sides])
        if not followed:
            return self._close(start, self._unknown, self._unmoved, 0.0, refused)
        now, moves = np.empty_like(self._unknown), np.empty_like(self._unmoved)
        activity = self._solve(start, now, moves)
        return self._close(start, now, moves, activity, refused, followed)

    def approach(
        self, start: State, goal: Array, openings: Sequence[float | None], speed: float
    ) -> Tick:
        """See `Engine.approach`."""
        self._open(start, openings)
        kernels.aim_joints(start.x, goal, float(speed), self._box, self._bounds, self._step)
        return self._close(start, self._unknown, self._unmoved, 0.0, False)

    def _take(self, targets: Targets) -> tuple[tuple[str, ...], bool]:
        """Copy the targets; the tips to follow, and whether a target cannot be followed."""
        given = []
        self._weighted[:] = self._costs
        for k, tip in enumerate(self._tips):
            pose = targets.pose(tip)
            self._asked[k] = pose is not None
            if pose is not None:
                self._T[k] = pose[:3]
                given.append(tip)
        for tip, weight in targets.weights.items():
            if tip in self._tips:
                self._weighted[self._tips.index(tip)] *= weight
        if kernels.screen(self._T, self._asked) == len(given):
            return tuple(given), False
        return tuple(tip for tip, asked in zip(self._tips, self._asked, strict=True) if asked), True

    def _open(self, start: State, openings: Sequence[float | None]) -> None:
        for i, opening in enumerate(openings):
            self._openings[i] = math.nan if opening is None else opening
        kernels.open_tick(start.x, start.step, self._box, self._openings, self._bounds, self._step)

    def _solve(self, start: State, now: Array, moves: Array) -> float:
        """Write the step of the joints that answer to the asked tips; the tick's activity."""
        q, step, views = start.x[: self._n], self._step[: self._n], self._views
        views.update(q)
        error2, withheld = kernels.lead(
            views.J,
            views.joints,
            views.tools,
            views.chains,
            self._asked,
            self._T,
            self._weighted,
            start.step,
            start.targets,
            start.moves,
            self._rates,
            self._reference,
            now,
            moves,
        )
        activity = start.activity + self._smoothing * (math.sqrt(error2) - start.activity)
        active = self._active()
        self._linearise()
        self._centre[:] = step
        limit = min(self._max_drift, self._per_error * activity)
        solver_kernels.drift(
            self._A, active, q, self._posture, self._gains, limit, self._bounds, self._centre
        )
        self._done[:] = 0.0
        for iteration in range(self._iterations):
            if iteration:
                views.update(q + step)
                self._linearise()
                self._done[:] = step
            solver_kernels.solve(
                self._A,
                self._e,
                active,
                self._done,
                self._centre,
                self._effort,
                self._damping,
                withheld,
                self._bounds,
                step,
            )
        return activity

    def _linearise(self) -> None:
        views = self._views
        kernels.linearise(
            views.J,
            views.joints,
            views.tools,
            views.chains,
            self._asked,
            self._reference,
            self._weighted,
            self._A,
            self._e,
        )

    def _active(self) -> solver_kernels.Indices:
        """Joints that move any asked tip."""
        key = self._asked.tobytes()
        if key not in self._active_of:
            moved = self._views.chains[self._asked].any(axis=0)
            self._active_of[key] = np.flatnonzero(moved)
        return self._active_of[key]

    def _close(
        self,
        start: State,
        now: Array,
        moves: Array,
        activity: float,
        refused: bool,
        followed: tuple[str, ...] = (),
    ) -> Tick:
        x, moved = np.empty_like(start.x), np.empty_like(start.x)
        saturation = np.empty(self._n, dtype=np.uint8)
        kernels.close_tick(start.x, start.step, self._step, self._box, x, moved, saturation)
        residuals: dict[str, tuple[float, float]] = {}
        if followed:
            views, left = self._views, self._left
            views.update(x[: self._n])
            kernels.distances(views.joints, views.tools, self._T, self._asked, left)
            rows = dict(zip(self._tips, left.tolist(), strict=True))
            residuals = {tip: (rows[tip][0], rows[tip][1]) for tip in followed}
        return Tick(State(x, moved, now, moves, activity), residuals, saturation, refused)
