"""A rig: one robot as every part of the system sees it, in MuJoCo and in Pinocchio."""

from __future__ import annotations

import fnmatch
import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import msgspec
import numpy as np
import pinocchio as pin

from retarget import modelcache
from retarget.assembly import assemble
from retarget.errors import RigFileError
from retarget.frames import Array
from retarget.gripper import Gripper
from retarget.handmodel import Hand, build_hand
from retarget.limbs import check_names, driven_joints, limbs_of
from retarget.model import (
    CollisionModel,
    KinematicTree,
    build_collisions,
    build_tree,
    drop_neighbours,
    site_frame,
)
from retarget.reach import straight_reach
from retarget.rigfile import GripperSection, LimbSection, RigFile, find_rig, read_rig
from retarget.spec import (
    HOME_KEY,
    add_cameras,
    add_scene,
    compile_spec,
    prepare_robot,
    set_home,
)

SIDES = ("left", "right")
BARE = "bare"
"""A model without scene and cameras."""


@dataclass(frozen=True)
class RigCamera:
    """A camera of the rig.

    Attributes:
        name: Stream name.
        mujoco_name: Camera in the compiled model.
        width: Native width [px].
        height: Native height [px].
        eye: `left` or `right` for the operator's stereo view.
        fovy_deg: Vertical field of view [deg].
        codec: How its pictures are recorded: `jpeg`, `png`, `h264` or `depth`.
        depth_unit_m: What a step of a `depth` camera is [m].
    """

    name: str
    mujoco_name: str
    width: int
    height: int
    eye: Literal["left", "right", ""]
    fovy_deg: float
    codec: Literal["jpeg", "png", "h264", "depth"] = "jpeg"
    depth_unit_m: float = 0.001


