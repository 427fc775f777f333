"""Everything worth knowing of a rig before it moves, measured: `telecap rigs check`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import mujoco
import numpy as np
import pinocchio as pin

from retarget import Rig
from retarget.handmodel import Hand
from retarget.model import build_tree
from retarget.spec import quiet_compiler
from teleop.robots.base import JointCommand, RobotError
from teleop.robots.mujoco import MujocoRobot

SAMPLES = 50
"""Random postures in which the two engines are compared."""
AGREE_M = 1e-12
HOLD_S = 2.0
MAX_DRIFT = 0.03
"""Farthest a joint may move while the simulated robot holds home [rad or m]."""


@dataclass(frozen=True, slots=True)
class JointReport:
    """One driven joint: [rad] or [m], [1/s], [1/s²]."""

    name: str
    lower: float
    upper: float
    home: float
    velocity: float
    acceleration: float


@dataclass(frozen=True, slots=True)
class HandReport:
    """A hand with fingers.

    Attributes:
        joints: Driven joints.
        coupled: How many joints follow them.
        objective: What is compared with the operator's hand.
        tips_home_m: Position of each finger's tip in the palm at home.
    """

    joints: list[JointReport]
    coupled: int
    objective: str
    tips_home_m: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class RigReport:
    """What was found.

    Attributes:
        name: Of the rig.
        source: The rig file.
        model: The main model file.
        limbs: Driven joints of each limb.
        tips_home_m: Position of each tip at home.
        engines_differ_m: Largest distance between a body in MuJoCo and in Pinocchio [m].
        mass_kg: Of all moving and fixed parts of the model.
        reach_m: Shoulder to tip, arm straight.
        grippers: Driven joint and its values when open and when closed, per side.
        hands: Fingers of each hand.
        cameras: Name and native size.
        pairs: Pairs of shapes checked against collision.
        overlaps: Pairs that overlap at home, and are not checked for that reason; body names.
        clearance_m: Smallest distance of a checked pair at home.
        dropped_visuals: Visual meshes that cannot be read.
        drift: Farthest a joint moves in 2 s of holding home in simulation [rad or m].
        drift_joint: Which one that is.
        problems: Why this rig should not be driven yet; empty when all is well.
    """

    name: str
    source: str
    model: str
    limbs: dict[str, list[JointReport]]
    tips_home_m: dict[str, list[float]]
    engines_differ_m: float
    mass_kg: float
    reach_m: dict[str, float]
    grippers: dict[str, dict[str, Any]]
    hands: dict[str, HandReport]
    cameras: dict[str, list[int]]
    pairs: int
    overlaps: list[list[str]]
    clearance_m: float | None
    dropped_visuals: list[str]
    drift: float | None
    drift_joint: str
    problems: list[str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def inspect_rig(rig: Rig) -> RigReport:
    """Measure a rig: seconds, most of them for two seconds of simulated holding."""
    robot = rig.compile(scene=False)
    clearance = rig.clearance(rig.q_home)
    difference = engines_difference(robot)
    drift, drift_joint, problems = None, "", _problems(rig, difference)
    try:
        with quiet_compiler():  # a simulation that blows up is a finding, not a log file
            drift, drift_joint = home_drift(rig, MujocoRobot(rig))
    except RobotError as error:
        problems.append(f"cannot be simulated: {error}")
    if drift is not None and not drift < MAX_DRIFT:
        problems.append(f"home is not held in simulation: {drift_joint} moves by {drift:.3f}")
    return RigReport(
        name=rig.name,
        source=str(rig.source),
        model=str(rig.model_path),
        limbs=_limbs(rig),
        tips_home_m={k: T[:3, 3].tolist() for k, T in rig.forward(rig.q_home).items()},
        engines_differ_m=difference,
        mass_kg=float(robot.body_mass.sum()),
        reach_m=dict(rig.reach_m),
        grippers={
            side: {"joint": g.joint, "open": g.open, "closed": g.closed}
            for side, g in rig.grippers.items()
        },
        hands={side: _hand(hand) for side, hand in rig.hands.items()},
        cameras={c.name: [c.width, c.height] for c in rig.cameras},
        pairs=len(rig.collisions.geometry.collisionPairs),
        overlaps=_overlaps(rig, robot),
        clearance_m=clearance if np.isfinite(clearance) else None,
        dropped_visuals=list(rig.dropped_visuals),
        drift=drift,
        drift_joint=drift_joint,
        problems=problems,
    )


def engines_difference(model: Any, samples: int = SAMPLES, seed: int = 0) -> float:
    """Largest distance between a body's origin in MuJoCo and in Pinocchio [m], random postures."""
    tree, data = build_tree(model), mujoco.MjData(model)
    pin_data, rng, worst = tree.model.createData(), np.random.default_rng(seed), 0.0
    for _ in range(samples):
        data.qpos[:] = _random_qpos(model, rng)
        mujoco.mj_kinematics(model, data)
        pin.framesForwardKinematics(tree.model, pin_data, tree.to_q(model, data.qpos))
        for body, frame in enumerate(tree.body_frame[1:], start=1):
            away = np.array(pin_data.oMf[frame].translation) - data.xpos[body]
            worst = max(worst, float(np.linalg.norm(away)))
    return worst


