"""Whatever the operator's tracking does, the next command is never farther than a joint can go."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retarget import FilterConfig, Rig
from retarget.errors import RetargetError
from retarget.frames import matrix_to_pose, stage_to_robot
from teleop.control import ControlConfig, ControlCore
from teleop.samples import (
    OPERATOR_FRAME,
    SESSION_STATE,
    SIDES,
    Motion,
    Tracking,
    robot_state_dtype,
    row_sizes,
)
from tests.retarget.conftest import ARM_RIGS, cached_rig

DT_NS = 5_000_000
few = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))


class Scene:
    """An operator, a session and a robot that follows exactly; what happens is told by name."""

    def __init__(self, rig: Rig, seed: int, outside: bool) -> None:
        self.rig, self.rng, self.now_ns = rig, np.random.default_rng(seed), 1_000_000_000
        dtype = robot_state_dtype(*row_sizes(rig))
        self.core = ControlCore(rig, ControlConfig(filters=FilterConfig()))
        self.state = np.zeros(1, dtype)[0]
        self.state["position"], self.state["gripper_command"] = self.start(outside), 1.0
        self.session = np.zeros(1, SESSION_STATE)[0]
        self.session["T_robot_stage"] = matrix_to_pose(stage_to_robot())
        self.session["reach_scale"], self.session["motion"] = 1.0, Motion.ENGAGED
        self.frame = np.zeros(1, OPERATOR_FRAME)[0]
        self.frame["presence"], self.frame["head_flags"] = 7, int(Tracking.VALID | Tracking.TRACKED)
        self.frame["head"] = (0, 1.6, 0, 0, 0, 0, 1)
        for side, x in zip(SIDES, (-0.2, 0.2), strict=True):
            device = self.frame[f"{side}_controller"]
            device["flags"], device["grip"] = (
                int(Tracking.VALID | Tracking.TRACKED),
                (x, 1.1, -0.4, 0, 0, 0, 1),
            )
        self.speed = self.rng.normal(0, 0.5, (2, 3))
        self.engage()

    def start(self, outside: bool) -> np.ndarray:
        """A posture, with some joints up to 6° outside their limits if asked for."""
        rig, rng = self.rig, self.rng
        q = rig.q_home + rng.uniform(0, 1) * (rng.uniform(rig.lower, rig.upper) - rig.q_home)
        if outside:
            which = rng.random(len(q)) < 0.4
            q = np.where(which, rig.upper + rng.uniform(0, 0.1, len(q)), q)
        return q

    # ------------------------------------------------------------ what happens
    def engage(self) -> None:
        self.session["engaged"] = True
        self.session["engage_count"] += 1

    def release(self) -> None:
        self.session["engaged"] = False

    def lose_tracking(self) -> None:
        for side in SIDES:
            self.frame[f"{side}_controller"]["flags"] = 0

    def regain_tracking(self) -> None:
        for side in SIDES:
            self.frame[f"{side}_controller"]["flags"] = int(Tracking.VALID | Tracking.TRACKED)

    def vanish(self) -> None:
        self.frame["presence"] = int(self.rng.integers(8))

    def zero_quaternion(self) -> None:
        self.frame["right_controller"]["grip"][3:] = 0.0

    def not_a_number(self) -> None:
        self.frame["left_controller"]["grip"][self.rng.integers(7)] = np.nan

    def good_pose(self) -> None:
        self.frame["presence"] = 7
        for side in SIDES:
            grip = self.frame[f"{side}_controller"]["grip"]
            grip[:] = np.where(np.isfinite(grip), grip, 0.0)
            grip[3:] = (0, 0, 0, 1)

    def teleport(self) -> None:
        self.frame["right_controller"]["grip"][:3] += self.rng.normal(0, 2.0, 3)

    def turn_over(self) -> None:
        self.frame["left_controller"]["grip"][3:] = (1, 0, 0, 0)

    def run_away(self) -> None:
        self.speed = self.rng.normal(0, 2.0, (2, 3))

    def go_home(self) -> None:
        self.session["motion"] = Motion.HOMING
        self.session["home_count"] += 1

    def go_on(self) -> None:
        self.session["motion"] = Motion.ENGAGED

    # ------------------------------------------------------------------- ticks
    def ticks(self, n: int) -> None:
        for _ in range(n):
            self.now_ns += DT_NS
            self.session["t_ns"] = self.state["t_ns"] = self.now_ns
            before = self.state["position"].copy()
            outputs = self.core.tick(self.session, self.new_frame(), self.state, self.now_ns)
            assert outputs is not None
            if self.rng.random() < 0.5:
                self.check(before, outputs.command["position"])
                revised = self.core.revise(self.new_frame(), self.now_ns)
                outputs = revised if revised is not None else outputs
            self.check(before, outputs.command["position"])
            self.state["position"] = outputs.command["position"]
            self.state["gripper_command"] = outputs.command["gripper"]

    def new_frame(self) -> np.void:
        self.frame["seq"] += 1
        self.frame["t_ns"] = self.frame["t_receive_ns"] = self.now_ns + int(self.frame["seq"])
        for side, speed in zip(SIDES, self.speed, strict=True):
            self.frame[f"{side}_controller"]["grip"][:3] += speed * 0.0025
        return self.frame.copy()

    def check(self, before: np.ndarray, after: np.ndarray) -> None:
        """The law: no joint goes farther than its velocity limit allows, nor farther outside."""
        rig, step = self.rig, np.abs(after - before)
        assert np.isfinite(after).all()
        assert (step <= rig.velocity_limit * DT_NS * 1e-9 + 1e-12).all()
        assert (after <= np.maximum(rig.upper, before) + 1e-12).all()
        assert (after >= np.minimum(rig.lower, before) - 1e-12).all()


HAPPENINGS: tuple[Callable[[Scene], None], ...] = (
    Scene.engage, Scene.release, Scene.lose_tracking, Scene.regain_tracking, Scene.vanish,
    Scene.zero_quaternion, Scene.not_a_number, Scene.good_pose, Scene.teleport, Scene.turn_over,
    Scene.run_away, Scene.go_home, Scene.go_on,
)  # fmt: skip


@pytest.fixture(params=ARM_RIGS)
def rig(request) -> Rig:
    try:
        return cached_rig(request.param)
    except RetargetError as error:
        pytest.skip(str(error))


@few
@given(
    seed=st.integers(0, 2**32 - 1),
    happenings=st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(1, 12)), max_size=12),
    outside=st.booleans(),
)
def test_no_command_jumps_whatever_happens_to_tracking(rig, seed, happenings, outside):
    scene = Scene(rig, seed, outside)
    scene.ticks(3)
    for happen, ticks in happenings:
        happen(scene)
        scene.ticks(ticks)


def test_each_happening_alone_moves_no_command_too_far(rig):
    for happen in HAPPENINGS:
        scene = Scene(rig, 5, outside=False)
        scene.ticks(20)
        happen(scene)
        scene.ticks(10)
        Scene.good_pose(scene)
        Scene.engage(scene)
        scene.ticks(10)
        happen(scene)
        scene.ticks(5)


def test_engaging_outside_the_limits_moves_nothing(rig):
    scene = Scene(rig, 7, outside=True)
    scene.speed[:] = 0.0
    start = scene.state["position"].copy()
    scene.ticks(40)
    assert np.abs(scene.state["position"] - start).max() < 1e-9


def test_a_bad_pose_holds_the_arm_and_its_return_does_not_throw_it(rig):
    for spoil in (Scene.lose_tracking, Scene.zero_quaternion, Scene.not_a_number, Scene.teleport):
        scene = Scene(rig, 11, outside=False)
        scene.speed *= 0.1
        scene.ticks(30)
        spoil(scene)
        scene.speed[:] = 0.0
        scene.ticks(400)
        rest = scene.state["position"].copy()
        scene.ticks(20)
        assert np.abs(scene.state["position"] - rest).max() < 2e-2, spoil.__name__
