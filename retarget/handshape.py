"""The shape of a human hand, whatever frame it was tracked in, left and right alike."""

from __future__ import annotations

import numpy as np

from retarget.frames import Array
from retarget.kernels.anatomy import (
    INDEX,
    LITTLE,
    LONGEST_M,
    MIDDLE,
    MIDDLE_FINGER,
    NARROWEST_M,
    PALM_LENGTH_M,
    WRIST,
)


def with_palm(joints: Array) -> Array:
    """Joints in OpenXR's order, (26, 3): WebXR's 25 lack the palm, made of wrist and knuckle."""
    if len(joints) == 26:
        return joints
    palm = 0.5 * (joints[WRIST - 1] + joints[MIDDLE - 1])
    return np.concatenate([palm[None], joints])


def hand_shape(joints: Array, side: str) -> Array | None:
    """Joints along forward, thumb side and back of the hand, from the wrist, (26, 3) [m].

    The third axis points out of the back on both sides, so a mirrored hand has the same shape.

    Args:
        joints: (26, 3) in OpenXR's order or (25, 3) in WebXR's [m], any frame.
        side: `left` or `right`.

    Returns:
        The shape, or None when this is not a hand: not finite, or bones of impossible lengths.
    """
    if not np.isfinite(joints).all():
        return None
    points = with_palm(joints)
    points = points - points[WRIST]
    if float(np.abs(points).max()) > LONGEST_M:
        return None
    forward, across = points[MIDDLE], points[INDEX] - points[LITTLE]
    length = float(np.linalg.norm(forward))
    if not PALM_LENGTH_M[0] < length < PALM_LENGTH_M[1]:
        return None
    forward = forward / length
    across = across - (across @ forward) * forward
    width = float(np.linalg.norm(across))
    if width < NARROWEST_M:
        return None
    across = across / width
    back = np.cross(forward, across) * (1.0 if side == "right" else -1.0)
    shape: Array = points @ np.stack([forward, across, back], axis=1)
    return shape


def hand_length(shape: Array) -> float:
    """Length of a hand, (26, 3), however its fingers bend: its middle finger's bones [m]."""
    joints = shape[list(MIDDLE_FINGER)]
    return float(np.linalg.norm(np.diff(joints, axis=0), axis=1).sum())
