"""What holds for every rig that is shipped."""

from __future__ import annotations

import importlib.metadata
import importlib.util

import mujoco
import numpy as np
import pytest

from retarget import Retargeter, Targets, builtin_rigs, load_rig
from retarget.errors import MissingModelPackageError
from retarget.rigfile import find_rig, read_rig
from retarget.sources import missing_packages
from tests.retarget.conftest import cached_scene

PACKAGED = [
    (name, source.package, source.extra)
    for name in builtin_rigs()
    for file in [read_rig(find_rig(name))]
    for source in (file.model, *file.attach)
    if source.extra
]


@pytest.fixture
def scene(rig):
    return cached_scene(rig.name)


@pytest.fixture
def at_home(scene):
    data = mujoco.MjData(scene)
    mujoco.mj_resetDataKeyframe(scene, data, scene.key("home").id)
    mujoco.mj_forward(scene, data)
    return data


def test_home_lies_within_limits_that_leave_room(rig):
    assert (rig.lower < rig.upper).all()
    assert (rig.lower <= rig.q_home).all()
    assert (rig.q_home <= rig.upper).all()
    assert (rig.lower <= rig.q_posture).all()
    assert (rig.q_posture <= rig.upper).all()


def test_velocity_and_acceleration_are_limited(rig):
    for limit in (rig.velocity_limit, rig.acceleration_limit):
        assert np.isfinite(limit).all()
        assert (limit > 0).all()


def test_nothing_overlaps_at_home(rig):
    assert rig.collisions.dropped == ()
    assert len(rig.collisions.geometry.collisionPairs) > 0
    assert rig.clearance(rig.q_home) > 0


def test_nothing_pushes_the_robot_at_home(rig, scene, at_home):
    robot = set(scene.jnt_bodyid[[scene.joint(name).id for name in rig.joint_names]].tolist())
    touched = [
        {scene.body(scene.geom_bodyid[geom]).name for geom in contact.geom}
        for contact in at_home.contact
        if contact.dist < 0 and robot & set(scene.geom_bodyid[contact.geom].tolist())
    ]
    assert touched == []


def test_left_is_left_and_the_operator_sees_both_hands(rig, scene, at_home):
    tips = {side: at_home.site(rig.tip_sites[f"{side}_wrist"]).xpos for side in ("left", "right")}
    assert tips["left"][1] > tips["right"][1]
    eyes = [camera for camera in rig.cameras if camera.eye]
    assert {camera.eye for camera in eyes} == {"left", "right"}
    for eye in eyes:
        camera = at_home.camera(eye.mujoco_name)
        half = np.tan(np.radians(eye.fovy_deg) / 2)
        for tip in tips.values():
            x, y, z = camera.xmat.reshape(3, 3).T @ (tip - camera.xpos)
            assert z < 0
            assert abs(y / z) < half
            assert abs(x / z) < half * eye.width / eye.height


def test_eyes_are_as_far_apart_as_a_persons(rig, at_home):
    left, right = (
        next(at_home.camera(c.mujoco_name) for c in rig.cameras if c.eye == eye)
        for eye in ("left", "right")
    )
    assert np.linalg.norm(left.xpos - right.xpos) == pytest.approx(0.064, abs=1e-6)
    assert np.allclose(left.xmat, right.xmat, atol=1e-6)
    to_the_right = left.xmat.reshape(3, 3).T @ (right.xpos - left.xpos)
    assert np.allclose(to_the_right, [0.064, 0, 0], atol=2e-3)


def test_gripper_values_lie_within_the_joints_range(rig, scene):
    for gripper in rig.grippers.values():
        low, high = scene.joint(gripper.joint).range
        assert low <= min(gripper.open, gripper.closed) < max(gripper.open, gripper.closed) <= high


def lead(rig, goals, ticks=500):
    """Lead tips from home to goals at a steady pace, wait; the largest distance left [m]."""
    retargeter, tips = Retargeter(rig), rig.forward(rig.q_home)
    for k in range(ticks):
        share = min(1.0, 2 * k / ticks)
        targets = {}
        for tip, goal in goals.items():
            T = tips[tip].copy()
            T[:3, 3] += share * (goal - T[:3, 3])
            targets[f"T_robot_{tip}"] = T
        solution = retargeter.step(Targets(**targets))
    return max(solution.residuals[tip][0] for tip in goals)


def test_a_hand_can_be_led_over_an_object(rig, scene, at_home):
    free = np.flatnonzero(scene.jnt_type == int(mujoco.mjtJoint.mjJNT_FREE))
    above = at_home.xpos[scene.jnt_bodyid[free[0]]] + [0.0, 0.0, 0.18]
    if "base" in rig.limbs:
        above[0] -= 0.3  # as far as the base would be driven up first
    wrists = {tip: T for tip, T in rig.forward(rig.q_home).items() if tip != "head"}
    nearest = min(wrists, key=lambda tip: np.linalg.norm(wrists[tip][:3, 3] - above))
    assert lead(rig, {nearest: above}) < 2e-3


def test_both_hands_can_be_led_forwards_and_up(rig):
    tips = rig.forward(rig.q_home)
    goals = {f"{s}_wrist": tips[f"{s}_wrist"][:3, 3] + [0.04, 0, 0.05] for s in ("left", "right")}
    assert lead(rig, goals) < 1e-3


def test_a_base_is_driven_by_joints_of_its_own(rig):
    base = rig.limbs.get("base", ())
    assert set(base) <= set(rig.joint_names)
    others = {name for limb, names in rig.limbs.items() if limb != "base" for name in names}
    assert not set(base) & others
    assert (rig.name == "mobile-aloha") == bool(base)


@pytest.mark.parametrize(("name", "package", "extra"), PACKAGED)
def test_a_rig_without_its_package_names_the_extra(name, package, extra, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda wanted: None if wanted == package else find(wanted)
    )
    monkeypatch.setattr(importlib.metadata, "files", lambda name: None)
    with pytest.raises(MissingModelPackageError, match=rf'pip install "telecap\[.*{extra}?.*\]"'):
        load_rig(name)
    assert f'pip install "telecap[{extra}]"' in missing_packages(read_rig(find_rig(name)))
