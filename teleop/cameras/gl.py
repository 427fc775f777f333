"""An off-screen OpenGL context, and the name of what draws in it.

`python -m teleop.cameras.gl` prints the renderer.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from teleop.cameras.profile import RenderError

BACKENDS = ("egl", "osmesa", "glfw")


def open_context(width: int, height: int) -> Any:
    """A current off-screen context of `mujoco`'s, at least this large.

    `MUJOCO_GL` chooses the backend, EGL if it is not set. Software rendering stays in the calling
    thread unless `LP_NUM_THREADS` says otherwise: workers cost more in sum, and would take the
    cores that control needs.

    Raises:
        RenderError: OpenGL is not available; says which packages bring it.
    """
    backend = os.environ.get("MUJOCO_GL", "").lower() or "egl"
    if backend not in BACKENDS:
        raise RenderError(f"MUJOCO_GL is {backend!r}; telecap renders with {list(BACKENDS)}")
    os.environ.setdefault("LP_NUM_THREADS", "0")
    try:
        context = importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
        context.make_current()
    except (ImportError, AttributeError, RuntimeError) as error:
        raise RenderError(
            f"no off-screen OpenGL through {backend} ({error}); "
            f"on Debian and Ubuntu: apt install libegl1 libopengl0 libgl1-mesa-dri"
        ) from error
    return context


def renderer_name() -> str:
    """`GL_RENDERER` of the current context."""
    from OpenGL import GL

    return str(GL.glGetString(GL.GL_RENDERER).decode(errors="replace"))


def main() -> int:
    """Print the renderer's name; exit code 1 and the reason when there is none."""
    try:
        context = open_context(16, 16)
    except RenderError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{renderer_name()}\n")
    context.free()
    return 0


if __name__ == "__main__":
    sys.exit(main())
