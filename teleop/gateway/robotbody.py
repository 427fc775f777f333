"""The robot as the operator sees it: how its head had turned, and where its arms are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from retarget.frames import pose_to_matrix
from teleop.gateway.headturn import HeadTurns
from teleop.gateway.serving import Serving
from teleop.gateway.tips import Pose7, pose7
from teleop.protocol import VideoPicture

Array = npt.NDArray[np.float64]


class RobotBody:
    """Newest measured state of the robot.

    Args:
        serving: Kinematics and streams.
    """

    def __init__(self, serving: Serving) -> None:
        self._turns = HeadTurns(serving.forward, serving.q_home, serving.streams)
        self._chains = serving.chains
        self._q: Array | None = None

    def hear(self, state: Any) -> None:
        """Take a row of `robot/state`."""
        self._turns.hear(state)
        self._q = np.array(state["position"])

    def attach(self, picture: VideoPicture, T_robot_stage: Array) -> VideoPicture:
        """A picture with the turn of its camera."""
        return self._turns.attach(picture, T_robot_stage)

    def targets(self, tips: Mapping[str, Pose7], T_robot_stage: Array) -> dict[str, Pose7]:
        """Poses of tips, given in the robot root, in STAGE."""
        T_stage_robot = np.linalg.inv(pose_to_matrix(T_robot_stage))
        return {
            tip: pose7(T_stage_robot @ pose_to_matrix(np.asarray(pose)))
            for tip, pose in tips.items()
        }

    def skeleton(self, T_robot_stage: Array) -> dict[str, tuple[tuple[float, ...], ...]]:
        """Points along each limb in STAGE [m], by limb; empty before the first state."""
        if self._q is None:
            return {}
        T = pose_to_matrix(T_robot_stage)
        limbs = {}
        for limb, points in self._chains(self._q).items():
            in_stage = (points - T[:3, 3]) @ T[:3, :3]
            limbs[limb] = tuple(tuple(round(v, 3) for v in point) for point in in_stage.tolist())
        return limbs
