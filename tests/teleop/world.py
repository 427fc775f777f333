"""A session, an operator and a robot around a control law, all in the hands of a test."""

from __future__ import annotations

from typing import Any

import numpy as np

from retarget import Rig
from retarget.frames import exp3, matrix_to_pose, pose_to_matrix, stage_to_robot
from teleop.control import ControlConfig, ControlCore, Outputs
from teleop.samples import (
    OPERATOR_FRAME,
    SESSION_STATE,
    Motion,
    Tracking,
    robot_state_dtype,
    row_sizes,
)

MS = 1_000_000
TICK = 5 * MS
SIDES = ("left", "right")


def random_pose(rng: np.random.Generator) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = exp3(rng.normal(0, 1.5, 3))
    T[:3, 3] = rng.uniform(-1, 2, 3)
    return matrix_to_pose(T)


class World:
    """A session, an operator, and a robot that is where it was told to be."""

    def __init__(self, rig: Rig, seed: int = 0, config: ControlConfig | None = None) -> None:
        self.rig = rig
        self.core = ControlCore(rig, config)
        self.rng = np.random.default_rng(seed)
        self.now = 1_000_000 * MS
        self.session = np.zeros(1, SESSION_STATE)[0]
        self.session["T_robot_stage"] = matrix_to_pose(stage_to_robot())
        self.session["reach_scale"] = 1.0
        self.frame = np.zeros(1, OPERATOR_FRAME)[0]
        self.frame["presence"] = 6
        for side in SIDES:
            device = self.frame[f"{side}_controller"]
            device["flags"] = int(Tracking.VALID | Tracking.TRACKED)
            device["grip"] = random_pose(self.rng)
        self.state = np.zeros(1, robot_state_dtype(*row_sizes(rig)))[0]
        self.state["position"], self.state["gripper"] = rig.q_home, 1.0
        self.state["gripper_command"] = 1.0
        if rig.finger_names:
            self.state["finger"] = rig.fingers_home
        self.robot_follows = True
        self.sample_age_ns = 0
        self.events: list[tuple[str, dict[str, Any]]] = []

    def operator(self) -> np.void:
        """A new frame with the present poses."""
        self.frame["seq"] += 1
        self.frame["t_receive_ns"] = self.now
        self.frame["t_ns"] = self.now - self.sample_age_ns
        return self.frame.copy()

    def move(self, side: str, d: np.ndarray, turn: np.ndarray | None = None) -> None:
        """Move a hand by `d` in STAGE, and turn it."""
        device = self.frame[f"{side}_controller"]
        T = pose_to_matrix(device["grip"])
        T[:3, 3] += d
        if turn is not None:
            T[:3, :3] = exp3(turn) @ T[:3, :3]
        device["grip"] = matrix_to_pose(T)

    def engage(self, left: bool = True, right: bool = True) -> None:
        self.session["motion"] = Motion.ENGAGED
        for i, on in enumerate((left, right)):
            if on and not self.session["engaged"][i]:
                self.session["engage_count"][i] += 1
            self.session["engaged"][i] = on

    def set_motion(self, motion: Motion) -> None:
        self.session["motion"] = motion
        self.session["engaged"] = False

    def tick(self, frame: bool = True, session: bool = True, state: bool = True) -> Outputs:
        self.now += TICK
        if session:
            self.session["t_ns"] = self.now
        if state:
            self.state["t_ns"] = self.now
        if frame:
            self.last_frame = self.operator()
        outputs = self.core.tick(
            self.session, getattr(self, "last_frame", None), self.state, self.now
        )
        assert outputs is not None
        self._obey(outputs)
        return outputs

    def revise(self, after_ns: int = MS) -> Outputs | None:
        self.now += after_ns
        self.last_frame = self.operator()
        outputs = self.core.revise(self.last_frame, self.now)
        self.now -= after_ns
        if outputs is not None:
            self._obey(outputs)
        return outputs

    def _obey(self, outputs: Outputs) -> None:
        self.events += outputs.events
        if self.robot_follows:
            self.state["position"] = outputs.command["position"]
            self.state["gripper"] = outputs.command["gripper"]
            self.state["gripper_command"] = outputs.command["gripper"]
            if self.rig.finger_names:
                self.state["finger"] = outputs.command["finger"]

    def ticks(self, n: int, **kwargs: bool) -> Outputs:
        outputs = self.tick(**kwargs)
        for _ in range(n - 1):
            outputs = self.tick(**kwargs)
        return outputs


def random_start(world: World) -> None:
    rig = world.rig
    middle = 0.5 * (rig.lower + rig.upper)
    world.state["position"] = middle + 0.8 * world.rng.uniform(-0.5, 0.5, len(middle)) * (
        rig.upper - rig.lower
    )
