from __future__ import annotations

import numpy as np
import pytest

from retarget.kinematics import Kinematics
from retarget.tasks import FrameTask, PostureTask
from tests.retarget.helpers import finite_difference, random_q, random_rotation


@pytest.mark.parametrize("seed", range(5))
def test_frame_task_jacobian_matches_finite_differences(rig, seed):
    rng = np.random.default_rng(seed)
    kinematics = Kinematics(rig.model, dict(rig.tips))
    q = random_q(rig, rng)
    for tip in rig.tips:
        task = FrameTask(tip)
        kinematics.update(q)
        target = kinematics.tips[tip].pose()
        target[:3, :3] = random_rotation(rng, 2.5) @ target[:3, :3]
        target[:3, 3] += rng.uniform(-0.3, 0.3, 3)
        task.set_target(target)

        def residual(x, task=task):
            kinematics.update(x)
            return task.residual(kinematics)

        expected = finite_difference(residual, q)
        kinematics.update(q)
        assert np.allclose(task.jacobian(kinematics), expected, atol=1e-6)


def test_linearise_is_cost_times_residual_and_jacobian(openarm):
    kinematics = Kinematics(openarm.model, dict(openarm.tips))
    task = FrameTask("left_wrist", position_cost=2.0, rotation_cost=0.5)
    task.set_target(openarm.forward(openarm.q_posture)["left_wrist"], weight=3.0)
    kinematics.update(openarm.q_home)
    J, e = np.zeros((6, openarm.model.nv)), np.empty(6)
    task.linearise(kinematics, J, e)
    cost = 3.0 * np.array([2.0] * 3 + [0.5] * 3)
    assert np.allclose(e, cost * task.residual(kinematics))
    assert np.allclose(J, cost[:, None] * task.jacobian(kinematics))
    assert task.squared_cost(task.residual(kinematics)) == pytest.approx(float(e @ e))


def test_posture_task_jacobian_matches_finite_differences(openarm):
    kinematics = Kinematics(openarm.model, dict(openarm.tips))
    task = PostureTask(openarm.q_posture, cost=0.1)

    def residual(x):
        kinematics.update(x)
        return task.residual(kinematics)

    expected = finite_difference(residual, openarm.q_home)
    assert np.allclose(task.jacobian(kinematics), expected, atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_tip_motion_matches_finite_differences(rig, seed):
    rng = np.random.default_rng(seed)
    kinematics = Kinematics(rig.model, dict(rig.tips), rig.base_joints)
    q, dq = random_q(rig, rng), 1e-7 * rng.normal(size=rig.model.nq)
    for tip in rig.tips:
        before, after = rig.forward(q)[tip], rig.forward(q + dq)[tip]
        kinematics.update(q)
        motion = kinematics.tips[tip].motion(dq)
        assert np.allclose(motion[:3], after[:3, 3] - before[:3, 3], atol=1e-12)
