"""The scripted task, performed in process: body, clutch, retargeter and MuJoCo, no sockets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration import capture_neutral
from retarget import Clutch, Retargeter, Rig, Solution, Targets, load_rig
from retarget.frames import pose_to_matrix
from teleop.hmd.body import BodyNoise, SyntheticBody
from teleop.hmd.task import (
    HandMotion,
    PickHandOverPlace,
    Scene,
    TaskPlan,
    cube_in_tray,
    min_jerk,
    pitched,
)
from teleop.robots.base import JointCommand
from teleop.robots.mujoco import MujocoRobot
from teleop.samples import SIDES, Tracking

RATE_HZ = 90


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig("openarm")


class Cell:
    """The simulated robot in its scene, with a clock of its own."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig = rig
        self.robot = MujocoRobot(rig, seed=seed)
        self.robot.start(0)
        self.now_ns = 0

    def scene(self) -> Scene:
        d = self.robot.data
        objects = {n: transform(d.body(n).xpos, d.body(n).xmat) for n in ("cube", "tray")}
        tips = {s: transform(d.site(f"{s}_tcp").xpos, d.site(f"{s}_tcp").xmat) for s in SIDES}
        return Scene(objects=objects, tips=tips)

    def step(self, s: Solution) -> None:
        """One control tick of 5 ms."""
        self.robot.apply(JointCommand(s.q, s.dq, s.grippers), self.now_ns)
        self.now_ns += 5_000_000
        self.robot.read(self.now_ns)

    def settle(self) -> None:
        hold = np.zeros(len(self.rig.joint_names))
        grippers = np.ones(len(self.rig.gripper_names))
        for _ in range(60):
            self.robot.apply(JointCommand(self.rig.q_home, hold, grippers), self.now_ns)
            self.now_ns += 5_000_000
            self.robot.read(self.now_ns)


def transform(p: np.ndarray, R: np.ndarray) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R.reshape(3, 3), p
    return T


@dataclass
class Outcome:
    """What came of one performance."""

    in_tray: bool = False
    picked: bool = False
    in_air_left: bool = False
    seconds: float = 0.0
    placing_mm: float = 99.0
    tracking_mm: list[float] = field(default_factory=list)
    margin_rad: float = 9.0


def perform(
    rig: Rig, seed: int, plan: TaskPlan | None = None, noise: BodyNoise | None = None
) -> Outcome:
    """Run the whole task faster than real time: 90 Hz operator, 200 Hz control, 1 ms physics."""
    plan = plan or TaskPlan()
    cell = Cell(rig, seed)
    cell.settle()
    body = SyntheticBody(seed=seed, noise=noise, rate_hz=RATE_HZ)
    retargeter = Retargeter(rig, rate_hz=200)
    retargeter.reset(rig.q_home)
    start = cell.scene()
    task = PickHandOverPlace(start, plan, seed=seed)

    first = body.frame(0.0, 0, start.tips)
    while first is None:
        first = body.frame(0.0, 0, start.tips)
    head, *hands = (
        pose_to_matrix(p)
        for p in (first["head"], *(first[f"{s}_controller"]["grip"] for s in SIDES))
    )
    profile = capture_neutral(head, hands[0], hands[1], rig.reach_m["right"])
    clutches = {side: Clutch(profile.reach_scale) for side in SIDES}
    tips = rig.forward(rig.q_home)
    targets = {side: tips[f"{side}_wrist"] for side in SIDES}
    openings = dict.fromkeys(SIDES, 1.0)
    for side, hand in zip(SIDES, hands, strict=True):
        clutches[side].engage(profile.T_robot_stage @ hand, targets[side])
        body.clutches[side].engage(start.tips[side], profile.reach_scale)

    outcome, next_frame, tick = Outcome(), 0.0, 0
    while not task.done and tick < 200 * 40:
        t = tick / 200
        if t >= next_frame:
            next_frame += 1 / RATE_HZ
            task.advance(t)
            if task.wants_look:
                task.look(cell.scene(), t)
            for side in SIDES:
                body.inputs[side].opening = task.hands[side].opening(t)
            row = body.frame(t, 0, {s: task.hands[s].pose(t) for s in SIDES})
            if row is not None:
                for side in SIDES:
                    block = row[f"{side}_controller"]
                    openings[side] = 1.0 - float(block["trigger"])
                    if int(block["flags"]) & Tracking.TRACKED:
                        T_robot_hand = profile.T_robot_stage @ pose_to_matrix(block["grip"])
                        targets[side] = clutches[side].target(T_robot_hand)
        s = retargeter.step(
            Targets(
                T_robot_left_wrist=targets["left"],
                T_robot_right_wrist=targets["right"],
                grippers=openings,
            )
        )
        cell.step(s)
        seen = cell.scene()
        outcome.margin_rad = min(
            outcome.margin_rad, float(np.minimum(s.q - rig.lower, rig.upper - s.q).min())
        )
        outcome.tracking_mm += [
            1e3 * float(np.linalg.norm(seen.tips[a][:3, 3] - task.hands[a].pose(t)[:3, 3]))
            for a in SIDES
        ]
        height = seen.objects["cube"][2, 3] - 1.005
        far = {a: np.linalg.norm(seen.tips[a][:3, 3] - seen.objects["cube"][:3, 3]) for a in SIDES}
        outcome.picked |= bool(height > 0.08 and far["right"] < 0.03 and far["left"] > 0.06)
        outcome.in_air_left |= bool(height > 0.10 and far["left"] < 0.03 and far["right"] > 0.06)
        tick += 1
    final = cell.scene()
    outcome.seconds = tick / 200
    outcome.in_tray = cube_in_tray(final, plan)
    offset = final.objects["cube"][:2, 3] - final.objects["tray"][:2, 3]
    outcome.placing_mm = 1e3 * float(np.linalg.norm(offset))
    return outcome


