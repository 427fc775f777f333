"""From commands to the robot's own rate: nothing jumps, no limit is passed, silence means rest."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retarget import Retargeter, Rig, Targets, load_rig
from teleop.robots.base import JointCommand, RobotError
from teleop.robots.driver import STALE_NS, RobotDriver
from teleop.robots.mujoco import MujocoRobot
from teleop.robots.upsampling import UpsampleConfig, Upsampler, upsampling_of
from teleop.robots.ways import Quintic, Sample, stopping_way
from teleop.samples import Motion, command_dtype

MS = 1_000_000
PERIOD = 5 * MS
RATE_HZ = 200
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig("openarm")


# ---------------------------------------------------------------------- ways
@given(seed=seeds)
@settings(max_examples=60, deadline=None)
def test_a_quintic_joins_its_ends_and_stays_within_its_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start, end = (Sample(*rng.normal(0, 1, (3, 4)) * [[0.01], [1], [10]]) for _ in range(2))
    way = Quintic(start, end, 0.01)
    for got, wanted in ((way.at(0.0), start), (way.at(0.01), end), (way.at(1.0), end)):
        for a, b, scale in zip(got, wanted, (1e-12, 1e-9, 1e-6), strict=True):
            assert np.allclose(a, b, atol=scale)
    states = [way.at(s) for s in np.linspace(0, 0.01, 60)]
    low, high = way.reach()
    fastest = np.abs([s.velocity for s in states]).max(axis=0)
    hardest = np.abs([s.acceleration for s in states]).max(axis=0)
    assert all(
        (low - 1e-12 <= s.position).all() and (s.position <= high + 1e-12).all() for s in states
    )
    assert not way.keeps(fastest * 0.999, hardest * 2, np.full(4, 1e9))
    assert not way.keeps(fastest * 9, hardest * 0.999, np.full(4, 1e9))


@given(seed=seeds)
@settings(max_examples=100, deadline=None)
def test_the_stopping_way_is_where_a_time_optimal_stop_gets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 6
    v, most = rng.uniform(-4, 4, n), rng.uniform(20, 80, n)
    a, jerk = rng.uniform(-1, 1, n) * most, rng.uniform(10, 400, n) * most
    low, high = stopping_way(v, a, most, jerk)
    simple = SimpleNamespace(
        joint_names=("j",) * n, lower=np.full(n, -9), upper=np.full(n, 9),
        velocity_limit=np.full(n, 50.0), acceleration_limit=most,
    )  # fmt: skip
    up = Upsampler(simple, RATE_HZ)
    up._jerk = jerk
    way = up._braking(Sample(np.zeros(n), v, a))
    states = [way.at(s).position for s in np.linspace(0, way.duration, 400)]
    assert np.allclose(np.minimum.reduce(states), low, atol=2e-5)
    assert np.allclose(np.maximum.reduce(states), high, atol=2e-5)
    assert (np.minimum.reduce(states) >= low - 1e-9).all()
    assert (np.maximum.reduce(states) <= high + 1e-9).all()


# ----------------------------------------------------------------- up-sampler
def command_of(q: np.ndarray, v: np.ndarray) -> JointCommand:
    return JointCommand(np.array(q), np.array(v), np.ones(2))


def samples(rig: Rig, commands: list[JointCommand | None], up: Upsampler) -> list[Sample]:
    """What is sent each ms while commands come each 5 ms; None is a command that is missing."""
    found = []
    for k, command in enumerate(commands):
        if command is not None:
            up.aim(command, k, k * PERIOD, k * PERIOD)
        found += [up.at(k * PERIOD + ms * MS) for ms in range(5)]
    return found


def obeyed(rig: Rig, found: list[Sample], config: UpsampleConfig) -> None:
    """The law: continuous to the second derivative, within every limit."""
    q, v, a = (np.array([getattr(s, name) for s in found]) for name in Sample._fields)
    jerk = rig.acceleration_limit / config.ramp_s
    assert (q >= np.minimum(rig.lower, q[0]) - 1e-8).all()
    assert (q <= np.maximum(rig.upper, q[0]) + 1e-8).all()
    assert (np.abs(v) <= rig.velocity_limit * (1 + 1e-6)).all()
    assert (np.abs(a) <= rig.acceleration_limit * (1 + 1e-6)).all()
    assert (np.abs(np.diff(a, axis=0)) <= jerk * 1e-3 * (1 + 1e-6) + 1e-6).all()
    assert (np.abs(np.diff(v, axis=0)) <= rig.acceleration_limit * 1e-3 * (1 + 1e-6)).all()
    steps = np.abs(np.diff(q, axis=0) - 0.5e-3 * (v[1:] + v[:-1]))
    assert (steps <= jerk * 1e-9).all(), "positions go as velocities say"


def retargeted(rig: Rig, rng: np.random.Generator, n: int) -> list[JointCommand]:
    """Commands of a retargeter whose targets wander, jump and stop."""
    retargeter, home = Retargeter(rig, RATE_HZ), rig.forward(rig.q_home)
    offset, speed, found = np.zeros(3), np.zeros(3), []
    for _ in range(n):
        if rng.random() < 0.05:
            speed = rng.normal(0, rng.choice([0.0, 0.3, 2.0]), 3)
        if rng.random() < 0.02:
            offset = rng.normal(0, 0.2, 3)
        offset = np.clip(offset + speed / RATE_HZ, -0.4, 0.4)
        T = home["left_wrist"].copy()
        T[:3, 3] += offset
        s = retargeter.step(Targets(T_robot_left_wrist=T))
        found.append(command_of(s.q, s.dq))
    return found


def test_a_goal_that_one_piece_of_jerk_meets_exactly_has_a_plan(rig: Rig) -> None:
    """Ruckig finds none for the fourth joint."""
    start = Sample(
        np.array([
            0.03622816963931779, -0.1210575429866744, 0.002749559240954898, 1.632843700985665,
            -0.122497070587294, -0.02471493898301912, 0.01256767461781234, *rig.q_home[7:],
        ]),
        np.array([
            0.02449943111048957, -0.4022133527954635, 0.265084186196419, 0.02243412076226536,
            -0.387738640011269, 0.04921089675618793, 0.4068293807979203, *np.zeros(7),
        ]),
        np.array([
            -24.84934659235899, 1.06581410364015e-14, -60.0, -23.19325093732717,
            -3.552713678800501e-15, 0.0, 3.552713678800501e-15, *np.zeros(7),
        ]),
    )  # fmt: skip
    goal = Sample(
        np.array([
            0.03622429748607597, -0.1247062965189639, 0.006645659922067607, 1.632858180734879,
            -0.1244166383838081, -0.02453626160455424, 0.01430109002991939, *rig.q_home[7:],
        ]),
        np.array([
            -0.002666136197528382, -0.3954544816770468, 0.3793157707547055, 7.443268223994437e-10,
            -0.3810017823173778, 0.05000237507789204, 0.3997912943384859, *np.zeros(7),
        ]),
        np.zeros(14),
    )  # fmt: skip
    plan = Upsampler(rig, RATE_HZ)._fastest(start, goal)
    assert plan is not None
    fourth = plan.at(plan.duration).position[3]  # at rest there, however long the others take
    assert abs(fourth - goal.position[3]) < 1e-6


@given(seed=seeds)
@few
def test_whatever_the_retargeter_asks_samples_keep_every_limit(rig: Rig, seed: int) -> None:
    rng, up = np.random.default_rng(seed), Upsampler(rig, RATE_HZ)
    up.rest_at(rig.q_home)
    commands = [c if rng.random() > 0.1 else None for c in retargeted(rig, rng, 120)]
    obeyed(rig, samples(rig, commands, up), up.config)
    assert up.refused == 0


@given(seed=seeds)
@few
def test_no_command_at_all_can_make_samples_leave_a_limit(rig: Rig, seed: int) -> None:
    """Commands that no retargeter would give: far off, too fast, beyond the stops."""
    rng, up = np.random.default_rng(seed), Upsampler(rig, RATE_HZ)
    up.rest_at(rng.uniform(rig.lower, rig.upper))
    commands: list[JointCommand | None] = []
    for _ in range(20):
        q = rng.uniform(rig.lower - 0.2, rig.upper + 0.2)
        v = rng.normal(0, 1, len(q)) * rig.velocity_limit
        commands += [command_of(q, v)] * int(rng.integers(1, 4)) + [None] * int(rng.integers(2))
    obeyed(rig, samples(rig, commands, up), up.config)


def swing(rig: Rig, n: int) -> list[JointCommand]:
    """A smooth swing of every joint by 0.1 rad, begun from rest."""
    t = np.arange(n) / RATE_HZ
    ramp = np.clip(t, 0, 1) ** 3 * (10 - 15 * np.clip(t, 0, 1) + 6 * np.clip(t, 0, 1) ** 2)
    q = np.outer(ramp * 0.1 * np.sin(6 * t), np.ones(len(rig.q_home))) + rig.q_home
    v = np.vstack([np.zeros_like(q[:1]), np.diff(q, axis=0)]) * RATE_HZ
    return [command_of(a, b) for a, b in zip(q, v, strict=True)]


def test_a_smooth_motion_is_followed_one_control_period_later_and_smoothly(rig: Rig) -> None:
    up, commands = Upsampler(rig, RATE_HZ), swing(rig, 400)
    up.rest_at(rig.q_home)
    found = np.array([s.position for s in samples(rig, commands, up)])
    path = np.array([c.position for c in commands])
    t, grid = np.arange(len(found)) * 1e-3, np.arange(len(path)) / RATE_HZ
    lags = np.arange(0, 0.02, 2.5e-4)
    apart = [
        np.abs(np.interp(t[500:] - lag, grid, path[:, 3]) - found[500:, 3]).max() for lag in lags
    ]
    assert lags[int(np.argmin(apart))] <= 1 / RATE_HZ + 2.5e-4
    assert min(apart) < 1e-4
    jerk = np.diff(found[500:, 3], 3) * 1e9
    assert np.sqrt((jerk**2).mean()) < 3 * 0.1 * 6**3, "that of the swing itself, no staircase"


def test_without_commands_the_joints_brake_to_rest(rig: Rig) -> None:
    up, commands = Upsampler(rig, RATE_HZ), swing(rig, 211)
    up.rest_at(rig.q_home)
    moving = samples(rig, commands, up)
    silent = [up.at(211 * PERIOD + ms * MS) for ms in range(400)]
    assert np.abs(moving[-1].velocity).max() > 0.3
    obeyed(rig, moving + silent, up.config)
    assert np.abs(silent[60].velocity).max() < 1e-9
    assert np.array_equal(silent[60].position, silent[-1].position)
    assert not up.moving(211 * PERIOD + 60 * MS)


def test_a_revised_command_replaces_the_one_of_its_tick(rig: Rig) -> None:
    once, twice = Upsampler(rig, RATE_HZ), Upsampler(rig, RATE_HZ)
    for up in (once, twice):
        up.rest_at(rig.q_home)
    for k, command in enumerate(swing(rig, 200)):
        wrong = command_of(command.position + 1e-4, command.velocity)
        twice.aim(wrong, k, k * PERIOD, k * PERIOD)
        for up in (once, twice):
            up.aim(command, k, k * PERIOD, k * PERIOD)
    for ms in range(5):
        a, b = (up.at(199 * PERIOD + ms * MS) for up in (once, twice))
        assert np.allclose(a.position, b.position, atol=1e-9)


# --------------------------------------------------------------------- driver
class Driven:
    """The simulated robot behind a driver with an up-sampler, served at 500 Hz."""

    def __init__(self, rig: Rig) -> None:
        self.robot = MujocoRobot(rig, seed=0)
        self.up = Upsampler(rig, RATE_HZ)
        self.driver = RobotDriver(rig, self.robot, upsampler=self.up)
        self.driver.start(0)
        self.row = np.zeros(1, command_dtype(len(rig.joint_names), 2))[0]
        self.row["gripper"] = 1.0
        self.now = 0
        self.sent: list[np.ndarray] = []
        self.first_uses = 0

    def serve(self, command: JointCommand | None) -> None:
        """One slot of 2 ms, with a command or without."""
        self.now += 2 * MS
        if command is not None:
            self.row["t_ns"], self.row["tick"] = self.now, self.row["tick"] + 1
            self.row["position"], self.row["velocity"] = command.position, command.velocity
            assert self.driver.command(self.row, self.now) is None, "it is sent by `advance`"
        for row in (self.driver.advance(self.now), self.driver.watch(self.now)):
            if row is not None:
                self.sent.append(row["position"].copy())
                self.first_uses += int(row["first_use"])
        self.driver.state(self.now)


def test_a_driver_sends_samples_and_marks_the_first_use_of_a_frame_once(rig: Rig) -> None:
    driven = Driven(rig)
    for k, command in enumerate(swing(rig, 100)):
        driven.row["operator_seq"] = driven.row["t_operator_receive_ns"] = 1 + k // 4
        driven.serve(command)
        driven.serve(None)
    assert driven.driver.refused == 0
    assert driven.first_uses == 25
    steps = np.abs(np.diff(driven.sent, axis=0))
    assert len(driven.sent) == 200
    assert (steps <= rig.velocity_limit * 2e-3 * 1.001).all()


def test_a_silent_control_makes_the_driver_hold_at_rest(rig: Rig) -> None:
    driven = Driven(rig)
    for command in swing(rig, 300):
        driven.serve(command)
        driven.serve(None)
    for _ in range(STALE_NS // (2 * MS) + 20):
        driven.serve(None)
    held = driven.sent[-1]
    count = len(driven.sent)
    for _ in range(20):
        driven.serve(None)
    assert len(driven.sent) == count, "what rests is not sent again"
    assert np.abs(np.diff(driven.sent[-30:], axis=0)).max() < 1e-9
    assert (held <= rig.upper).all()


def test_after_an_e_stop_samples_begin_where_the_robot_is(rig: Rig) -> None:
    driven = Driven(rig)
    for command in swing(rig, 200):
        driven.serve(command)
    driven.driver.motion(Motion.ESTOP, driven.now)
    stopped = len(driven.sent)
    for _ in range(20):
        driven.serve(None)
    assert len(driven.sent) == stopped, "nothing is sent while stopped"
    data, model = driven.robot.data, driven.robot.model
    for name in rig.joint_names:  # the arm sags while its drives are off
        data.qpos[model.joint(name).qposadr[0]] -= 0.1
    driven.driver.state(driven.now)
    driven.driver.motion(Motion.HOLD, driven.now)
    measured = driven.robot.read(driven.now).position
    driven.serve(command_of(measured, np.zeros(len(measured))))
    assert driven.driver.refusal == ""
    assert np.abs(driven.sent[-1] - measured).max() < 0.02


def test_a_rig_says_whether_its_robot_is_up_sampled() -> None:
    def rig_with(**adapter: object) -> SimpleNamespace:
        return SimpleNamespace(name="mine", sections={"adapter": adapter})

    assert upsampling_of(rig_with()) is None
    assert upsampling_of(rig_with(upsample=False)) is None
    assert upsampling_of(rig_with(upsample=True)) == UpsampleConfig()
    assert upsampling_of(rig_with(upsample={"ramp_s": 0.02})) == UpsampleConfig(0.02)
    for wrong in ("yes", {"ramp": 1}, {"ramp_s": -1}, 3):
        with pytest.raises(RobotError, match="upsample"):
            upsampling_of(rig_with(upsample=wrong))
