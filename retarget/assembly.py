"""Put a robot together from its model files: the main one, and what is attached to it."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco

from retarget.errors import ModelFileError, NoJointsError, RigFileError, UnknownNameError
from retarget.modelcache import files_of
from retarget.modelsections import AttachSection, ModelSource
from retarget.rigfile import RigFile
from retarget.sources import find_model
from retarget.spec import apply_keyframe, load_spec, quiet_compiler

_FREE = int(mujoco.mjtJoint.mjJNT_FREE)


@dataclass(frozen=True, eq=False)
class Assembly:
    """A robot put together, before tips and cameras are added.

    Attributes:
        spec: `mujoco.MjSpec` without keyframes.
        model_path: The main model file.
        keyframe: Joint values of the main model's keyframe that home starts from.
        dropped_visuals: Visual meshes MuJoCo cannot read, of all files.
        files: Every file it was made of.
    """

    spec: Any
    model_path: Path
    keyframe: dict[str, float]
    dropped_visuals: tuple[str, ...]
    files: tuple[Path, ...]


def assemble(file: RigFile, rig_dir: Path, where: str) -> Assembly:
    """Read the main model and attach the others.

    Raises:
        RigError: A file is missing or cannot be read, or a body to attach to does not exist.
    """
    path = find_model(file.name, file.model, rig_dir)
    spec, report = load_spec(path, file.model, rig_dir)
    files = files_of(path, spec)
    _drop_meshes(spec, file.model, where)
    keyframe = apply_keyframe(spec, file.home.keyframe, where)
    _delete_keys(spec)  # their size is about to change
    dropped = list(report.dropped_visuals)
    for section in file.attach:
        more_dropped, more_files = _attach(spec, section, file.name, rig_dir, where)
        dropped += more_dropped
        files += more_files
    if not any(int(joint.type) != _FREE for joint in spec.joints):
        raise NoJointsError(f"{path}: the model has no joints; is it the whole robot?")
    return Assembly(spec, path, keyframe, tuple(dropped), tuple(files))


def _attach(
    spec: Any, section: AttachSection, rig: str, rig_dir: Path, where: str
) -> tuple[tuple[str, ...], list[Path]]:
    """Attach one model; return the visual meshes it had to leave behind, and its files."""
    path = find_model(rig, section, rig_dir)
    child, report = load_spec(path, section, rig_dir)
    files = files_of(path, child)
    _drop_meshes(child, section, where)
    _delete_keys(child)
    _place_bodies(child, section, f"{where}: [[attach]] {path.name}")
    body = spec.worldbody if section.body == "world" else spec.body(section.body)
    if body is None:
        raise UnknownNameError("body", section.body, [b.name for b in spec.bodies], where)
    x, y, z, w = section.quat_xyzw
    frame = body.add_frame(pos=list(section.position), quat=[w, x, y, z])
    try:
        with quiet_compiler():
            spec.attach(child, prefix=section.prefix, frame=frame)
    except ValueError as error:
        raise ModelFileError(
            f"{where}: cannot attach {path.name} to {section.body!r}: {error}; "
            f"where names clash, give each [[attach]] a prefix"
        ) from error
    return report.dropped_visuals, files


def _delete_keys(spec: Any) -> None:
    for key in list(spec.keys):
        spec.delete(key)


def _place_bodies(spec: Any, section: AttachSection, where: str) -> None:
    """Stand top-level bodies where the rig file wants them."""
    top = {body.name: body for body in spec.worldbody.bodies}
    for name, place in section.place.items():
        if name not in top:
            raise UnknownNameError("top-level body", name, top, where)
        x, y, z, w = place.quat_xyzw
        top[name].pos, top[name].quat = list(place.position), [w, x, y, z]


def _drop_meshes(spec: Any, source: ModelSource, where: str) -> None:
    """Delete the geoms of unwanted meshes; a pattern that fits nothing is a mistake."""
    for pattern in source.drop_meshes:
        names = {geom.meshname for geom in spec.geoms if geom.meshname}
        wanted = fnmatch.filter(names, pattern)
        if not wanted:
            raise RigFileError(
                f"{where}: drop_meshes {pattern!r} fits no mesh; meshes: {sorted(names)}"
            )
        for geom in [g for g in spec.geoms if g.meshname in wanted]:
            spec.delete(geom)
