"""From a rig file to a compiled MuJoCo model: robot, tips, cameras, scene, home keyframe."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from retarget.errors import ModelFileError, RigFileError, UnknownNameError
from retarget.frames import Array
from retarget.gripper import Gripper
from retarget.modelcache import files_of
from retarget.modelsections import ModelSource
from retarget.rigfile import CameraSection, RigFile, SceneSection, TipSection
from retarget.urdf import UrdfReport, is_urdf, urdf_spec

HOME_KEY = "home"
"""Keyframe of every compiled rig: robot at home, objects at their start."""

_HINGE, _SLIDE = int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)
_FREE = int(mujoco.mjtJoint.mjJNT_FREE)
_SIZES = {_HINGE: 1, _SLIDE: 1, int(mujoco.mjtJoint.mjJNT_BALL): 4, _FREE: 7}
"""Values of each kind of joint in `qpos`."""
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def quiet_compiler() -> Iterator[None]:
    """Send MuJoCo's warnings to the log, not to stderr and a file in the working directory."""
    previous = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: _log.debug("mujoco: %s", message))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        mujoco.set_mju_user_warning(previous)


def load_spec(path: Path, source: ModelSource, rig_dir: Path) -> tuple[Any, UrdfReport]:
    """Read a model file as an `MjSpec`, and report what a URDF had to leave behind.

    Raises:
        ModelFileError: MuJoCo cannot read it.
    """
    with quiet_compiler():
        if source.format == "urdf" or (source.format == "auto" and is_urdf(path)):
            return urdf_spec(path, [rig_dir / folder for folder in source.package_dirs])
        return _parse(path), UrdfReport()


def _parse(path: Path) -> Any:
    try:
        return mujoco.MjSpec.from_file(str(path))
    except ValueError as error:
        raise ModelFileError(f"{path}: MuJoCo cannot read it: {error}") from error


def compile_spec(spec: Any, where: str) -> Any:
    """Compile; a failure says which rig or file it was."""
    try:
        with quiet_compiler():
            return spec.compile()
    except ValueError as error:
        raise ModelFileError(f"{where}: MuJoCo cannot compile it: {error}") from error


def apply_keyframe(spec: Any, name: str, where: str) -> dict[str, float]:
    """Hinge and slide joint values of a keyframe of the model, by joint name.

    Floating bodies are moved to where the keyframe has them, so that a base that gets fixed stands
    there.
    """
    if not name:
        return {}
    known = [key.name for key in spec.keys]
    if name not in known:
        raise UnknownNameError("keyframe", name, known, where)
    qpos, values, a = np.asarray(spec.key(name).qpos), {}, 0
    if not len(qpos):
        return {}
    joints = list(_joints_in_order(spec.worldbody))
    expected = sum(_SIZES[int(joint.type)] for _, joint in joints)
    if len(qpos) != expected:
        raise ModelFileError(
            f"{where}: keyframe {name!r} has {len(qpos)} joint values, the model {expected}"
        )
    for body, joint in joints:
        if int(joint.type) in (_HINGE, _SLIDE):
            values[joint.name] = float(qpos[a])
        elif int(joint.type) == _FREE:
            body.pos, body.quat = qpos[a : a + 3], qpos[a + 3 : a + 7]
        a += _SIZES[int(joint.type)]
    return values


def _joints_in_order(body: Any) -> Iterator[tuple[Any, Any]]:
    """Joints with their bodies, depth first: the order a compiled model has them in."""
    for joint in body.joints:
        yield body, joint
    for child in body.bodies:
        yield from _joints_in_order(child)


def prepare_robot(spec: Any, file: RigFile, where: str) -> None:
    """Fix the base, settle what collides, add the tips."""
    if file.model.base == "fixed":
        for joint in list(spec.joints):
            if int(joint.type) == _FREE:
                spec.delete(joint)
    for geom in spec.geoms:
        if geom.group in file.collision.groups:
            geom.contype, geom.conaffinity = 1, 1
    for body1, body2 in file.collision.ignore:
        exclude = spec.add_exclude()
        exclude.bodyname1 = _body(spec, body1, where).name
        exclude.bodyname2 = _body(spec, body2, where).name
    limbs = [*file.arms.values(), *([file.head] if file.head else [])]
    for limb in limbs:
        _add_tip(spec, limb.tip, where)


def _body(spec: Any, name: str, where: str) -> Any:
    body = spec.worldbody if name == "world" else spec.body(name)
    if body is None:
        raise UnknownNameError("body", name, [b.name for b in spec.bodies], where)
    return body


