"""An episode in the Rerun viewer: pictures, the moving robot, targets, curves and events.

One time line, `host`, in seconds from the beginning of what is used of the take; every row is at
its own time, none is resampled but the robot and its targets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recorder import Episode, Policy, align
from recorder.numeric import Stream
from retarget import load_rig
from retarget.errors import RigError
from retarget.targets import TIPS
from teleop.errors import TeleopError
from teleop.samples import QUIET_EVENTS
from teleop.viewrobot import RobotView

TIMELINE = "host"
FIGURE_HZ = 30.0
"""Rate of the robot and its targets."""
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
FIGURES = {"measured": "state", "requested": "command/requested"}
"""Stream of each."""
TABS = {
    "grippers": ("grippers/measured/**", "grippers/requested/**"),
    "residual": ("solver/residual/**",),
    "clearance": ("solver/clearance",),
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
        robot = self._robot()
        if robot is not None:
            yield from self._show(robot)
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

    def _show(self, robot: RobotView) -> Iterator[str]:
        for entity, what in (*robot.meshes(), *robot.styles()):
            self._recording.log(entity, what, static=True)
        self._recording.send_blueprint(robot.layout(self._episode.cameras, TABS))
        yield "robot"
        for kind, stream in FIGURES.items():
            if self._has(stream, "position"):
                t_ns, (positions,) = self._at_rate(stream, "position")
                self._lines(f"robot/{kind}", t_ns, [robot.limbs(q) for q in positions])
                yield f"limbs, {kind}"
        self._bodies(robot)
        yield "bodies"
        for tip in robot.rig.tips:
            field = f"T_robot_{tip}"
            if self._has("target", field):
                t_ns, (poses, valid) = self._at_rate("target", field, "valid")
                k = TIPS.index(tip)
                axes = [robot.axes(p if v[k] else None) for p, v in zip(poses, valid, strict=True)]
                self._lines(f"targets/{tip}", t_ns, axes)
                yield f"target {tip}"

    def _bodies(self, robot: RobotView) -> None:
        """Where bodies were: of a simulation all of them, else those that the state tells of."""
        shapes = robot.shapes
        rows: Sequence[Array] = ()
        if self._has("sim/qpos", "qpos"):
            t_ns, (qpos,) = self._at_rate("sim/qpos", "qpos")
            rows = list(qpos) if qpos.shape[1] == shapes.nq else ()
        if not rows:
            fields = [f for f in ("position", "gripper", "finger") if self._has("state", f)]
            t_ns, told = self._at_rate("state", *fields)
            rows = [
                shapes.qpos(**dict(zip(fields, row, strict=True)))
                for row in zip(*told, strict=True)
            ]
        placed = [shapes.poses(row) for row in rows]
        if not placed:
            return
        where, turned = (np.stack(column) for column in zip(*placed, strict=True))
        for k, entity in enumerate(robot.entities()):
            moves = np.ptp(where[:, k], axis=0).any() or np.ptp(turned[:, k], axis=0).any()
            n = len(t_ns) if moves else 1
            columns = self._rr.Transform3D.columns(
                translation=where[:n, k], quaternion=turned[:n, k]
            )
            self._columns(entity, t_ns[:n], columns)

    def _lines(self, entity: str, t_ns: Array, strips: list[list[Array]]) -> None:
        """Lines at each instant, which may be none."""
        flat = [strip for at_once in strips for strip in at_once]
        columns = self._rr.LineStrips3D.columns(strips=flat)
        self._columns(entity, t_ns, columns.partition([len(at_once) for at_once in strips]))

    def _at_rate(self, stream: str, *fields: str) -> tuple[Array, list[Array]]:
        """Instants of the robot's rate, and the newest row of each field there."""
        aligned = align(self._episode, FIGURE_HZ, {stream: Policy("previous", fields=fields)})
        return aligned.t_ns, [aligned.values[stream][field] for field in fields]

    def _events(self) -> None:
        for event in self._episode.events:
            if event.kind not in QUIET_EVENTS and self._first_ns <= event.t_ns <= self._last_ns:
                self._at(event.t_ns)
                self._log("events", self._rr.TextLog(f"{event.kind} {dict(event.data)}"))

    def _robot(self) -> RobotView | None:
        """The robot of the take; None where its model is not installed, or has other joints."""
        try:
            rig = load_rig(str(self._episode.attributes.get("rig", "")))
        except RigError:
            return None
        if not self._has("state", "position"):
            return None
        names = tuple(self._episode.stream("state").fields["position"].get("names", ()))
        return RobotView(self._rr, rig) if names == rig.joint_names else None

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