def home_drift(rig: Rig, robot: MujocoRobot, seconds: float = HOLD_S) -> tuple[float, str]:
    """Hold home in simulation; the farthest any driven joint was from it, and which one."""
    robot.start(0)
    names, home = rig.joint_names + rig.finger_names, np.r_[rig.q_home, rig.fingers_home]
    fingers = np.zeros(len(rig.finger_names))
    rest = np.zeros(len(rig.q_home))
    openings = np.array([rig.grippers[side].home for side in rig.gripper_names])
    robot.apply(JointCommand(rig.q_home, rest, openings, rig.fingers_home, fingers), 0)
    worst = np.zeros(len(names))
    slot_ns = round(1e9 / robot.rate_hz)
    for k in range(1, round(seconds * robot.rate_hz) + 1):
        reading = robot.read(k * slot_ns)
        moved = np.abs(np.r_[reading.position, reading.finger] - home)
        worst = np.fmax(worst, np.where(np.isfinite(moved), moved, np.inf))
    joint = int(np.argmax(worst))
    return float(worst[joint]), names[joint]


def _problems(rig: Rig, difference: float) -> list[str]:
    """What is wrong with the rig as described."""
    problems = []
    for name, low, high, home in zip(
        rig.joint_names, rig.lower, rig.upper, rig.q_home, strict=True
    ):
        if not low < high:
            problems.append(f"{name}: limits {low:.3f} to {high:.3f} leave no room")
        elif not low <= home <= high:
            problems.append(
                f"{name}: home {home:.3f} is outside of its limits {low:.3f}, {high:.3f}"
            )
    if not difference < AGREE_M:
        problems.append(f"MuJoCo and Pinocchio disagree by {difference:.1e} m")
    if rig.joint_names and not len(rig.collisions.geometry.geometryObjects):
        problems.append("no collision shapes: set [collision] groups to the geom groups of yours")
    return problems


def _limbs(rig: Rig) -> dict[str, list[JointReport]]:
    rows = zip(
        rig.joint_names,
        rig.lower.tolist(),
        rig.upper.tolist(),
        rig.q_home.tolist(),
        rig.velocity_limit.tolist(),
        rig.acceleration_limit.tolist(),
        strict=True,
    )
    joints = {row[0]: JointReport(*row) for row in rows}
    return {limb: [joints[name] for name in names] for limb, names in rig.limbs.items()}


def _overlaps(rig: Rig, robot: Any) -> list[list[str]]:
    """Dropped pairs by the bodies they belong to: shapes often have no name."""
    geom_of = {index: geom for geom, index in rig.collisions.geom_of.items()}
    objects = rig.collisions.geometry.geometryObjects
    body = {
        shape.name: robot.body(robot.geom_bodyid[geom_of[k]]).name
        for k, shape in enumerate(objects)
    }
    pairs = {tuple(sorted((body[a], body[b]))) for a, b in rig.collisions.dropped}
    return [list(pair) for pair in sorted(pairs)]


def _random_qpos(model: Any, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A posture within the joints' ranges; unlimited joints turn within ±π."""
    qpos = np.array(model.qpos0)
    for j in range(model.njnt):
        a = model.jnt_qposadr[j]
        if model.jnt_type[j] == int(mujoco.mjtJoint.mjJNT_FREE):
            qpos[a : a + 3] += rng.uniform(-1, 1, 3)
        elif model.jnt_type[j] != int(mujoco.mjtJoint.mjJNT_BALL):
            low, high = model.jnt_range[j] if model.jnt_limited[j] else (-np.pi, np.pi)
            qpos[a] = rng.uniform(low, high)
    return qpos


def _hand(hand: Hand) -> HandReport:
    rows = zip(
        hand.joint_names, hand.lower.tolist(), hand.upper.tolist(), hand.q_home.tolist(),
        hand.velocity_limit.tolist(), hand.acceleration_limit.tolist(), strict=True,
    )  # fmt: skip
    places = hand.section.tips.items()
    tips = {str(f): hand.position(link, hand.q_home).tolist() for f, link in places}
    joints = [JointReport(*row) for row in rows]
    return HandReport(joints, len(hand.mimic), hand.section.objective, tips)
