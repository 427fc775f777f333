"""What the robot process asks of a robot, and how adapters are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from retarget import Rig
from teleop.errors import TeleopError

Array = npt.NDArray[np.float64]
ENTRY_POINT_GROUP = "telecap.robots"
DEFAULT_RATE_HZ = 500


def _none() -> Array:
    return np.zeros(0)


class RobotError(TeleopError):
    """A robot adapter cannot be found or started, or does not know a request."""


@dataclass(frozen=True, slots=True, eq=False)
class JointCommand:
    """Where joints should be, and how fast they pass there.

    Attributes:
        position: (n_joints,) in `rig.joint_names` order [rad or m].
        velocity: (n_joints,) [rad/s or m/s].
        gripper: (n_grippers,) openings, 0 closed to 1 open.
        finger: (n_fingers,) in `rig.finger_names` order [rad].
        finger_velocity: (n_fingers,) [rad/s].
    """

    position: Array
    velocity: Array
    gripper: Array
    finger: Array = field(default_factory=_none)
    finger_velocity: Array = field(default_factory=_none)


@dataclass(frozen=True, slots=True, eq=False)
class RobotReading:
    """What a robot measures.

    Attributes:
        t_ns: Host time the values belong to [ns].
        t_device_ns: The robot's own clock; `t_ns` where it has none [ns].
        position: (n_joints,) [rad or m].
        velocity: (n_joints,) [rad/s or m/s].
        effort: (n_joints,) [N m or N].
        gripper: (n_grippers,) openings.
        gripper_effort: (n_grippers,) [N m or N].
        fault: The robot reports a fault and does not move.
        finger: (n_fingers,) in `rig.finger_names` order [rad].
        finger_velocity: (n_fingers,) [rad/s].
    """

    t_ns: int
    t_device_ns: int
    position: Array
    velocity: Array
    effort: Array
    gripper: Array
    gripper_effort: Array
    fault: bool = False
    finger: Array = field(default_factory=_none)
    finger_velocity: Array = field(default_factory=_none)


@runtime_checkable
class RobotAdapter(Protocol):
    """One robot. Every method returns at once; only `start` and `close` may take their time.

    Attributes:
        joint_names: Joints of `position`, as in the rig.
        gripper_names: Sides of `gripper`, as in the rig.
        rate_hz: How often `read` should be called.
    """

    joint_names: tuple[str, ...]
    gripper_names: tuple[str, ...]
    rate_hz: int

    def start(self, now_ns: int) -> None:
        """Connect and hold the present posture."""

    def apply(self, command: JointCommand, now_ns: int) -> JointCommand:
        """Pass a checked command on; returns what was sent."""

    def read(self, now_ns: int) -> RobotReading:
        """The newest measured state."""

    def hold(self, now_ns: int) -> JointCommand:
        """Stay where the last command went, at rest; returns what was sent."""

    def estop(self, now_ns: int) -> JointCommand:
        """Stop by the robot's own means; `apply` is not called until the stop is released."""

    def request(self, request: Mapping[str, Any], now_ns: int) -> None:
        """Do something outside the control loop, for example `{"op": "scene_reset", "seed": 3}`.

        Raises:
            RobotError: The request is not known or not complete.
        """

    def close(self) -> None:
        """Stop and disconnect."""


@runtime_checkable
class SimulatedRobot(RobotAdapter, Protocol):
    """A robot whose whole scene is known.

    Attributes:
        slipped_ns: Time the simulation fell behind the clock for good, so far [ns].
    """

    slipped_ns: int

    def qpos(self) -> Array:
        """(nq,) of `rig.compile(scene=True)`, at the time of the last reading."""


class RobotFactory(Protocol):
    """What an entry point of the group `telecap.robots` names; a class will do."""

    def __call__(self, rig: Rig, *, seed: int) -> RobotAdapter:
        """Make the adapter of a rig; `seed` is the scene's, for simulated robots."""


def state_rate_hz(rig: Rig) -> int:
    """Rate of `robot/state` the rig asks of its adapter, `[adapter] rate_hz`; 500 by default."""
    return int(rig.sections.get("adapter", {}).get("rate_hz", DEFAULT_RATE_HZ))


def make_robot(rig: Rig, *, seed: int) -> RobotAdapter:
    """Make the adapter the rig names under `[adapter] name`; `mujoco` when it names none.

    Raises:
        RobotError: There is no such adapter.
    """
    name = str(rig.sections.get("adapter", {}).get("name", "mujoco"))
    found = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in found:
        raise RobotError(
            f"rig {rig.name!r}: no robot adapter {name!r}; installed adapters: {sorted(found)}"
        )
    factory: RobotFactory = found[name].load()
    robot = factory(rig, seed=seed)
    if robot.joint_names != rig.joint_names:
        raise RobotError(f"adapter {name!r} has joints {robot.joint_names}, not the rig's")
    return robot
