"""The Pinocchio model and coal geometry of a compiled MuJoCo model.

Pinocchio's own MJCF reader silently loads half of a two-armed robot, so both are built here from
the compiled `MjModel`; forward kinematics then agree to rounding. MuJoCo's joint frames sit in the
body with an anchor and a reference value; Pinocchio's sit at the joint with zero reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import coal
import mujoco
import numpy as np
import pinocchio as pin

from retarget.frames import Array, se3

_FREE = int(mujoco.mjtJoint.mjJNT_FREE)
_BALL = int(mujoco.mjtJoint.mjJNT_BALL)
_SLIDE = int(mujoco.mjtJoint.mjJNT_SLIDE)
_UNLIMITED = 1e6
_GEOM = mujoco.mjtGeom
_PRIMITIVES: dict[Any, Callable[[Array], Any]] = {
    _GEOM.mjGEOM_PLANE: lambda size: coal.Halfspace(np.array([0.0, 0.0, 1.0]), 0.0),
    _GEOM.mjGEOM_SPHERE: lambda size: coal.Sphere(size[0]),
    _GEOM.mjGEOM_CAPSULE: lambda size: coal.Capsule(size[0], 2 * size[1]),
    _GEOM.mjGEOM_CYLINDER: lambda size: coal.Cylinder(size[0], 2 * size[1]),
    _GEOM.mjGEOM_BOX: lambda size: coal.Box(*(2 * size).tolist()),
    _GEOM.mjGEOM_ELLIPSOID: lambda size: coal.Ellipsoid(*size.tolist()),
}


@dataclass(frozen=True, eq=False)
class KinematicTree:
    """A robot in Pinocchio, and how it corresponds to the MuJoCo model it came from.

    Attributes:
        model: `pinocchio.Model` of every joint.
        joint_of: Pinocchio joint of each MuJoCo joint.
        body_joint: Pinocchio joint that carries each MuJoCo body.
        body_placement: Pose of each MuJoCo body in that joint's frame.
        body_frame: Pinocchio frame of each MuJoCo body.
    """

    model: Any
    joint_of: dict[int, int]
    body_joint: tuple[int, ...]
    body_placement: tuple[Any, ...]
    body_frame: tuple[int, ...]

    def to_q(self, mj_model: Any, qpos: Array) -> Array:
        """Pinocchio configuration of MuJoCo's `qpos` (quaternions wxyz become xyzw)."""
        q = np.array(pin.neutral(self.model))
        for j, k in self.joint_of.items():
            a, i, kind = mj_model.jnt_qposadr[j], self.model.joints[k].idx_q, mj_model.jnt_type[j]
            if kind == _FREE:
                q[i : i + 7] = [*qpos[a : a + 3], *qpos[a + 4 : a + 7], qpos[a + 3]]
            elif kind == _BALL:
                q[i : i + 4] = [*qpos[a + 1 : a + 4], qpos[a]]
            else:
                q[i] = qpos[a]
        return q


def site_frame(name: str) -> str:
    """Pinocchio frame name of a MuJoCo site; sites and bodies may share names."""
    return f"site:{name}"


def build_tree(m: Any) -> KinematicTree:
    """Build the Pinocchio model of a compiled `MjModel`: joints, inertias, body and site frames."""
    model = pin.Model()
    model.name = "robot"
    joint_of: dict[int, int] = {}
    joints, placements, frames = [0], [pin.SE3.Identity()], [0]
    for b in range(1, m.nbody):
        parent = m.body_parentid[b]
        joint = joints[parent]
        placement = placements[parent] * se3(m.body_pos[b], m.body_quat[b])
        for j in range(m.body_jntadr[b], m.body_jntadr[b] + m.body_jntnum[b]):
            joint, placement = _add_joint(model, m, j, joint, placement)
            joint_of[j] = joint
        joints.append(joint)
        placements.append(placement)
        if m.body_mass[b] > 0:
            inertia = pin.Inertia(float(m.body_mass[b]), np.zeros(3), np.diag(m.body_inertia[b]))
            pose = placement * se3(m.body_ipos[b], m.body_iquat[b])
            model.appendBodyToJoint(joint, inertia, pose)
        name = m.body(b).name or f"body{b}"
        frame = pin.Frame(name, joint, placement, pin.FrameType.BODY)
        frames.append(model.addFrame(frame, False))
    for s in range(m.nsite):
        if m.site(s).name:
            b = m.site_bodyid[s]
            pose = placements[b] * se3(m.site_pos[s], m.site_quat[s])
            name = site_frame(m.site(s).name)
            model.addFrame(pin.Frame(name, joints[b], pose, pin.FrameType.OP_FRAME), False)
    return KinematicTree(model, joint_of, tuple(joints), tuple(placements), tuple(frames))


