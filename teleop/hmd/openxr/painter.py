"""OpenGL: textures by name, and textured quads into a runtime's image. One program draws all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from OpenGL import GL
from OpenGL.GL import shaders

from teleop.hmd.openxr.placing import Matrix, Quad

BACKGROUND = (0.05, 0.06, 0.08, 1.0)
PLAIN = {
    "frame": (110, 122, 136, 255),
    "pointed": (47, 127, 224, 255),
    "hand": (235, 235, 235, 255),
    "far": (217, 138, 0, 255),
    "near": (31, 157, 85, 255),
    "bone": (90, 170, 235, 255),
}
"""Textures of one colour, rgba."""
_VERTEX = """#version 330 core
uniform mat4 mvp;
out vec2 uv;
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
  uv = vec2(corner.x, 1.0 - corner.y);
  gl_Position = mvp * vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}"""
_FRAGMENT = """#version 330 core
uniform sampler2D picture;
in vec2 uv;
out vec4 colour;
void main() { colour = texture(picture, uv); }"""


class Painter:
    """Draws in the context that is current; every method needs it to be.

    Colours are sRGB numbers from end to end: they are written unconverted into an image whose
    format says sRGB.
    """

    def __init__(self) -> None:
        self._array = GL.glGenVertexArrays(1)
        GL.glBindVertexArray(self._array)
        self._program = shaders.compileProgram(
            shaders.compileShader(_VERTEX, GL.GL_VERTEX_SHADER),
            shaders.compileShader(_FRAGMENT, GL.GL_FRAGMENT_SHADER),
        )
        self._mvp = GL.glGetUniformLocation(self._program, "mvp")
        self._frame = GL.glGenFramebuffers(1)
        self._textures: dict[str, tuple[Any, tuple[int, int]]] = {}
        for name, rgba in PLAIN.items():
            self.put(name, np.array([[rgba]], np.uint8))

    def close(self) -> None:
        """Give everything back."""
        GL.glDeleteTextures([texture for texture, _ in self._textures.values()])
        GL.glDeleteFramebuffers(1, [self._frame])
        GL.glDeleteProgram(self._program)
        GL.glDeleteVertexArrays(1, [self._array])

    def has(self, name: str) -> bool:
        """Whether a texture of this name was put."""
        return name in self._textures

    def put(self, name: str, pixels: npt.NDArray[np.uint8]) -> None:
        """Replace a texture; (height, width, 3 or 4)."""
        height, width, channels = pixels.shape
        layout = GL.GL_RGBA if channels == 4 else GL.GL_RGB
        known = self._textures.get(name)
        texture = known[0] if known else self._make()
        GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
        GL.glPixelStorei(GL.GL_UNPACK_ALIGNMENT, 1)
        data = np.ascontiguousarray(pixels)
        if known and known[1] == (width, height):
            GL.glTexSubImage2D(
                GL.GL_TEXTURE_2D, 0, 0, 0, width, height, layout, GL.GL_UNSIGNED_BYTE, data
            )
        else:
            GL.glTexImage2D(
                GL.GL_TEXTURE_2D, 0, GL.GL_RGBA8, width, height, 0, layout, GL.GL_UNSIGNED_BYTE,
                data,
            )  # fmt: skip
        self._textures[name] = (texture, (width, height))

    @staticmethod
    def _make() -> Any:
        texture = GL.glGenTextures(1)
        GL.glBindTexture(GL.GL_TEXTURE_2D, texture)
        for key, value in (
            (GL.GL_TEXTURE_MIN_FILTER, GL.GL_LINEAR),
            (GL.GL_TEXTURE_MAG_FILTER, GL.GL_LINEAR),
            (GL.GL_TEXTURE_WRAP_S, GL.GL_CLAMP_TO_EDGE),
            (GL.GL_TEXTURE_WRAP_T, GL.GL_CLAMP_TO_EDGE),
        ):
            GL.glTexParameteri(GL.GL_TEXTURE_2D, key, value)
        return texture

    def draw(self, image: int, size: tuple[int, int], clip: Matrix, quads: Iterable[Quad]) -> None:
        """Draw quads, in order, into a texture of the runtime.

        Args:
            image: OpenGL name of that texture.
            size: Its width and height.
            clip: T_clip_stage, (4, 4).
            quads: Later ones cover earlier ones; those without a texture yet are left out.
        """
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, self._frame)
        GL.glFramebufferTexture2D(
            GL.GL_FRAMEBUFFER, GL.GL_COLOR_ATTACHMENT0, GL.GL_TEXTURE_2D, image, 0
        )
        GL.glDisable(GL.GL_FRAMEBUFFER_SRGB)
        GL.glDisable(GL.GL_DEPTH_TEST)
        GL.glViewport(0, 0, *size)
        GL.glClearColor(*BACKGROUND)
        GL.glClear(GL.GL_COLOR_BUFFER_BIT)
        GL.glBindVertexArray(self._array)
        GL.glUseProgram(self._program)
        GL.glEnable(GL.GL_BLEND)
        GL.glBlendFunc(GL.GL_ONE, GL.GL_ONE_MINUS_SRC_ALPHA)
        for quad in quads:
            found = self._textures.get(quad.texture)
            if found is None:
                continue
            GL.glBindTexture(GL.GL_TEXTURE_2D, found[0])
            mvp = (clip @ quad.T_stage_quad).astype(np.float32)
            GL.glUniformMatrix4fv(self._mvp, 1, GL.GL_TRUE, mvp)
            GL.glDrawArrays(GL.GL_TRIANGLE_STRIP, 0, 4)
        GL.glBindFramebuffer(GL.GL_FRAMEBUFFER, 0)
