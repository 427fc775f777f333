"""Read a URDF through MuJoCo's compiler.

MuJoCo needs plain file names, knows no `package://`, and reads .stl, .obj and .msh meshes only.
So mesh references are resolved here, visual meshes it cannot read are dropped and reported, and a
mesh that does not exist is an error.
"""

from __future__ import annotations

import logging
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mujoco

from retarget.errors import MissingMeshError, ModelFileError, NoJointsError, UnexpandedXacroError

_READABLE = (".stl", ".obj", ".msh")
KP_UNKNOWN = 200.0
"""Gain of a joint whose effort limit is not given [N m/rad]."""
FASTEST_RAD_S = 200.0
"""Fastest a drive may ring: well below what a physics step of 2 ms can follow."""
HIDDEN_GROUP = 3
"""Geom group that is not drawn by default."""
_XACRO = "{http://www.ros.org/wiki/xacro}"
_PACKAGE = re.compile(r"(?:package|model)://([^/]+)/(.*)")
_OBJECT = re.compile(rb"^[og][ \t].*$", re.MULTILINE)
_log = logging.getLogger(__name__)

_COMPILER = {
    # discardvisual=false keeps pictures; fusestatic=false keeps the root link's mass
    "strippath": "false",
    "discardvisual": "false",
    "fusestatic": "false",
    "balanceinertia": "true",
    "angle": "radian",
    "boundmass": "1e-6",
    "boundinertia": "1e-9",
}


@dataclass(frozen=True)
class UrdfReport:
    """What had to be left behind.

    Attributes:
        dropped_visuals: Visual meshes MuJoCo cannot read, as written in the URDF.
    """

    dropped_visuals: tuple[str, ...] = field(default=())


def is_urdf(path: Path) -> bool:
    """Whether the file's root element is `<robot>`."""
    return _root(path).tag == "robot"


def urdf_spec(path: Path, package_dirs: Sequence[Path]) -> tuple[Any, UrdfReport]:
    """Read a URDF as an `MjSpec` with a position actuator on every limited joint.

    Raises:
        UnexpandedXacroError: The file is a xacro file.
        NoJointsError: It has no movable joint.
        MissingMeshError: A mesh does not exist, or a collision mesh has an unreadable format.
        ModelFileError: MuJoCo refuses it.
    """
    root = _root(path)
    _check_expanded(root, path)
    for tag in ("mujoco", "gazebo", "transmission"):
        for element in root.findall(tag):
            root.remove(element)
    dropped = _resolve_meshes(root, path, package_dirs)
    ET.SubElement(ET.SubElement(root, "mujoco"), "compiler", _COMPILER)
    try:
        text = ET.tostring(root, encoding="unicode")
        spec = mujoco.MjSpec.from_string(text, assets=_joined_objects(root))
    except ValueError as error:
        raise ModelFileError(f"{path}: MuJoCo cannot read it: {error}") from error
    _hide_collisions(spec)
    _couple_mimics(spec, root)
    _add_actuators(spec, root)
    if dropped:
        _log.info("%s: %d visual meshes dropped (format)", path.name, len(dropped))
    return spec, UrdfReport(tuple(dropped))


def _root(path: Path) -> ET.Element:
    try:
        return ET.parse(path).getroot()  # noqa: S314 - the user's own robot model
    except ET.ParseError as error:
        raise ModelFileError(f"{path}: not an XML file: {error}") from error


def _check_expanded(root: ET.Element, path: Path) -> None:
    if any(str(element.tag).startswith(_XACRO) for element in root.iter()):
        raise UnexpandedXacroError(
            f"{path}: this is a xacro file; expand it first: xacro {path.name} > robot.urdf"
        )
    if not any(joint.get("type") != "fixed" for joint in root.findall("joint")):
        raise NoJointsError(f"{path}: the URDF has no movable joint; is it an unexpanded macro?")


