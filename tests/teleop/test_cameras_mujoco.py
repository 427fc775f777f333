"""Simulated cameras: what is in the picture, and of when it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
import simplejpeg

from recorder import CameraSpec
from recorder.pictures import decode_still
from retarget import Rig, load_rig
from teleop.cameras.base import CameraError, Codec, Picture, SimState
from teleop.cameras.mujoco import MujocoCameras
from teleop.cameras.profile import PROFILES
from teleop.config import CameraConfig
from teleop.recording import RECORDED

CAMERAS = (
    CameraConfig(name="wrist_right", width=320, height=200),
    CameraConfig(name="head_left", width=320, height=240),
    CameraConfig(name="head_right", width=160, height=120),
)
NAMES = [c.name for c in CAMERAS]


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig("openarm")


@pytest.fixture(scope="module")
def model(rig: Rig) -> mujoco.MjModel:
    return rig.compile(scene=True)


@pytest.fixture(scope="module")
def group(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MujocoCameras]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        opened = MujocoCameras(rig, CAMERAS, PROFILES["cpu"], clock=lambda: 77)
    yield opened
    opened.close()


def home(model: mujoco.MjModel, t_ns: int = 5) -> SimState:
    return SimState(t_ns, model.key("home").qpos.copy())


def place_cube(
    model: mujoco.MjModel, rig: Rig, camera: CameraConfig, state: SimState, offset: np.ndarray
) -> tuple[SimState, tuple[int, int]]:
    """The cube at `offset` (camera coordinates [m]), and the pixel its centre should be at."""
    name = {c.name: c.mujoco_name for c in rig.cameras}[camera.name]
    data = mujoco.MjData(model)
    data.qpos[:] = state.qpos
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    at = data.camera(name)
    qpos = state.qpos.copy()
    address = model.joint("cube_free").qposadr[0]
    qpos[address : address + 3] = at.xpos + at.xmat.reshape(3, 3) @ offset
    focal = camera.height / 2 / np.tan(np.deg2rad(model.camera(name).fovy[0]) / 2)
    x = camera.width / 2 + focal * offset[0] / -offset[2]
    y = camera.height / 2 - focal * offset[1] / -offset[2]
    return replace(state, qpos=qpos), (round(x), round(y))


def is_orange(pixel: np.ndarray) -> bool:
    red, green, blue = (int(v) for v in pixel)
    return red > 1.5 * green and green > 1.2 * blue


@pytest.mark.parametrize("camera", CAMERAS, ids=NAMES)
@pytest.mark.parametrize("side", [-1, 0, 1])
def test_the_cube_is_orange_where_it_projects_and_nowhere_near(
    model: mujoco.MjModel, rig: Rig, group: MujocoCameras, camera: CameraConfig, side: int
) -> None:
    distance = 0.12 if camera.name.startswith("wrist") else 0.3
    offset = np.array([0.12 * side * distance, 0.15 * distance, -distance])
    state, (x, y) = place_cube(model, rig, camera, home(model), offset)
    (picture,) = group.capture([camera.name], state)
    pixels = simplejpeg.decode_jpeg(picture.payload)
    assert pixels.shape == (camera.height, camera.width, 3)
    assert is_orange(pixels[y, x])
    assert not is_orange(pixels[-3, 3])


def test_pictures_carry_the_time_of_the_state_they_show(
    model: mujoco.MjModel, group: MujocoCameras
) -> None:
    pictures = list(group.capture(NAMES, home(model, t_ns=123_456_789)))
    assert {p.name for p in pictures} == set(NAMES)
    assert {p.t_ns for p in pictures} == {p.t_device_ns for p in pictures} == {123_456_789}
    assert {p.t_receive_ns for p in pictures} == {77}
    for picture in pictures:
        assert Picture.unpack(picture.name, picture.pack()) == picture


def test_the_operators_eyes_are_rendered_first(group: MujocoCameras) -> None:
    assert [c.name for c in group.cameras] == ["head_left", "head_right", "wrist_right"]


def test_only_named_cameras_are_rendered(model: mujoco.MjModel, group: MujocoCameras) -> None:
    assert [p.name for p in group.capture(["head_right"], home(model))] == ["head_right"]
    assert list(group.capture([], home(model))) == []


def test_equal_states_give_equal_pictures(model: mujoco.MjModel, group: MujocoCameras) -> None:
    first = [p.payload for p in group.capture(NAMES, home(model))]
    list(group.capture(NAMES, SimState(6, model.qpos0.copy())))
    assert [p.payload for p in group.capture(NAMES, home(model))] == first


@pytest.mark.parametrize("seed", range(5))
def test_culling_does_not_change_a_picture(
    model: mujoco.MjModel, group: MujocoCameras, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    state = home(model)
    hinges = model.jnt_qposadr[model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE]
    state.qpos[hinges] += rng.normal(0, 0.6, len(hinges))
    culled = [group.render(name, state) for name in NAMES]
    monkeypatch.setattr(MujocoCameras, "_outside", lambda self, view: np.False_)
    for name, picture in zip(NAMES, culled, strict=True):
        np.testing.assert_array_equal(group.render(name, state), picture)


def test_decimated_pictures_look_like_the_shipped_meshes(
    model: mujoco.MjModel, rig: Rig, group: MujocoCameras
) -> None:
    state = home(model)
    decimated = {name: group.render(name, state).astype(int) for name in NAMES}
    whole = MujocoCameras(rig, CAMERAS, replace(PROFILES["cpu"], triangles=None))
    try:
        for name in NAMES:
            difference = np.abs(whole.render(name, state).astype(int) - decimated[name])
            assert difference.mean() < 3.0
            assert (difference.max(axis=-1) > 40).mean() < 0.03
    finally:
        whole.close()


def test_the_rigs_own_model_is_not_decimated(
    rig: Rig, group: MujocoCameras, model: mujoco.MjModel
) -> None:
    assert rig.compile(scene=True).mesh_facenum.sum() == model.mesh_facenum.sum()


def test_decimation_of_the_rig_meets_the_budget_and_keeps_every_box(
    rig: Rig, model: mujoco.MjModel, group: MujocoCameras, tmp_path: Path
) -> None:
    from teleop.cameras.decimate import decimate_visuals

    fewer = rig.compile(scene=True)
    budget = PROFILES["cpu"].triangles
    assert budget is not None
    assert decimate_visuals(fewer, budget, tmp_path).after < 1.05 * budget
    for i in np.flatnonzero(fewer.mesh_facenum):
        old, new = (
            m.mesh_vert[m.mesh_vertadr[i] : m.mesh_vertadr[i] + m.mesh_vertnum[i]]
            for m in (model, fewer)
        )
        slack = 0.03 * np.linalg.norm(np.ptp(old, axis=0))
        np.testing.assert_allclose(new.min(axis=0), old.min(axis=0), atol=slack)
        np.testing.assert_allclose(new.max(axis=0), old.max(axis=0), atol=slack)


def test_unknown_cameras_are_refused(rig: Rig) -> None:
    with pytest.raises(CameraError, match=r"no camera 'elbow'.*head_left"):
        MujocoCameras(rig, [CameraConfig(name="elbow")], PROFILES["cpu"])


@pytest.mark.parametrize("state", [None, SimState(0, np.zeros(3))])
def test_states_of_another_scene_are_refused(
    group: MujocoCameras, state: SimState | None, model: mujoco.MjModel
) -> None:
    with pytest.raises(CameraError, match=f"\\({model.nq},\\)"):
        list(group.capture(NAMES, state))


def test_depth_is_the_distance_along_the_view(rig: Rig, model: mujoco.MjModel) -> None:
    config = CameraConfig(name="head_left", width=64, height=48, codec="depth", depth_unit_m=0.0005)
    opened = MujocoCameras(rig, [config], PROFILES["cpu"])
    try:
        state = home(model)
        (picture,) = opened.capture({"head_left"}, state)
        depth = opened.distances("head_left", state) * config.depth_unit_m
    finally:
        opened.close()
    assert picture.codec is Codec.DEPTH
    spec = CameraSpec("head_left", 64, 48, codec=RECORDED["depth"])
    np.testing.assert_array_equal(decode_still(picture.payload, spec) * 0.0005, depth)
    mounted = next(c for c in rig.cameras if c.name == "head_left")
    data = mujoco.MjData(model)
    data.qpos[:] = state.qpos
    mujoco.mj_forward(model, data)
    camera = data.camera(mounted.mujoco_name)
    focal = 24 / np.tan(np.radians(mounted.fovy_deg) / 2)
    groups = np.array([1, 1, 1, 0, 0, 0], np.uint8)
    errors = []
    for v in range(4, 48, 5):
        for u in range(4, 64, 5):
            ray = np.array([(u + 0.5 - 32) / focal, -(v + 0.5 - 24) / focal, -1.0])
            direction = camera.xmat.reshape(3, 3) @ ray
            hit = np.zeros(1, np.int32)
            along = mujoco.mj_ray(model, data, camera.xpos, direction, groups, 1, -1, hit)
            if along > 0 and depth[v, u] > 0:
                errors.append(abs(along - depth[v, u]))
    assert len(errors) > 50
    assert np.median(errors) < 0.0005
    assert np.percentile(errors, 90) < 0.05, "apart from edges"