@dataclass(frozen=True, eq=False)
class Rig:
    """A robot, its limits, tips, grippers and cameras. Made by `load_rig`.

    Attributes:
        name: Name of the rig.
        source: The rig file.
        model_path: The robot's model file.
        model_hash: SHA-256 of what decides its motion; equal hashes retarget alike.
        model: `pinocchio.Model` of the driven joints; all others are locked.
        joint_names: Driven joints, in the order of q.
        q_home: Start posture, (nq,) [rad or m].
        q_posture: Where redundant joints like to be, (nq,).
        lower: Lower position limits, (nq,).
        upper: Upper position limits, (nq,).
        velocity_limit: (nq,) [rad/s].
        acceleration_limit: (nq,) [rad/s²].
        effort: Charge per joint for moving it, relative to 1, (nq,).
        limbs: Joint names of each limb: `left`, `right`, `torso`, `head`, `base`.
        tips: Pinocchio frame of each tip: `left_wrist`, `right_wrist`, `head`.
        tip_sites: MuJoCo site of each tip.
        elbows: Joint at the elbow of each side that has one.
        gripper_names: Sides with a gripper, `left` before `right`.
        grippers: Gripper of each side.
        reach_m: Shoulder to tip with the arm straight, per side [m].
        cameras: Cameras of the rig.
        dropped_visuals: Visual meshes MuJoCo cannot read (URDF only).
        sections: Sections of the rig file that `retarget` does not read.
    """

    name: str
    source: Path
    model_path: Path
    model_hash: str
    model: Any
    joint_names: tuple[str, ...]
    q_home: Array
    q_posture: Array
    lower: Array
    upper: Array
    velocity_limit: Array
    acceleration_limit: Array
    effort: Array
    limbs: Mapping[str, tuple[str, ...]]
    tips: Mapping[str, str]
    tip_sites: Mapping[str, str]
    elbows: Mapping[str, str]
    gripper_names: tuple[str, ...]
    grippers: Mapping[str, Gripper]
    reach_m: Mapping[str, float]
    cameras: tuple[RigCamera, ...]
    dropped_visuals: tuple[str, ...]
    sections: Mapping[str, Any]
    file: RigFile = field(repr=False)
    home_joints: Mapping[str, float] = field(repr=False)

    def compile(self, scene: bool = True) -> Any:
        """Compile a fresh `mujoco.MjModel`.

        The keyframe `home` holds the robot at home and objects at their start, with controls that
        hold it there. Tip sites are always present.

        Args:
            scene: Add objects, lights and the rig's own cameras.
        """
        return _compile(self.file, self.source, self.home_joints, scene)

    def forward(self, q: Array) -> dict[str, Array]:
        """`T_robot_tip`, (4, 4), of every tip at configuration `q`, (nq,).

        A mobile base carries the robot root along, so where it stands does not matter.
        """
        data, q = self._data, np.array(q, dtype=np.float64)
        q[self.base_joints] = 0.0
        pin.framesForwardKinematics(self.model, data, q)
        return {
            tip: np.array(data.oMf[self.model.getFrameId(frame)].homogeneous)
            for tip, frame in self.tips.items()
        }

    def chains(self, q: Array) -> dict[str, Array]:
        """Joint origins along each limb and the tip at its end, (n, 3) in the robot root [m]."""
        data, q = self._data, np.array(q, dtype=np.float64)
        q[self.base_joints] = 0.0
        pin.framesForwardKinematics(self.model, data, q)
        found = {}
        for limb, joints in self.limbs.items():
            if limb == "base":
                continue
            points = [data.oMi[self.model.getJointId(name)].translation for name in joints]
            tip = self.tips.get("head" if limb == "head" else f"{limb}_wrist")
            if tip is not None:
                points.append(data.oMf[self.model.getFrameId(tip)].translation)
            found[limb] = np.array(points)
        return found

    def home_from(self, q: Array) -> Array:
        """The posture a robot at `q`, (nq,), goes home to: a mobile base stays where it is."""
        home = self.q_home.copy()
        home[self.base_joints] = q[self.base_joints]
        return home

    @functools.cached_property
    def base_joints(self) -> list[int]:
        """Joints of a mobile base (indices into q): forward, left, turn; empty for a fixed one."""
        return [self.joint_names.index(name) for name in self.limbs.get("base", ())]

    @functools.cached_property
    def _data(self) -> Any:
        return self.model.createData()

    @functools.cached_property
    def hands(self) -> Mapping[str, Hand]:
        """Hands with fingers, by side; built on first use. `model` has none of their joints."""
        if not self.file.hands:
            return MappingProxyType({})
        robot = self.compile(scene=False)
        return MappingProxyType(
            {side: build_hand(robot, hand, side) for side, hand in self.file.hands.items()}
        )

    @functools.cached_property
    def finger_names(self) -> tuple[str, ...]:
        """Driven joints of all hands, left before right: the order of finger vectors."""
        hands = {str(side): hand for side, hand in self.file.hands.items()}
        return tuple(name for side in self.finger_slices for name in hands[side].joints)

    @functools.cached_property
    def finger_slices(self) -> Mapping[str, slice]:
        """Where each hand's joints are in finger vectors; left before right."""
        sizes = {str(side): len(hand.joints) for side, hand in self.file.hands.items()}
        left, right = (sizes.get(side, 0) for side in SIDES)
        found = {"left": slice(0, left), "right": slice(left, left + right)}
        return MappingProxyType({side: found[side] for side in SIDES if side in sizes})

    @functools.cached_property
    def fingers_home(self) -> Array:
        """Home of all fingers, (n_fingers,) [rad]."""
        return _frozen([q for side in SIDES if side in self.hands for q in self.hands[side].q_home])

    @functools.cached_property
    def collisions(self) -> CollisionModel:
        """Collision geometry of `model` (convex hulls); built on first use.

        Without pairs that overlap at home, and those that at most one joint separates: its stops
        keep them off each other.
        """
        robot = self.compile(scene=False)
        tree = build_tree(robot)
        q_home = tree.to_q(robot, robot.key(HOME_KEY).qpos)
        full = build_collisions(robot, tree, q_home, self.file.collision.ignore)
        _, geometry = pin.buildReducedModel(
            tree.model, full.geometry, _locked_ids(tree, self.joint_names), q_home
        )
        drop_neighbours(self.model, geometry)
        return CollisionModel(geometry, full.geom_of, full.bodies, full.dropped, full.hulls)

    def clearance(self, q: Array) -> float:
        """Smallest distance between any two parts that must not touch [m]; negative: they do.

        A check of convex hulls, milliseconds on a large robot: for reports, not for each tick.
        """
        geometry = self.collisions.geometry
        data = geometry.createData()
        pin.computeDistances(self.model, self._data, geometry, data, np.asarray(q))
        return min((float(r.min_distance) for r in data.distanceResults), default=np.inf)


