"""An episode in the Rerun viewer: pictures, the moving robot, targets, curves and events.

One time line, `host`, in seconds from the beginning of what is used of the take; every row is at
its own time, none is resampled but the robot and its targets.
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
                for t_ns, row in self._rows(stream, ("position",)):
                    self._at(t_ns)
                    self._log(*robot.limbs(kind, row["position"]))
                yield f"limbs, {kind}"
        self._bodies(robot)
        yield "bodies"
        for tip in robot.rig.tips:
            if self._has("target", f"T_robot_{tip}"):
                self._targets(robot, tip)
                yield f"target {tip}"

    def _bodies(self, robot: RobotView) -> None:
        """Where bodies were: of a simulation all of them, else those that the state tells of."""
        shapes = robot.shapes
        if self._has("sim/qpos", "qpos"):
            for t_ns, row in self._rows("sim/qpos", ("qpos",)):
                if len(row["qpos"]) == shapes.nq:
                    self._place(robot, t_ns, row["qpos"])
        elif self._has("state", "position"):
            fields = tuple(f for f in ("position", "gripper", "finger") if self._has("state", f))
            for t_ns, row in self._rows("state", fields):
                self._place(robot, t_ns, shapes.qpos(*(row[f] for f in fields)))

    def _place(self, robot: RobotView, t_ns: int, qpos: Array) -> None:
        self._at(t_ns)
        for entity, where in robot.poses(qpos):
            self._log(entity, where)

    def _targets(self, robot: RobotView, tip: str) -> None:
        stream = self._episode.stream("target")
        k = TIPS.index(tip)
        field = f"T_robot_{tip}"
        for t_ns, row in self._rows(stream.name, (field, "valid")):
            self._at(t_ns)
            valid = bool(np.ravel(row["valid"])[k])
            self._log(*robot.target(tip, row[field] if valid else None))

    def _rows(self, stream: str, fields: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Array]]]:
        """The newest row at each instant of the robot's rate, with the time of the instant."""
        aligned = align(self._episode, FIGURE_HZ, {stream: Policy("previous", fields=fields)})
        values = aligned.values[stream]
        for k, t_ns in enumerate(aligned.t_ns.tolist()):
            yield t_ns, {field: np.asarray(values[field][k]) for field in fields}

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
