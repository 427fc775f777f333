"""The simulated robot and the guards in front of any robot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retarget import Retargeter, Rig, Targets, load_rig
from teleop.robots.base import (
    JointCommand,
    RobotAdapter,
    RobotError,
    RobotReading,
    SimulatedRobot,
    make_robot,
)
from teleop.robots.driver import RobotDriver
from teleop.robots.guard import CommandGuard
from teleop.robots.mujoco import JITTER_M, MAX_CATCH_UP_NS, MujocoRobot
from teleop.samples import Motion, RobotStatus, command_dtype

MS = 1_000_000
SLOT = 2 * MS


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig("openarm")


@pytest.fixture
def robot(rig: Rig) -> MujocoRobot:
    robot = MujocoRobot(rig, seed=0)
    robot.start(0)
    return robot


def run(robot: MujocoRobot, start_ns: int, slots: int) -> RobotReading:
    for k in range(1, slots + 1):
        reading = robot.read(start_ns + k * SLOT)
    return reading


def command_of(rig: Rig, q: np.ndarray, gripper: float = 1.0) -> JointCommand:
    return JointCommand(np.array(q), np.zeros(len(q)), np.full(len(rig.gripper_names), gripper))


# ------------------------------------------------------------------- physics
def test_the_adapter_is_found_by_the_rig(rig: Rig) -> None:
    robot = make_robot(rig, seed=1)
    assert isinstance(robot, RobotAdapter)
    assert isinstance(robot, SimulatedRobot)
    assert robot.joint_names == rig.joint_names


def test_it_holds_home_within_a_tenth_of_a_millimetre(rig: Rig, robot: MujocoRobot) -> None:
    reading = run(robot, 0, 1000)
    home, now = rig.forward(rig.q_home), rig.forward(reading.position)
    for tip in home:
        assert np.linalg.norm(now[tip][:3, 3] - home[tip][:3, 3]) < 1e-4
    assert np.allclose(reading.gripper, 1.0, atol=0.01)
    lifter = robot.data.joint("openarm_lifter_joint").qpos[0]
    assert abs(lifter - 0.15) < 1e-4, "the lifter sags 21 mm without feed-forward"


def smooth_sine(t: float, amplitude: float, frequency_hz: float) -> float:
    ramp = np.clip(t, 0, 1) ** 3 * (10 - 15 * np.clip(t, 0, 1) + 6 * np.clip(t, 0, 1) ** 2)
    return float(ramp * amplitude * np.sin(2 * np.pi * frequency_hz * t))


def test_it_tracks_a_sinusoid_within_5_mm(rig: Rig, robot: MujocoRobot) -> None:
    """10 cm at 0.32 Hz: 0.2 m/s at most, with both hands."""
    retargeter = Retargeter(rig, 200)
    retargeter.reset(rig.q_home)
    start = rig.forward(rig.q_home)
    site = robot.model.site(rig.tip_sites["left_wrist"]).id
    errors, now = [], 0
    for k in range(800):
        targets = {}
        for tip, T_robot_tip in start.items():
            moved = T_robot_tip.copy()
            moved[2, 3] += smooth_sine(k / 200, 0.10, 0.32)
            targets[f"T_robot_{tip}"] = moved
        solution = retargeter.step(Targets(**targets))
        robot.apply(JointCommand(solution.q, solution.dq, solution.grippers), now)
        now += 5 * MS
        robot.read(now)
        target = targets["T_robot_left_wrist"][:3, 3]
        errors.append(np.linalg.norm(robot.data.site_xpos[site] - target))
    assert max(errors) < 5e-3


def test_grippers_follow_their_openings(rig: Rig, robot: MujocoRobot) -> None:
    q = np.array(rig.q_home)
    robot.apply(JointCommand(q, np.zeros_like(q), np.array([0.0, 0.5])), 0)
    reading = run(robot, 0, 500)
    assert np.allclose(reading.gripper, [0.0, 0.5], atol=0.02)


def test_simulated_time_is_the_clocks_time(robot: MujocoRobot) -> None:
    reading = run(robot, 0, 250)
    assert reading.t_ns == 500 * MS
    assert reading.t_device_ns == pytest.approx(500 * MS, abs=1000)
    assert robot.slipped_ns == 0
    again = robot.read(500 * MS + 300_000)  # less than a physics step: nothing new
    assert again.t_ns == reading.t_ns


def test_what_cannot_be_caught_up_slips_and_is_counted(robot: MujocoRobot) -> None:
    robot.read(10 * MS)
    before = robot.data.time
    reading = robot.read(110 * MS)
    assert robot.data.time - before == pytest.approx(MAX_CATCH_UP_NS * 1e-9)
    assert reading.t_ns == 110 * MS
    assert robot.slipped_ns == pytest.approx(102 * MS - MAX_CATCH_UP_NS + 2 * MS, abs=MS * 4)


def cube(robot: MujocoRobot) -> np.ndarray:
    return robot.data.joint("cube_free").qpos.copy()


def test_a_seed_is_a_scene(rig: Rig, robot: MujocoRobot) -> None:
    robot.request({"op": "scene_reset", "seed": 7}, 0)
    first = robot.qpos()
    robot.apply(command_of(rig, rig.q_home + 0.05), 0)
    run(robot, 0, 100)
    robot.request({"op": "scene_reset", "seed": 7}, 200 * MS)
    assert np.array_equal(robot.qpos(), first)
    robot.request({"op": "scene_reset", "seed": 8}, 200 * MS)
    assert not np.array_equal(cube(robot)[:2], first[-7:-5])


def test_scenes_scatter_objects_within_3_cm_and_20_degrees(robot: MujocoRobot) -> None:
    home = np.array([0.41, -0.18])
    for seed in range(30):
        robot.request({"op": "scene_reset", "seed": seed}, 0)
        pose = cube(robot)
        assert np.abs(pose[:2] - home).max() <= JITTER_M
        assert abs(2 * np.arctan2(pose[6], pose[3])) <= np.radians(20) + 1e-9


def test_reset_without_a_seed_takes_the_next(robot: MujocoRobot) -> None:
    robot.request({"op": "scene_reset", "seed": 4}, 0)
    robot.request({"op": "scene_reset", "seed": None}, 0)
    following = robot.qpos()
    robot.request({"op": "scene_reset", "seed": 5}, 0)
    assert np.array_equal(robot.qpos(), following)


def test_unknown_requests_are_refused(robot: MujocoRobot) -> None:
    with pytest.raises(RobotError, match="scene_reset"):
        robot.request({"op": "dance"}, 0)


# --------------------------------------------------------------------- guard
def refusal(rig: Rig, q: np.ndarray, measured: np.ndarray, last: np.ndarray) -> str | None:
    return CommandGuard(rig).refusal(command_of(rig, q), measured, last, 5 * MS)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_nothing_that_is_not_finite_passes(rig: Rig, seed: int) -> None:
    rng = np.random.default_rng(seed)
    home = np.array(rig.q_home)
    command = command_of(rig, home)
    assert CommandGuard(rig).refusal(command, home, home, 5 * MS) is None
    part = (command.position, command.velocity, command.gripper)[rng.integers(3)]
    part[rng.integers(part.size)] = rng.choice([np.nan, np.inf, -np.inf])
    assert CommandGuard(rig).refusal(command, home, home, 5 * MS) == "not finite"


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_whatever_passes_is_within_limits_and_near_the_robot(rig: Rig, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = len(rig.q_home)
    measured = rng.uniform(rig.lower, rig.upper)
    last = measured + rng.normal(0, 0.05, n)
    q = last + rng.normal(0, rng.choice([0.001, 0.02, 0.3]), n)
    if refusal(rig, q, measured, last) is None:
        assert (q >= rig.lower - 0.011).all()
        assert (q <= rig.upper + 0.011).all()
        assert np.abs(q - measured).max() <= 0.5
        continues = np.abs(q - last) <= 1.5 * 0.010 * rig.velocity_limit + 0.011
        assert continues.all() or np.abs(q - measured).max() <= 0.05


def test_refusals_name_the_joint(rig: Rig) -> None:
    home = np.array(rig.q_home)
    q = home.copy()
    q[2] += 0.3
    reason = refusal(rig, q, home, home)
    assert reason is not None
    assert rig.joint_names[2] in reason
    assert "jump" in reason
    q[2] = rig.upper[2] + 0.1
    assert "limit" in str(refusal(rig, q, home, home))
    q[2] = home[2] + 0.6
    assert "too far" in str(refusal(rig, q, home, home))


def test_a_joint_found_outside_its_limits_may_come_back(rig: Rig) -> None:
    measured = np.array(rig.q_home)
    measured[0] = rig.upper[0] + 0.2
    back = measured.copy()
    back[0] -= 0.01
    assert refusal(rig, measured, measured, measured) is None
    assert refusal(rig, back, measured, measured) is None
    back[0] = measured[0] + 0.03
    assert refusal(rig, back, measured, measured) is not None


# -------------------------------------------------------------------- driver
class RecordingRobot:
    """An adapter that is always where it was told to be, and remembers the calls."""

    rate_hz = 500

    def __init__(self, rig: Rig) -> None:
        self.joint_names, self.gripper_names = rig.joint_names, rig.gripper_names
        self.command = command_of(rig, rig.q_home)
        self.calls: list[str] = []

    def start(self, now_ns: int) -> None:
        self.calls.append("start")

    def apply(self, command: JointCommand, now_ns: int) -> JointCommand:
        self.calls.append("apply")
        self.command = command
        return command

    def read(self, now_ns: int) -> RobotReading:
        q, g = self.command.position.copy(), self.command.gripper.copy()
        return RobotReading(
            now_ns, now_ns, q, np.zeros_like(q), np.zeros_like(q), g, np.zeros_like(g)
        )

    def hold(self, now_ns: int) -> JointCommand:
        self.calls.append("hold")
        return self.command

    def estop(self, now_ns: int) -> JointCommand:
        self.calls.append("estop")
        return self.command

    def request(self, request: Mapping[str, Any], now_ns: int) -> None:
        self.calls.append("request")

    def close(self) -> None:
        self.calls.append("close")


@pytest.fixture
def driver(rig: Rig) -> RobotDriver:
    driver = RobotDriver(rig, RecordingRobot(rig))
    driver.start(0)
    return driver


def calls(driver: RobotDriver) -> list[str]:
    assert isinstance(driver.adapter, RecordingRobot)
    return driver.adapter.calls


def requested(rig: Rig, t_ns: int, offset: float = 0.0) -> np.void:
    row = np.zeros(1, command_dtype(len(rig.joint_names), len(rig.gripper_names)))[0]
    row["t_ns"], row["tick"], row["revision"] = t_ns, 7, 2
    row["operator_seq"], row["first_use"], row["t_operator_receive_ns"] = 5, True, 3
    row["position"], row["gripper"] = rig.q_home + offset, 1.0
    return row


def status(driver: RobotDriver, now_ns: int) -> RobotStatus:
    return RobotStatus(int(driver.state(now_ns)["status"]))


def test_a_good_command_is_sent_with_what_it_follows(rig: Rig, driver: RobotDriver) -> None:
    assert status(driver, 0) == RobotStatus.HOLDING
    sent = driver.command(requested(rig, 4 * MS, 0.01), 5 * MS)
    assert sent is not None
    assert (sent["t_ns"], sent["tick"], sent["revision"], sent["operator_seq"]) == (5 * MS, 7, 2, 5)
    assert sent["first_use"]
    assert np.allclose(sent["position"], rig.q_home + 0.01)
    assert status(driver, 5 * MS) == RobotStatus.OK


def test_the_first_command_sent_for_a_frame_is_marked_whichever_was_requested_first(
    rig: Rig, driver: RobotDriver
) -> None:
    marks = []
    for k, (frame, asked) in enumerate([(5, False), (5, False), (0, False), (5, True), (6, True)]):
        row = requested(rig, k * MS, 0.001)
        row["operator_seq"], row["t_operator_receive_ns"], row["first_use"] = frame, frame, asked
        sent = driver.command(row, k * MS)
        assert sent is not None
        marks.append(bool(sent["first_use"]))
    assert marks == [True, False, False, False, True]


def test_a_refused_command_moves_nothing_and_is_marked(rig: Rig, driver: RobotDriver) -> None:
    assert driver.command(requested(rig, 0, 0.6), 0) is None
    assert "apply" not in calls(driver)
    assert driver.refused == 1
    assert status(driver, MS) & RobotStatus.REFUSED
    assert driver.command(requested(rig, 2 * MS, 0.01), 2 * MS) is not None
    assert not status(driver, 3 * MS) & RobotStatus.REFUSED


def test_without_commands_the_robot_holds_after_100_ms_once(rig: Rig, driver: RobotDriver) -> None:
    driver.command(requested(rig, 0), 0)
    assert driver.watch(100 * MS) is None
    held = driver.watch(101 * MS)
    assert held is not None
    assert held["operator_seq"] == 0
    assert not held["first_use"]
    assert driver.watch(200 * MS) is None
    assert calls(driver).count("hold") == 1
    assert status(driver, 200 * MS) == RobotStatus.HOLDING


def test_out_of_a_hold_nothing_jumps_however_long_it_lasted(rig: Rig, driver: RobotDriver) -> None:
    assert driver.command(requested(rig, 10_000 * MS, 0.1), 10_000 * MS) is None
    assert "jump" in driver.refusal
    assert driver.command(requested(rig, 10_005 * MS, 0.01), 10_005 * MS) is not None


def test_old_commands_are_not_executed(rig: Rig, driver: RobotDriver) -> None:
    assert driver.command(requested(rig, 0, 0.01), 150 * MS) is None
    assert "apply" not in calls(driver)


def test_estop_stops_at_once_and_ignores_commands_until_it_is_released(
    rig: Rig, driver: RobotDriver
) -> None:
    driver.command(requested(rig, 0), 0)
    assert driver.motion(Motion.ESTOP, MS) is not None
    assert driver.motion(Motion.ESTOP, 2 * MS) is None
    assert driver.command(requested(rig, 3 * MS, 0.01), 3 * MS) is None
    assert calls(driver) == ["start", "apply", "estop"]
    assert status(driver, 4 * MS) == RobotStatus.HOLDING
    assert driver.motion(Motion.HOLD, 5 * MS) is None
    assert driver.command(requested(rig, 6 * MS, 0.01), 6 * MS) is not None


def test_after_a_scene_reset_commands_continue_from_there(rig: Rig, driver: RobotDriver) -> None:
    driver.command(requested(rig, 0, 0.04), 0)
    assert isinstance(driver.adapter, RecordingRobot)
    driver.adapter.command = command_of(rig, rig.q_home + 0.4)
    driver.relocated(MS)
    assert driver.command(requested(rig, 2 * MS, 0.04), 2 * MS) is None, "from where it was"
    assert driver.command(requested(rig, 3 * MS, 0.4), 3 * MS) is not None
