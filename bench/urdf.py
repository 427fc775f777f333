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
    _link(robot, "base")
    for i in range(1, model.njoints):
        parent = model.names[model.parents[i]] if model.parents[i] else ""
        name = model.names[i]
        _link(robot, f"link_{name}")
        joint = _joint(robot, name, "revolute", parent, f"link_{name}", model.jointPlacements[i])
        ET.SubElement(joint, "axis", xyz=_numbers(_axis(model, i)))
        at = model.joints[i].idx_v
        limit = {
            "lower": rig.lower[at],
            "upper": rig.upper[at],
            "velocity": rig.velocity_limit[at],
            "effort": 1e3,
        }
        ET.SubElement(joint, "limit", {k: repr(float(v)) for k, v in limit.items()})
    for tip, frame_name in rig.tips.items():
        frame = model.frames[model.getFrameId(frame_name)]
        parent = model.names[frame.parentJoint] if frame.parentJoint else ""
        _link(robot, f"tip_{tip}")
        _joint(robot, f"fixed_{tip}", "fixed", parent, f"tip_{tip}", frame.placement)
    return ET.tostring(robot, encoding="unicode")


def write_hand_urdf(hand: Hand) -> str:
    """Kinematics and limits of a hand; its links as `point_NAME`, in the root `base`."""
    model, robot = hand.model, ET.Element("robot", name="hand")
    _link(robot, "base")
    for i in range(1, model.njoints):
        parent = model.names[model.parents[i]] if model.parents[i] else ""
        name = model.names[i]
        _link(robot, f"link_{name}")
        joint = _joint(robot, name, "revolute", parent, f"link_{name}", model.jointPlacements[i])
        ET.SubElement(joint, "axis", xyz=_numbers(_axis(model, i)))
        limits = {
            "lower": model.lowerPositionLimit[i - 1],
            "upper": model.upperPositionLimit[i - 1],
        }
        limits |= {"velocity": 100.0, "effort": 1e3}
        ET.SubElement(joint, "limit", {k: repr(float(v)) for k, v in limits.items()})
    places = zip(hand.link_names, hand.link_joints.tolist(), hand.link_points, strict=True)
    for name, j, point in places:
        _link(robot, f"point_{name}")
        at = pin.SE3(np.eye(3), point)
        _joint(robot, f"fixed_{name}", "fixed", model.names[j] if j else "", f"point_{name}", at)
    return ET.tostring(robot, encoding="unicode")


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
