"""Which joints a rig file drives, and whether its model has them."""

from __future__ import annotations

from typing import Any

from retarget.errors import RigFileError, UnknownNameError
from retarget.rigfile import RigFile


def limbs_of(file: RigFile) -> dict[str, tuple[str, ...]]:
    """Driven joints of each limb, in the order of configuration vectors."""
    limbs: dict[str, tuple[str, ...]] = {s: file.arms[s].joints for s in file.arms}
    if file.base is not None:
        limbs["base"] = file.base.joints
    if file.torso is not None:
        limbs["torso"] = file.torso.joints
    if file.head is not None:
        limbs["head"] = file.head.joints
    return limbs


def driven_joints(file: RigFile) -> tuple[str, ...]:
    """All of them."""
    return tuple(name for joints in limbs_of(file).values() for name in joints)


def check_names(spec: Any, file: RigFile, where: str) -> None:
    """Every joint and actuator named in the file exists; a joint is driven at most once.

    Raises:
        UnknownNameError: One does not exist; the message lists those that do.
        RigFileError: A joint has two roles, a gripper does not move, or nothing is driven.
    """
    joints = [joint.name for joint in spec.joints]
    driven = driven_joints(file)
    grippers = [gripper.joint for gripper in file.grippers.values()]
    elbows = [arm.elbow for arm in file.arms.values() if arm.elbow]
    named = [*driven, *file.locked, *file.home.joints, *file.posture, *grippers, *elbows]
    for name in named:
        if name not in joints:
            raise UnknownNameError("joint", name, joints, where)
    actuators = [actuator.name for actuator in spec.actuators]
    for gripper in file.grippers.values():
        if gripper.actuator not in actuators:
            raise UnknownNameError("actuator", gripper.actuator, actuators, where)
        if gripper.open == gripper.closed:
            raise RigFileError(f"{where}: gripper {gripper.joint!r}: open equals closed")
    roles = [*driven, *grippers, *file.locked]
    twice = sorted({name for name in roles if roles.count(name) > 1})
    if twice:
        raise RigFileError(f"{where}: joints with two roles (driven, gripper, locked): {twice}")
    for side, arm in file.arms.items():
        if arm.elbow and arm.elbow not in arm.joints:
            raise RigFileError(f"{where}: elbow {arm.elbow!r} is no joint of [arms.{side}]")
    if not driven and not file.hands:
        raise RigFileError(f"{where}: no driven joints; [arms.X] or [hands.X] is needed, X = side")
