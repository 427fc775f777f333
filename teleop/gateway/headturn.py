"""How the robot's head had turned when a picture was taken, so that it hangs where it belongs.

A picture of the past drawn straight ahead smears the world when the head turns. Drawn where its
camera looked, the world stands still, and only the edge of the picture is late.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from retarget.frames import matrix_to_pose, pose_to_matrix
from teleop.gateway.tips import Forward
from teleop.protocol import StreamInfo, VideoPicture

Array = npt.NDArray[np.float64]

KEPT = 256
"""States remembered: about a second."""
LEAST_RAD = 1e-3
"""A turn below this is none: heads that stand still cost nothing."""


class HeadTurns:
    """Turns of the head against home, by time.

    Args:
        forward: Kinematics of the rig.
        q_home: (nq,) home posture; NaN counts as 0.
        streams: Those with an eye are of cameras in the head.
    """

    def __init__(self, forward: Forward, q_home: Array, streams: tuple[StreamInfo, ...]) -> None:
        self._forward = forward
        self._eyes = {stream.id for stream in streams if stream.eye}
        home = forward(np.nan_to_num(q_home)).get("head") if self._eyes else None
        self._R_robot_home = None if home is None else home[:3, :3]
        self._t_ns: deque[int] = deque(maxlen=KEPT)
        self._q: deque[Array] = deque(maxlen=KEPT)

    def hear(self, state: Any) -> None:
        """Take a row of `robot/state`."""
        if self._R_robot_home is not None:
            self._t_ns.append(int(state["t_ns"]))
            self._q.append(np.array(state["position"]))

    def attach(self, picture: VideoPicture, T_robot_stage: Array) -> VideoPicture:
        """The picture with its turn, where its camera moves with a head.

        Args:
            picture: Of any stream.
            T_robot_stage: (7,) pose of STAGE in the robot root.
        """
        if self._R_robot_home is None or picture.stream_id not in self._eyes or not self._t_ns:
            return picture
        index = min(bisect_left(self._t_ns, picture.t_capture_ns), len(self._t_ns) - 1)
        R_robot_head = self._forward(self._q[index])["head"][:3, :3]
        R_robot_stage = pose_to_matrix(T_robot_stage)[:3, :3]
        turned = np.eye(4)
        turned[:3, :3] = R_robot_stage.T @ R_robot_head @ self._R_robot_home.T @ R_robot_stage
        x, y, z, w = matrix_to_pose(turned)[3:].tolist()
        if 2 * np.arccos(min(1.0, abs(w))) < LEAST_RAD:
            return picture
        return replace(picture, turn_xyzw=(x, y, z, w))
