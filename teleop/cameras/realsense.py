"""Intel RealSense cameras through `pyrealsense2` (`pip install telecap[realsense]`).

The cameras of a rig that are streams of one device share it: its sensors are opened together, with
all their streams, by the first that reads, and closed by the last. Pictures carry the device's own
time, mid exposure where the firmware tells it.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from teleop.cameras.base import CameraError
from teleop.cameras.shots import NS, Pixels, Shot
from teleop.config import CameraConfig

log = logging.getLogger(__name__)

WAITING = 8
"""Frames of a stream that wait to be read."""
PATIENCE_S = 0.5
"""Silence after which is asked whether the device is still there."""
STREAMS = ("color", "depth", "infrared1", "infrared2")


@dataclass(frozen=True, slots=True)
class Wish:
    """What one camera asks of a device.

    Attributes:
        serial: Of the device; empty for the only one.
        stream: One of `STREAMS`.
        camera: Size, rate and depth unit.
    """

    serial: str
    stream: str
    camera: CameraConfig


class RealSense:
    """One stream of a RealSense device, as a source of pictures.

    Raises:
        CameraError: `pyrealsense2` is missing, or another camera has the same stream.
    """

    def __init__(self, wish: Wish) -> None:
        self._device = _device_of(wish)
        self._stream = wish.stream

    def shots(self) -> Iterator[Shot]:
        """Pictures until the device is gone."""
        frames = self._device.join(self._stream)
        try:
            before: int | None = None
            while True:
                frame = _next(frames, self._device)
                missed = 0 if before is None else max(0, frame.number - before - 1)
                before = frame.number
                yield Shot(frame.t_ns, same_clock=False, pixels=frame.pixels, missed=missed)
        finally:
            self._device.leave()

    def about(self) -> dict[str, Any]:
        """Serial number, firmware and intrinsics as the device tells them; empty before."""
        return self._device.about.get(self._stream, {})


@dataclass(frozen=True, slots=True)
class _Frame:
    number: int
    t_ns: int
    pixels: Pixels


@dataclass(eq=False)
class _Device:
    """One device, opened with everything that is wished of it."""

    serial: str
    wishes: dict[str, Wish] = field(default_factory=dict)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    _users: int = 0
    _sensors: list[Any] = field(default_factory=list)
    _frames: dict[str, queue.Queue[_Frame]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def join(self, stream: str) -> queue.Queue[_Frame]:
        """Frames of a stream; opens the device for the first.

        Raises:
            CameraError: It is not there, or does not offer what is wished.
        """
        with self._lock:
            if not self._users:
                self._open()
            self._users += 1
            return self._frames[stream]

    def leave(self) -> None:
        """Close the device behind the last."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._close()

    def is_there(self) -> bool:
        """Whether the device is connected."""
        try:
            return _found(self.serial) is not None
        except CameraError:
            return False

    def _open(self) -> None:
        rs = _library()
        device = _found(self.serial)
        self._frames = {stream: queue.Queue(WAITING) for stream in self.wishes}
        left = dict(self.wishes)
        try:
            for sensor in device.query_sensors():
                profiles = {s: p for s in left if (p := _profile(rs, sensor, left[s])) is not None}
                if profiles:
                    self._start(rs, device, sensor, profiles)
                    left = {s: w for s, w in left.items() if s not in profiles}
            if left:
                raise CameraError(_missing(rs, device, next(iter(left.values()))))
        except (RuntimeError, CameraError) as error:
            self._close()
            raise CameraError(f"RealSense {self.serial or 'device'}: {error}") from error

    def _start(self, rs: Any, device: Any, sensor: Any, profiles: dict[str, Any]) -> None:
        if sensor.supports(rs.option.global_time_enabled):
            sensor.set_option(rs.option.global_time_enabled, 0.0)  # the device's own clock
        if "depth" in profiles:
            _set_depth_unit(rs, sensor, self.wishes["depth"].camera)
        for stream, profile in profiles.items():
            self.about[stream] = _about(rs, device, profile)
        sensor.open(list(profiles.values()))
        self._sensors.append(sensor)
        sensor.start(lambda frame: self._arrived(rs, frame))

    def _arrived(self, rs: Any, frame: Any) -> None:
        """Called by the library for each frame, in a thread of its own."""
        stream = _name(rs, frame.get_profile())
        waiting = self._frames.get(stream)
        if waiting is None:
            return
        found = _Frame(frame.get_frame_number(), _time_ns(rs, frame), _pixels(frame))
        if waiting.full():  # nobody reads: the number of the next says how many were lost
            try:
                waiting.get_nowait()
            except queue.Empty:
                log.debug("read just now")
        waiting.put(found)

    def _close(self) -> None:
        for sensor in self._sensors:
            try:
                sensor.stop()
                sensor.close()
            except RuntimeError as error:  # it is unplugged
                log.debug("closing a sensor: %s", error)
        self._sensors.clear()


_devices: dict[str, _Device] = {}
_devices_lock = threading.Lock()


