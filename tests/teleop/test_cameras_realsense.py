"""RealSense cameras, on the software device of their own library."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest

from recorder import CameraSpec
from recorder.pictures import decode_still
from teleop.cameras import devices, realsense
from teleop.cameras.base import CameraError
from teleop.cameras.devices import Reader
from teleop.cameras.sources import SourceSection, draw_number, open_source, read_number
from teleop.config import CameraConfig
from teleop.recording import RECORDED

rs = pytest.importorskip("pyrealsense2", exc_type=ImportError)
W, H = 320, 240
COLOUR = CameraConfig(name="front", width=W, height=H, rate_hz=30)
DEPTH = CameraConfig(name="front_depth", width=W, height=H, rate_hz=30, codec="depth")
SERIALS = (f"{k:012d}" for k in count(1))


class Device:
    """A D400 in software: depth and colour, each on a sensor of its own."""

    def __init__(self, *, one_sensor: bool = False) -> None:
        self.serial = next(SERIALS)
        self.device = rs.software_device()
        self.device.register_info(rs.camera_info.serial_number, self.serial)
        self.device.register_info(rs.camera_info.name, "Software D400")
        stereo = self.device.add_sensor("Stereo Module")
        stereo.add_read_only_option(rs.option.depth_units, 0.001)
        colour = stereo if one_sensor else self.device.add_sensor("RGB Camera")
        self._sensors = {"depth": stereo, "color": colour}
        self._profiles = {
            "depth": stereo.add_video_stream(_stream(rs.stream.depth, rs.format.z16, 2, 1)),
            "color": colour.add_video_stream(_stream(rs.stream.color, rs.format.rgb8, 3, 2)),
        }

    def send(self, stream: str, number: int, pixels: np.ndarray[Any, Any], ms: float) -> None:
        frame = rs.software_video_frame()
        frame.pixels = pixels
        frame.bpp = pixels.itemsize * (1 if stream == "depth" else 3)
        frame.stride = W * frame.bpp
        frame.timestamp, frame.domain = ms, rs.timestamp_domain.hardware_clock
        frame.frame_number = number
        frame.profile = self._profiles[stream].as_video_stream_profile()
        self._sensors[stream].on_video_frame(frame)

    def both(self, number: int) -> None:
        self.send("color", number, draw_number(number, W, H), 1000 + 33.0 * number)
        self.send("depth", number, depth_of(number), 1000 + 33.0 * number)


def _stream(kind: Any, form: Any, bytes_a_pixel: int, uid: int) -> Any:
    lens = rs.intrinsics()
    lens.width, lens.height, lens.fx, lens.fy, lens.ppx, lens.ppy = W, H, 300.0, 301.0, 160.0, 120.0
    lens.model, lens.coeffs = rs.distortion.none, [0.0] * 5
    stream = rs.video_stream()
    stream.type, stream.fmt, stream.index, stream.uid = kind, form, 0, uid
    stream.width, stream.height, stream.fps, stream.bpp = W, H, 30, bytes_a_pixel
    stream.intrinsics = lens
    return stream


def depth_of(number: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(number).integers(0, 2**16, (H, W), dtype=np.uint16)


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    found: list[Any] = []
    monkeypatch.setattr(realsense, "connected", lambda: list(found))
    monkeypatch.setattr(devices, "RETRY_S", 0.05)
    monkeypatch.setattr(realsense, "PATIENCE_S", 0.1)
    yield found
    found.clear()


def readers_of(device: Device, tmp_path: Any, *cameras: CameraConfig) -> list[Reader]:
    section = SourceSection(kind="realsense", serial=device.serial)
    for camera in cameras:
        open_source(section, camera, tmp_path)
    return [Reader(c, lambda c=c: open_source(section, c, tmp_path)) for c in cameras]


def until(wanted: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 10.0
    while not wanted():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.005)


def opened(device: Device) -> Callable[[], bool]:
    return lambda: realsense._devices[device.serial]._users == 2


@pytest.mark.parametrize("one_sensor", [False, True])
def test_colour_and_depth_of_one_device_arrive_with_its_own_times(
    plugged: list[Any], tmp_path: Any, one_sensor: bool
) -> None:
    device = Device(one_sensor=one_sensor)
    plugged.append(device.device)
    readers = readers_of(device, tmp_path, COLOUR, DEPTH)
    until(opened(device), "both streams")
    found: list[list[Any]] = [[], []]
    for number in range(6):
        device.both(number)
        for pictures, reader in zip(found, readers, strict=True):
            until(lambda p=pictures, r=reader, n=number: p.extend(r.take()) or len(p) > n, "it")
    colour, depth = found
    for pictures, camera in zip(found, (COLOUR, DEPTH), strict=True):
        assert [p.t_device_ns for p in pictures] == [10**9 + 33 * 10**6 * k for k in range(6)]
        spec = CameraSpec("x", W, H, codec=RECORDED[camera.codec])
        for k, picture in enumerate(pictures):
            pixels = decode_still(picture.payload, spec)
            if camera is COLOUR:
                assert read_number(pixels) == k
            else:
                np.testing.assert_array_equal(pixels, depth_of(k))
    assert len(colour) == len(depth) == 6
    about = readers[0].about()
    assert (about["serial"], about["model"]) == (device.serial, "Software D400")
    assert about["intrinsics_px"] == {"fx": 300.0, "fy": 301.0, "cx": 160.0, "cy": 120.0}
    for reader in readers:
        reader.close()


def test_frames_that_did_not_arrive_are_counted(plugged: list[Any], tmp_path: Any) -> None:
    device = Device()
    plugged.append(device.device)
    readers = readers_of(device, tmp_path, COLOUR, DEPTH)
    until(opened(device), "both streams")
    for number in (0, 1, 5, 6):
        device.both(number)
    until(lambda: all(len(r._waiting) == 4 for r in readers), "all pictures")
    for reader in readers:
        assert reader.dropped == 3
        dropped = [d for kind, d in reader.news(time.monotonic_ns()) if kind == "camera_dropped"]
        assert dropped == [{"camera": reader.camera.name, "pictures": 3}]
        reader.close()


def test_a_device_that_is_unplugged_is_told_and_comes_back(
    plugged: list[Any], tmp_path: Any
) -> None:
    device = Device()
    plugged.append(device.device)
    readers = readers_of(device, tmp_path, COLOUR, DEPTH)
    until(opened(device), "both streams")
    device.both(0)
    until(lambda: all(r._waiting for r in readers), "pictures")
    assert all(r.take() for r in readers)
    plugged.clear()
    for reader in readers:
        told: list[tuple[str, dict[str, Any]]] = []
        until(lambda r=reader, n=told: n.extend(r.news(0)) or n, "news")
        assert told[0][0] == "camera_lost"
        assert "unplugged" in told[0][1]["reason"]
    plugged.append(device.device)
    until(opened(device), "both streams again")
    device.both(1)
    until(lambda: all(r._waiting for r in readers), "pictures again")
    for reader in readers:
        reader.close()


def test_what_cannot_be_had_is_said(plugged: list[Any], tmp_path: Any) -> None:
    device = Device()
    section = SourceSection(kind="realsense", serial=device.serial)
    source = open_source(section, COLOUR, tmp_path)
    with pytest.raises(CameraError, match=rf"no RealSense device {device.serial}; connected: none"):
        next(source.shots())
    plugged.append(device.device)
    large = CameraConfig(name="large", width=640, height=480, rate_hz=60)
    alone = Device()
    plugged.append(alone.device)
    wide = open_source(SourceSection(kind="realsense", serial=alone.serial), large, tmp_path)
    with pytest.raises(CameraError, match=r"no stream 'color' of 640x480@60; offered: 320x240@30"):
        next(wide.shots())
    with pytest.raises(CameraError, match="both want stream 'color'"):
        open_source(section, large, tmp_path)
    fine = CameraConfig(
        name="fine", width=W, height=H, rate_hz=30, codec="depth", depth_unit_m=0.0001
    )
    finer = Device()
    plugged.append(finer.device)
    source = open_source(SourceSection(kind="realsense", serial=finer.serial), fine, tmp_path)
    with pytest.raises(CameraError, match=r"measures in 0.001 m, the rig says"):
        next(source.shots())
    with pytest.raises(CameraError, match="only `depth` has codec"):
        open_source(SourceSection(kind="realsense", stream="depth"), COLOUR, tmp_path)
    with pytest.raises(CameraError, match="single device"):
        next(open_source(SourceSection(kind="realsense"), COLOUR, tmp_path).shots())
