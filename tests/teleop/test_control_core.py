"""The control law without bus or clock: what follows, what rests, and what never jumps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retarget import Rig, load_rig
from retarget.frames import exp3, pose_to_matrix
from teleop.control import ControlCore, Outputs
from teleop.samples import (
    OPERATOR_FRAME,
    SESSION_STATE,
    Motion,
    RobotStatus,
    Tracking,
    robot_state_dtype,
)
from tests.teleop.world import SIDES, TICK, World, random_pose, random_start


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig("openarm")


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_engage_does_not_move_the_robot(rig: Rig, seed: int) -> None:
    world = World(rig, seed)
    random_start(world)
    before = world.state["position"].copy()
    world.ticks(2)
    world.engage()
    after = world.ticks(5)
    assert after.target["valid"][:2].all()
    assert np.abs(after.command["position"] - before).max() < 1e-9
    assert np.abs(after.command["velocity"]).max() < 1e-6


def test_nothing_is_commanded_before_the_robot_is_known(rig: Rig) -> None:
    core = ControlCore(rig)
    session, frame = np.zeros(1, SESSION_STATE)[0], np.zeros(1, OPERATOR_FRAME)[0]
    assert core.tick(session, frame, None, 10**9) is None
    assert core.revise(frame, 10**9) is None
    state = np.zeros(1, robot_state_dtype(len(rig.joint_names), 2))[0]
    assert core.tick(session, frame, state, 10**9) is None, "a stale state is not a start"


def test_first_command_is_the_measured_state(rig: Rig) -> None:
    world = World(rig, 3)
    random_start(world)
    world.state["gripper"] = (0.3, 0.6)
    world.state["gripper_command"] = (0.3, 0.6)
    first = world.tick()
    assert np.array_equal(first.command["position"], world.state["position"])
    assert np.allclose(first.command["gripper"], (0.3, 0.6))


def test_the_tip_follows_the_hand_along_robot_axes(rig: Rig) -> None:
    world = World(rig, 1)
    world.ticks(2)
    world.engage(left=False)
    start = rig.forward(world.tick().command["position"])
    forward_stage = np.array([0.0, 0.0, -0.05]) / 100
    for _ in range(100):
        world.move("right", forward_stage)
        world.tick()
    end = rig.forward(world.ticks(40).command["position"])
    moved = end["right_wrist"][:3, 3] - start["right_wrist"][:3, 3]
    assert np.allclose(moved, [0.05, 0, 0], atol=1e-3)
    assert np.allclose(end["left_wrist"], start["left_wrist"], atol=1e-9)


def test_translation_is_scaled_by_reach_and_rotation_is_not(rig: Rig) -> None:
    world = World(rig, 1)
    world.session["reach_scale"] = 0.5
    world.ticks(2)
    world.engage(left=False)
    start = world.tick().target["T_robot_right_wrist"].copy()
    turn = np.array([0.0, 0.3, 0.0])  # about STAGE up
    for _ in range(50):
        world.move("right", np.array([0.0, 0.04, 0.0]) / 50, turn / 50)
        last = world.tick()
    end = last.target["T_robot_right_wrist"]
    assert np.allclose(end[:3] - start[:3], [0, 0, 0.02], atol=1e-6)
    R = pose_to_matrix(end)[:3, :3] @ pose_to_matrix(start)[:3, :3].T
    assert np.allclose(R, exp3([0, 0, 0.3]), atol=1e-6)


def limits_hold(rig: Rig, positions: list[np.ndarray], dt: float) -> None:
    q = np.array(positions)
    v = np.diff(q, axis=0) / dt
    a = np.diff(v, axis=0) / dt
    assert (np.abs(v) <= rig.velocity_limit * (1 + 1e-6)).all()
    assert (np.abs(a) <= rig.acceleration_limit * (1 + 1e-6) + 1e-6).all()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_input_makes_commands_leave_the_limits(rig: Rig, seed: int) -> None:
    """Hands that jump, engage, release, fall silent and revise at random."""
    world = World(rig, seed)
    positions = [world.tick().command["position"].copy()]
    for _ in range(60):
        kind = world.rng.integers(8)
        if kind == 0:
            world.engage(bool(world.rng.integers(2)), bool(world.rng.integers(2)))
        elif kind == 1:
            world.set_motion(Motion(world.rng.choice([0, 1, 3, 4])))
        elif kind == 2:
            world.frame["right_controller"]["grip"] = random_pose(world.rng)
        elif kind == 3:
            world.frame["left_controller"]["flags"] = world.rng.integers(4)
        else:
            for side in SIDES:
                world.move(side, world.rng.normal(0, 0.02, 3), world.rng.normal(0, 0.1, 3))
        outputs = world.tick(frame=bool(world.rng.integers(4)))
        for _ in range(world.rng.integers(3)):
            world.move("left", world.rng.normal(0, 0.005, 3))
            outputs = world.revise() or outputs
        positions.append(outputs.command["position"].copy())
    limits_hold(rig, positions, TICK * 1e-9)
    assert not [e for e in world.events if e[0] == "rebased"]


def follow_fast(world: World) -> Outputs:
    """Get both arms moving."""
    world.ticks(2)
    world.engage()
    outputs = world.tick()
    for _ in range(30):
        for side in SIDES:
            world.move(side, np.array([0.0, 0.004, 0.0]))
        outputs = world.tick()
    assert np.abs(outputs.command["velocity"]).max() > 0.5
    return outputs


@pytest.mark.parametrize("cause", ["hold", "idle", "estop", "silent session", "silent operator"])
def test_stopping_is_smooth_and_then_exact(rig: Rig, cause: str) -> None:
    world = World(rig, 2)
    moving = follow_fast(world)
    fresh = {"frame": True, "session": True}
    if cause == "silent session":
        fresh["session"] = False
    elif cause == "silent operator":
        fresh["frame"] = False
    else:
        world.set_motion(Motion[cause.upper()])
    positions = [moving.command["position"].copy()]
    for _ in range(80):
        for side in SIDES:
            world.move(side, np.array([0.0, 0.004, 0.0]))
        positions.append(world.tick(**fresh).command["position"].copy())
    v0 = moving.command["velocity"] * TICK * 1e-9
    limits_hold(rig, [positions[0] - v0, *positions], TICK * 1e-9)
    last = world.tick(**fresh)
    assert np.array_equal(last.command["position"], positions[-1])
    assert np.array_equal(last.command["velocity"], np.zeros(len(rig.joint_names)))
    assert last.command["operator_seq"] == 0
    assert not last.target["valid"].any()


def test_revision_uses_the_newer_pose_within_the_same_tick(rig: Rig) -> None:
    world = World(rig, 4)
    world.ticks(2)
    world.engage()
    first = world.tick()
    world.move("right", np.array([0.002, 0, 0]))
    revised = world.revise()
    assert revised is not None
    assert revised.command["tick"] == first.command["tick"]
    assert (first.command["revision"], revised.command["revision"]) == (0, 1)
    assert revised.command["first_use"]
    assert revised.command["operator_seq"] == first.command["operator_seq"] + 1
    assert revised.command["t_operator_receive_ns"] == world.last_frame["t_receive_ns"]
    again = world.revise()
    assert again is not None
    assert again.command["revision"] == 2
    following = world.tick(frame=False)
    assert following.command["revision"] == 0
    assert not following.command["first_use"]
    assert following.command["operator_seq"] == again.command["operator_seq"]


def test_revising_equals_having_had_the_pose_in_time(rig: Rig) -> None:
    early, late = World(rig, 5), World(rig, 5)
    for world in (early, late):
        world.ticks(2)
        world.engage()
        world.tick()
    for k in range(20):
        step = np.array([0.001, 0.0005 * (k % 3), -0.001])
        late.tick(frame=False)
        for world in (early, late):
            world.move("left", step)
        assert (revised := late.revise(0)) is not None
        direct = early.tick()
        assert np.allclose(revised.command["position"], direct.command["position"], atol=1e-12)


def test_without_following_a_new_frame_revises_nothing(rig: Rig) -> None:
    world = World(rig, 6)
    world.ticks(3)
    assert world.revise() is None


def test_a_tracking_jump_cannot_move_the_arm_until_the_next_engage(rig: Rig) -> None:
    world = World(rig, 7)
    world.ticks(2)
    world.engage()
    before = world.ticks(3).command["position"].copy()
    world.move("right", np.array([0.5, 0.3, 0.0]))
    assert np.allclose(world.ticks(60).command["position"], before, atol=1e-9)
    world.set_motion(Motion.HOLD)
    world.ticks(2)
    world.engage()
    assert np.allclose(world.ticks(3).command["position"], before, atol=1e-9)
    for _ in range(10):
        world.move("right", np.array([0.0, 0.002, 0.0]))
        moved = world.tick()
    assert np.abs(moved.command["position"] - before).max() > 1e-3


def test_lost_tracking_holds_the_target(rig: Rig) -> None:
    world = World(rig, 8)
    world.ticks(2)
    world.engage()
    held = world.ticks(3).target["T_robot_right_wrist"].copy()
    world.frame["right_controller"]["flags"] = 0
    world.frame["right_controller"]["grip"] = np.nan
    outputs = world.ticks(5)
    assert np.array_equal(outputs.target["T_robot_right_wrist"], held)
    assert np.isfinite(outputs.command["position"]).all()


def test_a_new_calibration_moves_no_engaged_arm(rig: Rig) -> None:
    world = World(rig, 9)
    world.ticks(2)
    world.engage()
    before = world.ticks(3).target["T_robot_right_wrist"].copy()
    world.session["T_robot_stage"] = random_pose(world.rng)
    world.session["reach_scale"] = 2.0
    assert np.array_equal(world.ticks(3).target["T_robot_right_wrist"], before)


def test_trigger_takes_the_gripper_over_only_once_it_moves(rig: Rig) -> None:
    world = World(rig, 10)
    world.state["gripper"] = 0.0
    world.state["gripper_command"] = 0.0
    world.ticks(2)
    world.engage()
    held = world.ticks(40)  # trigger released, which would mean open
    assert np.allclose(held.command["gripper"], 0.0)
    assert np.allclose(held.target["gripper"], 0.0)
    world.frame["right_controller"]["trigger"] = 0.5
    moved = world.ticks(60)
    assert np.allclose(moved.command["gripper"], (0.0, 0.5), atol=1e-6)


def test_homing_ends_at_home_with_open_grippers_and_says_so_once(rig: Rig) -> None:
    world = World(rig, 11)
    random_start(world)
    world.state["gripper"] = 0.2
    world.state["gripper_command"] = 0.2
    world.tick()
    world.set_motion(Motion.HOMING)
    world.session["home_count"] = 1
    positions = [world.state["position"].copy()]
    for _ in range(1500):
        positions.append(world.tick(frame=False).command["position"].copy())
        if world.events:
            break
    end = world.ticks(20, frame=False)
    assert [kind for kind, _ in world.events] == ["homed"]
    assert np.allclose(end.command["position"], rig.q_home, atol=2e-3)
    assert np.allclose(end.command["gripper"], 1.0)
    limits_hold(rig, positions, TICK * 1e-9)


def test_robot_elsewhere_rebases_and_says_so(rig: Rig) -> None:
    world = World(rig, 12)
    world.ticks(2)
    world.engage()
    world.ticks(3)
    world.robot_follows = False
    world.state["position"] = rig.q_home + 0.5
    outputs = world.ticks(5)
    assert not world.events, "a moment is not enough"
    outputs = world.ticks(15)
    assert world.events[0][0] == "rebased"
    assert np.abs(outputs.command["position"] - world.state["position"]).max() < 1e-6
    assert outputs.target["valid"][:2].all(), "the clutches close again where the robot is"


def test_refused_commands_rebase(rig: Rig) -> None:
    world = World(rig, 13)
    world.ticks(2)
    world.robot_follows = False
    world.state["position"] = rig.q_home + 0.1
    world.state["status"] = int(RobotStatus.REFUSED)
    outputs = world.ticks(15)
    assert [kind for kind, _ in world.events] == ["rebased"]
    assert np.array_equal(outputs.command["position"], world.state["position"])


def test_rebasing_keeps_the_grip(rig: Rig) -> None:
    world = World(rig, 14)
    world.state["gripper"] = 0.0
    world.state["gripper_command"] = 0.0
    world.ticks(2)
    world.robot_follows = False
    world.state["position"] = rig.q_home + 0.5
    world.state["gripper"] = 0.34  # fingers stand on an object
    assert np.allclose(world.ticks(20).command["gripper"], 0.0)


def test_restart_begins_from_the_next_state(rig: Rig) -> None:
    world = World(rig, 15)
    world.ticks(2)
    world.core.restart()
    world.state["position"] = rig.q_home + 0.3
    assert np.array_equal(world.tick().command["position"], rig.q_home + 0.3)
    assert not world.events


def test_bare_hands_steer_by_palm_and_pinch(rig: Rig) -> None:
    world = World(rig, 16)
    world.frame["presence"] = 16
    hand = world.frame["right_hand"]
    hand["flags"] = int(Tracking.VALID)
    hand["joints"][:, 6] = 1.0
    hand["joints"][10, 0] = 0.1  # thumb and index apart: open
    world.ticks(2)
    world.engage()
    before = world.ticks(3)
    assert list(before.target["valid"][:2]) == [False, True]
    hand["joints"][10, 0] = 0.01
    pinched = world.ticks(100)
    assert np.allclose(pinched.command["gripper"], (1.0, 0.0), atol=1e-6)


def test_silent_robot_stops_the_arms(rig: Rig) -> None:
    world = World(rig, 17)
    follow_fast(world)
    for _ in range(60):
        world.move("right", np.array([0.0, 0.004, 0.0]))
        outputs = world.tick(state=False)
    assert np.array_equal(outputs.command["velocity"], np.zeros(len(rig.joint_names)))


def test_a_restarted_control_keeps_the_grip_on_an_object(rig: Rig) -> None:
    world = World(rig)
    world.state["gripper"] = 0.34  # where the fingers stand on the object
    world.state["gripper_command"] = 0.0  # where they are being driven
    assert np.allclose(world.ticks(5).command["gripper"], 0.0)
