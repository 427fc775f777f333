"""The demo task as a person would do it: pick up the cube, hand it over in the air, put it down.

Only what a person in VR commands comes out: where each fingertip centre (tip) should be, and how
far each gripper is open. The script looks at the scene between moves, as a person does by eye.
Pure: no clock, no I/O; the caller passes the time in and answers looks.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from retarget.frames import exp3, interpolate
from teleop.samples import SIDES

Matrix = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
LOOK: Final = "look"


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What one look shows, robot root frame.

    Attributes:
        objects: Name -> T_robot_object, (4, 4): `cube` and `tray`.
        tips: Side -> T_robot_tip, (4, 4): -z approach, y opening axis.
        t_ns: Host time of the look [ns].
    """

    objects: dict[str, Matrix]
    tips: dict[str, Matrix]
    t_ns: int = 0


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """Geometry and manner of the task.

    Attributes:
        pace: Stretches every motion; 1 takes about 14 s.
        pick_pitch_rad: How far the picking hand points down.
        grip_before_m: The tip stops this far before the cube's centre, so that two hands can hold
            the cube head-on without meeting.
        opening: Of a gripper about to grasp, 0..1.
        meet_m: Where the cube changes hands, robot root frame.
        meet_roll_rad: Tilt of the common opening axis there.
        cube_half_m: Half of the cube's edge.
        tray_floor_m: Thickness of the tray's floor.
        tray_half_m: Half of the tray's inside width.
        aim_m: A person's misjudgement of a position at a look, standard deviation per axis.
        aim_rad: The same of a rotation.
    """

    pace: float = 1.1
    pick_pitch_rad: float = np.deg2rad(50.0)
    grip_before_m: float = 0.014
    opening: float = 0.65
    meet_m: tuple[float, float, float] = (0.45, 0.0, 1.245)
    meet_roll_rad: float = np.deg2rad(18.0)
    cube_half_m: float = 0.025
    tray_floor_m: float = 0.004
    tray_half_m: float = 0.081
    aim_m: float = 0.001
    aim_rad: float = np.deg2rad(1.0)


def min_jerk(u: float) -> float:
    """Minimum-jerk path parameter, 0..1 (Flash & Hogan 1985)."""
    u = min(max(u, 0.0), 1.0)
    return u**3 * (10.0 - 15.0 * u + 6.0 * u * u)


@dataclass(slots=True, eq=False)
class HandMotion:
    """One tip and one gripper, moving in minimum-jerk strokes from where they are.

    Attributes:
        T_robot_tip: (4, 4) where it starts.
        opening_now: 0 closed, 1 open.
    """

    T_robot_tip: Matrix
    opening_now: float = 1.0
    _goal: Matrix = field(init=False)
    _move: tuple[float, float] = (0.0, 0.0)
    _opening_goal: float = field(init=False)
    _grip: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self._goal = self.T_robot_tip
        self._opening_goal = self.opening_now

    def pose(self, t_s: float) -> Matrix:
        """T_robot_tip at a time, (4, 4)."""
        return interpolate(self.T_robot_tip, self._goal, _share(t_s, self._move))

    def opening(self, t_s: float) -> float:
        """Gripper opening at a time, 0..1."""
        share = _share(t_s, self._grip)
        return self.opening_now + share * (self._opening_goal - self.opening_now)

    def move(self, t_s: float, T_robot_goal: Matrix, duration_s: float) -> None:
        """Start a stroke to a pose."""
        self.T_robot_tip, self._goal = self.pose(t_s), T_robot_goal
        self._move = (t_s, duration_s)

    def restart(self, t_s: float, T_robot_tip: Matrix, at_least_s: float = 0.8) -> float:
        """Make the rest of the stroke from another pose; returns when it ends [s]."""
        end = max(sum(self._move), t_s + at_least_s)
        self.T_robot_tip, self._move = T_robot_tip, (t_s, end - t_s)
        return end

    def grip(self, t_s: float, opening: float, duration_s: float = 0.4) -> None:
        """Start opening or closing."""
        self.opening_now, self._opening_goal = self.opening(t_s), opening
        self._grip = (t_s, duration_s)


def _share(t_s: float, stroke: tuple[float, float]) -> float:
    start, duration = stroke
    return min_jerk((t_s - start) / duration) if duration > 0 else 1.0


