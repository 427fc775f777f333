"""An OpenGL context the runtime accepts, without a window of our own on the screen."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Collection
from typing import Any, Literal, Self

import xr

from teleop.hmd.openxr.errors import GraphicsMissingError
from teleop.hmd.openxr.runtime import EGL, OPENGL, Runtime, available_extensions

Kind = Literal["egl", "glfw"]
FORMATS = ("GL_SRGB8_ALPHA8", "GL_RGBA8", "GL_RGB10_A2", "GL_RGBA16F")
"""Formats of the runtime's images, best first: what is drawn are sRGB numbers."""


def choose_kind(offered: Collection[str]) -> Kind:
    """How to make a context for a runtime with these extensions.

    Raises:
        GraphicsMissingError: The runtime draws in no way this client can.
    """
    if OPENGL not in offered:
        raise GraphicsMissingError(
            f"the OpenXR runtime does not offer {OPENGL}; `telecap hmd --headless` streams poses "
            f"without pictures, and the page /xr shows them in a browser"
        )
    has_screen = sys.platform == "win32" or bool(os.environ.get("DISPLAY"))
    if has_screen:
        return "glfw"
    if EGL in offered:
        return "egl"
    raise GraphicsMissingError(
        "there is no X display (DISPLAY is not set), and the OpenXR runtime does not offer "
        f"{EGL}, with which none would be needed"
    )


class Graphics:
    """A context, current in the thread that made it, and its binding to a session.

    Args:
        runtime: Opened with the extensions of `needed(kind)`.
        kind: How the context is made.

    Raises:
        GraphicsMissingError: No context can be made.
    """

    def __init__(self, runtime: Runtime, kind: Kind) -> None:
        try:
            self._provider = _provider(kind)
        except Exception as error:  # of EGL, GLFW or PyOpenGL: they share no base
            raise GraphicsMissingError(f"no OpenGL context by {kind}: {error}") from error
        self._ask_requirements(runtime)
        from xr.utils.gl import create_graphics_binding

        self._provider.make_current()
        self._binding = create_graphics_binding(self._provider)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._provider.destroy()

    @property
    def pointer(self) -> Any:
        """For `XrSessionCreateInfo.next`."""
        return self._binding.pointer

    @staticmethod
    def _ask_requirements(runtime: Runtime) -> None:
        """The runtime insists on being asked, whatever it answers."""
        ask = runtime.function(
            "xrGetOpenGLGraphicsRequirementsKHR", xr.PFN_xrGetOpenGLGraphicsRequirementsKHR
        )
        answer = xr.GraphicsRequirementsOpenGLKHR()
        xr.check_result(xr.Result(ask(runtime.instance, runtime.system, ctypes.byref(answer))))


def needed(kind: Kind) -> tuple[str, ...]:
    """Extensions of the runtime for a context of this kind."""
    return (OPENGL, EGL) if kind == "egl" else (OPENGL,)


def preferred_kind() -> Kind:
    """`choose_kind` of the runtime at hand."""
    return choose_kind(available_extensions())


def _provider(kind: Kind) -> Any:
    if kind == "egl":
        os.environ.setdefault("PYOPENGL_PLATFORM", "egl")  # read at the first import of OpenGL
        from xr.utils.gl.egl_util import EGLOffscreenContextProvider

        return EGLOffscreenContextProvider()
    from xr.utils.gl.glfw_util import GLFWOffscreenContextProvider

    return GLFWOffscreenContextProvider()


class EyeImages:
    """The runtime's images for one eye.

    Attributes:
        size: Width and height [px].
    """

    def __init__(self, session: Any, view: Any) -> None:
        self.size = (view.recommended_image_rect_width, view.recommended_image_rect_height)
        flags = xr.SwapchainUsageFlags
        self._chain = xr.create_swapchain(
            session,
            xr.SwapchainCreateInfo(
                usage_flags=flags.SAMPLED_BIT | flags.COLOR_ATTACHMENT_BIT,
                format=_format(session),
                sample_count=1,
                width=self.size[0],
                height=self.size[1],
                face_count=1,
                array_size=1,
                mip_count=1,
            ),
        )
        self._images = xr.enumerate_swapchain_images(
            swapchain=self._chain, element_type=xr.SwapchainImageOpenGLKHR
        )

    def acquire(self) -> int:
        """OpenGL name of the image to draw into now."""
        index = xr.acquire_swapchain_image(self._chain, xr.SwapchainImageAcquireInfo())
        xr.wait_swapchain_image(
            self._chain, xr.SwapchainImageWaitInfo(timeout=xr.INFINITE_DURATION)
        )
        return int(self._images[index].image)

    def release(self) -> None:
        """Give the drawn image to the runtime."""
        xr.release_swapchain_image(self._chain, xr.SwapchainImageReleaseInfo())

    def fill(self, shown: Any, view: Any) -> None:
        """Say in a layer's view what was drawn: which image, from where."""
        shown.pose, shown.fov = view.pose, view.fov
        shown.sub_image.swapchain = self._chain
        shown.sub_image.image_rect.offset[:] = [0, 0]
        shown.sub_image.image_rect.extent[:] = list(self.size)


def _format(session: Any) -> int:
    from OpenGL import GL

    offered = {int(value) for value in xr.enumerate_swapchain_formats(session)}
    for name in FORMATS:
        value = int(getattr(GL, name))
        if value in offered:
            return value
    raise GraphicsMissingError(
        f"the runtime's image formats {sorted(offered)} are none of {', '.join(FORMATS)}"
    )
