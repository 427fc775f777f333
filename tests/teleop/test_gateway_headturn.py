"""Pictures of a moving head say how their camera had turned; checked by MuJoCo's own cameras."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from retarget.frames import matrix_to_pose, pose_to_matrix, stage_to_robot
from retarget.spec import HOME_KEY
from teleop.gateway.headturn import HeadTurns
from teleop.protocol import Codec, StreamInfo, VideoPicture, decode_video, encode_video
from teleop.samples import robot_state_dtype
from tests.retarget.conftest import cached_rig, cached_scene

MS = 1_000_000
STREAMS = tuple(
    StreamInfo(id=i, name=name, eye=eye, width=64, height=48, fovy_deg=60.0, codec="jpeg")
    for i, (name, eye) in enumerate([("head_left", "left"), ("wrist_left", "")])
)
STAGE = matrix_to_pose(stage_to_robot())


def picture(stream_id: int, t_capture_ns: int) -> VideoPicture:
    return VideoPicture(stream_id, Codec.JPEG, True, 1, t_capture_ns, b"x")


def rotation(quat_xyzw: tuple[float, ...]) -> np.ndarray:
    return pose_to_matrix(np.array([0.0, 0.0, 0.0, *quat_xyzw]))[:3, :3]


def camera_rotation(q: np.ndarray) -> np.ndarray:
    """R_robot_camera of the left eye, by MuJoCo."""
    rig, model = cached_rig("g1-dex3"), cached_scene("g1-dex3")
    data = mujoco.MjData(model)
    data.qpos[:] = model.key(HOME_KEY).qpos
    for name, value in zip(rig.joint_names, q, strict=True):
        data.qpos[model.joint(name).qposadr[0]] = value
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    camera = next(c for c in rig.cameras if c.name == "head_left")
    return data.cam_xmat[model.camera(camera.mujoco_name).id].reshape(3, 3).copy()


def test_the_turn_is_that_of_the_camera_when_the_picture_was_taken() -> None:
    rig = cached_rig("g1-dex3")
    turns = HeadTurns(rig.forward, rig.q_home, STREAMS)
    rng = np.random.default_rng(1)
    states = []
    for k in range(50):
        q = rig.q_home.copy()
        for joint in rig.limbs["torso"]:
            q[rig.joint_names.index(joint)] += rng.uniform(-0.4, 0.4)
        row = np.zeros(1, robot_state_dtype(len(rig.joint_names), 2))[0]
        row["t_ns"], row["position"] = 10 * MS * k, q
        turns.hear(row)
        states.append(q)
    home = camera_rotation(rig.q_home)
    R_robot_stage = stage_to_robot()[:3, :3]
    for k in (3, 20, 49):
        turned = turns.attach(picture(0, 10 * MS * k), STAGE)
        assert turned.turn_xyzw is not None
        expected = R_robot_stage.T @ camera_rotation(states[k]) @ home.T @ R_robot_stage
        np.testing.assert_allclose(rotation(turned.turn_xyzw), expected, atol=1e-6)


def test_only_eyes_of_a_head_that_moves_have_one() -> None:
    rig = cached_rig("g1-dex3")
    turns = HeadTurns(rig.forward, rig.q_home, STREAMS)
    row = np.zeros(1, robot_state_dtype(len(rig.joint_names), 2))[0]
    assert turns.attach(picture(0, 0), STAGE).turn_xyzw is None, "nothing is known yet"
    row["position"] = rig.q_home
    turns.hear(row)
    assert turns.attach(picture(0, 0), STAGE).turn_xyzw is None, "at home there is none"
    row["position"][rig.joint_names.index(rig.limbs["torso"][0])] += 0.3
    row["t_ns"] = 5
    turns.hear(row)
    assert turns.attach(picture(0, 0), STAGE).turn_xyzw is None, "not turned yet"
    assert turns.attach(picture(0, 10), STAGE).turn_xyzw is not None
    assert turns.attach(picture(1, 10), STAGE).turn_xyzw is None, "a wrist camera"
    fixed = HeadTurns(cached_rig("openarm").forward, cached_rig("openarm").q_home, STREAMS)
    assert fixed.attach(picture(0, 10), STAGE).turn_xyzw is None, "its cameras stand still"


@pytest.mark.parametrize("turn", [None, (0.0, 0.5, 0.0, 0.75)])
def test_a_turn_travels_with_its_picture(turn: tuple[float, float, float, float] | None) -> None:
    sent = VideoPicture(3, Codec.H264, True, 7, 123, b"payload", turn)
    assert decode_video(encode_video(sent)) == sent