def _resolve_meshes(root: ET.Element, path: Path, package_dirs: Sequence[Path]) -> list[str]:
    """Replace mesh references by absolute paths; return the visuals that were dropped."""
    missing: list[str] = []
    unreadable: list[str] = []
    dropped: list[str] = []
    for link, tag, element, mesh in list(_meshes(root)):
        reference = mesh.get("filename", "")
        file = _find_mesh(reference, path, package_dirs)
        if file is None:
            missing.append(reference)
        elif file.suffix.lower() in _READABLE:
            mesh.set("filename", str(file))
        elif tag == "visual":
            dropped.append(reference)
            link.remove(element)
        else:
            unreadable.append(reference)
    if missing:
        folders = [str(folder) for folder in package_dirs]
        raise MissingMeshError(str(path), missing, f"meshes not found (package_dirs {folders})")
    if unreadable:
        reason = f"collision meshes must be one of {', '.join(_READABLE)}"
        raise MissingMeshError(str(path), unreadable, reason)
    return dropped


def _meshes(root: ET.Element) -> Iterator[tuple[ET.Element, str, ET.Element, ET.Element]]:
    """Every mesh as (link, `visual` or `collision`, that element, the mesh element)."""
    for link in root.iter("link"):
        for tag in ("visual", "collision"):
            for element in link.findall(tag):
                mesh = element.find("geometry/mesh")
                if mesh is not None:
                    yield link, tag, element, mesh


def _find_mesh(reference: str, path: Path, package_dirs: Sequence[Path]) -> Path | None:
    """Absolute path of a mesh: in `package_dirs`, then in the folders above the URDF."""
    match = _PACKAGE.match(reference)
    if match is None:
        candidates = [path.parent / reference.removeprefix("file://")]
    else:
        package, rest = match.groups()
        candidates = [folder / package / rest for folder in (*package_dirs, *path.parents)]
        candidates += [
            folder / rest for folder in (*package_dirs, *path.parents) if folder.name == package
        ]
    return next((file.resolve() for file in candidates if file.is_file()), None)


def _hide_collisions(spec: Any) -> None:
    """Draw a link's pictures only, and its collision shapes where it has none."""
    for body in spec.bodies:
        shapes = [geom for geom in body.geoms if geom.contype or geom.conaffinity]
        if len(shapes) < len(body.geoms):
            for geom in shapes:
                geom.group = HIDDEN_GROUP


def _joined_objects(root: ET.Element) -> dict[str, bytes]:
    """Content of .obj files with several objects, joined: MuJoCo draws the first one only."""
    files = {mesh.get("filename", "") for _, _, _, mesh in _meshes(root)}
    joined = {}
    for file in sorted(name for name in files if name.lower().endswith(".obj")):
        content = Path(file).read_bytes()
        if len(_OBJECT.findall(content)) > 1:
            joined[file] = _OBJECT.sub(b"", content)
    return joined


def _couple_mimics(spec: Any, root: ET.Element) -> None:
    """`<mimic>` as a joint equality: q = offset + multiplier * q_leader."""
    coupled = {equality.name1 for equality in spec.equalities}
    for joint in root.findall("joint"):
        mimic = joint.find("mimic")
        if mimic is None or joint.get("name") in coupled:
            continue
        equality = spec.add_equality(type=mujoco.mjtEq.mjEQ_JOINT)
        equality.objtype = mujoco.mjtObj.mjOBJ_JOINT
        equality.name1, equality.name2 = joint.get("name"), mimic.get("joint")
        data = equality.data
        data[:] = 0
        data[0] = float(mimic.get("offset", 0.0))
        data[1] = float(mimic.get("multiplier", 1.0))
        equality.data = data


def _add_actuators(spec: Any, root: ET.Element) -> None:
    """A position actuator, named after its joint, on every leading joint; a URDF has none.

    The gain reaches the joint's effort limit at an error of 0.1 rad (or 0.1 m). The joint gets as
    much rotor inertia as keeps this spring from ringing faster than a physics step can follow.
    """
    joints = {joint.name: joint for joint in spec.joints}
    for joint in root.findall("joint"):
        movable = joint.get("type") in ("revolute", "prismatic", "continuous")
        if not movable or joint.find("mimic") is not None:
            continue
        limit = joint.find("limit")
        effort = float(limit.get("effort", 0.0)) if limit is not None else 0.0
        kp = 10.0 * effort if effort > 0 else KP_UNKNOWN
        joints[str(joint.get("name"))].armature = kp / FASTEST_RAD_S**2
        actuator = spec.add_actuator(name=joint.get("name"), target=joint.get("name"))
        actuator.trntype = mujoco.mjtTrn.mjTRN_JOINT
        actuator.set_to_position(kp=kp, dampratio=1.0)
        if effort > 0:
            actuator.forcerange = [-effort, effort]
