"""Fit the collision shapes of a rig, once per model, and keep them.

Bodies that move as one are one *part*; those that stand still are parts of their own. A part's
convex hulls are enclosed in capsules, which are fatter than it, so each pair of parts gets an
*allowance*: the least by which its capsules were nearer than its hulls over many postures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import coal
import numpy as np
import pinocchio as pin

from retarget.caching import cache_dir
from retarget.capsules import Capsule, fit_capsules
from retarget.frames import Array, pose_to_matrix
from retarget.rig import Rig
from retarget.settings import CollisionConfig
from retarget.shapes import EMPTY, CollisionShapes, Indices

VERSION = 2
"""Of what is kept on disk; raised when fitting changes."""
POSTURES = 300
"""In which allowances are measured: random ones, every other one drawn towards home."""
FAR_POSTURES = 2000
"""In which it is seen which capsules ever come near."""
NEAR_M = 0.15
"""Pairs of capsules that never come this near are left out [m]."""
ALLOWED = 0.9
"""Share of a measured allowance that is used."""
FLOOR_M = 10.0
"""Half the side of the box that stands for an infinite plane [m]."""


def rig_shapes(rig: Rig, config: CollisionConfig) -> CollisionShapes:
    """What parts of a rig must keep off; nothing where that is switched off."""
    return EMPTY if config.mode == "off" else collision_shapes(rig)


def collision_shapes(rig: Rig) -> CollisionShapes:
    """The shapes of a rig: those kept of this model and these settings, else fitted (seconds)."""
    key = hashlib.sha256(f"{VERSION} {rig.model_hash} {rig.file.collision}".encode())
    key.update(repr(rig.file.obstacles).encode())
    folder = cache_dir("shapes", key.hexdigest())
    file = None if folder is None else folder / "shapes.npz"
    if file is not None and file.is_file():
        kept = _read(file)
        if kept is not None:
            return kept
    shapes = fit_shapes(rig)
    if file is not None:
        _write(file, shapes)
    return shapes


def _read(file: Path) -> CollisionShapes | None:
    """What was kept; None when it cannot be read, as when another process is writing it."""
    try:
        with np.load(file) as arrays:
            return CollisionShapes(**{f.name: arrays[f.name] for f in fields(CollisionShapes)})
    except (OSError, ValueError, KeyError, EOFError):
        return None


def _write(file: Path, shapes: CollisionShapes) -> None:
    part = file.with_suffix(f".{np.random.default_rng().integers(2**32):08x}.part")
    try:
        with part.open("wb") as stream:
            np.savez(stream, **{f.name: getattr(shapes, f.name) for f in fields(shapes)})
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)


# -------------------------------------------------------------------------------------- fitting
@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Geometry objects that move as one.

    Attributes:
        name: Of its first body.
        joint: Pinocchio joint that carries it.
        objects: Indices into the geometry model.
        touches: Whether it is made to touch things.
    """

    name: str
    joint: int
    objects: tuple[int, ...]
    touches: bool