def load_rig(name: str | Path) -> Rig:
    """Load a built-in rig by name, or a user's own `.toml`.

    Raises:
        RigError: Any of its kinds; the message says what was wrong and what exists.
    """
    source = find_rig(name)
    file = read_rig(source)
    where = f"rig {file.name!r} ({source.name})"
    assembly = assemble(file, source.parent, where)
    spec = assembly.spec
    fingers = {name: q for hand in file.hands.values() for name, q in hand.home.items()}
    home = {**assembly.keyframe, **fingers, **file.home.joints, **file.locked}
    prepare_robot(spec, file, where)
    check_names(spec, file, where)
    robot = _finish(spec, file, home, where, assembly.files, BARE)
    add_cameras(spec, file.cameras, where)
    tree = build_tree(robot)
    driven = driven_joints(file)
    q_full = tree.to_q(robot, robot.key(HOME_KEY).qpos)
    model = pin.buildReducedModel(tree.model, _locked_ids(tree, driven), q_full)
    names = tuple(model.names[1:])
    q_home = np.array([home.get(name, 0.0) for name in names])
    arms, head = file.arms, file.head
    tips = {f"{side}_wrist": arms[side].tip for side in SIDES if side in arms}
    tips |= {"head": head.tip} if head else {}
    limits = file.limits
    compiled_cameras = spec.cameras
    fovy = {camera.name: float(camera.fovy) for camera in compiled_cameras}
    return Rig(
        name=file.name,
        source=source,
        model_path=assembly.model_path,
        model_hash=_hash(robot, file),
        model=model,
        joint_names=names,
        q_home=_frozen(q_home),
        q_posture=_frozen([file.posture.get(n, h) for n, h in zip(names, q_home, strict=True)]),
        lower=_frozen(np.array(model.lowerPositionLimit) + limits.margin),
        upper=_frozen(np.array(model.upperPositionLimit) - limits.margin),
        velocity_limit=_frozen(_per_joint(names, limits.velocity, "limits.velocity", where)),
        acceleration_limit=_frozen(
            _per_joint(names, limits.acceleration, "limits.acceleration", where)
        ),
        effort=_frozen([_effort(file, n) for n in names]),
        limbs=MappingProxyType(limbs_of(file)),
        tips=MappingProxyType({tip: site_frame(s.site) for tip, s in tips.items()}),
        tip_sites=MappingProxyType({tip: s.site for tip, s in tips.items()}),
        elbows=MappingProxyType({s: arms[s].elbow for s in SIDES if s in arms and arms[s].elbow}),
        gripper_names=tuple(side for side in SIDES if side in file.grippers),
        grippers=MappingProxyType({s: _gripper(g) for s, g in file.grippers.items()}),
        reach_m=MappingProxyType({s: _reach(model, arm) for s, arm in arms.items()}),
        cameras=tuple(
            RigCamera(
                name=c.name,
                mujoco_name=(m := c.mujoco_name or c.name),
                width=c.width,
                height=c.height,
                eye=c.eye,
                fovy_deg=fovy[m],
                codec=c.codec,
                depth_unit_m=c.depth_unit_m,
            )
            for c in file.cameras
        ),
        dropped_visuals=assembly.dropped_visuals,
        sections=MappingProxyType(file.sections),
        file=file,
        home_joints=MappingProxyType(home),
    )


def _compile(file: RigFile, source: Path, home: Mapping[str, float], scene: bool) -> Any:
    where = f"rig {file.name!r}"
    assembly = assemble(file, source.parent, where)
    spec, files = assembly.spec, list(assembly.files)
    prepare_robot(spec, file, where)
    if scene:
        add_cameras(spec, file.cameras, where)
        files += add_scene(spec, file.scene, source.parent)
    return _finish(spec, file, home, where, files, "scene" if scene else BARE)


def _finish(
    spec: Any,
    file: RigFile,
    home: Mapping[str, float],
    where: str,
    files: Iterable[Path],
    parts: str,
) -> Any:
    """Compile with the home keyframe, or take what another process compiled of the same."""
    spec.add_key(name=HOME_KEY)
    key = modelcache.key(files, [file, parts])
    model = modelcache.load(key) if key else None
    if model is None:
        model = compile_spec(spec, where)
        if key:
            modelcache.save(key, model)
    grippers = [_gripper(section) for section in file.grippers.values()]
    set_home(model, {**home, **{g.joint: g.joint_value(g.home) for g in grippers}}, grippers)
    return model


def _locked_ids(tree: KinematicTree, driven: tuple[str, ...]) -> list[int]:
    return [k for k in range(1, tree.model.njoints) if tree.model.names[k] not in driven]


def _per_joint(
    names: tuple[str, ...], values: Mapping[str, float], key: str, where: str
) -> list[float]:
    """Value of each joint: by its own name, else by the first pattern that matches."""
    found = []
    for name in names:
        match = next((p for p in values if fnmatch.fnmatchcase(name, p)), None)
        value = values.get(name, values[match] if match is not None else 0.0)
        if not value > 0:
            raise RigFileError(f"{where}: [{key}] needs a value above 0 for the joint {name!r}")
        found.append(float(value))
    return found


def _effort(file: RigFile, name: str) -> float:
    sections = [s for s in (file.torso, file.base) if s is not None]
    return next((s.effort for s in sections if name in s.joints), 1.0)


def _gripper(g: GripperSection) -> Gripper:
    return Gripper(**msgspec.structs.asdict(g))


def _reach(model: Any, limb: LimbSection) -> float:
    if limb.reach_m is not None:
        return limb.reach_m
    return straight_reach(model, limb.joints, site_frame(limb.tip.site))


def _frozen(values: Any) -> Array:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


def _hash(m: Any, file: RigFile) -> str:
    """SHA-256 of kinematics, inertias and shapes, and of the sections that steer motion."""
    digest = hashlib.sha256()
    names = [m.joint(j).name for j in range(m.njnt)] + [m.body(b).name for b in range(m.nbody)]
    digest.update("\n".join(names).encode())
    for key in (
        "body_parentid", "body_pos", "body_quat", "body_mass", "body_inertia", "body_ipos",
        "jnt_type", "jnt_axis", "jnt_pos", "jnt_range", "qpos0", "site_pos", "site_quat",
        "geom_type", "geom_size", "geom_pos", "geom_quat", "mesh_vert", "key_qpos",
        "geom_contype", "geom_conaffinity",
    ):  # fmt: skip
        digest.update(np.ascontiguousarray(getattr(m, key)).tobytes())
    for section in (
        file.arms,
        file.torso,
        file.head,
        file.base,
        file.posture,
        file.limits,
        file.grippers,
    ):
        digest.update(repr(section).encode())
    return digest.hexdigest()