def _device_of(wish: Wish) -> _Device:
    _library()
    with _devices_lock:
        device = _devices.setdefault(wish.serial, _Device(wish.serial))
        other = device.wishes.get(wish.stream)
        if other is not None and other.camera.name != wish.camera.name:
            raise CameraError(
                f"cameras {other.camera.name!r} and {wish.camera.name!r} both want stream "
                f"{wish.stream!r} of RealSense {wish.serial or 'device'}"
            )
        device.wishes[wish.stream] = wish
        return device


def _library() -> Any:
    try:
        import pyrealsense2
    except ImportError as error:
        raise CameraError(
            f"a RealSense camera needs pyrealsense2 and libusb: pip install 'telecap[realsense]', "
            f"sudo apt-get install libusb-1.0-0 ({error})"
        ) from error
    return pyrealsense2


def connected() -> list[Any]:
    """Devices that are plugged in."""
    return list(_library().context().query_devices())


def _found(serial: str) -> Any:
    rs = _library()
    try:
        devices = {d.get_info(rs.camera_info.serial_number): d for d in connected()}
    except RuntimeError as error:
        raise CameraError(f"RealSense devices cannot be listed: {error}") from error
    if serial in devices:
        return devices[serial]
    if serial or len(devices) != 1:
        wanted = f"device {serial}" if serial else "single device (give its `serial`)"
        raise CameraError(f"no RealSense {wanted}; connected: {sorted(devices) or 'none'}")
    return next(iter(devices.values()))


def _next(frames: queue.Queue[_Frame], device: _Device) -> _Frame:
    while True:
        try:
            return frames.get(timeout=PATIENCE_S)
        except queue.Empty:
            if not device.is_there():
                raise CameraError(f"RealSense {device.serial or 'device'} is unplugged") from None


def _profile(rs: Any, sensor: Any, wish: Wish) -> Any:
    """What a sensor offers of a wish, None if it does not."""
    camera = wish.camera
    for offered in sensor.get_stream_profiles():
        if not offered.is_video_stream_profile():
            continue
        profile = offered.as_video_stream_profile()
        size = (profile.width(), profile.height(), profile.fps())
        fits = size == (camera.width, camera.height, camera.rate_hz)
        if fits and _name(rs, profile) == wish.stream and profile.format() == _format(rs, wish):
            return profile
    return None


def _format(rs: Any, wish: Wish) -> Any:
    if wish.stream == "depth":
        return rs.format.z16
    return rs.format.rgb8 if wish.stream == "color" else rs.format.y8


def _name(rs: Any, profile: Any) -> str:
    kind: str = profile.stream_type().name
    return f"{kind}{profile.stream_index()}" if kind == "infrared" else kind


def _missing(rs: Any, device: Any, wish: Wish) -> str:
    camera = wish.camera
    offered = sorted(
        {
            f"{p.width()}x{p.height()}@{p.fps()}"
            for sensor in device.query_sensors()
            for profile in sensor.get_stream_profiles()
            if profile.is_video_stream_profile()
            and _name(rs, p := profile.as_video_stream_profile()) == wish.stream
        }
    )
    return (
        f"no stream {wish.stream!r} of {camera.width}x{camera.height}@{camera.rate_hz}; "
        f"offered: {', '.join(offered) or 'none'}"
    )


def _set_depth_unit(rs: Any, sensor: Any, camera: CameraConfig) -> None:
    unit = rs.option.depth_units
    if not sensor.supports(unit):
        return
    if not np.isclose(sensor.get_option(unit), camera.depth_unit_m, rtol=1e-4):
        if sensor.is_option_read_only(unit):
            raise CameraError(
                f"camera {camera.name!r}: the device measures in {sensor.get_option(unit):g} m, "
                f"the rig says depth_unit_m = {camera.depth_unit_m:g}"
            )
        sensor.set_option(unit, camera.depth_unit_m)


def _about(rs: Any, device: Any, profile: Any) -> dict[str, Any]:
    names = {"serial_number": "serial", "name": "model", "firmware_version": "firmware"}
    kinds = {key: getattr(rs.camera_info, key) for key in names}
    found: dict[str, Any] = {
        names[key]: device.get_info(kind) for key, kind in kinds.items() if device.supports(kind)
    }
    try:
        lens = profile.get_intrinsics()
    except RuntimeError:  # not of every stream
        return found
    pinhole = {"fx": lens.fx, "fy": lens.fy, "cx": lens.ppx, "cy": lens.ppy}
    distortion = {"model": lens.model.name, "coefficients": list(lens.coeffs)}
    return found | {"intrinsics_px": pinhole, "distortion": distortion}


def _time_ns(rs: Any, frame: Any) -> int:
    """Time of exposure on the device's clock [ns]."""
    middle = rs.frame_metadata_value.sensor_timestamp
    if frame.supports_frame_metadata(middle):
        return int(frame.get_frame_metadata(middle)) * 1000
    return round(float(frame.get_timestamp()) * NS / 1e3)


def _pixels(frame: Any) -> Pixels:
    data = np.array(frame.get_data())  # a copy: the library wants its buffer back
    if data.dtype == np.uint8 and data.ndim == 2:
        return np.repeat(data[:, :, None], 3, axis=2)
    return data
