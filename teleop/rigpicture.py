"""A picture of a rig at home, rendered off-screen."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import mujoco
import numpy as np
import numpy.typing as npt

from retarget import Rig
from teleop.cameras.gl import open_context
from teleop.errors import TeleopError

Array = npt.NDArray[np.float64]
HOME_KEY = "home"
SPARE_GEOMS = 1000
SAMPLES = 8
BRIGHTNESS = 0.5
"""Of the headlight, ambient and diffuse: rigs darken theirs for fast cameras."""
NEAR_M = 0.05
WALL_M = 0.06
"""How far behind the face of a wall that hides the robot the picture begins."""
BACKGROUND = (238, 241, 245)
COLOUR_STEP = 8
"""Steps of brightness in a PNG; coarse ones pack several times better."""


class PictureError(TeleopError):
    """A picture cannot be written."""


def save_picture(
    rig: Rig,
    path: Path,
    *,
    width: int = 640,
    height: int = 480,
    azimuth_deg: float = 150.0,
    elevation_deg: float = -20.0,
) -> None:
    """Render `rig` at home and write a .png or .jpg.

    Raises:
        PictureError: The path cannot be written, or has another ending.
        RenderError: There is no OpenGL.
    """
    check_path(path)
    picture = draw_rig(rig, width, height, azimuth_deg, elevation_deg)
    options: list[int] = []
    if path.suffix.lower() == ".png":
        picture = _with_few_colours(picture)
        options = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    if not cv2.imwrite(str(path), picture[:, :, ::-1], options):
        raise PictureError(f"{path} cannot be written")


def check_path(path: Path) -> None:
    """Raise `PictureError` where no picture can be written."""
    if path.suffix.lower() not in (".png", ".jpg"):
        raise PictureError(f"{path}: a picture is a .png or a .jpg")
    if not path.absolute().parent.is_dir():
        raise PictureError(f"{path}: there is no folder {path.absolute().parent}")


def draw_rig(
    rig: Rig, width: int, height: int, azimuth_deg: float, elevation_deg: float
) -> npt.NDArray[np.uint8]:
    """Pixels (H, W, 3) of the rig at home in its scene, seen from outside."""
    model = rig.compile(scene=True)
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key(HOME_KEY).id)
    mujoco.mj_forward(model, data)
    model.vis.global_.offwidth, model.vis.global_.offheight = width, height
    model.vis.quality.offsamples = SAMPLES
    model.vis.headlight.ambient[:] = model.vis.headlight.diffuse[:] = BRIGHTNESS
    model.light_active[:] = 0
    model.mat_reflectance[:] = 0
    camera = _view(rig, model, data, width / height, azimuth_deg, elevation_deg)
    model.vis.map.znear = _clear_from(model, data, camera) / model.stat.extent
    gl = open_context(width, height)
    try:
        return _render(model, data, camera, width, height)
    finally:
        gl.free()


def _render(model: Any, data: Any, camera: Any, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Pixels of what `camera` sees, in the current context."""
    context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
    scene = mujoco.MjvScene(model, model.ngeom + SPARE_GEOMS)
    for flag in ("SKYBOX", "HAZE", "CULL_FACE"):
        scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0
    option = mujoco.MjvOption()
    option.sitegroup[:] = 0
    mujoco.mjv_updateScene(model, data, option, None, camera, mujoco.mjtCatBit.mjCAT_ALL, scene)
    pixels, depth = np.empty((height, width, 3), np.uint8), np.empty((height, width), np.float32)
    rect = mujoco.MjrRect(0, 0, width, height)
    mujoco.mjr_render(rect, scene, context)
    mujoco.mjr_readPixels(pixels, depth, rect, context)
    context.free()
    pixels[depth >= 1.0] = BACKGROUND
    return pixels[::-1].copy()


def _clear_from(model: Any, data: Any, camera: Any) -> float:
    """From where on to draw [m]: behind a wall that would hide most of the robot."""
    azimuth, elevation = math.radians(camera.azimuth), math.radians(camera.elevation)
    level = math.cos(elevation)
    ahead = np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])
    eye = camera.lookat - camera.distance * ahead
    points = data.xpos[model.body_weldid != 0]
    start = NEAR_M
    for _ in range(8):
        walls = _walls(model, data, eye, ahead, start, points)
        if 2 * len(walls) < len(points):
            break
        start = float(np.median(walls)) + WALL_M
    return start


def _walls(
    model: Any, data: Any, eye: Array, ahead: Array, start: float, points: Array
) -> list[float]:
    """How deep each fixed thing lies that hides one of `points` from the eye [m].

    Nothing is drawn, and so nothing hides, nearer than `start`.
    """
    walls = []
    for point in points:
        way = (point - eye) / np.linalg.norm(point - eye)
        origin = eye + way * (start / (way @ ahead))
        hit = np.full(1, -1, np.int32)
        away = mujoco.mj_ray(model, data, origin, way, None, 1, -1, hit)
        fixed = hit[0] >= 0 and model.body_weldid[model.geom_bodyid[hit[0]]] == 0
        if fixed and away < np.linalg.norm(point - origin):
            walls.append(float((origin + away * way - eye) @ ahead))
    return walls


def _view(
    rig: Rig, model: Any, data: Any, aspect: float, azimuth_deg: float, elevation_deg: float
) -> Any:
    """A free camera that shows all of the robot and what it works on."""
    low, high = _bounds(rig, model, data)
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE
    camera.azimuth, camera.elevation = azimuth_deg, elevation_deg
    camera.lookat[:] = (low + high) / 2
    half = math.radians(model.vis.global_.fovy) / 2
    half_width = math.atan(math.tan(half) * aspect)
    azimuth = math.radians(azimuth_deg)
    across = np.abs([math.sin(azimuth), math.cos(azimuth)]) @ (high - low)[:2]
    along = np.abs([math.cos(azimuth), math.sin(azimuth)]) @ (high - low)[:2]
    tilt = math.radians(abs(elevation_deg))
    up = (high - low)[2] * math.cos(tilt) + along * math.sin(tilt)
    needed = max(up / 2 / math.tan(half), across / 2 / math.tan(half_width))
    camera.distance = needed + along / 4
    return camera


def _bounds(rig: Rig, model: Any, data: Any) -> tuple[Array, Array]:
    """Corners of the box around what can move: the robot's arms and the free objects."""
    names = rig.joint_names + rig.finger_names
    driven = model.jnt_bodyid[[model.joint(name).id for name in names]]
    root = np.isin(model.body_rootid, model.body_rootid[driven])
    free = model.jnt_bodyid[model.jnt_type == int(mujoco.mjtJoint.mjJNT_FREE)]
    moving = (root & (model.body_weldid != 0)) | np.isin(model.body_rootid, free)
    shown = moving[model.geom_bodyid] & (model.geom_group <= 2) & (model.geom_rbound > 0)
    corners = []
    for geom in np.flatnonzero(shown):
        centre, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
        R_world_geom = data.geom_xmat[geom].reshape(3, 3)
        p_world = data.geom_xpos[geom] + R_world_geom @ centre
        reach = np.abs(R_world_geom) @ half
        corners += [p_world - reach, p_world + reach]
    return np.min(corners, axis=0), np.max(corners, axis=0)


def _with_few_colours(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The picture in steps of brightness so coarse that PNG packs it well."""
    rounded = (picture.astype(np.uint16) + COLOUR_STEP // 2) // COLOUR_STEP * COLOUR_STEP
    coarse: npt.NDArray[np.uint8] = np.minimum(rounded, 255).astype(np.uint8)
    return coarse
