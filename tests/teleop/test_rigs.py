"""Every rig in simulation, and what `telecap rigs` says about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from retarget import Rig, builtin_rigs, load_rig
from retarget.errors import MissingModelPackageError, ModelFileError
from retarget.rigfile import RigFile, read_rig
from teleop.cameras.base import SimState
from teleop.cameras.mujoco import MujocoCameras
from teleop.cameras.profile import RenderProfile
from teleop.cli import main
from teleop.config import CameraConfig
from teleop.rigcheck import MAX_DRIFT, engines_difference, home_drift, inspect_rig
from teleop.robots.base import JointCommand
from teleop.robots.mujoco import MujocoRobot
from tests.retarget.conftest import ARM_RIGS, cached_rig, cached_scene

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "rigs"
TEMPLATE = ROOT / "docs" / "rig-template.toml"
TUTORIAL = ROOT / "docs" / "bring-your-own.md"
PLAIN = RenderProfile("plain", 64, 48, triangles=None, as_shipped=False)


@pytest.fixture(params=ARM_RIGS, scope="module")
def rig(request: pytest.FixtureRequest) -> Rig:
    return cached_rig(request.param)


@pytest.fixture(scope="module")
def vega() -> Rig:
    try:
        return load_rig(EXAMPLES / "vega.toml")
    except MissingModelPackageError as error:
        pytest.skip(str(error))


def run(*args: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in args])
    code = end.value.code
    return code if isinstance(code, int) else 0


def advance(robot: MujocoRobot, seconds: float) -> None:
    """Let the simulation run in slots of 4 ms."""
    for k in range(1, round(seconds / 0.004) + 1):
        reading = robot.read(k * 4_000_000)
    robot.start(0)
    assert np.isfinite(reading.position).all()


@pytest.fixture(scope="module")
def robot(rig: Rig) -> MujocoRobot:
    return MujocoRobot(rig)


def test_home_is_held_in_simulation(rig: Rig, robot: MujocoRobot) -> None:
    robot.request({"op": "scene_reset", "seed": 0}, 0)
    drift, joint = home_drift(rig, robot)
    assert drift < MAX_DRIFT, joint


def test_grippers_close_and_open_in_simulation(rig: Rig, robot: MujocoRobot) -> None:
    robot.request({"op": "scene_reset", "seed": 0}, 0)
    n = len(rig.joint_names)
    for opening in (0.0, 1.0):
        command = JointCommand(rig.q_home, np.zeros(n), np.full(len(rig.gripper_names), opening))
        robot.apply(command, 0)
        advance(robot, 1.0)
        assert np.allclose(robot.read(0).gripper, opening, atol=0.1)


def rendered(rig: Rig, names: Sequence[str]) -> dict[str, np.ndarray]:
    cameras = MujocoCameras(rig, [CameraConfig(name=n, width=64, height=48) for n in names], PLAIN)
    try:
        model = cached_scene(rig.name) if rig.name in builtin_rigs() else rig.compile()
        state = SimState(0, model.key("home").qpos.copy())
        return {name: cameras.render(name, state) for name in names}
    finally:
        cameras.close()


def test_every_camera_shows_something(rig: Rig) -> None:
    for name, picture in rendered(rig, [c.name for c in rig.cameras]).items():
        assert picture.std() > 10, f"{name} shows one colour"


# ------------------------------------------------------------------ telecap rigs


def test_the_list_says_what_each_rig_is_and_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rigs", "list", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert tuple(rows) == builtin_rigs()
    assert rows["openarm"]["installed"]
    assert rows["openarm"]["joints"] == 14
    assert all(row["description"] for row in rows.values())
    assert all(row["installed"] or "telecap[" in row["install"] for row in rows.values())


def test_the_list_names_the_extra_of_what_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(importlib.metadata, "files", lambda name: None)
    assert run("rigs", "list") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert tuple(lines) == builtin_rigs()
    assert lines["aloha"].endswith('needs pip install "telecap[aloha]"')
    for extra in ("humanoid", "gr1"):
        assert f'pip install "telecap[{extra}]"' in lines["g1-inspire"]


def test_check_measures_a_rig_and_takes_its_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "openarm.png"
    assert run("rigs", "check", "openarm", "--json", "--picture", picture) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["engines_differ_m"] < 1e-12
    assert report["drift"] < MAX_DRIFT
    assert report["problems"] == report["overlaps"] == []
    assert {len(joints) for joints in report["limbs"].values()} == {7}
    pixels = cv2.imread(str(picture))
    assert pixels.shape == (480, 640, 3)
    assert pixels.std() > 10


ARM = """<mujoco><compiler angle="radian" autolimits="true"/><worldbody>
  <body name="a"><joint name="j" axis="0 1 0" range="0.5 2"/>
    <geom name="ga" size="0.05" mass="1" pos="0.2 0 0" contype="0" conaffinity="0"/></body>