def _add_joint(model: Any, m: Any, j: int, parent: int, placement: Any) -> tuple[int, Any]:
    """Add MuJoCo joint `j`; return its Pinocchio id and the pose of the body after it."""
    axis, anchor = np.array(m.jnt_axis[j]), np.array(m.jnt_pos[j])
    reference = float(m.qpos0[m.jnt_qposadr[j]])
    kind, nq, nv = m.jnt_type[j], 1, 1
    to_anchor = pin.SE3(np.eye(3), anchor)
    after = pin.SE3.Identity()
    if kind == _FREE:  # MuJoCo's qpos of a free joint is its pose in the world
        joint_model, placement, nq, nv = pin.JointModelFreeFlyer(), pin.SE3.Identity(), 7, 6
    elif kind == _BALL:
        joint_model, placement, nq, nv = pin.JointModelSpherical(), placement * to_anchor, 4, 3
        after = to_anchor.inverse()
    elif kind == _SLIDE:
        joint_model = pin.JointModelPrismaticUnaligned(axis)
        placement = placement * pin.SE3(np.eye(3), -reference * axis)
    else:
        joint_model = pin.JointModelRevoluteUnaligned(axis)
        turn = pin.AngleAxis(-reference, axis).toRotationMatrix()
        placement = placement * to_anchor * pin.SE3(turn, np.zeros(3))
        after = to_anchor.inverse()
    lower, upper = np.full(nq, -np.inf), np.full(nq, np.inf)
    if nq == 1 and m.jnt_limited[j]:
        lower[0], upper[0] = m.jnt_range[j]
    elif nq > 1:
        lower[:], upper[:] = -_UNLIMITED, _UNLIMITED
    limited_force = bool(m.jnt_actfrclimited[j])
    effort = float(np.abs(m.jnt_actfrcrange[j]).max()) if limited_force else _UNLIMITED
    name = m.joint(j).name or f"joint{j}"
    speed = np.full(nv, _UNLIMITED)
    joint = model.addJoint(
        parent, joint_model, placement, name, np.full(nv, effort), speed, lower, upper
    )
    model.addJointFrame(joint, -1)
    return joint, after


@dataclass(frozen=True, eq=False)
class CollisionModel:
    """Collision shapes as convex hulls and primitives, with the pairs that count.

    Attributes:
        geometry: `pinocchio.GeometryModel`.
        geom_of: Geometry object of each MuJoCo geom.
        bodies: MuJoCo body of each geometry object, by name.
        dropped: Geom name pairs left out because they overlap at home.
        hulls: Kept alive: coal's hulls borrow their vertices.
    """

    geometry: Any
    geom_of: dict[int, int]
    bodies: tuple[str, ...]
    dropped: tuple[tuple[str, str], ...]
    hulls: dict[int, Any]


def build_collisions(
    m: Any, tree: KinematicTree, q_home: Array, ignore: Iterable[tuple[str, str]] = ()
) -> CollisionModel:
    """Build coal geometry with MuJoCo's pair filter, minus pairs that overlap at `q_home`.

    Args:
        m: Compiled `MjModel`.
        tree: What `build_tree` made of it.
        q_home: Pinocchio configuration of the full tree at home.
        ignore: Pairs of body names that never count.
    """
    geometry = pin.GeometryModel()
    hulls: dict[int, Any] = {}
    geom_of: dict[int, int] = {}
    bodies: list[str] = []
    explicit = {_ordered(m.pair_geom1[i], m.pair_geom2[i]) for i in range(m.npair)}
    paired = {geom for pair in explicit for geom in pair}
    for i in range(m.ngeom):
        if not (m.geom_contype[i] or m.geom_conaffinity[i] or i in paired):
            continue
        shape = _shape(m, i, hulls)
        if shape is None:
            continue
        b = m.geom_bodyid[i]
        pose = tree.body_placement[b] * se3(m.geom_pos[i], m.geom_quat[i])
        name = m.geom(i).name or f"geom{i}"
        body = pin.GeometryObject(name, tree.body_joint[b], tree.body_frame[b], pose, shape)
        geom_of[i] = geometry.addGeometryObject(body)
        bodies.append(m.body(b).name)
    ignored = {frozenset(pair) for pair in ignore}
    for i, j in _pairs(m, sorted(geom_of), explicit):
        names = frozenset((m.body(m.geom_bodyid[i]).name, m.body(m.geom_bodyid[j]).name))
        if names not in ignored:
            geometry.addCollisionPair(pin.CollisionPair(geom_of[i], geom_of[j]))
    dropped = _drop_overlaps(tree.model, geometry, q_home)
    return CollisionModel(geometry, geom_of, tuple(bodies), dropped, hulls)


