"""Pinocchio's tree of joints as the arrays that kernels work on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retarget.errors import RigError


def describe_tree(model: Any, base: Sequence[int]) -> tuple[Any, ...]:
    """What kernels know of a chain of joints: the group `tree` of `kernels.layout.cut`.

    Raises:
        RigError: A joint is neither revolute nor prismatic.
    """
    joints = model.njoints
    slides, still, axes = np.zeros(joints), np.zeros(joints), np.zeros((joints, 3))
    for k in range(1, joints):
        joint = model.joints[k]
        if joint.idx_v != k - 1 or joint.nq != 1 or joint.nv != 1:
            raise RigError(
                f"joint {model.names[k]!r} has {joint.nv} degrees of freedom, expected 1"
            )
        motion = np.array(joint.createData().S).ravel()  # linear, then angular
        slides[k] = not motion[3:].any()
        axes[k] = motion[:3] if slides[k] else motion[3:]
    still[[i + 1 for i in base]] = 1
    fixed = np.array([pose.homogeneous[:3] for pose in model.jointPlacements])
    identity = np.broadcast_to(np.eye(3, 4), fixed.shape)
    unknown = np.full(model.nv, np.nan)
    parents = [int(k) for k in model.parents]
    return parents, slides, still, fixed, axes, identity, 0.0, unknown
