"""The skeleton an operator sees is the robot's, measured, in the operator's space."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from retarget.frames import matrix_to_pose, pose_to_matrix, stage_to_robot
from retarget.spec import HOME_KEY
from teleop.gateway.robotbody import RobotBody
from teleop.gateway.serving import Serving
from teleop.protocol import RigInfo
from teleop.samples import robot_state_dtype
from tests.retarget.conftest import ARM_RIGS, cached_rig, cached_scene


@pytest.mark.parametrize("name", ARM_RIGS)
def test_points_are_where_mujoco_has_the_joints(name: str) -> None:
    rig, model = cached_rig(name), cached_scene(name)
    data = mujoco.MjData(model)
    data.qpos[:] = model.key(HOME_KEY).qpos
    rng = np.random.default_rng(0)
    q = rig.q_home + rng.uniform(-0.2, 0.2, len(rig.q_home))
    q[rig.base_joints] = 0.0
    for joint, value in zip(rig.joint_names, q, strict=True):
        data.qpos[model.joint(joint).qposadr[0]] = value
    mujoco.mj_kinematics(model, data)
    tips = rig.forward(q)
    for limb, points in rig.chains(q).items():
        assert len(points) >= len(rig.limbs[limb])
        if not rig.limbs[limb]:
            continue  # a head that the waist carries
        anchors = np.array([data.joint(joint).xanchor for joint in rig.limbs[limb]])
        # the robot's root may stand anywhere in the scene: compare shapes
        between = np.linalg.norm(np.diff(points[: len(anchors)], axis=0), axis=1)
        np.testing.assert_allclose(
            between, np.linalg.norm(np.diff(anchors, axis=0), axis=1), atol=1e-9
        )
        tip = tips.get("head" if limb == "head" else f"{limb}_wrist")
        if tip is not None:
            np.testing.assert_allclose(points[-1], tip[:3, 3], atol=1e-12)


def test_it_stands_in_the_operators_space() -> None:
    rig = cached_rig("openarm")
    body = RobotBody(
        Serving(
            "token",
            RigInfo(name="r", joint_names=rig.joint_names, gripper_names=(), tips={}),
            rig.q_home,
            forward=rig.forward,
            chains=rig.chains,
        )
    )
    T_robot_stage = stage_to_robot()
    T_robot_stage[:3, 3] = (0.1, -0.2, 1.5)
    pose = matrix_to_pose(T_robot_stage)
    assert body.skeleton(pose) == {}
    row = np.zeros(1, robot_state_dtype(len(rig.joint_names), 2))[0]
    row["position"] = rig.q_home
    body.hear(row)
    skeleton = body.skeleton(pose)
    assert set(skeleton) == {"left", "right"}
    for limb, points in rig.chains(rig.q_home).items():
        T = pose_to_matrix(pose)
        back = np.array(skeleton[limb]) @ T[:3, :3].T + T[:3, 3]
        np.testing.assert_allclose(back, points, atol=1e-3)
    tips = {tip: tuple(matrix_to_pose(T)) for tip, T in rig.forward(rig.q_home).items()}
    for tip, target in body.targets(tips, pose).items():
        again = T_robot_stage @ pose_to_matrix(np.array(target))
        np.testing.assert_allclose(again, rig.forward(rig.q_home)[tip], atol=1e-5)
    left, right = (np.array(skeleton[side])[-1] for side in ("left", "right"))
    assert left[0] < right[0], "the left hand is on the left"
