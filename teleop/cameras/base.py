"""What every camera group is to the rest of the system, and which pictures a run captures.

A camera group captures several cameras together. `telecap` finds groups through the entry-point
group `telecap.cameras`, so a package of yours adds one without a change here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from importlib.metadata import entry_points
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from retarget import Rig
from retarget.rig import RigCamera
from teleop.cameras.profile import RenderProfile, detect_profile
from teleop.config import CameraConfig, RunConfig
from teleop.errors import TeleopError
from teleop.samples import CAMERA_HEADER

ENTRY_POINTS = "telecap.cameras"
MUJOCO = "mujoco"
"""The group that renders the simulated scene."""
CODECS = ("jpeg", "png", "h264", "depth")
"""Names of codecs in rig files."""
ON_DEMAND = frozenset({"ceiling"})
"""Cameras that are captured only when the configuration asks for them."""


class CameraError(TeleopError):
    """A camera does not exist, cannot be opened, or sent something that is not a picture."""


class Codec(IntEnum):
    """How a picture is encoded; the numbers of `CAMERA_HEADER`; `telecap.v1` has the first two."""

    JPEG = 1
    H264 = 2
    """Annex B, one access unit a picture."""
    PNG = 3
    DEPTH = 4
    """uint16 with zstd, as the recorder stores it; see `recorder.pictures.encode_depth`."""


@dataclass(frozen=True, slots=True, eq=False)
class SimState:
    """A state of the simulated scene, for cameras that render it.

    Attributes:
        t_ns: Its time, host monotonic [ns].
        qpos: (nq,) in MuJoCo's order.
    """

    t_ns: int
    qpos: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture.

    Attributes:
        name: Camera.
        width: [px].
        height: [px].
        t_ns: Time of exposure, host clock [ns]; for a rendered picture, of the state it shows.
        t_device_ns: The same on the camera's clock [ns].
        t_receive_ns: When the encoded picture was at hand, host clock [ns].
        payload: Encoded picture.
        seq: Number of the picture in its stream.
        codec: How the payload is encoded.
        key: Decodable without the pictures before it.
    """

    name: str
    width: int
    height: int
    t_ns: int
    t_device_ns: int
    t_receive_ns: int
    payload: bytes
    seq: int = 0
    codec: Codec = Codec.JPEG
    key: bool = True

    def pack(self) -> bytes:
        """Message of topic `camera/<name>`: `CAMERA_HEADER`, then the payload."""
        header = np.zeros((), CAMERA_HEADER)
        for field in ("t_ns", "t_device_ns", "t_receive_ns", "seq", "width", "height"):
            header[field] = getattr(self, field)
        header["codec"], header["key"] = self.codec, self.key
        return header.tobytes() + self.payload

    @classmethod
    def unpack(cls, name: str, message: bytes) -> Self:
        """Inverse of `pack`.

        Raises:
            CameraError: The message is shorter than the header, or its codec is unknown.
        """
        size = CAMERA_HEADER.itemsize
        if len(message) < size:
            raise CameraError(f"camera {name!r}: {len(message)} bytes, the header alone has {size}")
        header = np.frombuffer(message, CAMERA_HEADER, count=1)[0]
        known = [c.value for c in Codec]
        if header["codec"] not in known:
            raise CameraError(f"camera {name!r}: codec {header['codec']}, known are {known}")
        return cls(
            name=name,
            width=int(header["width"]),
            height=int(header["height"]),
            t_ns=int(header["t_ns"]),
            t_device_ns=int(header["t_device_ns"]),
            t_receive_ns=int(header["t_receive_ns"]),
            payload=message[size:],
            seq=int(header["seq"]),
            codec=Codec(int(header["codec"])),
            key=bool(header["key"]),
        )


