"""A running session in the Rerun viewer, live: pictures, the moving robot, joints and events.

Listens on the session's bus, on the machine it runs on, and takes nothing away from it: of states
the newest is shown at most `RATE_HZ` times a second, each at its own time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from retarget import load_rig
from teleop import samples
from teleop.bodyshapes import NOTHING
from teleop.bus import Bus, Subscriber
from teleop.cameras.base import Codec, Picture, camera_plan
from teleop.cameras.encoding import encode_jpeg
from teleop.config import CameraConfig, RunConfig
from teleop.gateway.pictures import StreamDecoder
from teleop.view import TABS, TIMELINE, ViewError, import_rerun
from teleop.viewrobot import RobotView

RATE_HZ = 30.0
CONFIG = "config.json"
EVENTS = ("gateway", "control", "robot", "cameras", "record", "supervisor")
JPEG_QUALITY = 85


class LiveViewer:
    """Shows what is on the bus of a session.

    Args:
        config: Of the session.
        bus: Its bus.
        recording: `rerun.RecordingStream` to send to.
    """

    def __init__(self, config: RunConfig, bus: Bus, recording: Any) -> None:
        self._rr, self._recording = import_rerun(), recording
        rig = load_rig(config.rig)
        self._robot = RobotView(self._rr, rig)
        sizes = samples.row_sizes(rig)
        self._cameras = camera_plan(rig, config)
        self._pictures = {
            c.name: bus.subscriber(f"camera/{c.name}", None, depth=32 if c.codec == "h264" else 4)
            for c in self._cameras
        }
        self._decoders = {c.name: StreamDecoder(lambda: True) for c in self._cameras}
        self._joints: dict[str, Subscriber] = {
            "measured": bus.subscriber("robot/state", samples.robot_state_dtype(*sizes), depth=64),
            "requested": bus.subscriber(
                "command/requested", samples.command_dtype(*sizes), depth=256
            ),
        }
        qpos = samples.sim_qpos_dtype(self._robot.shapes.nq)
        self._qpos = bus.subscriber("sim/qpos", qpos, depth=64)
        self._simulated = False
        self._events = [bus.subscriber(f"events/{s}", None, depth=64) for s in EVENTS]
        self._begin_ns: int | None = None
        for entity, what in (*self._robot.meshes(), *self._robot.styles()):
            recording.log(entity, what, static=True)
        recording.send_blueprint(self._robot.layout((c.name for c in self._cameras), TABS))

    def step(self) -> int:
        """Send what is new; how much it was."""
        sent = sum(self._show(camera) for camera in self._cameras)
        for kind, subscriber in self._joints.items():
            row = subscriber.latest()
            if row is not None:
                self._joints_of(kind, row)
                sent += 1
        scene = self._qpos.latest()
        if scene is not None:
            self._simulated = True
            self._place(int(scene["t_ns"]), scene["qpos"])
        for subscriber in self._events:
            for message in subscriber.drain():
                event = json.loads(message.data)
                if event["kind"] not in samples.QUIET_EVENTS:
                    self._log(int(event["t_ns"]), "events", self._text(event))
                    sent += 1
        return sent

    def _show(self, camera: CameraConfig) -> int:
        subscriber = self._pictures[camera.name]
        if camera.codec == "h264":  # each builds on those before
            messages = [message.data for message in subscriber.drain()]
        else:
            newest = subscriber.latest()
            messages = [] if newest is None else [newest]
        image: Any = None
        picture: Picture | None = None
        for message in messages:
            picture = Picture.unpack(camera.name, message)
            image = self._image(camera, picture, message)
        if picture is None or image is None:
            return 0
        self._log(picture.t_ns, f"cameras/{camera.name}", image)
        return 1

    def _image(self, camera: CameraConfig, picture: Picture, message: bytes) -> Any:
        rr = self._rr
        if picture.codec in (Codec.JPEG, Codec.PNG):
            kind = "image/jpeg" if picture.codec is Codec.JPEG else "image/png"
            return rr.EncodedImage(contents=picture.payload, media_type=kind)
        if picture.codec is Codec.DEPTH:
            return rr.DepthImage(_depth(picture), meter=1.0 / camera.depth_unit_m)
        pixels = self._decoders[camera.name].decode(message)
        if pixels is None:
            return None
        return rr.EncodedImage(contents=encode_jpeg(pixels, JPEG_QUALITY), media_type="image/jpeg")

    def _joints_of(self, kind: str, row: Any) -> None:
        rr, t_ns = self._rr, int(row["t_ns"])
        position = np.asarray(row["position"], float)
        lines = rr.LineStrips3D.from_fields(strips=self._robot.limbs(position))
        self._log(t_ns, f"robot/{kind}", lines)
        for name, angle in zip(self._robot.rig.joint_names, position, strict=True):
            self._log(t_ns, f"joints/{kind}/{name}", rr.Scalars(angle))
        if kind == "measured" and not self._simulated:
            finger = row["finger"] if "finger" in (row.dtype.names or ()) else NOTHING
            self._place(t_ns, self._robot.shapes.qpos(position, row["gripper"], finger))

    def _place(self, t_ns: int, qpos: Any) -> None:
        rr, (where, turned) = self._rr, self._robot.shapes.poses(qpos)
        for entity, p, q in zip(self._robot.entities(), where, turned, strict=True):
            placed = rr.Transform3D(translation=p, quaternion=rr.Quaternion(xyzw=q))
            self._log(t_ns, entity, placed)

    def _text(self, event: dict[str, Any]) -> Any:
        return self._rr.TextLog(f"{event['kind']} {event.get('data', {})}")

    def _log(self, t_ns: int, path: str, what: Any) -> None:
        if self._begin_ns is None:
            self._begin_ns = t_ns
        self._recording.set_time(TIMELINE, duration=(t_ns - self._begin_ns) / 1e9)
        self._recording.log(path, what)


def is_session(path: Path) -> bool:
    """Whether a directory is that of a running session, as `telecap run` prints it."""
    return (path / CONFIG).is_file()


def session_config(path: Path) -> RunConfig:
    """What a running session is made of.

    Raises:
        ViewError: The directory is no session's.
    """
    if not is_session(path):
        raise ViewError(f"{path} is no session: `telecap run` prints its directory as `logs`")
    return RunConfig.load(path / CONFIG)


def _depth(picture: Picture) -> np.ndarray[Any, Any]:
    from recorder import CameraSpec
    from recorder.pictures import decode_still
    from recorder.schema import DEPTH

    spec = CameraSpec(picture.name, picture.width, picture.height, codec=DEPTH)
    return decode_still(picture.payload, spec)