def hand_rotation(approach: npt.ArrayLike, opening_axis: npt.ArrayLike) -> Matrix:
    """R_robot_tip, (3, 3), of a hand that points along `approach`, opening along the axis."""
    z = -np.asarray(approach, dtype=np.float64)
    z /= np.linalg.norm(z)
    y = np.asarray(opening_axis, dtype=np.float64)
    y = y - z * (z @ y)
    y /= np.linalg.norm(y)
    return np.column_stack([np.cross(y, z), y, z])


def pitched(pitch_rad: float, yaw_rad: float = 0.0) -> Matrix:
    """R_robot_tip of a hand pointing forward and down, fingers opening horizontally."""
    cp, sp = np.cos(pitch_rad), np.sin(pitch_rad)
    cy, sy = np.cos(yaw_rad), np.sin(yaw_rad)
    return hand_rotation([cp * cy, cp * sy, -sp], [-sy, cy, 0.0])


def pose_at(R_robot_tip: Matrix, p_robot: Vector, before_m: float = 0.0) -> Matrix:
    """T_robot_tip whose tip lies `before_m` before a point, along the approach."""
    T = np.eye(4)
    T[:3, :3] = R_robot_tip
    T[:3, 3] = p_robot + before_m * R_robot_tip[:, 2]
    return T


def _up(height_m: float) -> Vector:
    return np.array([0.0, 0.0, height_m])


def cube_in_tray(scene: Scene, plan: TaskPlan) -> bool:
    """Whether the cube lies inside the tray's walls, near its floor."""
    offset = scene.objects["cube"][:3, 3] - scene.objects["tray"][:3, 3]
    room = plan.tray_half_m - plan.cube_half_m + 0.008  # a corner may lean on a wall
    low = plan.tray_floor_m + 1.5 * plan.cube_half_m
    return bool(np.abs(offset[:2]).max() < room and 0.0 < offset[2] < low)


