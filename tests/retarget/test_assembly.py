"""Robots put together from several model files."""

from __future__ import annotations

import mujoco
import numpy as np
import pinocchio as pin
import pytest

from retarget import load_rig
from retarget.errors import ModelFileError, NoJointsError, RigFileError, UnknownNameError

ARM = """<mujoco><compiler angle="radian" autolimits="true"/>
  <asset><mesh name="shell" vertex="0 0 0 .1 0 0 0 .1 0 0 0 .1"/></asset>
  <worldbody>
    <body name="arm" pos="0 0 0.1">
      <joint name="swing" axis="0 0 1" range="-2 2"/><geom size="0.01" pos="0.1 0 0"/>
      <geom type="mesh" mesh="shell" contype="0" conaffinity="0"/>
      <body name="fore" pos="0.3 0 0"><joint name="bend" axis="0 1 0" range="-2 2"/>
        <geom size="0.01"/></body></body>
    <body name="twin" pos="0 5 0"><geom size="0.01"/></body>
  </worldbody>
  <actuator><position name="swing" joint="swing" kp="10"/></actuator>
  <keyframe><key name="rest" qpos="1 1"/></keyframe>
</mujoco>"""
STAND = """<mujoco><worldbody><body name="stand" pos="0 0 0.5"><geom size="0.05"/></body>
  </worldbody></mujoco>"""
RIG = """
name = "pair"
[model]
path = "stand.xml"
[[attach]]
path = "arm.xml"
prefix = "l_"
body = "stand"
position = [0.0, 0.2, 0.0]
quat_xyzw = [0.0, 0.0, 0.70710678118654752, 0.70710678118654752]
[[attach]]
path = "arm.xml"
prefix = "r_"
body = "stand"
position = [0.0, -0.2, 0.0]
[arms.left]
joints = ["l_swing", "l_bend"]
tip = { site = "left_tip", body = "l_fore" }
[arms.right]
joints = ["r_swing", "r_bend"]
tip = { site = "right_tip", body = "r_fore" }
[limits]
velocity = { "*" = 3.0 }
acceleration = { "*" = 40.0 }
"""


@pytest.fixture
def pair(tmp_path):
    """A function that writes a variant of the rig and loads it."""

    def load(old="", new="", models=()):
        files = {"arm.xml": ARM, "stand.xml": STAND, **dict(models)}
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        assert old in RIG
        (tmp_path / "pair.toml").write_text(RIG.replace(old, new, 1) if old else RIG)
        return load_rig(tmp_path / "pair.toml")

    return load


def test_attached_models_stand_where_the_file_puts_them(pair):
    rig = pair()
    assert rig.joint_names == ("l_swing", "l_bend", "r_swing", "r_bend")
    tips = rig.forward(rig.q_home)
    assert np.allclose(tips["left_wrist"][:3, 3], [0.0, 0.5, 0.6], atol=1e-9)
    assert np.allclose(tips["right_wrist"][:3, 3], [0.3, -0.2, 0.6], atol=1e-9)


def test_a_top_level_body_can_be_put_elsewhere(pair):
    place = 'prefix = "r_"\nplace = { arm = { position = [0.0, 0.0, 1.0] } }'
    tips = (rig := pair('prefix = "r_"', place)).forward(rig.q_home)
    assert np.allclose(tips["right_wrist"][:3, 3], [0.3, -0.2, 1.5], atol=1e-9)
    assert np.allclose(tips["left_wrist"][:3, 3], [0.0, 0.5, 0.6], atol=1e-9)


def test_unwanted_meshes_are_left_out_of_one_model_only(pair):
    model = pair('prefix = "r_"', 'prefix = "r_"\ndrop_meshes = ["sh*"]').compile()
    assert model.body("l_arm").geomnum[0] == 2
    assert model.body("r_arm").geomnum[0] == 1


@pytest.mark.parametrize(
    ("old", "new", "error", "says"),
    [
        ('body = "stand"', 'body = "stool"', UnknownNameError, "no body 'stool'"),
        ('"l_"', '"l_"\nplace = { leg = { position = [0, 0, 0] } }', UnknownNameError, "'twin'"),
        ('"l_"', '"l_"\ndrop_meshes = ["shall"]', RigFileError, "shell"),
        ('prefix = "r_"', 'prefix = "l_"', ModelFileError, "prefix"),
        ('path = "arm.xml"', 'path = "leg.xml"\nhint = "ask Leg"', ModelFileError, "ask Leg"),
        ('prefix = "l_"', 'prefx = "l_"', RigFileError, "prefix, body, position"),
    ],
)
def test_a_mistake_in_an_attachment_is_explained(pair, old, new, error, says):
    with pytest.raises(error) as caught:
        pair(old, new)
    assert says in str(caught.value)


