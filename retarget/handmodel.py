"""A dexterous hand as a chain of joints under its palm, from a compiled MuJoCo model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import pinocchio as pin

from retarget.errors import RigFileError, UnknownNameError
from retarget.frames import Array
from retarget.handfile import HandSection, Objective
from retarget.handterms import Terms, terms_of
from retarget.model import build_tree

Mimic = tuple[str, float, float]
"""The joint that is followed, ratio, and offset [rad]."""


@dataclass(frozen=True, eq=False)
class Hand:
    """A hand. Of its joints only the driven ones are free, the others follow: `E q + offset`.

    Attributes:
        side: `left` or `right`.
        section: As in the rig file.
        model: `pinocchio.Model` of all its joints, nothing else moves.
        T_palm_root: Pose of the model's root in the palm, (4, 4).
        joint_names: Driven joints, in the order of q.
        mimic: What the other joints follow.
        lower: Position limits of the driven joints, mimics' included, (n,).
        upper: (n,).
        velocity_limit: (n,) [rad/s].
        acceleration_limit: (n,) [rad/s²].
        q_home: Start posture, and that of the open hand, (n,); the robot's at home.
        q_closed: Posture of the closed hand, (n,).
        E: (model.nv, n).
        offset: (model.nv,).
        link_names: Links in the order of the next two.
        link_joints: Joint that carries each link, (links,).
        link_points: Link in that joint's frame, (links, 3) [m].
        R_palm_hand: Forward, thumb side and back of the hand in the palm, as columns, (3, 3).
        scale: Robot hand / human hand of an average adult.
    """

    side: str
    section: HandSection
    model: Any
    T_palm_root: Array
    joint_names: tuple[str, ...]
    mimic: Mapping[str, Mimic]
    lower: Array
    upper: Array
    velocity_limit: Array
    acceleration_limit: Array
    q_home: Array
    q_closed: Array
    E: Array
    offset: Array
    link_names: tuple[str, ...]
    link_joints: Any
    link_points: Array
    R_palm_hand: Array
    scale: float

    def terms(self, objective: Objective | None = None) -> Terms:
        """What an objective compares; that of the rig file when left out."""
        return terms_of(self.section, objective or self.section.objective, f"[hands.{self.side}]")

    def positions(self, q: Array) -> Array:
        """`p_palm_link`, (links, 3) [m], at `q`, (n,)."""
        data = self.model.createData()
        pin.forwardKinematics(self.model, data, self.E @ q + self.offset)
        T = self.T_palm_root
        return np.array([
            T[:3, :3] @ data.oMi[int(j)].act(p) + T[:3, 3]
            for j, p in zip(self.link_joints, self.link_points, strict=True)
        ])  # fmt: skip

    def position(self, link: str, q: Array) -> Array:
        """`p_palm_link` of one link, (3,) [m], at `q`, (n,)."""
        at: Array = self.positions(q)[self.link_names.index(link)]
        return at


def build_hand(m: Any, section: HandSection, side: str) -> Hand:
    """Build a hand from the robot's compiled `MjModel`, at its home keyframe.

    Raises:
        UnknownNameError: A joint, body or link does not exist.
        RigFileError: A mimic joint follows one that is not driven, or the objective cannot be made.
    """
    where = f"[hands.{side}]"
    tree = build_tree(m)
    names = list(tree.model.names[1:])
    mimic = {**_equalities(m, section.joints), **section.mimic}
    for name in (*section.joints, *mimic, *section.home, *section.closed):
        if name not in names:
            raise UnknownNameError("joint", name, names, where)
    used = {*section.joints, *mimic}
    q0 = tree.to_q(m, m.key_qpos[0] if m.nkey else m.qpos0)
    locked = [k + 1 for k, name in enumerate(names) if name not in used]
    model = pin.buildReducedModel(tree.model, locked, q0)
    E, offset = _reduction(model, section.joints, mimic, where)
    lower, upper = _limits(model, E, offset)
    joints, points, palm = _links(model, m, section, where)
    home = np.clip(q0[[names.index(name) for name in section.joints]], lower, upper)
    closed = [section.closed.get(n, h) for n, h in zip(section.joints, home, strict=True)]
    hand = Hand(
        side, section, model, palm, section.joints, mimic, lower, upper,
        np.full(len(home), section.velocity), np.full(len(home), section.acceleration),
        home, np.clip(closed, lower, upper), E, offset, tuple(section.links), joints, points,
        _axes(section, side), section.scale,
    )  # fmt: skip
    hand.terms()
    return hand


def _equalities(m: Any, driven: tuple[str, ...]) -> dict[str, Mimic]:
    """Joints that the model ties to driven ones: their linear joint equalities."""
    found = {}
    for i in range(m.neq):
        if m.eq_type[i] == mujoco.mjtEq.mjEQ_JOINT and m.eq_obj2id[i] >= 0:
            name, other = m.joint(m.eq_obj1id[i]).name, m.joint(m.eq_obj2id[i]).name
            if other in driven and name not in driven:
                found[name] = (other, float(m.eq_data[i, 1]), float(m.eq_data[i, 0]))
    return found


def _reduction(
    model: Any, driven: tuple[str, ...], mimic: Mapping[str, Mimic], where: str
) -> tuple[Array, Array]:
    E, offset = np.zeros((model.nv, len(driven))), np.zeros(model.nv)
    for k, name in enumerate(model.names[1:]):
        source, ratio, constant = mimic.get(name, (name, 1.0, 0.0))
        if source not in driven:
            raise RigFileError(f"{where}: {name!r} follows {source!r}, which is not driven")
        E[k, driven.index(source)], offset[k] = ratio, constant
    return E, offset


def _limits(model: Any, E: Array, offset: Array) -> tuple[Array, Array]:
    """Limits of the driven joints that keep every joint that follows within its own."""
    lower, upper = np.full(E.shape[1], -np.inf), np.full(E.shape[1], np.inf)
    for k, i in enumerate(np.abs(E).argmax(axis=1)):
        ends = np.array([model.lowerPositionLimit[k], model.upperPositionLimit[k]])
        low, high = np.sort((ends - offset[k]) / E[k, i])
        lower[i], upper[i] = max(lower[i], low), min(upper[i], high)
    return lower, upper


def _links(model: Any, m: Any, section: HandSection, where: str) -> tuple[Any, Array, Array]:
    """Joint and point of each link, and the pose of the root in the palm."""
    bodies = [m.body(b).name for b in range(m.nbody)]
    for name in (section.palm, *(link.body for link in section.links.values())):
        if name not in bodies:
            raise UnknownNameError("body", name, bodies, where)
    frames = [_frame(model, link.body) for link in section.links.values()]
    points = [
        frame.placement.act(np.array(link.offset))
        for frame, link in zip(frames, section.links.values(), strict=True)
    ]
    palm = _frame(model, section.palm)
    if palm.parentJoint != 0:
        raise RigFileError(f"{where}: the palm {section.palm!r} is moved by the hand's own joints")
    T_palm_root = np.array(palm.placement.inverse().homogeneous)
    return np.array([f.parentJoint for f in frames]), np.array(points), T_palm_root


def _frame(model: Any, body: str) -> Any:
    return model.frames[model.getFrameId(body, pin.FrameType.BODY)]


def _axes(section: HandSection, side: str) -> Array:
    forward = np.array(section.forward) / np.linalg.norm(section.forward)
    thumb = np.array(section.thumb) - (np.array(section.thumb) @ forward) * forward
    thumb /= np.linalg.norm(thumb)
    back = np.cross(forward, thumb) * (1.0 if side == "right" else -1.0)
    return np.stack([forward, thumb, back], axis=1)
