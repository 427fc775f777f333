"""A simulated robot: MuJoCo physics of the rig's scene, in real time.

Joints follow through the model's own position actuators with feed-forward, as a good joint drive
does: gravity (`qfrc_bias / kp`) against the sag of a few millimetres, velocity (`v (kv + joint
damping) / kp`) against the lag of up to 80 ms on soft wrist joints.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np

from retarget import Rig
from teleop.robots.base import Array, JointCommand, RobotError, RobotReading, state_rate_hz

MAX_CATCH_UP_NS = 8_000_000
"""Physics done in one call at most; what is missing beyond is given up and counted as slip."""
VELOCITY_FILTER_S = 0.010
"""Time constant of the low-pass on the commanded velocity before it is fed forward."""
JITTER_M = 0.03
JITTER_YAW = math.radians(20.0)
HOME_KEY = "home"


class MujocoRobot:
    """The rig in its scene. Implements `SimulatedRobot`.

    Args:
        rig: The robot.
        seed: Where the free objects start: around their home by up to 3 cm in x and y and 20° in
            yaw, drawn from this seed.

    The rig may give a physics step under `[adapter] timestep_s` (the model's own otherwise) and the
    rate of its states under `[adapter] rate_hz` (500 otherwise).
    """

    def __init__(self, rig: Rig, *, seed: int = 0) -> None:
        self.joint_names = rig.joint_names
        self.gripper_names = rig.gripper_names
        self._finger_names = rig.finger_names
        self.rate_hz = state_rate_hz(rig)
        self.slipped_ns = 0
        self._seed = seed
        self._grippers = [rig.grippers[side] for side in rig.gripper_names]
        self.model = rig.compile(scene=True)
        timestep_s = rig.sections.get("adapter", {}).get("timestep_s")
        if timestep_s is not None:
            self.model.opt.timestep = float(timestep_s)
        self.data = mujoco.MjData(self.model)
        self._step_ns = round(self.model.opt.timestep * 1e9)
        self._t_ns = 0
        self._index_names()
        self._command = JointCommand(np.array(rig.q_home), np.zeros(len(rig.q_home)), np.zeros(0))
        self._velocity = np.zeros(len(rig.q_home))
        self._reset(seed)

    def _index_names(self) -> None:
        """Addresses by name: joints of the rig, and every position actuator by its role."""
        m = self.model
        joints = np.array([m.joint(name).id for name in self.joint_names], dtype=int)
        grippers = np.array([m.joint(g.joint).id for g in self._grippers], dtype=int)
        self._qpos, self._dof = m.jnt_qposadr[joints], m.jnt_dofadr[joints]
        self._gripper_qpos, self._gripper_dof = m.jnt_qposadr[grippers], m.jnt_dofadr[grippers]
        fingers = np.array([m.joint(name).id for name in self._finger_names], dtype=int)
        self._finger_qpos, self._finger_dof = m.jnt_qposadr[fingers], m.jnt_dofadr[fingers]
        actuator_of = {int(m.actuator_trnid[a, 0]): a for a in _position_actuators(m)}
        driven = zip((*self.joint_names, *self._finger_names), (*joints, *fingers), strict=True)
        missing = [name for name, joint in driven if joint not in actuator_of]
        if missing:
            raise RobotError(f"no position actuator drives these joints of the model: {missing}")
        self._actuators = np.array([actuator_of[j] for j in joints], dtype=int)
        self._gripper_actuators = np.array(
            [m.actuator(g.actuator).id for g in self._grippers], dtype=int
        )
        self._finger_actuators = np.array([actuator_of[j] for j in fingers], dtype=int)
        ours = {
            *self._actuators.tolist(),
            *self._gripper_actuators.tolist(),
            *self._finger_actuators.tolist(),
        }
        self._held = np.array([a for a in actuator_of.values() if a not in ours], dtype=int)
        self._held_dof = m.jnt_dofadr[m.actuator_trnid[self._held, 0]]
        self._held_ctrl = m.key(HOME_KEY).ctrl[self._held].copy()
        kp = m.actuator_gainprm[:, 0]
        damping = m.dof_damping.reshape(m.nv, -1)[:, 0]
        kv = -m.actuator_biasprm[self._actuators, 2]
        self._velocity_gain = (kv + damping[self._dof]) / kp[self._actuators]
        # one gather and one scatter per slot: driven joints, then held ones, then grippers
        self._all = np.concatenate(
            [self._actuators, self._held, self._gripper_actuators, self._finger_actuators]
        )
        self._all_dof = np.concatenate(
            [self._dof, self._held_dof, self._gripper_dof, self._finger_dof]
        )
        self._gravity_gain = 1.0 / kp[self._all]
        first = len(joints) + len(self._held)
        self._gravity_gain[first : first + len(grippers)] = 0.0  # they carry themselves
        self._ctrl = np.concatenate(
            [np.zeros(len(joints)), self._held_ctrl, np.zeros(len(grippers) + len(fingers))]
        )
        # Feed-forward may ask for a little more than the joint range; the force range still holds.
        m.actuator_ctrllimited[self._actuators] = 0
        m.actuator_ctrllimited[self._held] = 0

    # ------------------------------------------------------------ RobotAdapter
    def start(self, now_ns: int) -> None:
        """Physics begins now."""
        self._t_ns = now_ns

    def apply(self, command: JointCommand, now_ns: int) -> JointCommand:
        """Follow `command` from the next physics step on; fingers it leaves out stay."""
        del now_ns
        if not len(command.finger):
            still = np.zeros(len(self._command.finger))
            command = replace(command, finger=self._command.finger, finger_velocity=still)
        self._command = command
        return command

    def hold(self, now_ns: int) -> JointCommand:
        """Stay at the last commanded posture."""
        last = self._command
        still, stiff = np.zeros_like(last.velocity), np.zeros_like(last.finger_velocity)
        return self.apply(
            JointCommand(last.position, still, last.gripper, last.finger, stiff), now_ns
        )

    def estop(self, now_ns: int) -> JointCommand:
        """A simulated robot has no brakes: the same as holding."""
        return self.hold(now_ns)

    def read(self, now_ns: int) -> RobotReading:
        """Let physics catch up with the clock, then measure."""
        self._advance(now_ns)
        d = self.data
        gripper = [
            g.opening(float(d.qpos[a]))
            for g, a in zip(self._grippers, self._gripper_qpos, strict=True)
        ]
        return RobotReading(
            t_ns=self._t_ns,
            t_device_ns=round(d.time * 1e9),
            position=d.qpos[self._qpos],
            velocity=d.qvel[self._dof],
            effort=d.qfrc_actuator[self._dof],
            gripper=np.array(gripper),
            gripper_effort=d.qfrc_actuator[self._gripper_dof],
            finger=d.qpos[self._finger_qpos],
            finger_velocity=d.qvel[self._finger_dof],
        )

    def request(self, request: Mapping[str, Any], now_ns: int) -> None:
        """Know `{"op": "scene_reset", "seed": int}`: robot home, objects moved by the seed."""
        op = request.get("op")
        if op != "scene_reset":
            raise RobotError(f"request {op!r} is not known; requests: ['scene_reset']")
        seed = request.get("seed")
        self._seed = self._seed + 1 if seed is None else int(seed)
        self._reset(self._seed)
        self._t_ns = now_ns

    def close(self) -> None:
        """Nothing to release."""

    # ---------------------------------------------------------- SimulatedRobot
    def qpos(self) -> Array:
        """(nq,) of the whole scene."""
        return np.array(self.data.qpos)

    # ----------------------------------------------------------------- physics
    def _advance(self, now_ns: int) -> None:
        behind = now_ns - self._t_ns
        if behind > MAX_CATCH_UP_NS:
            self.slipped_ns += behind - MAX_CATCH_UP_NS
            self._t_ns = now_ns - MAX_CATCH_UP_NS
            behind = MAX_CATCH_UP_NS
        steps = behind // self._step_ns
        if steps <= 0:
            return
        self._set_controls(steps * self._step_ns * 1e-9)
        mujoco.mj_step(self.model, self.data, steps)
        self._t_ns += steps * self._step_ns

    def _set_controls(self, dt: float) -> None:
        """Targets plus feed-forward, for the next `dt` seconds."""
        d, command = self.data, self._command
        self._velocity += (1 - math.exp(-dt / VELOCITY_FILTER_S)) * (
            command.velocity - self._velocity
        )
        n = len(self._actuators)
        self._ctrl[:n] = command.position + self._velocity * self._velocity_gain
        for k, gripper in enumerate(self._grippers, start=n + len(self._held)):
            self._ctrl[k] = gripper.control(float(command.gripper[k - n - len(self._held)]))
        self._ctrl[len(self._ctrl) - len(self._finger_actuators) :] = command.finger
        d.ctrl[self._all] = self._ctrl + d.qfrc_bias[self._all_dof] * self._gravity_gain

    def _reset(self, seed: int) -> None:
        """Robot home and at rest, free objects around their home."""
        m, d = self.model, self.data
        mujoco.mj_resetDataKeyframe(m, d, m.key(HOME_KEY).id)
        rng = np.random.default_rng(seed)
        for joint in self._free_objects():
            _scatter(d.qpos[m.jnt_qposadr[joint] :][:7], rng)
        mujoco.mj_forward(m, d)
        openings = [
            g.opening(float(d.qpos[a]))
            for g, a in zip(self._grippers, self._gripper_qpos, strict=True)
        ]
        fingers = np.array(d.qpos[self._finger_qpos])
        self._command = JointCommand(
            np.array(d.qpos[self._qpos]), np.zeros(len(self._qpos)), np.array(openings),
            fingers, np.zeros(len(fingers)),
        )  # fmt: skip
        self._velocity[:] = 0.0

    def _free_objects(self) -> list[int]:
        """Free joints of bodies that are not the robot's own floating base."""
        m = self.model
        robot = set(m.body_rootid[m.dof_bodyid[self._dof]].tolist())
        free = np.flatnonzero(m.jnt_type == int(mujoco.mjtJoint.mjJNT_FREE))
        return [int(j) for j in free if int(m.body_rootid[m.jnt_bodyid[j]]) not in robot]


def _position_actuators(model: Any) -> list[int]:
    """Actuators that drive one joint to a position: gain kp, bias -kp q - kv v."""
    on_joint = model.actuator_trntype == int(mujoco.mjtTrn.mjTRN_JOINT)
    kp = model.actuator_gainprm[:, 0]
    servo = (kp > 0) & (model.actuator_biasprm[:, 1] == -kp)
    return [int(a) for a in np.flatnonzero(on_joint & servo)]


def _scatter(qpos: Array, rng: np.random.Generator) -> None:
    """Move one free object (7,) `[p, quat_wxyz]` in place, in x, y and yaw about the vertical."""
    qpos[:2] += rng.uniform(-JITTER_M, JITTER_M, 2)
    yaw = rng.uniform(-JITTER_YAW, JITTER_YAW)
    turn_wxyz = np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)])
    turned = np.empty(4)
    mujoco.mju_mulQuat(turned, turn_wxyz, qpos[3:].copy())
    qpos[3:] = turned
