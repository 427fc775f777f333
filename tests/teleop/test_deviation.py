"""A robot that does not follow: commands continue from where it is, told, and without a jump."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retarget import FilterConfig, Rig, load_rig
from teleop.control import ControlConfig, Outputs
from teleop.deviation import DeviationWatch
from teleop.gateway.words import words_of
from teleop.robots.base import JointCommand
from teleop.robots.guard import CommandGuard
from teleop.samples import Motion, RobotStatus
from tests.teleop.world import MS, SIDES, TICK, World

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
DT = TICK * 1e-9


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig("openarm")


class Unruly(World):
    """A world whose robot follows only as well as `behave` says; every command is checked."""

    def __init__(self, rig: Rig, seed: int) -> None:
        super().__init__(rig, seed, ControlConfig(filters=FilterConfig()))
        self.robot_follows = False
        self.guard = CommandGuard(rig)
        self.slow = np.ones(len(rig.joint_names))
        self.load = np.zeros(len(rig.joint_names))
        self.before: np.ndarray | None = None

    def behave(self, command: np.ndarray) -> None:
        """Joints go a share of the way to their command, and sag by their load."""
        q = self.state["position"]
        self.state["position"] = q + self.slow * (command - q) - self.load

    def swing(self, speed_m_s: float = 0.5) -> Outputs:
        """One tick with moving hands; the law is checked."""
        for side in SIDES:
            self.move(side, np.array([0.0, speed_m_s * DT, 0.0]))
        measured = self.state["position"].copy()
        told = len(self.events)
        outputs = self.tick()
        self.check(outputs, measured, [kind for kind, _ in self.events[told:]])
        self.behave(outputs.command["position"])
        return outputs

    def check(self, outputs: Outputs, measured: np.ndarray, told: list[str]) -> None:
        """A command goes on from the last one at no more than its speed, or from the robot."""
        q = outputs.command["position"].copy()
        assert np.isfinite(q).all()
        limit = self.rig.velocity_limit * DT + 1e-9
        near = np.abs(q - measured) <= limit
        if self.before is not None:
            goes_on = (np.abs(q - self.before) <= limit).all()
            assert goes_on or near.all()
            if not goes_on and not (int(self.state["status"]) & RobotStatus.FAULT):
                assert "rebased" in told, "what goes on elsewhere is told"
        self.before = q


@given(seed=seeds)
@few
def test_whatever_the_robot_does_commands_go_on_from_the_last_or_from_the_robot(
    rig: Rig, seed: int
) -> None:
    world = Unruly(rig, seed)
    rng, n = world.rng, len(rig.joint_names)
    world.ticks(2)
    world.engage()
    for _ in range(150):
        kind = int(rng.integers(30))
        if kind == 0:  # some joints freeze, or lag
            world.slow = np.where(rng.random(n) < 0.3, rng.choice([0.0, 0.05]), 1.0)
        elif kind == 1:
            world.slow = np.ones(n)
        elif kind == 2:  # a load that a saturated joint cannot carry
            world.load = np.where(rng.random(n) < 0.2, rng.uniform(0, 0.01, n), 0.0)
        elif kind == 3:
            world.load = np.zeros(n)
        elif kind == 4:  # put elsewhere by hand
            where = world.state["position"] + rng.normal(0, 0.4, n)
            world.state["position"] = np.clip(where, rig.lower, rig.upper)
        elif kind == 5:
            world.set_motion(Motion(int(rng.choice([Motion.HOLD, Motion.IDLE]))))
        elif kind == 6:
            world.engage()
        world.swing(float(rng.uniform(-0.5, 0.5)))


@given(seed=seeds)
@few
def test_a_rebased_command_is_let_through_by_the_guard(rig: Rig, seed: int) -> None:
    world = Unruly(rig, seed)
    world.ticks(2)
    world.engage()
    where = world.state["position"] + world.rng.normal(0, 0.5, len(rig.joint_names))
    world.state["position"] = np.clip(where, rig.lower, rig.upper)
    world.slow[:] = 0.0
    for _ in range(30):
        last = rig.q_home if world.before is None else world.before
        outputs = world.swing(0.1)
        if world.events:
            command = outputs.command
            asked = JointCommand(command["position"], command["velocity"], np.ones(2))
            measured = np.array(world.state["position"])
            assert world.guard.refusal(asked, measured, last, TICK) is None
            break


def test_a_payload_that_bends_the_arm_a_little_rebases_nothing(rig: Rig) -> None:
    world = Unruly(rig, 1)
    world.ticks(2)
    world.engage()
    world.slow[:], world.load[:] = 0.5, 0.05
    for _ in range(100):
        world.swing(0.1)
    assert np.abs(world.state["position"] - world.before).max() > 0.03
    assert not world.events


def test_a_robot_stopped_by_its_own_guard_keeps_commands_with_it_and_is_told_once(rig: Rig) -> None:
    world = Unruly(rig, 2)
    world.ticks(2)
    world.engage()
    for _ in range(30):
        world.swing()
    world.slow[:] = 0.0
    world.state["status"] = int(RobotStatus.FAULT)
    for _ in range(100):
        outputs = world.swing()
    assert [data["reason"] for kind, data in world.events if kind == "rebased"] == ["fault"]
    assert np.allclose(outputs.command["position"], world.state["position"], atol=1e-12)
    assert not outputs.target["valid"].any(), "nothing follows a robot with a fault"
    world.state["status"], world.slow[:] = 0, 1.0
    again = world.swing(0.0)
    assert np.abs(again.command["position"] - world.state["position"]).max() < 1e-9
    for _ in range(20):
        moved = world.swing()
    assert moved.target["valid"][:2].all()
    assert np.abs(moved.command["position"] - again.command["position"]).max() > 1e-3


def test_a_frozen_joint_rebases_all_and_hands_go_on_from_there(rig: Rig) -> None:
    world = Unruly(rig, 3)
    world.ticks(2)
    world.engage()
    world.slow[3] = 0.0
    for _ in range(400):
        world.swing(0.25)
        if world.events:
            break
    kind, data = world.events[0]
    assert (kind, data["reason"], data["joint"]) == ("rebased", "deviation", rig.joint_names[3])
    assert data["rad"] > ControlConfig().deviation_rad
    words = words_of(kind, data)
    assert words is not None
    assert rig.joint_names[3] in words.text


def test_new_trouble_is_new_again_after_it_was_over() -> None:
    state = World(load_rig("openarm")).state
    q, watch = state["position"].copy(), DeviationWatch(0.35, 50 * MS)

    def after(ms: int, status: RobotStatus) -> bool | None:
        state["status"] = int(status)
        trouble = watch.check(state, q, ms * MS)
        return None if trouble is None else trouble.is_new

    assert after(0, RobotStatus.REFUSED) is None
    assert after(50, RobotStatus.REFUSED) is True
    assert after(55, RobotStatus.REFUSED) is None
    assert after(110, RobotStatus.REFUSED) is False
    assert after(115, RobotStatus.OK) is None
    assert after(120, RobotStatus.REFUSED) is None
    assert after(170, RobotStatus.REFUSED) is True


def test_operators_read_what_is_wrong_with_a_hand() -> None:
    held = words_of("tracking", {"tip": "left_wrist", "verdict": "jumped"})
    back = words_of("tracking", {"tip": "left_wrist", "verdict": "ok"})
    assert held is not None
    assert back is not None
    assert (held.level, back.level) == ("warning", "info")
    assert "engage again" in held.text
    assert words_of("homed", {"home_count": 1}) is None
    assert words_of("control_memory", {}) is None
