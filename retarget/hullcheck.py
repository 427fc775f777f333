"""Do parts touch? Convex hulls, exactly, for reports: too slow for a tick, and beside the control.

What the repulsion of a tick goes by are capsules around these hulls; this is the second opinion.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import coal
import numpy as np
import pinocchio as pin

from retarget.frames import Array, se3
from retarget.rig import Rig

NEAR_M = 0.02
"""Distances are measured of pairs nearer than this; most pairs are never near."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The nearest pair of a posture.

    Attributes:
        clearance_m: Its distance [m]; negative where the parts overlap.
        parts: Bodies, or the obstacle, that are nearest.
    """

    clearance_m: float
    parts: tuple[str, str]


class HullChecker:
    """Measures how near parts of a rig are that must not touch.

    The pairs are those of `rig.collisions` but for what the rig's `[collision] contact` lets touch,
    and what moves with the rig's obstacles. Fingers stand at home.

    Args:
        rig: The robot.
    """

    def __init__(self, rig: Rig) -> None:
        self._model, self._data = rig.model, rig.model.createData()
        self._base = rig.base_joints
        self.geometry, self._names = _geometry(rig)
        self._hulls = self.geometry.createData()
        for request in self._hulls.collisionRequests:
            request.security_margin = NEAR_M

    def nearest(self, q: Array) -> Nearest | None:
        """The nearest pair at `q`, (nq,); None where all are farther apart than `NEAR_M`."""
        geometry, hulls = self.geometry, self._hulls
        pin.updateGeometryPlacements(self._model, self._data, geometry, hulls, np.asarray(q))
        pin.computeCollisions(geometry, hulls, False)
        near = [k for k, r in enumerate(hulls.collisionResults) if r.isCollision()]
        if not near:
            return None
        distances = [float(pin.computeDistance(geometry, hulls, k).min_distance) for k in near]
        best = int(np.argmin(distances))
        pair = geometry.collisionPairs[near[best]]
        return Nearest(distances[best], (self._names[pair.first], self._names[pair.second]))


def _geometry(rig: Rig) -> tuple[Any, list[str]]:
    """The rig's hulls and obstacles with the pairs that count, and what each belongs to."""
    collisions, file = rig.collisions, rig.file
    geometry, names = collisions.geometry.copy(), list(collisions.bodies)
    touching = [any(fnmatchcase(name, p) for p in file.collision.contact) for name in names]
    pairs = []
    for i, j in [(pair.first, pair.second) for pair in geometry.collisionPairs]:
        if not (touching[i] and touching[j]):
            pairs.append(pin.CollisionPair(i, j))
    moving = [
        k for k, shape in enumerate(geometry.geometryObjects)
        if int(shape.parentJoint) and not touching[k]
    ]  # fmt: skip
    for obstacle in file.obstacles:
        pose = se3(obstacle.center, np.roll(obstacle.quat_xyzw, 1))
        shape = coal.Box(*obstacle.size)
        box = pin.GeometryObject(f"obstacle {obstacle.name}", 0, 0, pose, shape)
        index = geometry.addGeometryObject(box)
        names.append(obstacle.name)
        pairs += [pin.CollisionPair(k, index) for k in moving]
    geometry.removeAllCollisionPairs()
    for pair in pairs:
        geometry.addCollisionPair(pair)
    return geometry, names