</worldbody></mujoco>"""
RIG = """name = "bad"
model = { path = "arm.xml" }
limits = { velocity = { "*" = 1.0 }, acceleration = { "*" = 1.0 } }
[arms.left]
joints = ["j"]
tip = { site = "tip", body = "a" }
"""


def test_check_says_why_a_rig_should_not_be_driven(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "arm.xml").write_text(ARM)
    (tmp_path / "bad.toml").write_text(RIG)
    assert run("rigs", "check", tmp_path / "bad.toml", "--json") == 1
    problems = " ".join(json.loads(capsys.readouterr().out)["problems"])
    for said in ("home 0.000 is outside", "no collision shapes", "no position actuator"):
        assert said in problems


def test_check_prints_limbs_tips_and_cameras(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive = '<actuator><position name="j" joint="j" kp="100" kv="10"/></actuator></mujoco>'
    (tmp_path / "arm.xml").write_text(
        ARM.replace("</mujoco>", drive).replace('contype="0" conaffinity="0"', "")
    )
    (tmp_path / "good.toml").write_text(RIG + "[home.joints]\nj = 1.0\n")
    assert run("rigs", "check", tmp_path / "good.toml") == 0
    text = capsys.readouterr().out
    for word in ("left: 1 joints", "left_wrist at home", "cameras: none", "engines differ", "held"):
        assert word in text


@pytest.mark.parametrize("name", ["robot.gif", "nowhere/robot.png"])
def test_a_picture_that_cannot_be_written_is_an_error(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("rigs", "check", "openarm", "--picture", tmp_path / name) == 2
    assert "robot." in capsys.readouterr().err.replace("\n", "")


# ------------------------------------------------------------------ bring your own


def test_the_template_has_every_key_of_a_rig_file() -> None:
    file = read_rig(TEMPLATE)
    text = TEMPLATE.read_text(encoding="utf-8")
    assert {"adapter", "bindings", "task"} <= set(file.sections)
    for key in _keys(file):
        assert key in text, f"the template does not show {key!r}"


def _keys(section: object) -> set[str]:
    """Names of all fields of a rig file, sections within sections too."""
    found: set[str] = set()
    for name in getattr(section, "__struct_fields__", ()):
        value = getattr(section, name)
        within = value.values() if isinstance(value, dict) else value
        parts = within if isinstance(value, dict | tuple) else [value]
        found |= {name} | {key for part in parts for key in _keys(part)}
    return found - ({"sections"} if isinstance(section, RigFile) else set())


def test_the_tutorials_first_file_loads_and_its_check_finds_what_it_says(
    vega: Rig, tmp_path: Path
) -> None:
    text = TUTORIAL.read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in text.split("```toml\n")[1:]]
    (tmp_path / "vega.toml").write_text(blocks[0])
    report = inspect_rig(load_rig(tmp_path / "vega.toml"))
    assert ["base", "torso_l1"] in report.overlaps
    assert any("home is not held" in problem for problem in report.problems)
    (tmp_path / "vega.toml").write_text("\n".join(blocks[:2]))
    better = inspect_rig(load_rig(tmp_path / "vega.toml"))
    assert len(better.overlaps) < len(report.overlaps)
    home = tomllib.loads(blocks[2])["home"]["joints"]
    assert home == vega.file.home.joints


def test_rby1_without_its_model_says_where_to_get_it() -> None:
    with pytest.raises(ModelFileError, match="get_robot_model"):
        load_rig(EXAMPLES / "rby1.toml")


def test_a_robot_brought_along_passes_its_check(vega: Rig) -> None:
    report = inspect_rig(vega)
    assert report.problems == []
    assert report.overlaps == []
    assert len(report.dropped_visuals) == 49
    assert engines_difference(vega.compile(), samples=5, seed=1) < 1e-12


def test_a_robot_brought_along_shows_pictures(vega: Rig) -> None:
    for picture in rendered(vega, [c.name for c in vega.cameras]).values():
        assert picture.std() > 10


def test_hands_alone_are_checked_and_not_served(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rigs", "check", "inspire", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["limbs"] == {}
    assert {len(hand["joints"]) for hand in report["hands"].values()} == {6}
    assert {hand["coupled"] for hand in report["hands"].values()} == {6}
    assert report["drift"] < MAX_DRIFT
    assert run("run", "--rig", "inspire", "--port", "0") == 2
