from __future__ import annotations

import mujoco
import numpy as np
import pinocchio as pin
import pytest

from retarget.model import build_collisions, build_tree, site_frame
from tests.retarget.conftest import cached_scene
from tests.retarget.helpers import random_q

MIXED = """
<mujoco><compiler angle="radian"/><worldbody>
  <body name="floating" pos="0 0 1"><freejoint name="free"/><geom size="0.1" mass="2"/>
    <body name="ball" pos="0.2 0 0" quat="0.9 0.1 0.2 0.3">
      <joint name="ball" type="ball" pos="0 0.1 0"/><geom size="0.1" mass="1"/>
      <body name="hinge" pos="0.3 0 0.1"><site name="tool" pos="0 0 0.1" quat="0.7 0 0.7 0"/>
        <joint name="a" axis="1 1 0" pos="0.1 0 0.05" ref="0.3" range="-1 2"/>
        <joint name="b" type="slide" axis="0 1 1" ref="-0.1" range="-1 1"/>
        <geom type="box" size="0.1 0.2 0.3" mass="1"/></body></body></body>
  <body name="other" pos="0 3 0"><joint name="c" axis="0 0 1"/><geom size="0.1" mass="1"/></body>
</worldbody></mujoco>
"""


def random_qpos(model, rng):
    qpos = model.qpos0.copy()
    for j in range(model.njnt):
        a, kind = model.jnt_qposadr[j], int(model.jnt_type[j])
        quat = rng.normal(size=4)
        quat /= np.linalg.norm(quat)
        if kind == 0:
            qpos[a : a + 7] = [*rng.uniform(-1, 1, 3), *quat]
        elif kind == 1:
            qpos[a : a + 4] = quat
        else:
            qpos[a] = rng.uniform(-1, 1)
    return qpos


def check_kinematics(model, rng, samples=4):
    """Bodies and sites of a compiled model sit in the same place in both engines."""
    tree, data = build_tree(model), mujoco.MjData(model)
    pin_data = tree.model.createData()
    for _ in range(samples):
        data.qpos[:] = random_qpos(model, rng)
        mujoco.mj_kinematics(model, data)
        pin.framesForwardKinematics(tree.model, pin_data, tree.to_q(model, data.qpos))
        for b in range(1, model.nbody):
            pose = pin_data.oMf[tree.body_frame[b]]
            assert np.abs(pose.translation - data.xpos[b]).max() < 1e-12
            assert np.abs(pose.rotation - data.xmat[b].reshape(3, 3)).max() < 1e-12
        for s in range(model.nsite):
            if model.site(s).name:
                frame = tree.model.getFrameId(site_frame(model.site(s).name))
                assert np.abs(pin_data.oMf[frame].translation - data.site_xpos[s]).max() < 1e-12


def test_every_joint_kind_agrees_with_mujoco():
    check_kinematics(mujoco.MjModel.from_xml_string(MIXED), np.random.default_rng(0), 20)


def test_every_rig_agrees_with_mujoco(rig):
    check_kinematics(cached_scene(rig.name), np.random.default_rng(0))


def test_reduced_model_agrees_with_mujoco_at_home_and_elsewhere(rig):
    model = cached_scene(rig.name)
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("home").id)
    address = [model.joint(name).qposadr[0] for name in rig.joint_names]
    assert np.allclose(data.qpos[address], rig.q_home)
    rng = np.random.default_rng(0)
    for q in [rig.q_home, random_q(rig, rng), random_q(rig, rng)]:
        q = np.array(q)
        q[rig.base_joints] = 0.0  # tips are told in the root, which a base carries along
        data.qpos[address] = q
        mujoco.mj_kinematics(model, data)
        for tip, T in rig.forward(q).items():
            site = model.site(rig.tip_sites[tip]).id
            assert np.abs(T[:3, 3] - data.site_xpos[site]).max() < 1e-12
            assert np.abs(T[:3, :3] - data.site_xmat[site].reshape(3, 3)).max() < 1e-12


def test_inertia_agrees_with_mujoco(openarm):
    model = openarm.compile(scene=False)
    tree = build_tree(model)
    assert sum(i.mass for i in tree.model.inertias) == pytest.approx(model.body_mass.sum())


def test_pairs_that_overlap_at_home_are_dropped():
    xml = """<mujoco><worldbody>
      <body name="a"><joint name="ja" axis="1 0 0"/><geom name="ga" size="0.1"/></body>
      <body name="b" pos=".15 0 0"><joint name="b" axis="1 0 0"/><geom name="gb" size="0.1"/></body>
      <body name="c" pos="1 0 0"><joint name="jc" axis="1 0 0"/><geom name="gc" size="0.1"/></body>
    </worldbody></mujoco>"""
    model = mujoco.MjModel.from_xml_string(xml)
    tree = build_tree(model)
    collisions = build_collisions(model, tree, np.zeros(3))
    assert collisions.dropped == (("ga", "gb"),)
    assert len(collisions.geometry.collisionPairs) == 2
    ignored = build_collisions(model, tree, np.zeros(3), [("c", "a")])
    assert len(ignored.geometry.collisionPairs) == 1


def test_both_engines_report_the_same_collisions(openarm):
    model = openarm.compile(scene=False)
    tree, data = build_tree(model), mujoco.MjData(model)
    collisions = build_collisions(model, tree, tree.to_q(model, model.key("home").qpos))
    geom = {index: g for g, index in collisions.geom_of.items()}
    pin_data, geometry = tree.model.createData(), collisions.geometry
    geometry_data = geometry.createData()
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(10):
        data.qpos[:] = rng.uniform(*model.jnt_range.T)
        mujoco.mj_forward(model, data)
        q = tree.to_q(model, data.qpos)
        pin.computeCollisions(tree.model, pin_data, geometry, geometry_data, q, False)
        ours = {
            frozenset((geom[pair.first], geom[pair.second]))
            for pair, result in zip(
                geometry.collisionPairs, geometry_data.collisionResults, strict=True
            )
            if result.isCollision()
        }
        contacts = data.contact
        touching = contacts.geom[contacts.dist < 0]
        theirs = {frozenset(map(int, pair)) for pair in touching}
        seen += len(theirs)
        assert len(ours ^ theirs) <= 1  # grazing contacts may differ
    assert seen > 5
