"""What the bodies of a rig look like, as triangles, and where they are: for a 3D viewer.

Everything is in the robot root, so a mobile base stays where it is and the room moves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from retarget import Rig
from retarget.spec import couple
from teleop.cameras.decimate import DRAWN_GROUPS
from teleop.cameras.mesh import crease_normals, simplify

BUDGET = 60_000
"""Triangles of a whole rig."""
MIN_FACES = 60
SEGMENTS = 24
"""Around a cylinder."""
HOME_KEY = "home"
WORLD = 0
_BOX_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_BOX_FACES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
        [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ]
)  # fmt: skip
Array = npt.NDArray[np.float64]
NOTHING: Array = np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One body's surface, in the body's frame.

    Attributes:
        body: Its name.
        is_robot: It belongs to the robot; else to the scene around.
        vertices: (3 N, 3) corners of N triangles, counter-clockwise from outside [m].
        normals: (3 N, 3), unit length.
        colours: (3 N, 4) uint8 RGBA.
    """

    body: str
    is_robot: bool
    vertices: npt.NDArray[np.float32]
    normals: npt.NDArray[np.float32]
    colours: npt.NDArray[np.uint8]


class BodyShapes:
    """Shapes of a rig and its scene.

    Fixed parts of the scene that surround the robot would hide it and are left out.

    Args:
        rig: The robot.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._model = model = rig.compile(scene=True)
        self._data = mujoco.MjData(model)
        self._home: Array = model.key(HOME_KEY).qpos.copy()
        self._joints = _addresses(model, rig.joint_names)
        self._fingers = _addresses(model, rig.finger_names)
        grippers = [rig.grippers[name] for name in rig.gripper_names]
        addresses = _addresses(model, [g.joint for g in grippers])
        self._grippers = list(zip(grippers, addresses, strict=True))
        self._place(self._home)
        robot = _robot_bodies(model, rig)
        self.shapes = tuple(_shapes(model, self._drawn(), robot))
        self._bodies = np.array([model.body(shape.body).id for shape in self.shapes], int)

    @property
    def nq(self) -> int:
        """Length of the scene's whole configuration, as in `sim/qpos`."""
        return int(self._model.nq)

    def qpos(self, position: Array, gripper: Array = NOTHING, finger: Array = NOTHING) -> Array:
        """Configuration of the whole scene, (nq,), with everything else at home.

        Args:
            position: Joints of the rig, (n,).
            gripper: Openings, in the order of `rig.gripper_names`; those at home where empty.
            finger: Finger joints, in the order of `rig.finger_names`; the same.
        """
        qpos = self._home.copy()
        qpos[self._joints] = position
        given = set(self._rig.joint_names)
        for (spec, address), opening in zip(self._grippers, gripper, strict=False):
            qpos[address] = spec.joint_value(float(opening))
            given.add(spec.joint)
        if len(finger) == len(self._fingers):
            qpos[self._fingers] = finger
            given |= set(self._rig.finger_names)
        couple(self._model, qpos, given)
        return qpos

    def poses(self, qpos: Array) -> tuple[Array, Array]:
        """Where each of `shapes` is: positions (B, 3) [m] and quaternions xyzw (B, 4)."""
        self._place(qpos)
        R, p = self._root()
        where = (self._data.xpos[self._bodies] - p) @ R
        turn = np.zeros(4)
        mujoco.mju_mat2Quat(turn, np.ascontiguousarray(R.T).ravel())
        wxyz = np.zeros((len(self._bodies), 4))
        for k, body in enumerate(self._bodies):
            mujoco.mju_mulQuat(wxyz[k], turn, self._data.xquat[body])
        return where, np.roll(wxyz, -1, axis=1)

    def _place(self, qpos: Array) -> None:
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)

    def _root(self) -> tuple[Array, Array]:
        """Rotation and position of the robot root in MuJoCo's world, by way of a tip."""
        tip, site = next(iter(self._rig.tip_sites.items()), ("", ""))
        if not tip:  # a hand alone
            return np.eye(3), np.zeros(3)
        T = self._rig.forward(self._data.qpos[self._joints])[tip]
        found = self._data.site(site)
        R = found.xmat.reshape(3, 3) @ T[:3, :3].T
        return R, found.xpos - R @ T[:3, 3]

    def _drawn(self) -> list[int]:
        model, data = self._model, self._data
        tips = np.array([data.site(site).xpos for site in self._rig.tip_sites.values()])
        found = []
        for geom in range(model.ngeom):
            visible = model.geom_group[geom] < DRAWN_GROUPS and _rgba(model, geom)[3] > 0
            if visible and not (
                len(tips)
                and model.body_weldid[model.geom_bodyid[geom]] == WORLD
                and _surrounds(model, data, geom, tips)
            ):
                found.append(geom)
        return found


def _addresses(model: Any, joints: Any) -> npt.NDArray[np.intp]:
    return np.array([model.joint(name).qposadr[0] for name in joints], np.intp)


def _robot_bodies(model: Any, rig: Rig) -> set[int]:
    """Bodies of the trees that the rig's joints move."""
    roots = {int(model.body_rootid[model.jnt_bodyid[model.joint(n).id]]) for n in rig.joint_names}
    return {body for body in range(model.nbody) if int(model.body_rootid[body]) in roots}


