"""Render profiles: what to draw, chosen by whether OpenGL runs on a GPU or in software.

CPU time of one head view of the default rig, 320×240, llvmpipe on a loaded machine: 530 ms as
shipped, 34 ms with the profile `cpu` but whole meshes, 7.5 ms with decimated ones.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import mujoco

from teleop.errors import TeleopError

SOFTWARE = ("llvmpipe", "softpipe", "swiftshader", "swrast", "lavapipe", "software")
PROBE_TIMEOUT_S = 60.0


class RenderError(TeleopError):
    """Pictures cannot be rendered here: no OpenGL, or no such profile."""


@dataclass(frozen=True, slots=True)
class RenderProfile:
    """How simulated cameras draw.

    Attributes:
        name: `cpu` or `gpu`.
        width: Picture width a camera is fitted into [px].
        height: Picture height [px].
        triangles: Budget of all visual meshes; None draws them as shipped.
        as_shipped: Keep the model's shadows, reflections, multisampling and haze.
    """

    name: str
    width: int
    height: int
    triangles: int | None
    as_shipped: bool

    def fit(self, width: int, height: int) -> tuple[int, int]:
        """Largest even size of this aspect within the profile's picture [px]."""
        scale = min(self.width / width, self.height / height)
        return 2 * max(1, round(width * scale / 2)), 2 * max(1, round(height * scale / 2))

    def apply(self, model: Any) -> None:
        """Set the quality of a compiled `MjModel`; before its render context is made."""
        if self.as_shipped:
            return
        quality = model.vis.quality
        quality.shadowsize = 0
        quality.offsamples = 0
        quality.numquads = 1
        model.mat_reflectance[:] = 0
        _bound_planes(model)


PROFILES = {
    "cpu": RenderProfile("cpu", 320, 240, triangles=17_000, as_shipped=False),
    "gpu": RenderProfile("gpu", 640, 480, triangles=None, as_shipped=True),
}


def is_software(renderer: str) -> bool:
    """Whether this `GL_RENDERER` string names a software rasterizer."""
    return any(word in renderer.lower() for word in SOFTWARE)


def choose_profile(name: str, renderer: str) -> RenderProfile:
    """Profile by name; `auto` goes by the `GL_RENDERER` string.

    Raises:
        RenderError: There is no such profile.
    """
    if name == "auto":
        return PROFILES["cpu" if is_software(renderer) else "gpu"]
    if name not in PROFILES:
        raise RenderError(f"no render profile {name!r}; there are {['auto', *PROFILES]}")
    return PROFILES[name]


def detect_profile(name: str) -> RenderProfile:
    """Profile by name; for `auto` a short-lived process asks OpenGL, once.

    Another process, because a context costs memory that only the cameras need.

    Raises:
        RenderError: There is no such profile, or no OpenGL to ask.
    """
    return choose_profile(name, _probe() if name == "auto" else "")


@functools.cache
def _probe() -> str:
    command = [sys.executable, "-m", "teleop.cameras.gl"]
    try:
        result = subprocess.run(  # noqa: S603 (our own interpreter and module)
            command, capture_output=True, text=True, check=True, timeout=PROBE_TIMEOUT_S
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise RenderError(f"no OpenGL to render with: {last}") from error
    except subprocess.TimeoutExpired as error:
        raise RenderError(f"OpenGL did not answer in {PROBE_TIMEOUT_S:.0f} s") from error
    return result.stdout.strip()


def _bound_planes(model: Any) -> None:
    """Make infinite planes finite: software clipping of one costs 5 ms a view, unseen or not."""
    half = max(5.0, 2.0 * float(model.stat.extent))
    planes = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    for axis in range(2):
        infinite = planes & (model.geom_size[:, axis] == 0)
        model.geom_size[infinite, axis] = half
    model.geom_size[planes, 2] = half  # spacing of the grid it is drawn with