class CameraGroup(Protocol):
    """Cameras captured together, used by one thread.

    A group of devices that keep their own time also has `poll_hz`, how often `capture` is asked for
    what has arrived, and may have `news()`, a list of `(event kind, data)` since the last call. One
    that encodes video has `request_keys()`: the next picture of each camera must be decodable by
    itself. Pictures of video are in order and none is left out between two key pictures. A group of
    devices may have `about()`, what each tells of itself (serial number, …), by camera; it is
    recorded with every take.

    Attributes:
        cameras: What it captures.
        state_size: Length of the `SimState.qpos` it renders; 0 for cameras that are given None.
    """

    cameras: tuple[CameraConfig, ...]
    state_size: int

    def capture(self, names: Collection[str], state: SimState | None) -> Iterator[Picture]:
        """A picture of each named camera, each as soon as it is encoded, `seq` left at 0."""
        ...

    def close(self) -> None:
        """Release devices and contexts."""
        ...


class CameraFactory(Protocol):
    """What an entry point of `telecap.cameras` names: a class or function to open a group."""

    def __call__(
        self, rig: Rig, cameras: Sequence[CameraConfig], profile: RenderProfile
    ) -> CameraGroup:
        """Open the cameras of a rig."""
        ...


def find_cameras(name: str) -> CameraFactory:
    """The camera group with this entry-point name.

    Raises:
        CameraError: No installed package has it; the message lists those that exist.
    """
    found = entry_points(group=ENTRY_POINTS)
    if name not in found.names:
        raise CameraError(f"no camera group {name!r}; installed: {sorted(found.names)}")
    factory: CameraFactory = found[name].load()
    return factory


def camera_plan(rig: Rig, config: RunConfig) -> tuple[CameraConfig, ...]:
    """The cameras a run captures and their picture sizes; the same in every process of the run.

    Without a choice in the configuration these are the rig's, except those in `ON_DEMAND`. Rendered
    pictures are as large as fits the render profile with the camera's own aspect; those of other
    camera groups have the size the rig file gives.

    Raises:
        CameraError: The rig names a codec that does not exist, or one its pictures cannot have.
    """
    return tuple(_checked(camera) for camera in _planned(rig, config))


def _planned(rig: Rig, config: RunConfig) -> tuple[CameraConfig, ...]:
    if config.cameras:
        return config.cameras
    chosen = [camera for camera in rig.cameras if camera.name not in ON_DEMAND]
    if not chosen:
        return ()
    if group_name(rig) != MUJOCO:
        return tuple(_config(c, c.width, c.height, config) for c in chosen)
    profile = detect_profile(config.render)
    return tuple(
        _config(camera, width, height, config)
        for camera in chosen
        for width, height in [profile.fit(camera.width, camera.height)]
    )


def _config(camera: RigCamera, width: int, height: int, config: RunConfig) -> CameraConfig:
    codec = camera.codec if camera.codec == "depth" else config.codec or camera.codec
    return CameraConfig(
        name=camera.name,
        width=width,
        height=height,
        codec=codec,
        depth_unit_m=camera.depth_unit_m,
    )


def _checked(camera: CameraConfig) -> CameraConfig:
    if camera.codec not in CODECS:
        raise CameraError(f"camera {camera.name!r}: codec {camera.codec!r}; there are {CODECS}")
    if camera.codec == "h264" and (camera.width % 2 or camera.height % 2):
        raise CameraError(
            f"camera {camera.name!r}: H.264 needs even sides, got {camera.width}x{camera.height}"
        )
    return camera


def group_name(rig: Rig) -> str:
    """The camera group the rig names under `[camera_group] name`, `mujoco` without one."""
    return str(rig.sections.get("camera_group", {}).get("name", MUJOCO))


def message_bytes(camera: CameraConfig) -> int:
    """Upper bound of a `camera/<name>` message.

    JPEG q90 of pure noise has 1.1 bytes a pixel, H.264 2.3 at crf 20; PNG and zstd add little to
    the pixels themselves.
    """
    a_pixel = 2.0 if camera.codec == "jpeg" else 3.1
    return CAMERA_HEADER.itemsize + 4096 + int(a_pixel * camera.width * camera.height)