def _surrounds(model: Any, data: Any, geom: int, points: Array) -> bool:
    """Whether all of the points lie within a geom's bounding box."""
    centre, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
    local = (points - data.geom_xpos[geom]) @ data.geom_xmat[geom].reshape(3, 3)
    return bool((np.abs(local - centre) <= half).all())


def _shapes(model: Any, geoms: list[int], robot: set[int]) -> Iterator[Shape]:
    found: dict[int, list[tuple[Array, Array, npt.NDArray[np.uint8]]]] = {}
    budget = _faces_of_meshes(model, geoms)
    for geom in geoms:
        surface = _surface(model, geom, budget)
        if surface is None:
            continue
        R = np.zeros(9)
        mujoco.mju_quat2Mat(R, model.geom_quat[geom])
        R_body_geom = R.reshape(3, 3)
        vertices, normals = surface
        colours = np.tile(np.uint8(255 * _rgba(model, geom)), (len(vertices), 1))
        turned = vertices @ R_body_geom.T + model.geom_pos[geom]
        part = (turned, normals @ R_body_geom.T, colours)
        found.setdefault(int(model.geom_bodyid[geom]), []).append(part)
    for body, parts in found.items():
        vertices, normals, colours = (np.concatenate(column) for column in zip(*parts, strict=True))
        name = model.body(body).name or f"body_{body}"
        yield Shape(
            name, body in robot, vertices.astype(np.float32), normals.astype(np.float32), colours
        )


def _faces_of_meshes(model: Any, geoms: list[int]) -> Mapping[int, int]:
    """Triangles each mesh may have, all together within the budget."""
    drawn = [
        int(model.geom_dataid[geom])
        for geom in geoms
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH
    ]
    total = sum(int(model.mesh_facenum[mesh]) for mesh in drawn)
    share = min(1.0, BUDGET / max(total, 1))
    return {mesh: max(MIN_FACES, int(share * model.mesh_facenum[mesh])) for mesh in set(drawn)}


def _surface(model: Any, geom: int, budget: Mapping[int, int]) -> tuple[Array, Array] | None:
    """Corners and normals, (3 N, 3) each, in the geom's frame; None of what has no surface."""
    kind, size = mujoco.mjtGeom(model.geom_type[geom]), model.geom_size[geom]
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = int(model.geom_dataid[geom])
        first, n = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
        begin, count = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
        vertices = model.mesh_vert[first : first + n]
        small = simplify(vertices, model.mesh_face[begin : begin + count], budget[mesh])
        corners, normals = small.vertices[small.faces], small.normals[small.face_normals]
        return corners.reshape(-1, 3).astype(float), normals.reshape(-1, 3).astype(float)
    primitive = _primitive(kind, size)
    if primitive is None:
        return None
    vertices, faces = primitive
    normals, rows = crease_normals(vertices.astype(np.float32), faces.astype(np.int32))
    return vertices[faces].reshape(-1, 3), normals[rows].reshape(-1, 3).astype(float)


def _primitive(kind: Any, size: Array) -> tuple[Array, npt.NDArray[np.intp]] | None:
    shape = mujoco.mjtGeom
    if kind == shape.mjGEOM_BOX:
        return _BOX_CORNERS * size, _BOX_FACES
    around = np.linspace(0.0, np.pi, SEGMENTS // 2 + 1)[1:-1]
    r, z = np.sin(around), np.cos(around)
    if kind in (shape.mjGEOM_SPHERE, shape.mjGEOM_ELLIPSOID):
        vertices, faces = _revolved(np.c_[r, z], 1.0, -1.0)
        return vertices * (size if kind == shape.mjGEOM_ELLIPSOID else size[0]), faces
    if kind == shape.mjGEOM_CAPSULE:
        radius, half = size[0], size[1]
        ends = np.where(z >= 0, half, -half)
        ring = np.c_[radius * r, radius * z + ends]
        return _revolved(ring, half + radius, -half - radius)
    if kind == shape.mjGEOM_CYLINDER:
        return _revolved(np.array([[size[0], size[1]], [size[0], -size[1]]]), size[1], -size[1])
    return None


def _revolved(profile: Array, top: float, bottom: float) -> tuple[Array, npt.NDArray[np.intp]]:
    """A surface around z: rings of (radius, height) from the top down, closed by two poles."""
    angle = np.linspace(0.0, 2 * np.pi, SEGMENTS, endpoint=False)
    circle = np.c_[np.cos(angle), np.sin(angle)]
    rings = np.concatenate([np.c_[radius * circle, np.full(SEGMENTS, z)] for radius, z in profile])
    n = len(rings)
    vertices = np.concatenate([rings, [[0.0, 0.0, top], [0.0, 0.0, bottom]]])
    k = np.arange(SEGMENTS)
    beside = (k + 1) % SEGMENTS
    faces = [np.c_[np.full(SEGMENTS, n), k, beside]]
    for first in range(0, n - SEGMENTS, SEGMENTS):
        below = first + SEGMENTS
        faces += [
            np.c_[first + k, below + k, below + beside],
            np.c_[first + k, below + beside, first + beside],
        ]
    last = n - SEGMENTS
    faces.append(np.c_[np.full(SEGMENTS, n + 1), last + beside, last + k])
    return vertices, np.concatenate(faces)


def _rgba(model: Any, geom: int) -> Array:
    material = int(model.geom_matid[geom])
    found = model.geom_rgba[geom] if material < 0 else model.mat_rgba[material]
    return np.asarray(found, float)