def test_an_assembly_without_joints_is_refused(pair):
    with pytest.raises(NoJointsError, match="no joints"):
        pair(models=[("arm.xml", STAND.replace("stand", "arm"))])


def test_a_fixed_base_stands_where_the_keyframe_has_it(tmp_path):
    (tmp_path / "robot.xml").write_text(
        """<mujoco><compiler angle="radian" autolimits="true"/><worldbody>
        <body name="hips" pos="0 0 2"><freejoint/><geom size="0.1"/>
          <body name="arm"><joint name="j" axis="0 0 1" range="-2 2"/><geom size="0.1"/></body>
        </body></worldbody>
        <keyframe><key name="stand" qpos="0.1 0 0.9 0 0 0 1 0.5"/></keyframe></mujoco>"""
    )
    (tmp_path / "robot.toml").write_text(
        """name = "robot"
        model = { path = "robot.xml" }
        home = { keyframe = "stand" }
        limits = { velocity = { "*" = 1.0 }, acceleration = { "*" = 1.0 } }
        [arms.left]
        joints = ["j"]
        tip = { site = "tip", body = "arm", offset = [1.0, 0.0, 0.0] }
        """
    )
    rig = load_rig(tmp_path / "robot.toml")
    assert rig.q_home == pytest.approx([0.5])
    turned = [0.1 - np.cos(0.5), -np.sin(0.5), 0.9]
    assert np.allclose(rig.forward(rig.q_home)["left_wrist"][:3, 3], turned, atol=1e-9)


GRIPPER = """<mujoco><compiler angle="radian" autolimits="true"/>
  <default><default class="a"><geom size="0.01"/><joint type="slide"/></default></default>
  <worldbody>
    <body name="hand"><joint name="turn" axis="0 0 1" range="-2 2"/><geom size="0.1"/>
      <body childclass="a"><joint name="a" axis="0 1 0" range="0 0.04"/><geom/></body>
      <body childclass="a"><joint name="b" axis="0 -1 0" range="0 0.08"/><geom/></body>
    </body>
  </worldbody>
  <tendon><fixed name="both"><joint joint="a" coef="0.5"/><joint joint="b" coef="0.25"/></fixed>
  </tendon>
  <equality><joint joint1="a" joint2="b" polycoef="0 0.5 0 0 0"/></equality>
  <actuator><general name="motor" tendon="both" ctrlrange="0 255" gainprm="0.0157"
    biastype="affine" biasprm="0 -100 -10"/></actuator></mujoco>"""


def test_a_gripper_with_controls_of_its_own_starts_open_with_both_fingers(tmp_path):
    (tmp_path / "robot.xml").write_text(GRIPPER)
    (tmp_path / "robot.toml").write_text(
        """name = "robot"
        model = { path = "robot.xml" }
        limits = { velocity = { "*" = 1.0 }, acceleration = { "*" = 1.0 } }
        [arms.left]
        joints = ["turn"]
        tip = { site = "tip", body = "hand" }
        [grippers.left]
        joint = "a"
        actuator = "motor"
        open = 0.04
        closed = 0.0
        ctrl_open = 255.0
        ctrl_closed = 0.0
        """
    )
    rig = load_rig(tmp_path / "robot.toml")
    assert rig.grippers["left"].control(0.5) == pytest.approx(127.5)
    home = (model := rig.compile()).key("home")
    assert home.ctrl[model.actuator("motor").id] == 255.0
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    assert data.joint("a").qpos[0] == pytest.approx(0.04)
    assert data.joint("b").qpos[0] == pytest.approx(0.08)


def test_a_planar_base_is_a_limb(pair):
    rolling = STAND.replace(
        '<geom size="0.05"/>',
        """<joint name="x" type="slide" axis="1 0 0" range="-9 9"/>
        <joint name="y" type="slide" axis="0 1 0" range="-9 9"/>
        <joint name="yaw" axis="0 0 1" range="-9 9"/><geom size="0.05"/>""",
    )
    base = '[base]\nkind = "planar"\njoints = ["x", "y", "yaw"]\n[arms.left]'
    rig = pair("[arms.left]", base, models=[("stand.xml", rolling)])
    assert rig.limbs["base"] == ("x", "y", "yaw")
    assert rig.effort[rig.joint_names.index("yaw")] > 100 * rig.effort[-1]
    q = rig.q_home.copy()
    q[:3] = 1.0, 2.0, np.pi / 2
    right = rig.forward(q)["right_wrist"][:3, 3]
    assert np.allclose(right, [0.3, -0.2, 0.6], atol=1e-9)  # the base carries the root along
    pin.framesForwardKinematics(rig.model, data := rig.model.createData(), q)
    at = data.oMf[rig.model.getFrameId(rig.tips["right_wrist"])].translation
    assert np.allclose(at, [1.2, 2.3, 0.6], atol=1e-9)
