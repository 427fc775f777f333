"""Invented bare hands: 26 joints with the distances a test asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from teleop.gestures import KNUCKLES, THUMB_TIP, TIPS, WRIST, SideName
from teleop.protocol import empty_frame

HEAD = np.array([0.0, 1.6, 0.0])
HANDS = {"left": np.array([-0.15, 1.35, -0.35]), "right": np.array([0.15, 1.35, -0.35])}
OPEN_M = 0.09


def hand_joints(
    side: SideName = "right",
    *,
    index_m: float = OPEN_M,
    middle_m: float = OPEN_M,
    ring_m: float = OPEN_M,
    little_m: float = OPEN_M,
    fist: bool = False,
    facing: bool = False,
) -> np.ndarray[Any, Any]:
    """Joints (26, 7) of a hand in front of the chest, palm down or turned to the face."""
    p = np.zeros((26, 3))
    p[:] = [0.0, 0.0, -0.05]
    p[WRIST] = 0.0
    p[THUMB_TIP] = [-0.02, -0.03, -0.12]
    for i, finger in enumerate(KNUCKLES):
        across = -0.03 + 0.02 * i
        p[KNUCKLES[finger]] = [across, 0.0, -0.09]
        p[TIPS[finger]] = [across, -0.03, -0.04] if fist else [across, 0.0, -0.17]
    if not fist:
        p[TIPS["index"]] = p[THUMB_TIP] + [0.0, 0.0, -index_m]
        p[TIPS["middle"]] = p[THUMB_TIP] + [0.0, -middle_m, 0.0]
        p[TIPS["ring"]] = p[THUMB_TIP] + [ring_m, 0.0, 0.0]
        p[TIPS["little"]] = p[THUMB_TIP] + [little_m / 2**0.5, 0.0, little_m / 2**0.5]
    if side == "left":
        p[:, 0] *= -1.0
    if facing:
        towards = HEAD - HANDS[side]
        p = Rotation.align_vectors([towards], [[0.0, -1.0, 0.0]])[0].apply(p)
    joints = np.zeros((26, 7))
    joints[:, :3], joints[:, 6] = p + HANDS[side], 1.0
    return joints


def hands_frame(
    now_ns: int,
    left: np.ndarray[Any, Any] | None = None,
    right: np.ndarray[Any, Any] | None = None,
    *,
    tracked: bool = True,
) -> Any:
    """OPERATOR_FRAME row of somebody with bare hands who looks down at them."""
    frame: Any = empty_frame()
    frame["t_ns"] = frame["t_receive_ns"] = now_ns
    frame["presence"], frame["head_flags"] = 1, 15
    down = Rotation.from_euler("x", -35, degrees=True).as_quat()
    frame["head"][:3], frame["head"][3:] = HEAD, down
    for side, bit, joints in (("left", 8, left), ("right", 16, right)):
        if joints is not None:
            frame["presence"] |= bit
            frame[f"{side}_hand"]["joints"] = joints
            frame[f"{side}_hand"]["flags"] = 15 if tracked else 0
    return frame
