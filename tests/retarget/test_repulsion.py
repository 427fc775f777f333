from __future__ import annotations

import dataclasses

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retarget import Retargeter, RetargeterConfig, Targets
from retarget.capsules import Capsule
from retarget.compiled import CompiledEngine
from retarget.fitting import collision_shapes
from retarget.kernels.kinematics import place_joints
from retarget.kinematics import Kinematics
from retarget.reference import ReferenceEngine
from retarget.repulsion import Repulsion
from retarget.settings import CollisionConfig, SwivelConfig
from retarget.tasks import SwivelTask
from tests.retarget.conftest import ARM_RIGS, FILES, cached_rig
from tests.retarget.helpers import finite_difference, random_q

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
RATE = 200.0
WITHOUT_MESHES = ("apollo",)
"""Rigs whose colliding parts are primitive shapes."""
ELBOW_RIGS = tuple(n for n in ARM_RIGS if "left" in FILES[n].arms and FILES[n].arms["left"].elbow)
WHOLE = ("openarm", "g1-dex3")
"""Rigs whose hulls overlap nowhere within joint limits but for parts that repulsion keeps apart."""


def crossing_hands(rig, k):
    """Each hand goes 10 cm beyond the middle between them, and back, in six seconds."""
    tips = rig.forward(rig.q_home)
    left, right = tips["left_wrist"].copy(), tips["right_wrist"].copy()
    share = 0.5 * (1 - np.cos(2 * np.pi * k / 1200))
    gap = right[:3, 3] - left[:3, 3]
    way = share * (0.5 + 0.1 / np.linalg.norm(gap)) * gap
    left[:3, 3] += way
    right[:3, 3] -= way
    return Targets(left, right)


@pytest.mark.parametrize("name", [n for n in ARM_RIGS if n not in WITHOUT_MESHES])
def test_capsules_hold_the_parts_they_stand_for(name):
    rig = cached_rig(name)
    shapes, geometry = collision_shapes(rig), rig.collisions.geometry
    held = 0
    for shape in geometry.geometryObjects:
        mine = shapes.joints == shape.parentJoint
        if shape.parentJoint == 0 or not mine.any() or not hasattr(shape.geometry, "points"):
            continue
        pose = shape.placement
        points = np.array(shape.geometry.points()) @ pose.rotation.T + pose.translation
        capsules = [
            Capsule(*ends, radius)
            for ends, radius in zip(shapes.ends[mine], shapes.radii[mine], strict=True)
        ]
        assert np.max([c.depth(points) for c in capsules], axis=0).min() > -1e-9
        held += 1
    assert held


def test_distances_change_as_their_gradients_say(rig):
    rng = np.random.default_rng(5)
    kinematics = Kinematics(rig.model, dict(rig.tips))
    shapes = collision_shapes(rig)
    still = np.zeros(len(rig.joint_names))
    repulsion = Repulsion(shapes, CollisionConfig(band_m=0.2), still + 1.0)
    unknown = np.full(repulsion.pairs, np.nan)
    checked = 0
    for _ in range(2):
        q = random_q(rig, rng)
        kinematics.update(q)
        # where following began far away, all pairs within the band count
        near, _ = repulsion.near(kinematics, np.full_like(unknown, 0.2), still)
        if not len(near.rows):
            continue

        def distance(x):
            kinematics.update(x)
            return shapes.distances(kinematics.data, 0.2)

        slopes = finite_difference(distance, q)
        for row, (d, _, _) in zip(near.rows, near.room, strict=True):
            same = np.abs(distance(q) - d) < 1e-9
            errors = np.abs(slopes[same] - row).max(axis=1)
            checked += 1
            assert errors.min() < 1e-4 or d < 0.0  # flat faces have corners
    assert checked > 5


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_hands_that_would_cross_stay_apart(rig, mode):
    r = Retargeter(rig, RATE, collision=mode)
    least, hulls = np.inf, np.inf
    for k in range(1200):
        s = r.step(crossing_hands(rig, k))
        least = min(least, s.clearance_m)
        if k % 40 == 0 and rig.name in WHOLE:
            hulls = min(hulls, rig.clearance(s.q))
    assert least > -0.001
    assert hulls > 0.0
    home = crossing_hands(rig, 0)
    for _ in range(600):
        s = r.step(home)
    assert max(p for p, _ in s.residuals.values()) < 2e-3


@pytest.mark.parametrize("rate_hz", [200, 72])
@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_hands_that_rush_through_one_another_never_overlap(rig, mode, rate_hz):
    """Both at 1.3 m/s at most, also on robots that need 20 cm to stop."""
    tips = rig.forward(rig.q_home)
    gap = tips["right_wrist"][:3, 3] - tips["left_wrist"][:3, 3]
    way = (0.5 + 0.1 / np.linalg.norm(gap)) * gap
    ticks = round(1.5 * np.linalg.norm(way) / 1.3 * rate_hz)
    r = Retargeter(rig, rate_hz, collision=mode)
    least = np.inf
    for k in range(ticks + rate_hz):
        u = min(k / ticks, 1.0)
        share = u * u * (3 - 2 * u)
        left, right = tips["left_wrist"].copy(), tips["right_wrist"].copy()
        left[:3, 3] += share * way
        right[:3, 3] -= share * way
        least = min(least, r.step(Targets(left, right)).clearance_m)
    assert least > 0.0


