"""Where pictures come from that nobody renders: video devices, video files, a test pattern."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import av
import msgspec
import numpy as np
import numpy.typing as npt

from recorder.h264 import read_access_unit
from teleop.cameras.base import CameraError, Codec
from teleop.cameras.encoding import Pixels
from teleop.cameras.realsense import STREAMS, RealSense, Wish
from teleop.cameras.shots import NS, Shot, Source
from teleop.config import CameraConfig

ENCODED_FORMATS = {"mjpeg": Codec.JPEG, "h264": Codec.H264}
"""Pixel formats in which a device encodes by itself."""
Rgb = npt.NDArray[np.uint8]


class SourceSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `[camera_group.sources]` in a rig file.

    Attributes:
        kind: `v4l2`, `realsense`, `file` or `pattern`.
        device: Of `v4l2`, e.g. `/dev/video0` or `/dev/v4l/by-id/…`.
        path: Of `file`.
        format: Pixel format asked of the device: `mjpeg` and `h264` are stored as the device made
            them where the camera's codec is the same, others are encoded here.
        serial: Of `realsense`: serial number of the device; empty for the only one.
        stream: Of `realsense`: `color`, `depth`, `infrared1` or `infrared2`; empty takes `depth`
            for a depth camera, else `color`.
        crop: Left, top, width and height of the part that is kept [px]: two eyes in one picture.
    """

    kind: Literal["v4l2", "realsense", "file", "pattern"]
    device: str = ""
    path: str = ""
    format: str = "mjpeg"
    serial: str = ""
    stream: str = ""
    crop: tuple[int, int, int, int] | None = None


class Pattern:
    """A test pattern with the number of each picture in it, paced on the host's clock.

    Args:
        camera: Size and rate.
        sleep: Waits, [s].
    """

    def __init__(self, camera: CameraConfig, sleep: Callable[[float], None] = time.sleep) -> None:
        self._camera, self._sleep = camera, sleep

    def about(self) -> dict[str, str]:
        """That nobody saw this."""
        return {"model": "test pattern"}

    def shots(self) -> Iterator[Shot]:
        """Pictures for ever."""
        period_ns, begin_ns = NS // self._camera.rate_hz, time.monotonic_ns()
        number = 0
        while True:
            due_ns = begin_ns + number * period_ns
            self._sleep(max(0, due_ns - time.monotonic_ns()) / NS)
            rgb = draw_number(number, self._camera.width, self._camera.height)
            yield Shot(time.monotonic_ns(), same_clock=True, pixels=rgb)
            number += 1


BITS = 32