def fit_shapes(rig: Rig) -> CollisionShapes:
    """Fit capsules to every part of a rig, and find the pairs that can meet."""
    geometry, bodies = rig.collisions.geometry, rig.collisions.bodies
    parts, boxes = _parts(geometry, bodies, rig.file.collision.contact)
    capsules: list[Capsule] = []
    owner: list[int] = []
    for index, part in enumerate(parts):
        found = _enclose([geometry.geometryObjects[k] for k in part.objects])
        capsules += found
        owner += [index] * len(found)
    poses, sizes, names = _boxes(geometry, bodies, boxes)
    for obstacle in rig.file.obstacles:
        poses.append(pose_to_matrix([*obstacle.center, *obstacle.quat_xyzw])[:3])
        sizes.append(0.5 * np.array(obstacle.size))
        names.append(obstacle.name)
    meeting = _meeting(geometry, parts)
    whose = np.array(owner, dtype=np.intp)
    pairs = [
        (i, j)
        for i in range(len(capsules))
        for j in range(i)
        if (min(whose[i], whose[j]), max(whose[i], whose[j])) in meeting
    ]
    moving = [k for k, w in enumerate(owner) if parts[w].joint and not parts[w].touches]
    box_pairs = [(k, b) for k in moving for b in range(len(names))]
    shapes = CollisionShapes(
        joints=np.array([parts[w].joint for w in owner], dtype=np.intp),
        ends=np.array([[c.a, c.b] for c in capsules]).reshape(-1, 2, 3),
        radii=np.array([c.radius for c in capsules]),
        pairs=np.array(pairs, dtype=np.intp).reshape(-1, 2),
        allowances=np.zeros(len(pairs)),
        boxes=np.array(poses).reshape(-1, 3, 4),
        box_sizes=np.array(sizes).reshape(-1, 3),
        box_pairs=np.array(box_pairs, dtype=np.intp).reshape(-1, 2),
        parts=np.array([parts[w].name for w in owner], dtype=np.str_),
        box_names=np.array(names, dtype=np.str_),
    )
    return _prune(rig, _allow(rig, shapes, meeting, whose))


def _parts(
    geometry: Any, bodies: Sequence[str], contact: Sequence[str]
) -> tuple[list[_Part], list[int]]:
    """Parts, and the geometry objects that are boxes or planes standing still."""
    groups: dict[tuple[int, str, bool], list[int]] = {}
    still: list[int] = []
    for k, (shape, body) in enumerate(zip(geometry.geometryObjects, bodies, strict=True)):
        joint = int(shape.parentJoint)
        if joint == 0 and isinstance(shape.geometry, coal.Box | coal.Halfspace):
            still.append(k)
            continue
        touches = any(fnmatchcase(body, pattern) for pattern in contact)
        groups.setdefault((joint, body if joint == 0 else "", touches), []).append(k)
    parts = [
        _Part(bodies[objects[0]], joint, tuple(objects), touches)
        for (joint, _, touches), objects in groups.items()
    ]
    return parts, still


def _enclose(objects: Sequence[Any]) -> list[Capsule]:
    """Capsules around geometry objects: those that are some already, and fitted ones."""
    capsules, clouds = [], []
    for shape in objects:
        kind, R, p = shape.geometry, shape.placement.rotation, shape.placement.translation
        if isinstance(kind, coal.Sphere | coal.Capsule):
            half = getattr(kind, "halfLength", 0.0) * R[:, 2]
            capsules.append(Capsule(p - half, p + half, float(kind.radius)))
        else:
            clouds.append(_corners(kind) @ R.T + p)
    return capsules + (fit_capsules(np.concatenate(clouds)) if clouds else [])


def _corners(kind: Any) -> Array:
    """Points whose convex hull holds a shape, (n, 3) [m]."""
    if isinstance(kind, coal.Box):
        corners: Array = np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, -1).T * kind.halfSide
        return corners
    if isinstance(kind, coal.Cylinder):
        turns = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
        rim = kind.radius / np.cos(np.pi / 16) * np.array([np.cos(turns), np.sin(turns)])
        return np.concatenate(
            [np.vstack([rim, np.full(16, z)]).T for z in (-kind.halfLength, kind.halfLength)]
        )
    if isinstance(kind, coal.Ellipsoid):
        ball = _corners(coal.Cylinder(1.0, 2.0))  # circumscribes the unit ball
        stretched: Array = ball * kind.radii
        return stretched
    return np.array(kind.points(), dtype=np.float64)


def _boxes(
    geometry: Any, bodies: Sequence[str], still: Sequence[int]
) -> tuple[list[Array], list[Array], list[str]]:
    """Poses, half sizes and names of what stands still; planes become large boxes."""
    poses, sizes, names = [], [], []
    for k in still:
        shape = geometry.geometryObjects[k]
        pose = shape.placement.homogeneous[:3].copy()
        if isinstance(shape.geometry, coal.Halfspace):
            size = np.full(3, FLOOR_M)
            pose[:, 3] -= FLOOR_M * pose[:, 2]
        else:
            size = np.array(shape.geometry.halfSide)
        poses.append(pose)
        sizes.append(size)
        names.append(str(shape.name))
    return poses, sizes, names


