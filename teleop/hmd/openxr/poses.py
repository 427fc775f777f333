"""Poses of OpenXR as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xr

Array = npt.NDArray[np.float64]


def pose7(pose: Any) -> Array:
    """(7,) `[px, py, pz, qx, qy, qz, qw]` of an `XrPosef`."""
    p, q = pose.position, pose.orientation
    return np.array([p.x, p.y, p.z, q.x, q.y, q.z, q.w])


def located(space: Any, base: Any, time_xr: int) -> tuple[int, Array]:
    """`Tracking` flags (those of OpenXR) and pose (7,) of a space in another."""
    location = xr.locate_space(space, base, time_xr)
    return int(location.location_flags) & 0xF, pose7(location.pose)