class PickHandOverPlace:
    """The task in progress.

    Call `advance(t_s)` at every frame; while `wants_look` is true, answer with `look(scene, t_s)`
    whenever the scene is known: both hands rest until then.

    Args:
        start: The scene before the first move; hands return to its tips at the end.
        plan: Geometry and manner.
        seed: Of the misjudgements.
        t_s: Time of the start [s], any origin.
    """

    def __init__(self, start: Scene, plan: TaskPlan, *, seed: int = 0, t_s: float = 0.0) -> None:
        self.plan = plan
        self.phase = "start"
        self.wants_look = False
        self.done = False
        self.hands = {side: HandMotion(start.tips[side]) for side in SIDES}
        self._start = start
        self._scene = start
        self._rng = np.random.default_rng(seed)
        self._t = t_s
        self._wake = t_s
        self._script = self._perform()

    def advance(self, t_s: float) -> None:
        """Let time pass; starts the next stroke when the last one is over."""
        if not (self.done or self.wants_look) and t_s >= self._wake:
            self._resume(t_s)

    def look(self, scene: Scene, t_s: float) -> None:
        """Answer a look."""
        if self.wants_look:
            self._scene = scene
            self.wants_look = False
            self._resume(t_s)

    def rebase(self, tips: dict[str, Matrix], t_s: float) -> None:
        """Carry on from where the tips are now, after a hold: finish the strokes from there."""
        for side, hand in self.hands.items():
            self._wake = max(self._wake, hand.restart(t_s, tips[side]) + 0.15)

    def _resume(self, t_s: float) -> None:
        self._t = t_s
        try:
            step = next(self._script)
        except StopIteration:
            self.done = True
            return
        if step == LOOK:
            self.wants_look = True
        else:
            self._wake = t_s + step

    def _perform(self) -> Generator[float | Literal["look"], None, None]:
        yield from self._pick()
        yield from self._hand_over()
        yield from self._place()
        self.phase = "done"

    def _pick(self) -> Generator[float | Literal["look"], None, None]:
        plan, right = self.plan, self.hands["right"]
        yield LOOK
        cube = self._seen("cube")
        # A cube looks the same at every quarter turn: take the nearest.
        yaw = np.arctan2(cube[1, 0], cube[0, 0])
        yaw = (yaw + np.pi / 4) % (np.pi / 2) - np.pi / 4
        R = pitched(plan.pick_pitch_rad, yaw)
        above = cube[:3, 3] + 0.08 * R[:, 2] + [0.0, 0.0, 0.02]
        right.grip(self._t, plan.opening, 0.6)
        yield from self._stroke(
            "approach", "right", pose_at(R, above, plan.grip_before_m), 1.5, 0.1
        )
        grasp = pose_at(R, cube[:3, 3], plan.grip_before_m)
        yield from self._stroke("descend", "right", grasp, 0.9, 0.15)
        self.phase = "grasp"
        right.grip(self._t, 0.0)
        yield 0.6
        up = grasp.copy()
        up[:3, 3] += [-0.02, 0.0, 0.08]
        yield from self._stroke("lift", "right", up, 0.8)

    def _hand_over(self) -> Generator[float | Literal["look"], None, None]:
        """Hands meet head-on with one opening axis; each takes its half of the same two faces."""
        plan, right, left = self.plan, self.hands["right"], self.hands["left"]
        axis = np.array([-np.cos(plan.meet_roll_rad), 0.0, -np.sin(plan.meet_roll_rad)])
        R_right, R_left = hand_rotation([0, 1, 0], axis), hand_rotation([0, -1, 0], -axis)
        meet = np.array(plan.meet_m)
        left.grip(self._t, plan.opening, 0.6)
        wait = pose_at(R_left, meet + np.array([-0.03, 0.085, 0.0]), plan.grip_before_m)
        left.move(self._t, wait, 1.7 * plan.pace)
        meeting = pose_at(R_right, meet, plan.grip_before_m)
        yield from self._stroke("carry", "right", meeting, 1.7, 0.3)
        yield LOOK
        p_cube = self._seen("cube")[:3, 3]
        R_left = exp3(self._misjudged_rotation()) @ R_left
        reach = pose_at(R_left, p_cube, plan.grip_before_m)
        yield from self._stroke("reach", "left", reach, 0.9, 0.15)
        self.phase = "second grasp"
        left.grip(self._t, 0.0)
        yield 0.6
        self.phase = "release"
        right.grip(self._t, plan.opening)
        yield 0.5
        back = right.pose(self._t).copy()
        back[:3, 3] -= [0.02, 0.085, 0.0]
        yield from self._stroke("withdraw", "right", back, 0.7)

    def _place(self) -> Generator[float | Literal["look"], None, None]:
        plan, right, left = self.plan, self.hands["right"], self.hands["left"]
        yield LOOK
        cube, tip = self._seen("cube"), self._scene.tips["left"]
        R_tip_cube = tip[:3, :3].T @ cube[:3, :3]
        p_tip_cube = tip[:3, :3].T @ (cube[:3, 3] - tip[:3, 3])
        R = _flat_placing(R_tip_cube)
        goal = self._scene.objects["tray"][:3, 3].copy()
        goal[2] += plan.tray_floor_m + plan.cube_half_m
        over = pose_at(R, goal + _up(0.09) - R @ p_tip_cube)
        yield from self._stroke("to tray", "left", over, 1.9)
        right.move(self._t, self._start.tips["right"], 1.6 * plan.pace)
        right.grip(self._t, 1.0, 0.8)
        down = pose_at(R, goal + _up(0.006) - R @ p_tip_cube)
        yield from self._stroke("lower", "left", down, 0.8, 0.15)
        self.phase = "put down"
        left.grip(self._t, plan.opening)
        yield 0.5
        away = left.pose(self._t).copy()
        away[:3, 3] += 0.09 * R[:, 2] + _up(0.03)
        yield from self._stroke("leave", "left", away, 0.8)
        left.grip(self._t, 1.0, 0.8)
        yield from self._stroke("home", "left", self._start.tips["left"], 1.4, 0.2)

    def _stroke(
        self, phase: str, side: str, T_robot_goal: Matrix, duration_s: float, rest_s: float = 0.0
    ) -> Generator[float, None, None]:
        self.phase = phase
        self.hands[side].move(self._t, T_robot_goal, duration_s * self.plan.pace)
        yield duration_s * self.plan.pace + rest_s

    def _seen(self, name: str) -> Matrix:
        """T_robot_object of the last look, as a person judges it."""
        T = self._scene.objects[name].copy()
        T[:3, :3] = exp3(self._misjudged_rotation()) @ T[:3, :3]
        T[:3, 3] += self._rng.normal(0.0, self.plan.aim_m, 3)
        return T

    def _misjudged_rotation(self) -> Vector:
        return self._rng.normal(0.0, self.plan.aim_rad, 3)


def _flat_placing(R_tip_cube: Matrix) -> Matrix:
    """R_robot_tip, pitched 20 to 75 degrees, that sets one of the held cube's faces flattest."""
    candidates = [pitched(np.deg2rad(degrees)) for degrees in range(20, 76)]
    return max(candidates, key=lambda R: float(np.abs((R @ R_tip_cube)[2]).max()))
