"""Minimal URDFs of a rig's driven joints, or of a hand, for solvers that read nothing else."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pinocchio as pin

from retarget import Rig
from retarget.handmodel import Hand


def write_urdf(rig: Rig) -> str:
    """Kinematics, limits and tip links (`tip_NAME`) of `rig.model`; no shapes, equal masses."""
    model = rig.model
    robot = ET.Element("robot", name=rig.name)
    _add_joints(robot, model, rig.lower, rig.upper, rig.velocity_limit)
    for tip, frame_name in rig.tips.items():
        frame = model.frames[model.getFrameId(frame_name)]
        _add_point(robot, model, tip, "tip", frame.parentJoint, frame.placement)
    return ET.tostring(robot, encoding="unicode")


def write_hand_urdf(hand: Hand) -> str:
    """Kinematics and limits of a hand's joints, and its links as `point_NAME`."""
    model, robot = hand.model, ET.Element("robot", name="hand")
    fast = np.full(model.nv, 100.0)
    _add_joints(robot, model, model.lowerPositionLimit, model.upperPositionLimit, fast)
    places = zip(hand.link_names, hand.link_joints.tolist(), hand.link_points, strict=True)
    for name, joint, point in places:
        _add_point(robot, model, name, "point", joint, pin.SE3(np.eye(3), point))
    return ET.tostring(robot, encoding="unicode")


def _add_joints(robot: ET.Element, model: Any, lower: Any, upper: Any, velocity: Any) -> None:
    """A link `base`, and one for every joint, `link_NAME`."""
    _link(robot, "base")
    for i in range(1, model.njoints):
        parent = model.names[model.parents[i]] if model.parents[i] else ""
        name = model.names[i]
        _link(robot, f"link_{name}")
        joint = _joint(robot, name, "revolute", parent, f"link_{name}", model.jointPlacements[i])
        ET.SubElement(joint, "axis", xyz=_numbers(_axis(model, i)))
        at = model.joints[i].idx_v
        limit = {"lower": lower[at], "upper": upper[at], "velocity": velocity[at], "effort": 1e3}
        ET.SubElement(joint, "limit", {k: repr(float(v)) for k, v in limit.items()})


def _add_point(
    robot: ET.Element, model: Any, name: str, kind: str, joint: int, placement: Any
) -> None:
    _link(robot, f"{kind}_{name}")
    parent = model.names[joint] if joint else ""
    _joint(robot, f"fixed_{name}", "fixed", parent, f"{kind}_{name}", placement)


def _link(robot: ET.Element, name: str) -> None:
    inertial = ET.SubElement(ET.SubElement(robot, "link", name=name), "inertial")
    ET.SubElement(inertial, "mass", value="1")
    moments = dict.fromkeys(("ixx", "iyy", "izz"), "0.01") | dict.fromkeys(
        ("ixy", "ixz", "iyz"), "0"
    )
    ET.SubElement(inertial, "inertia", moments)


def _joint(
    robot: ET.Element, name: str, kind: str, parent: str, child: str, placement: Any
) -> ET.Element:
    joint = ET.SubElement(robot, "joint", name=name, type=kind)
    ET.SubElement(joint, "parent", link=f"link_{parent}" if parent else "base")
    ET.SubElement(joint, "child", link=child)
    rpy = pin.rpy.matrixToRpy(placement.rotation)
    ET.SubElement(joint, "origin", xyz=_numbers(placement.translation), rpy=_numbers(rpy))
    return joint


def _axis(model: Any, joint: int) -> Any:
    """Axis of a revolute joint in its own frame."""
    data = model.createData()
    J = pin.computeJointJacobian(model, data, pin.neutral(model), joint)
    axis = J[3:, model.joints[joint].idx_v]
    if not np.isclose(np.linalg.norm(axis), 1.0):
        raise ValueError(f"joint {model.names[joint]!r} is not revolute")
    return axis


def _numbers(values: Any) -> str:
    return " ".join(repr(float(v)) for v in values)