def test_without_repulsion_they_would_have_met(rig):
    r = Retargeter(rig, RATE, collision="off")
    least = min(rig.clearance(r.step(crossing_hands(rig, k)).q) for k in range(0, 600, 2))
    assert least < 0.0
    assert np.isnan(r.step(crossing_hands(rig, 0)).clearance_m)


def test_engaging_next_to_an_obstacle_moves_nothing(rig):
    """Also in overlap: a pair may stay as near as it was, only not come nearer."""
    rng = np.random.default_rng(2)
    near = 0
    for _ in range(30):
        q = random_q(rig, rng)
        r = Retargeter(rig, RATE)
        r.reset(q)
        tips = {f"T_robot_{tip}": T for tip, T in rig.forward(q).items()}
        for _ in range(5):
            s = r.step(Targets(**tips))
            assert np.abs(s.q - q).max() < 1e-9
        near += s.clearance_m < 0.02
    assert near > 3


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_engines_agree_while_parts_are_near(mode):
    rig = cached_rig("openarm")
    config = RetargeterConfig(collision=CollisionConfig(mode=mode))
    one, other = (
        Retargeter(rig, RATE, config, engine(rig, 1 / RATE, config))
        for engine in (CompiledEngine, ReferenceEngine)
    )
    elbow = np.array([0.1, 0.35, 1.1])
    for k in range(300):
        crossing = crossing_hands(rig, k)
        targets = dataclasses.replace(crossing, elbows={"left": elbow})
        a, b = one.step(targets), other.step(targets)
        assert np.allclose(a.q, b.q, rtol=0, atol=1e-9 if mode == "soft" else 1e-7)
        assert a.clearance_m == pytest.approx(b.clearance_m, abs=1e-9 if mode == "soft" else 1e-7)
        assert a.status == b.status


@few
@given(seed=seeds)
def test_kernels_place_joints_where_pinocchio_does(seed):
    rng = np.random.default_rng(seed)
    for name in ("openarm", "g1-dex3"):
        rig = cached_rig(name)
        engine = CompiledEngine(rig, 0.005, RetargeterConfig(collision=CollisionConfig("off")))
        q, data = random_q(rig, rng), rig.model.createData()
        J = pin.computeJointJacobians(rig.model, data, q)
        tree = engine.tree
        place_joints(q, *tree)
        assert np.allclose(tree[6], J, rtol=0, atol=1e-12)
        M = np.array([pose.homogeneous[:3] for pose in data.oMi])
        assert np.allclose(tree[5], M, rtol=0, atol=1e-12)


@few
@given(seed=seeds)
def test_swivel_jacobian_is_its_derivative(seed):
    rng = np.random.default_rng(seed)
    rig = cached_rig("g1-dex3")
    kinematics = Kinematics(rig.model, dict(rig.tips))
    joint = rig.model.getJointId
    task = SwivelTask(
        joint(rig.limbs["left"][0]), joint(rig.elbows["left"]), "left_wrist", SwivelConfig(), 0.005
    )
    q = rig.q_home + rng.uniform(-0.3, 0.3, len(rig.q_home))
    task.set_target(rng.uniform(-0.3, 0.3, 3) + np.array([0.1, 0.4, 0.2]))

    def residual(x):
        kinematics.update(x)
        return task.residual(kinematics)

    slopes = finite_difference(residual, q)
    kinematics.update(q)
    assert np.allclose(task.jacobian(kinematics), slopes, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ELBOW_RIGS)
def test_an_elbow_follows_and_the_hand_stays(name):
    rig = cached_rig(name)
    r = Retargeter(rig, RATE, collision="off")
    tip = rig.forward(rig.q_home)["left_wrist"]
    kinematics = Kinematics(rig.model, dict(rig.tips))
    joint = rig.model.getJointId(rig.elbows["left"])
    kinematics.update(rig.q_home)
    elbow = np.array(kinematics.data.oMi[joint].translation)
    out = elbow + np.array([0.0, 0.15, 0.1])
    for _ in range(600):
        s = r.step(Targets(T_robot_left_wrist=tip, elbows={"left": out}))
        assert s.residuals["left_wrist"][0] < 5e-3
    kinematics.update(s.q)
    moved = np.array(kinematics.data.oMi[joint].translation) - elbow
    assert moved @ [0.0, 0.15, 0.1] > 0.05 * np.linalg.norm([0.15, 0.1])