def draw_number(number: int, width: int, height: int) -> Rgb:
    """A drifting gradient with the number as a row of black and white cells at the top."""
    columns = np.arange(width, dtype=np.uint16)
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[..., 0] = ((columns + 3 * number % 256) % 256).astype(np.uint8)
    rgb[..., 1] = (np.arange(height, dtype=np.uint16) * 255 // max(1, height - 1))[:, None]
    rgb[..., 2] = 128
    cell, tall = width // BITS, max(8, height // 10)
    for bit in range(BITS):
        rgb[:tall, bit * cell : (bit + 1) * cell] = 255 if number >> bit & 1 else 0
    return rgb


def read_number(rgb: Rgb) -> int:
    """The number in a picture of `draw_number`, also after JPEG or H.264."""
    height, width = rgb.shape[:2]
    cell, tall = width // BITS, max(8, height // 10)
    middle = rgb[2 : tall - 2, :, :].mean(axis=(0, 2))
    cells = [middle[bit * cell + cell // 4 : (bit + 1) * cell - cell // 4] for bit in range(BITS)]
    return sum(1 << bit for bit, values in enumerate(cells) if values.mean() > 127)


class VideoFile:
    """A video file played at its own pace, over and over: a stand-in for a camera.

    Args:
        path: Any file PyAV can read.
        camera: Size that is made of its pictures.
    """

    def __init__(self, path: Path, camera: CameraConfig) -> None:
        self._path, self._camera = path, camera

    def about(self) -> dict[str, str]:
        """Which file it is."""
        return {"file": self._path.name}

    def shots(self) -> Iterator[Shot]:
        """Pictures for ever, with the file's own times as those of the device."""
        elapsed_ns = 0
        while True:
            begin_ns, first_ns, last_ns = time.monotonic_ns(), None, 0
            for frame in _frames(str(self._path), None, {}):
                at_ns = round(float(frame.pts * frame.time_base) * NS)
                first_ns = at_ns if first_ns is None else first_ns
                last_ns = at_ns - first_ns
                time.sleep(max(0, begin_ns + last_ns - time.monotonic_ns()) / NS)
                rgb = frame.to_ndarray(
                    format="rgb24", width=self._camera.width, height=self._camera.height
                )
                yield Shot(elapsed_ns + last_ns, same_clock=False, pixels=rgb)
            if first_ns is None:
                raise CameraError(f"{self._path} has no pictures")
            elapsed_ns += last_ns + NS // self._camera.rate_hz


class VideoDevice:
    """A camera of the kernel's video interface (V4L2), such as any USB webcam.

    Its pictures carry the kernel's time of exposure, on the host's monotonic clock.

    Args:
        device: E.g. `/dev/video0`.
        pixel_format: Asked of the device.
        camera: Size and rate asked of the device.
    """

    def __init__(self, device: str, pixel_format: str, camera: CameraConfig) -> None:
        self._device, self._format, self._camera = device, pixel_format, camera

    def about(self) -> dict[str, str]:
        """Where it is read, and its lasting name where the kernel gives one."""
        links = Path("/dev/v4l/by-id")
        here = Path(self._device).resolve()
        names = sorted(p.name for p in links.glob("*") if p.resolve() == here)
        return {"device": self._device, **({"serial": names[0]} if names else {})}

    def shots(self) -> Iterator[Shot]:
        """Pictures until the device is gone."""
        options = {
            "input_format": self._format,
            "video_size": f"{self._camera.width}x{self._camera.height}",
            "framerate": str(self._camera.rate_hz),
        }
        codec = ENCODED_FORMATS.get(self._format)
        if codec is None:
            for frame in _frames(self._device, "v4l2", options):
                at_ns = round(float(frame.pts * frame.time_base) * NS)
                yield Shot(at_ns, same_clock=True, pixels=frame.to_ndarray(format="rgb24"))
            return
        parameters = ParameterSets()
        for packet in _packets(self._device, "v4l2", options):
            at_ns = round(float(packet.pts * packet.time_base) * NS)
            data = bytes(packet)
            if codec is Codec.H264:
                data = parameters.complete(data)
            yield Shot(at_ns, same_clock=True, encoded=data, codec=codec)


class ParameterSets:
    """Repeats a device's H.264 parameter sets before key pictures that come without them."""

    def __init__(self) -> None:
        self._known = b""

    def complete(self, payload: bytes) -> bytes:
        """The picture, decodable by itself if it is a key picture."""
        try:
            unit = read_access_unit(payload)
        except ValueError:  # told, with its reason, where pictures are checked
            return payload
        if unit.complete:
            self._known = unit.parameters
        return self._known + payload if unit.key and not unit.complete else payload


def cropped(pixels: Pixels, crop: tuple[int, int, int, int]) -> Pixels:
    """A part of a picture.

    Raises:
        CameraError: The part reaches beyond the picture.
    """
    left, top, width, height = crop
    if top + height > pixels.shape[0] or left + width > pixels.shape[1]:
        raise CameraError(
            f"crop {list(crop)} reaches beyond a picture of {pixels.shape[1]} × {pixels.shape[0]}"
        )
    return np.ascontiguousarray(pixels[top : top + height, left : left + width])


def open_source(section: SourceSection, camera: CameraConfig, rig_dir: Path) -> Source:
    """The source a rig file names for a camera.

    Raises:
        CameraError: Something it needs is missing.
    """
    match section.kind:
        case "pattern":
            return Pattern(camera)
        case "file":
            path = rig_dir / section.path
            if not section.path or not path.is_file():
                raise CameraError(f"camera {camera.name!r}: no video file {path}")
            return VideoFile(path, camera)
        case "v4l2":
            if not section.device:
                raise CameraError(f"camera {camera.name!r}: `device` is missing, e.g. /dev/video0")
            return VideoDevice(section.device, section.format, _whole(section, camera))
        case "realsense":
            stream = section.stream or ("depth" if camera.codec == "depth" else "color")
            if stream not in STREAMS or (stream == "depth") != (camera.codec == "depth"):
                raise CameraError(
                    f"camera {camera.name!r}: stream {stream!r} recorded as {camera.codec!r}; "
                    f"streams are {STREAMS}, and only `depth` has codec `depth`"
                )
            return RealSense(Wish(section.serial, stream, _whole(section, camera)))


def _whole(section: SourceSection, camera: CameraConfig) -> CameraConfig:
    """What is asked of the device: where pictures are cropped, what holds all parts."""
    if section.crop is None:
        return camera
    left, top, width, height = section.crop
    return msgspec.structs.replace(
        camera, width=max(camera.width, left + width), height=max(camera.height, top + height)
    )


def _packets(name: str, kind: str | None, options: dict[str, str]) -> Iterator[Any]:
    try:
        with av.open(name, format=kind, options=options) as container:
            for packet in container.demux(video=0):
                if packet.size and packet.pts is not None:
                    yield packet
    except (OSError, av.FFmpegError) as error:
        raise CameraError(f"{name}: {error}") from error


def _frames(name: str, kind: str | None, options: dict[str, str]) -> Iterator[Any]:
    try:
        with av.open(name, format=kind, options=options) as container:
            for frame in container.decode(video=0):
                if frame.pts is not None:
                    yield frame
    except (OSError, av.FFmpegError) as error:
        raise CameraError(f"{name}: {error}") from error