def _meeting(geometry: Any, parts: Sequence[_Part]) -> dict[tuple[int, int], list[int]]:
    """Pairs of parts that may not touch, and the geometry's own pairs that belong to each."""
    part_of = {k: index for index, part in enumerate(parts) for k in part.objects}
    meeting: dict[tuple[int, int], list[int]] = {}
    for row, pair in enumerate(geometry.collisionPairs):
        i, j = part_of.get(pair.first), part_of.get(pair.second)
        if i is None or j is None or parts[i].joint == parts[j].joint:
            continue
        if parts[i].touches and parts[j].touches:
            continue
        meeting.setdefault((min(i, j), max(i, j)), []).append(row)
    return meeting


def _postures(rig: Rig, count: int) -> Iterator[Array]:
    """Home, then random postures, every other one drawn towards home; always the same ones."""
    rng = np.random.default_rng(0)
    low = np.maximum(rig.lower, rig.q_home - np.pi)
    high = np.minimum(rig.upper, rig.q_home + np.pi)
    yield rig.q_home
    for k in range(count - 1):
        q = rng.uniform(low, high)
        yield rig.q_home + rng.uniform() * (q - rig.q_home) if k % 2 else q


def _allow(
    rig: Rig, shapes: CollisionShapes, meeting: dict[tuple[int, int], list[int]], whose: Indices
) -> CollisionShapes:
    """Measure the allowance of every pair of parts."""
    geometry, model = rig.collisions.geometry, rig.model
    hulls, data = geometry.createData(), model.createData()
    keys = list(meeting)
    index = {key: n for n, key in enumerate(keys)}
    mine = np.array([index[_sorted(whose[i], whose[j])] for i, j in shapes.pairs], dtype=np.intp)
    fatter = np.full(len(keys), np.inf)
    for q in _postures(rig, POSTURES):
        pin.computeDistances(model, data, geometry, hulls, q)
        apart = np.array([r.min_distance for r in hulls.distanceResults])
        between = np.full(len(keys), np.inf)
        np.minimum.at(between, mine, shapes.distances(data)[: len(mine)])
        for n, key in enumerate(keys):
            hull = apart[meeting[key]].min()
            if hull > 0.0 and between[n] < NEAR_M:
                fatter[n] = min(fatter[n], hull - between[n])
    fatter[~np.isfinite(fatter)] = 0.0
    return replace(shapes, allowances=ALLOWED * np.maximum(fatter, 0.0)[mine])


def _sorted(i: int, j: int) -> tuple[int, int]:
    return (int(min(i, j)), int(max(i, j)))


def _prune(rig: Rig, shapes: CollisionShapes) -> CollisionShapes:
    """Leave out pairs that never come near."""
    data = rig.model.createData()
    nearest = np.full(len(shapes.pairs) + len(shapes.box_pairs), np.inf)
    for q in _postures(rig, FAR_POSTURES):
        pin.forwardKinematics(rig.model, data, q)
        np.minimum(nearest, shapes.distances(data), out=nearest)
    near = nearest < NEAR_M
    first, second = np.split(near, [len(shapes.pairs)])
    pairs, box_pairs = shapes.pairs[first], shapes.box_pairs[second]
    used, numbers = np.unique(np.concatenate([pairs.ravel(), box_pairs[:, 0]]), return_inverse=True)
    box_pairs = np.column_stack([numbers[pairs.size :], box_pairs[:, 1]]).astype(np.intp)
    return replace(
        shapes,
        joints=shapes.joints[used],
        ends=shapes.ends[used],
        radii=shapes.radii[used],
        parts=shapes.parts[used],
        pairs=numbers[: pairs.size].reshape(-1, 2).astype(np.intp),
        allowances=shapes.allowances[first],
        box_pairs=box_pairs.reshape(-1, 2),
    )
