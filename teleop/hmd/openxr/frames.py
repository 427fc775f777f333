"""Inside the frame loop: wait for the runtime, say where the eyes are, show what was drawn."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xr

from teleop.hmd.openxr.bindings import EXTENSIONS
from teleop.hmd.openxr.clocks import device_clock_ns
from teleop.hmd.openxr.graphics import EyeImages, Graphics, Kind, needed
from teleop.hmd.openxr.painter import Painter
from teleop.hmd.openxr.placing import Eye, Quad
from teleop.hmd.openxr.poses import located, pose7
from teleop.hmd.openxr.runtime import CLOCK, Runtime
from teleop.hmd.openxr.sampling import Sampler
from teleop.hmd.openxr.session import VIEWS, Session
from teleop.samples import SIDES

VALID = 3
"""Orientation and position of the views are valid."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame to be drawn.

    Attributes:
        eyes: Left and right.
        head: (7,) pose at the time of display.
    """

    eyes: tuple[Eye, ...]
    head: npt.NDArray[np.float64]


Draw = Callable[[Frame, Eye], list[Quad]]


class Display:
    """Shows quads in a headset.

    Args:
        runtime: The open runtime.
        session: With a graphics binding; its context is current.
    """

    def __init__(self, runtime: Runtime, session: Session) -> None:
        self._session = session
        views = xr.enumerate_view_configuration_views(runtime.instance, runtime.system, VIEWS)
        self._images = [EyeImages(session.handle, view) for view in views]
        self.painter = Painter()
        self.shown = 0
        self.period_ns = 0
        self.t_waited_ns = 0
        """Device clock when the runtime let the newest frame begin."""

    def wait(self) -> Any:
        """Sleep until the runtime wants a frame; its `XrFrameState`."""
        state = xr.wait_frame(self._session.handle)
        self.t_waited_ns = device_clock_ns()
        self.period_ns = int(state.predicted_display_period)
        return state

    def show(self, state: Any, draw: Draw) -> None:
        """Draw and submit one frame.

        Args:
            state: Of `wait`.
            draw: Quads for an eye, in the order they are drawn; not called while nothing is seen.
        """
        xr.begin_frame(self._session.handle)
        layers: list[Any] = []
        if state.should_render:
            layer = self._layer(int(state.predicted_display_time), draw)
            if layer is not None:
                layers.append(ctypes.byref(layer))
        xr.end_frame(
            self._session.handle,
            xr.FrameEndInfo(
                display_time=state.predicted_display_time,
                environment_blend_mode=xr.EnvironmentBlendMode.OPAQUE,
                layers=layers,
            ),
        )

    def _layer(self, time_xr: int, draw: Draw) -> Any | None:
        found, views = xr.locate_views(
            self._session.handle, xr.ViewLocateInfo(VIEWS, time_xr, self._session.stage)
        )
        if int(found.view_state_flags) & VALID != VALID:
            return None
        eyes = tuple(
            Eye(name, pose7(view.pose), _tangents(view.fov))
            for name, view in zip(SIDES, views, strict=True)
        )
        _, head = located(self._session.view, self._session.stage, time_xr)
        frame = Frame(eyes, head)
        shown = [xr.CompositionLayerProjectionView() for _ in views]
        for eye, view, images, projected in zip(eyes, views, self._images, shown, strict=True):
            image = images.acquire()
            self.painter.draw(image, images.size, eye.clip, draw(frame, eye))
            images.fill(projected, view)
            images.release()
        self.shown += 1
        return xr.CompositionLayerProjection(space=self._session.stage, views=shown)


def _tangents(fov: Any) -> tuple[float, float, float, float]:
    angles = (fov.angle_left, fov.angle_right, fov.angle_up, fov.angle_down)
    left, right, up, down = (math.tan(angle) for angle in angles)
    return left, right, up, down


@contextmanager
def display_session(kind: Kind) -> Iterator[tuple[Runtime, Session, Sampler, Display]]:
    """A session with pictures.

    Raises:
        OpenXrError: No runtime, no headset, or no way to draw.
    """
    with (
        Runtime.open((*needed(kind), CLOCK), EXTENSIONS) as runtime,
        Graphics(runtime, kind) as graphics,
    ):
        session = Session(runtime, graphics.pointer)
        try:
            yield runtime, session, Sampler(runtime, session), Display(runtime, session)
        finally:
            session.close()