def _ordered(i: int, j: int) -> tuple[int, int]:
    return (int(i), int(j)) if i < j else (int(j), int(i))


def _shape(m: Any, i: int, hulls: dict[int, Any]) -> Any:
    """Coal shape of a MuJoCo geom; None for kinds that are not checked (height fields, SDFs)."""
    kind, size = mujoco.mjtGeom(m.geom_type[i]), m.geom_size[i].astype(float)
    if kind == _GEOM.mjGEOM_MESH:
        mesh = int(m.geom_dataid[i])
        if mesh not in hulls:
            hulls[mesh] = _hull(m, mesh)
        return hulls[mesh].convex
    primitive = _PRIMITIVES.get(kind)
    return primitive(size) if primitive is not None else None


def _hull(m: Any, mesh: int) -> Any:
    """Convex hull of a mesh; distances between raw meshes take a second and more."""
    first, count = m.mesh_vertadr[mesh], m.mesh_vertnum[mesh]
    vertices = m.mesh_vert[first : first + count].astype(float)
    hull = coal.BVHModelOBBRSS()
    hull.beginModel(0, len(vertices))
    hull.addVertices(vertices)
    hull.endModel()
    hull.buildConvexHull(True, "Qt")
    return hull


def _pairs(m: Any, geoms: list[int], explicit: set[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Geom pairs by MuJoCo's filter: not welded together, not parent and child, masks match."""
    weld = m.body_weldid
    excluded = set()
    for e in range(m.nexclude):
        signature = int(m.exclude_signature[e])
        excluded.add(_ordered(signature >> 16, signature & 0xFFFF))
    for n, i in enumerate(geoms):
        for j in geoms[n + 1 :]:
            if (i, j) in explicit:
                yield i, j
                continue
            b1, b2 = int(m.geom_bodyid[i]), int(m.geom_bodyid[j])
            w1, w2 = weld[b1], weld[b2]
            p1, p2 = weld[m.body_parentid[w1]], weld[m.body_parentid[w2]]
            related = w1 == w2 or (w1 and w2 and (w1 == p2 or w2 == p1))
            if related or _ordered(b1, b2) in excluded:
                continue
            forward = m.geom_contype[i] & m.geom_conaffinity[j]
            if forward or m.geom_contype[j] & m.geom_conaffinity[i]:
                yield i, j


def _drop_overlaps(model: Any, geometry: Any, q_home: Array) -> tuple[tuple[str, str], ...]:
    """Remove pairs that overlap at home: a robot does not collide by standing at home."""
    data = geometry.createData()
    pin.computeCollisions(model, model.createData(), geometry, data, q_home, False)
    overlapping = [
        pair
        for pair, result in zip(geometry.collisionPairs, data.collisionResults, strict=True)
        if result.isCollision()
    ]
    names = []
    for pair in [pin.CollisionPair(p.first, p.second) for p in overlapping]:
        objects = geometry.geometryObjects
        names.append((objects[pair.first].name, objects[pair.second].name))
        geometry.removeCollisionPair(pair)
    return tuple(names)


def neighbours(model: Any, i: int, j: int) -> bool:
    """Whether at most one joint lies between two of a chain: their limits are to keep them off."""
    upper, lower = min(i, j), max(i, j)
    parents = [model.parents[lower], model.parents[model.parents[lower]]]
    return upper in parents


def drop_neighbours(model: Any, geometry: Any) -> None:
    """Remove pairs of parts that at most one joint separates: hulls of links overlap there.

    The stops of that joint have to keep them off each other.
    """
    for pair in [pin.CollisionPair(p.first, p.second) for p in geometry.collisionPairs]:
        i, j = (int(geometry.geometryObjects[k].parentJoint) for k in (pair.first, pair.second))
        if i == j or neighbours(model, i, j):
            geometry.removeCollisionPair(pair)
