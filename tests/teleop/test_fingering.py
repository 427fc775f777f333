"""Laws of fingers in the control law: they follow hands or triggers, hold, and never jump."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retarget import Rig
from teleop.control_memory import recall, remember
from teleop.control_rows import GRASPED, TRACKED
from teleop.following import HAND_BITS
from teleop.robots.base import JointCommand
from teleop.robots.guard import CommandGuard
from teleop.robots.mujoco import MujocoRobot
from teleop.samples import Motion, Tracking
from tests.retarget.conftest import cached_rig
from tests.retarget.test_hands import human
from tests.teleop.world import MS, World

SIDES = ("left", "right")
VALID = int(Tracking.VALID | Tracking.TRACKED)


@pytest.fixture(scope="module")
def rig() -> Rig:
    return cached_rig("g1-dex3")


def show_hands(world: World, curl: float, flags: int = VALID) -> None:
    """Both bare hands, a little further on each time: trackers are never still."""
    world.frame["presence"] = sum(HAND_BITS.values())
    for k, side in enumerate(SIDES):
        hand = world.frame[f"{side}_hand"]
        hand["flags"] = flags
        hand["joints"][:, :3] = human(curl, side) + np.array((0.3 * (2 * k - 1), 1.2, -0.3))
        hand["joints"][:, 0] += world.rng.normal(0, 1e-5)
        hand["joints"][:, 6] = 1.0


def bare(rig: Rig) -> World:
    world = World(rig)
    show_hands(world, 0.2)
    world.ticks(3)
    world.engage()
    world.ticks(3)
    return world


def ticks(world: World, curl: float, n: int, flags: int = VALID) -> np.void:
    for _ in range(n):
        show_hands(world, curl, flags)
        outputs = world.tick()
    return outputs


def test_fingers_follow_bare_hands_while_the_arms_follow(rig: Rig) -> None:
    world = bare(rig)
    outputs = ticks(world, 1.0, 200)
    closed = outputs.command["finger"].copy()
    assert list(outputs.target["fingers"]) == [TRACKED, TRACKED]
    opened = ticks(world, 0.0, 200).command["finger"]
    assert np.abs(closed - opened).max() > 0.5
    world.engage(left=False, right=False)
    world.set_motion(Motion.HOLD)
    before = ticks(world, 0.5, 60).command["finger"].copy()
    np.testing.assert_array_equal(ticks(world, 1.2, 60).command["finger"], before)


def test_a_trigger_closes_the_hand_and_takes_over_softly(rig: Rig) -> None:
    world = World(rig)
    for side in SIDES:
        world.frame[f"{side}_controller"]["trigger"] = 0.6
    world.ticks(3)
    world.engage()
    outputs = world.ticks(20)
    np.testing.assert_array_equal(outputs.command["finger"], rig.fingers_home)
    for side in SIDES:
        world.frame[f"{side}_controller"]["trigger"] = 1.0
    outputs = world.ticks(300)
    assert list(outputs.target["fingers"]) == [GRASPED, GRASPED]
    for side, where in rig.finger_slices.items():
        np.testing.assert_allclose(
            outputs.command["finger"][where], rig.hands[side].q_closed, atol=1e-6
        )


@pytest.mark.parametrize("flags", [0, int(Tracking.ORIENTATION_VALID)])
def test_a_lost_hand_holds_its_fingers(rig: Rig, flags: int) -> None:
    world = bare(rig)
    ticks(world, 0.8, 100)
    held = ticks(world, 1.2, 60, flags).command["finger"].copy()
    np.testing.assert_array_equal(ticks(world, 0.0, 30, flags).command["finger"], held)


def test_no_finger_jumps_when_hands_and_controllers_alternate(rig: Rig) -> None:
    world = bare(rig)
    limit = np.concatenate([rig.hands[s].velocity_limit for s in SIDES]) * 0.005
    last = ticks(world, 0.3, 5).command["finger"].copy()
    for k in range(300):
        if k % 37 == 0:
            world.engage(left=False, right=False)
        if k % 37 == 3:
            world.engage()
        if k // 50 % 2:
            show_hands(world, float(world.rng.uniform(-0.2, 1.5)))
        else:
            world.frame["presence"] = 6
            for side in SIDES:
                world.frame[f"{side}_controller"]["trigger"] = world.rng.uniform()
        now = world.tick().command["finger"].copy()
        assert (np.abs(now - last) <= limit + 1e-12).all()
        last = now


def test_of_a_replay_the_hand_counts_and_not_the_controller_it_holds(rig: Rig) -> None:
    world = bare(rig)
    show_hands(world, 0.9)
    world.frame["presence"] = 6 + sum(HAND_BITS.values())
    for side in SIDES:
        world.frame[f"{side}_controller"]["flags"] = VALID | int(Tracking.STAND_IN)
    assert list(world.tick().target["fingers"]) == [TRACKED, TRACKED]
    for side in SIDES:
        world.frame[f"{side}_controller"]["flags"] = VALID
    assert TRACKED not in world.tick().target["fingers"]


def test_fingers_go_home_with_the_arms(rig: Rig) -> None:
    world = bare(rig)
    ticks(world, 1.2, 150)
    world.engage(left=False, right=False)
    world.set_motion(Motion.HOMING)
    outputs = world.ticks(900)
    np.testing.assert_allclose(outputs.command["finger"], rig.fingers_home, atol=1e-5)


def test_a_control_law_with_the_memory_of_another_moves_the_same_fingers(rig: Rig) -> None:
    one, other = bare(rig), World(rig)
    ticks(one, 0.7, 20)
    recall(other.core, remember(one.core))
    show_hands(one, 0.9)
    one.now += 5 * MS
    frame = one.operator()
    rows = [
        world.core.tick(one.session, frame, one.state, one.now, 10_000) for world in (one, other)
    ]
    assert rows[0] is not None
    assert rows[1] is not None
    np.testing.assert_array_equal(rows[0].command["finger"], rows[1].command["finger"])


def test_fingers_move_in_simulation_and_stay_when_left_out(rig: Rig) -> None:
    robot = MujocoRobot(rig)
    robot.start(0)
    closed = np.concatenate([rig.hands[side].q_closed for side in SIDES])
    at_home = JointCommand(np.array(rig.q_home), np.zeros(len(rig.q_home)), np.zeros(0))
    robot.apply(replace(at_home, finger=closed, finger_velocity=np.zeros(len(closed))), 0)
    for k in range(1, 500):
        robot.read(4 * k * MS)
    assert np.abs(robot.read(2000 * MS).finger - closed).max() < 0.1
    robot.apply(at_home, 2000 * MS)
    for k in range(1, 250):
        robot.read((2000 + 4 * k) * MS)
    reading = robot.read(3000 * MS)
    assert np.abs(reading.finger - closed).max() < 0.1
    assert len(reading.finger_velocity) == len(rig.finger_names)


def test_the_guard_refuses_fingers_that_cannot_be(rig: Rig) -> None:
    guard, home = CommandGuard(rig), np.array(rig.q_home)
    good = JointCommand(
        home, np.zeros(len(home)), np.zeros(0), rig.fingers_home, np.zeros(len(rig.finger_names))
    )
    assert guard.refusal(good, home, home, None) is None
    for finger, words in (
        (rig.fingers_home + 5.0, "limit"),
        (np.full(len(rig.finger_names), np.nan), "finite"),
        (np.zeros(3), "3 finger joints"),
    ):
        refusal = guard.refusal(replace(good, finger=finger), home, home, None)
        assert refusal is not None
        assert words in refusal