@pytest.mark.parametrize("seed", [0, 4])
def test_the_cube_is_picked_handed_over_and_ends_in_the_tray(rig: Rig, seed: int) -> None:
    outcome = perform(rig, seed)
    assert outcome.picked
    assert outcome.in_air_left
    assert outcome.in_tray
    assert outcome.placing_mm < 20.0
    assert np.percentile(outcome.tracking_mm, 95) < 10.0
    assert outcome.margin_rad > 0.02


def test_a_hold_in_the_middle_does_not_end_the_task(rig: Rig) -> None:
    """Arms stopped short of their stroke carry on to the same goal."""
    start = rig.forward(rig.q_home)
    tips = {side: start[f"{side}_wrist"] for side in SIDES}
    hand = HandMotion(tips["right"])
    goal = tips["right"].copy()
    goal[:3, 3] += [0.0, 0.0, 0.1]
    hand.move(0.0, goal, 1.0)
    stopped = hand.pose(0.4)
    end = hand.restart(5.0, stopped)
    np.testing.assert_allclose(hand.pose(5.0), stopped, atol=1e-12)
    np.testing.assert_allclose(hand.pose(end), goal, atol=1e-9)


@given(u=st.floats(-1, 2), v=st.floats(-1, 2))
def test_min_jerk_is_monotone_and_stays_between_its_ends(u: float, v: float) -> None:
    low, high = sorted((u, v))
    assert 0.0 <= min_jerk(low) <= min_jerk(high) + 1e-12 <= 1.0 + 1e-12


@given(pitch=st.floats(-1.5, 1.5), yaw=st.floats(-3, 3))
def test_a_pitched_hand_is_a_rotation_that_points_down_by_its_pitch(
    pitch: float, yaw: float
) -> None:
    R = pitched(pitch, yaw)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)
    assert -R[2, 2] == pytest.approx(-np.sin(pitch), abs=1e-12)  # approach is -z
    assert R[2, 1] == pytest.approx(0.0, abs=1e-12)  # opening axis is level


def make_scene() -> Scene:
    tip, cube, tray = np.eye(4), np.eye(4), np.eye(4)
    cube[:3, 3] = 0.41, -0.18, 1.03
    tray[:3, 3] = 0.42, 0.21, 1.005
    return Scene(objects={"cube": cube, "tray": tray}, tips=dict.fromkeys(SIDES, tip))


def test_the_hands_rest_until_a_look_is_answered() -> None:
    task = PickHandOverPlace(make_scene(), TaskPlan())
    task.advance(0.0)
    assert task.wants_look
    task.advance(9.0)
    assert task.phase == "start"
    task.look(make_scene(), 9.0)
    assert task.phase == "approach"


@pytest.mark.parametrize(
    ("offset", "inside"),
    [((0, 0, 0.03), True), ((0.05, 0, 0.03), True), ((0.08, 0, 0.03), False), ((0, 0, 0.2), False)],
)
def test_the_cube_counts_only_inside_the_tray(
    offset: tuple[float, float, float], inside: bool
) -> None:
    scene = make_scene()
    scene.objects["cube"][:3, 3] = scene.objects["tray"][:3, 3] + offset
    assert cube_in_tray(scene, TaskPlan()) is inside


def test_the_same_seed_gives_the_same_motion() -> None:
    def strokes(seed: int) -> list[np.ndarray]:
        task = PickHandOverPlace(make_scene(), TaskPlan(), seed=seed)
        poses = []
        for k in range(3000):
            task.advance(k / 90)
            if task.wants_look:
                task.look(make_scene(), k / 90)
            poses.append(task.hands["right"].pose(k / 90))
        assert task.done
        return poses

    np.testing.assert_array_equal(strokes(1), strokes(1))
    assert not np.array_equal(strokes(1), strokes(2))
