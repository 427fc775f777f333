"""Cameras of a simulated rig: renders a state of the scene and encodes it, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from retarget import Rig
from teleop.cameras.base import CameraError, Picture, SimState
from teleop.cameras.decimate import decimate_visuals
from teleop.cameras.encoding import PictureEncoder
from teleop.cameras.gl import open_context, renderer_name
from teleop.cameras.profile import RenderProfile
from teleop.config import CameraConfig

SPARE_GEOMS = 1000
"""Room in the scene for what is no geom of the model: tendons, skins, flexes."""
HIDDEN_GROUP = 5
ALL = mujoco.mjtCatBit.mjCAT_ALL
NEAR_M = 0.01
"""Near plane: MuJoCo's default grows with the model and would cut open fingers near a camera."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One camera as it is rendered.

    Attributes:
        config: Name and size.
        camera: Handle for MuJoCo, a fixed camera.
        rect: Viewport.
        tangents: Of the half angles to the sides and up or down; None switches culling off.
        bottom_up: Pixels as OpenGL returns them.
        picture: Pixels, first row on top.
        depth: Depth buffer as OpenGL returns it, of a depth camera; else empty.
        encoder: Encodes its pictures.
    """

    config: CameraConfig
    camera: Any
    rect: Any
    tangents: tuple[float, float] | None
    bottom_up: npt.NDArray[np.uint8]
    picture: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float32]
    encoder: PictureEncoder


class MujocoCameras:
    """Camera group `mujoco`: renders `SimState`s off-screen.

    It owns an OpenGL context: make, use and close it in one thread, one per process.

    Args:
        rig: The rig; its scene is compiled here.
        cameras: What to capture, names as in `rig.cameras`.
        profile: What to draw.
        clock: Host clock [ns].

    Attributes:
        cameras: What it captures, the operator's eyes first because someone waits for them.
        state_size: nq of the rig's scene.
        renderer: `GL_RENDERER`.

    Raises:
        CameraError: The rig has no such camera.
        RenderError: There is no OpenGL.
    """

    def __init__(
        self,
        rig: Rig,
        cameras: Sequence[CameraConfig],
        profile: RenderProfile,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        known = {camera.name: camera for camera in rig.cameras}
        for camera in cameras:
            if camera.name not in known:
                raise CameraError(
                    f"rig {rig.name!r} has no camera {camera.name!r}; it has {sorted(known)}"
                )
        self.cameras = tuple(sorted(cameras, key=lambda c: not known[c.name].eye))
        self._clock = clock
        self._model = model = rig.compile(scene=True)
        self.state_size = int(model.nq)
        self._data = mujoco.MjData(model)
        self._pose(model.qpos0)
        _prepare(model, self.cameras, profile)
        self._gl = open_context(model.vis.global_.offwidth, model.vis.global_.offheight)
        self.renderer = renderer_name()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._context)
        self._option = mujoco.MjvOption()
        self._option.sitegroup[:] = 0
        self._scene = mujoco.MjvScene(model, model.ngeom + SPARE_GEOMS)
        if not profile.as_shipped:
            for flag in ("SHADOW", "REFLECTION", "HAZE"):
                self._scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0
        self._nothing = mujoco.MjvPerturb()
        self._group = model.geom_group.copy()
        # Planes are drawn last: pixels behind other things then fail the depth test unshaded.
        self._last = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
        self._views = {c.name: self._view(c, known[c.name].mujoco_name) for c in self.cameras}
        for view in self._views.values():
            self._draw(view)  # software OpenGL compiles its shaders at the first picture

    def capture(self, names: Collection[str], state: SimState | None) -> Iterator[Picture]:
        """Pictures of one state, each yielded as soon as it is encoded.

        Raises:
            CameraError: There is no state, or it is of another scene.
        """
        if state is None or state.qpos.shape != (self.state_size,):
            shape = None if state is None else state.qpos.shape
            raise CameraError(f"qpos must be ({self.state_size},), the rig's scene; got {shape}")
        self._pose(state.qpos)
        for view in self._views.values():
            if view.config.name in names:
                self._draw(view)
                pixels = self._distances(view) if view.depth.size else view.picture
                payload, key = view.encoder.encode(pixels)
                yield Picture(
                    name=view.config.name,
                    width=view.config.width,
                    height=view.config.height,
                    t_ns=state.t_ns,
                    t_device_ns=state.t_ns,
                    payload=payload,
                    t_receive_ns=self._clock(),
                    codec=view.encoder.codec,
                    key=key,
                )

    def request_keys(self) -> None:
        """The next picture of each camera must be decodable by itself."""
        for view in self._views.values():
            view.encoder.request_key()

    def render(self, name: str, state: SimState) -> npt.NDArray[np.uint8]:
        """Pixels (H, W, 3) of one camera, first row on top; for tests and reports."""
        self._pose(state.qpos)
        return self._draw(self._views[name]).copy()

    def distances(self, name: str, state: SimState) -> npt.NDArray[np.uint16]:
        """What a depth camera measures, (H, W) in its `depth_unit_m`; 0 where it sees nothing."""
        self._pose(state.qpos)
        self._draw(self._views[name])
        return self._distances(self._views[name])

    def close(self) -> None:
        """Free the OpenGL context; closing twice is allowed."""
        self._context.free()
        self._gl.free()

    def _pose(self, qpos: npt.NDArray[np.float64]) -> None:
        """Everything a picture needs of a state, shared by all cameras; no dynamics."""
        model, data = self._model, self._data
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        if model.nflex:
            mujoco.mj_flex(model, data)
        if model.ntendon:
            mujoco.mj_tendon(model, data)

    def _view(self, config: CameraConfig, mujoco_name: str) -> View:
        camera = mujoco.MjvCamera()
        camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        camera.fixedcamid = self._model.camera(mujoco_name).id
        mujoco.mjv_updateCamera(self._model, self._data, camera, self._scene)
        shape = (config.height, config.width, 3)
        return View(
            config=config,
            camera=camera,
            rect=mujoco.MjrRect(0, 0, config.width, config.height),
            tangents=_tangents(self._scene.camera[0], config.width / config.height),
            bottom_up=np.empty(shape, np.uint8),
            picture=np.empty(shape, np.uint8),
            depth=np.empty(shape[:2] if config.codec == "depth" else (0, 0), np.float32),
            encoder=PictureEncoder(config),
        )

    def _draw(self, view: View) -> npt.NDArray[np.uint8]:
        model, data, scene = self._model, self._data, self._scene
        outside = self._outside(view)
        model.geom_group[:] = np.where(outside | self._last, HIDDEN_GROUP, self._group)
        mujoco.mjv_updateScene(model, data, self._option, None, view.camera, ALL, scene)
        model.geom_group[:] = np.where(outside | ~self._last, HIDDEN_GROUP, self._group)
        mujoco.mjv_addGeoms(model, data, self._option, self._nothing, ALL, scene)
        mujoco.mjr_render(view.rect, scene, self._context)
        depth = view.depth if view.depth.size else None
        mujoco.mjr_readPixels(view.bottom_up, depth, view.rect, self._context)
        np.copyto(view.picture, view.bottom_up[::-1])
        return view.picture

    def _distances(self, view: View) -> npt.NDArray[np.uint16]:
        """Distance along the optical axis from the depth buffer of the last drawing.

        MuJoCo fills it with `glReadPixels` of a standard, or reversed, projection between the near
        and far planes of the scene's camera. With multisampling it holds one sample of each pixel,
        up to 0.4 px from its centre.
        """
        near, far = (float(v) for v in self._clip_planes())
        buffer = view.depth[::-1].astype(np.float64)
        along_m = near * far / (far - buffer * (far - near))
        steps = np.rint(along_m / view.config.depth_unit_m)
        measured = (buffer < 1.0) & (steps < np.iinfo(np.uint16).max)
        return np.where(measured, steps, 0).astype(np.uint16)

    def _clip_planes(self) -> tuple[float, float]:
        extent = self._model.stat.extent
        return self._model.vis.map.znear * extent, self._model.vis.map.zfar * extent

    def _outside(self, view: View) -> npt.NDArray[np.bool_] | np.bool_:
        """Geoms whose bounding sphere misses the view; MuJoCo itself would draw them all."""
        if view.tangents is None:
            return np.False_
        data, radius = self._data, self._model.geom_rbound
        camera = view.camera.fixedcamid
        R_world_camera = data.cam_xmat[camera].reshape(3, 3)
        p_camera_geom = (data.geom_xpos - data.cam_xpos[camera]) @ R_world_camera
        depth = -p_camera_geom[:, 2]  # a camera looks along its -z
        outside = depth < -radius
        for axis, tangent in enumerate(view.tangents):
            beyond = np.abs(p_camera_geom[:, axis]) - depth * tangent
            outside |= beyond > radius * np.hypot(1.0, tangent)
        bounded: npt.NDArray[np.bool_] = outside & (radius > 0)  # planes have no bound
        return bounded


def _prepare(model: Any, cameras: Sequence[CameraConfig], profile: RenderProfile) -> None:
    """Quality, buffer size, near plane and triangles; before the render context is made."""
    profile.apply(model)
    # Pictures need no contacts, and many robots collide with the meshes they are drawn with.
    model.geom_contype[:] = model.geom_conaffinity[:] = 0
    if profile.triangles is not None:
        decimate_visuals(model, profile.triangles)
    model.vis.global_.offwidth = max((c.width for c in cameras), default=16)
    model.vis.global_.offheight = max((c.height for c in cameras), default=16)
    model.vis.map.znear = min(model.vis.map.znear, NEAR_M / model.stat.extent)


def _tangents(camera: Any, aspect: float) -> tuple[float, float] | None:
    """Tangents of the half angles of a perspective camera, the wider side where it is skew."""
    if camera.orthographic:
        return None
    up = max(abs(camera.frustum_top), abs(camera.frustum_bottom)) / camera.frustum_near
    side = (abs(camera.frustum_center) + camera.frustum_width) / camera.frustum_near
    return max(side, up * aspect), up