def _add_tip(spec: Any, tip: TipSection, where: str) -> None:
    x, y, z, w = tip.quat_xyzw
    body = _body(spec, tip.body, where)
    if any(site.name == tip.site for site in spec.sites):
        raise RigFileError(f"{where}: the model already has a site {tip.site!r}; choose another")
    body.add_site(name=tip.site, pos=list(tip.offset), quat=[w, x, y, z], group=4, size=[0.005] * 3)


def add_cameras(spec: Any, cameras: tuple[CameraSection, ...], where: str) -> None:
    """Add the cameras the rig mounts itself; check that the others exist."""
    known = [camera.name for camera in spec.cameras]
    for camera in cameras:
        name = camera.mujoco_name or camera.name
        if camera.position is None:
            if name not in known:
                raise UnknownNameError("camera", name, known, where)
            continue
        _body(spec, camera.body or "world", where).add_camera(
            name=name,
            pos=list(camera.position),
            quat=_camera_quat_wxyz(camera),
            fovy=camera.fovy_deg,
            resolution=[camera.width, camera.height],
        )


def _camera_quat_wxyz(camera: CameraSection) -> list[float]:
    """Rotation of a camera from its image axes, made orthonormal with x kept."""
    x = np.asarray(camera.x_axis) / np.linalg.norm(camera.x_axis)
    y = np.asarray(camera.y_axis) - x * (x @ np.asarray(camera.y_axis))
    y = y / np.linalg.norm(y)
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.column_stack([x, y, np.cross(x, y)]).ravel())
    return [float(value) for value in quat]


def add_scene(spec: Any, scene: SceneSection, rig_dir: Path) -> list[Path]:
    """Attach the scene's objects, lights and cameras to the world; the files they are made of."""
    if scene.ambient is not None:
        spec.visual.headlight.ambient = [scene.ambient] * 3
    if scene.diffuse is not None:
        spec.visual.headlight.diffuse = [scene.diffuse] * 3
    if scene.lights is not None:
        for light in spec.lights:
            light.diffuse = [scene.lights] * 3
            light.active = int(scene.lights > 0.0)  # an unlit light still costs every vertex
    if not scene.file:
        return []
    path = rig_dir / scene.file
    if not path.is_file():
        raise ModelFileError(f"no scene file {path}")
    with quiet_compiler():
        child = _parse(path)
        files = files_of(path, child)
        spec.attach(child, prefix="", frame=spec.worldbody.add_frame())
    return files


def set_home(model: Any, joints: Mapping[str, float], grippers: Iterable[Gripper]) -> None:
    """Write the keyframe `home`: named joints, coupled joints, position actuators, grippers."""
    key = model.key(HOME_KEY).id
    qpos: Array = model.qpos0.copy()
    for name, value in joints.items():
        qpos[model.joint(name).qposadr[0]] = value
    couple(model, qpos, joints)
    model.key_qpos[key] = qpos
    model.key_ctrl[key] = _holding_ctrl(model, qpos)
    for gripper in grippers:
        actuator = model.actuator(gripper.actuator).id
        model.key_ctrl[key, actuator] = gripper.control(gripper.home)


def couple(model: Any, qpos: Array, given: Collection[str]) -> None:
    """Make coupled joints meet their couplings, moving the one whose value was not given."""
    for eq in range(model.neq):
        if model.eq_type[eq] != int(mujoco.mjtEq.mjEQ_JOINT) or model.eq_obj2id[eq] < 0:
            continue
        first, second = int(model.eq_obj1id[eq]), int(model.eq_obj2id[eq])
        a, b = model.jnt_qposadr[first], model.jnt_qposadr[second]
        data = np.ravel(model.eq_data[eq])[:5]
        if model.joint(first).name in given and data[1] != 0 and not data[2:].any():
            moved = (qpos[a] - model.qpos0[a] - data[0]) / data[1]
            qpos[b] = model.qpos0[b] + moved
        else:
            follow = np.polynomial.Polynomial(data)
            qpos[a] = model.qpos0[a] + float(follow(qpos[b] - model.qpos0[b]))


def _holding_ctrl(model: Any, qpos: Array) -> Array:
    """Control of each actuator that holds `qpos`: the joint value for position actuators."""
    ctrl = np.zeros(model.nu)
    for a in range(model.nu):
        is_joint = model.actuator_trntype[a] == int(mujoco.mjtTrn.mjTRN_JOINT)
        is_position = model.actuator_biasprm[a, 1] == -model.actuator_gainprm[a, 0] != 0
        if is_joint and is_position:
            ctrl[a] = qpos[model.jnt_qposadr[model.actuator_trnid[a, 0]]]
            if model.actuator_ctrllimited[a]:
                ctrl[a] = np.clip(ctrl[a], *model.actuator_ctrlrange[a])
    return ctrl
