"""An episode in the Rerun viewer: pictures, the moving robot, targets, curves and events.

One time line, `host`, in seconds from the beginning of the take; every row is at its own time, none
is resampled but the stick figure of the robot.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recorder import Episode, Policy, align
from recorder.numeric import Stream
from retarget import Rig, load_rig
from retarget.errors import RigError
from teleop.errors import TeleopError
from teleop.samples import MEMORY

TIMELINE = "host"
FIGURE_HZ = 30.0
"""Rate of the stick figure."""
STILLS = ("image/jpeg", "image/png")
"""What the viewer decodes itself."""
CURVES = {
    "joints/measured": ("state", "position"),
    "joints/requested": ("command/requested", "position"),
    "joints/sent": ("command/sent", "position"),
    "grippers/measured": ("state", "gripper"),
    "grippers/requested": ("command/requested", "gripper"),
    "solver/residual": ("solution", "residual"),
    "solver/clearance": ("solution", "clearance_m"),
}
FIGURES = {
    "measured": ("state", (90, 170, 235)),
    "requested": ("command/requested", (235, 150, 60)),
}
Array = npt.NDArray[Any]


class ViewError(TeleopError):
    """The viewer is not installed."""


class Viewer:
    """Sends an episode to a Rerun recording.

    Args:
        episode: What is shown.
        recording: `rerun.RecordingStream` to send to.
    """

    def __init__(self, episode: Episode, recording: Any) -> None:
        self._episode, self._recording = episode, recording
        self._rr = import_rerun()
        self._first_ns, self._last_ns = episode.span_ns

    def send(self) -> Iterator[str]:
        """Send everything; yields what was sent, part by part."""
        for name in self._episode.cameras:
            self._pictures(name)
            yield f"camera {name}"
        for path, (stream, field) in CURVES.items():
            if self._has(stream, field):
                self._curves(path, self._episode.stream(stream), field)
                yield path
        rig = self._rig()
        if rig is not None:
            for kind, (stream, colour) in FIGURES.items():
                if self._has(stream, "position"):
                    self._figure(rig, kind, stream, colour)
                    yield f"robot, {kind}"
        self._events()
        yield "events"

    def _pictures(self, name: str) -> None:
        """Pictures as they were recorded; video and depth become JPEG to be shown."""
        camera = self._episode.camera(name)
        rows = self._inside(camera.t_ns)
        if not len(rows):
            return
        rr = self._rr
        still = camera.media_type in STILLS
        encoded = camera.encoded if still else camera.jpeg
        media_type = camera.media_type if still else "image/jpeg"
        self._columns(
            f"cameras/{name}",
            camera.t_ns[rows],
            rr.EncodedImage.columns(
                blob=[encoded(int(i)) for i in rows],
                media_type=[media_type] * len(rows),
            ),
        )

    def _curves(self, path: str, stream: Stream, field: str) -> None:
        rows = self._inside(stream.t_ns)
        if not len(rows):
            return
        values = np.asarray(stream[field][rows], float).reshape(len(rows), -1)
        names = stream.fields[field].get("names", ())
        if len(names) != values.shape[1]:  # of several axes, or without names
            names = [str(k) for k in range(values.shape[1])]
        for name, column in zip(names, values.T, strict=True):
            where = path if values.shape[1] == 1 else f"{path}/{name}"
            self._columns(where, stream.t_ns[rows], self._rr.Scalars.columns(scalars=column))

    def _figure(self, rig: Rig, kind: str, stream: str, colour: tuple[int, int, int]) -> None:
        aligned = align(
            self._episode, FIGURE_HZ, {stream: Policy("previous", fields=("position",))}
        )
        rr = self._rr
        for t_ns, q in zip(aligned.t_ns, aligned.values[stream]["position"], strict=True):
            strips = [points for points in rig.chains(q).values() if len(points) > 1]
            self._at(int(t_ns))
            self._log(f"robot/{kind}", rr.LineStrips3D(strips, colors=[colour], radii=[0.01]))

    def _events(self) -> None:
        for event in self._episode.events:
            if event.kind != MEMORY and self._first_ns <= event.t_ns <= self._last_ns:
                self._at(event.t_ns)
                self._log("events", self._rr.TextLog(f"{event.kind} {dict(event.data)}"))

    def _rig(self) -> Rig | None:
        """The robot of the take; None where its model is not installed."""
        try:
            return load_rig(str(self._episode.attributes.get("rig", "")))
        except RigError:
            return None

    def _has(self, stream: str, field: str) -> bool:
        if stream not in self._episode.streams:
            return False
        found = self._episode.stream(stream)
        return field in found and len(found) > 0 and found.dtype[field].itemsize > 0

    def _inside(self, t_ns: Array) -> Array:
        return np.flatnonzero((t_ns >= self._first_ns) & (t_ns <= self._last_ns))

    def _columns(self, path: str, t_ns: Array, columns: Any) -> None:
        seconds = (t_ns - self._first_ns) / 1e9
        self._rr.send_columns(
            path,
            indexes=[self._rr.TimeColumn(TIMELINE, duration=seconds)],
            columns=columns,
            recording=self._recording,
        )

    def _at(self, t_ns: int) -> None:
        self._recording.set_time(TIMELINE, duration=(t_ns - self._first_ns) / 1e9)

    def _log(self, path: str, what: Any) -> None:
        self._recording.log(path, what)


def import_rerun() -> Any:
    """The viewer's library.

    Raises:
        ViewError: It is not installed.
    """
    try:
        import rerun
    except ImportError as error:
        raise ViewError("the viewer is not installed: pip install 'telecap[view]'") from error
    return rerun


def open_recording(name: str, save: Path | None) -> Any:
    """A recording that goes to a viewer on this machine, or into a file.

    Args:
        name: Its own.
        save: File to write, `.rrd`; None starts the viewer.
    """
    rr = import_rerun()
    recording = rr.RecordingStream("telecap", recording_id=name)
    if save is None:
        os.environ.setdefault("CI", "1")  # the viewer then sends no usage data
        recording.spawn()
    else:
        recording.save(str(save))
    return recording
