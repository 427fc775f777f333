"""Cameras that nobody renders: true times, true order, and nothing that fails silently."""

from __future__ import annotations

import fractions
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replaced

from recorder import CameraSpec
from recorder.h264 import Decoder, nal_units
from recorder.pictures import decode_still
from teleop.cameras import devices
from teleop.cameras.base import CameraError, Codec, Picture, message_bytes
from teleop.cameras.devices import JUMP_NS, KEPT, Reader, Stamper
from teleop.cameras.encoding import PictureEncoder
from teleop.cameras.sources import (
    ParameterSets,
    Pattern,
    Shot,
    SourceSection,
    VideoFile,
    cropped,
    draw_number,
    open_source,
    read_number,
)
from teleop.config import CameraConfig
from teleop.recording import RECORDED
from teleop.samples import CAMERA_HEADER

MS, S = 1_000_000, 1_000_000_000
CAMERA = CameraConfig(name="front", width=320, height=240, rate_hz=30)


def jpeg(number: int) -> bytes:
    encoded: bytes = simplejpeg.encode_jpeg(draw_number(number, 320, 240), quality=90)
    return encoded


def until(wanted, what: str) -> None:
    end = time.monotonic() + 10.0
    while not wanted():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.005)


class Script:
    """A source that does what a test says: pictures, failures, silence."""

    def __init__(self, *parts: object) -> None:
        self._parts = list(parts)
        self.opened = 0

    def shots(self) -> Iterator[Shot]:
        self.opened += 1
        while self._parts:
            part = self._parts.pop(0)
            if isinstance(part, Shot):
                yield part
            elif isinstance(part, threading.Event):
                part.wait(10.0)
            elif isinstance(part, Exception):
                raise part
            else:
                return
        threading.Event().wait(10.0)


# ------------------------------------------------------------------ pattern


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(320, 240), (640, 480), (424, 240)]))
def test_a_number_is_read_from_a_picture_after_jpeg(number: int, size: tuple[int, int]) -> None:
    encoded = simplejpeg.encode_jpeg(draw_number(number, *size), quality=60, colorsubsampling="420")
    assert read_number(simplejpeg.decode_jpeg(encoded, colorspace="RGB")) == number


def test_a_pattern_counts_up_on_the_hosts_clock_at_its_rate() -> None:
    slept: list[float] = []
    shots = Pattern(CAMERA, slept.append).shots()
    first = [next(shots) for _ in range(10)]
    numbers = [read_number(s.pixels) for s in first]
    assert numbers == list(range(10))
    assert all(s.same_clock for s in first)
    assert max(slept) == pytest.approx(9 / 30, abs=0.05), "it waits for when each is due"


# ------------------------------------------------------------------ time


@given(st.integers(0, 40), st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_a_device_clock_is_mapped_by_its_least_delay_and_order_is_kept(
    offset_s: int, delays_ms: list[int]
) -> None:
    stamper, stamps = Stamper(), []
    for k, delay_ms in enumerate(delays_ms):
        device_ns = k * 33 * MS
        now_ns = device_ns + offset_s * S + delay_ms * MS
        t_ns, problem = stamper.stamp(Shot(device_ns, False), now_ns)
        assert problem == ""
        assert t_ns <= now_ns
        stamps.append(t_ns - offset_s * S - device_ns)
    assert stamps[-1] == min(delays_ms) * MS


@pytest.mark.parametrize(
    ("device_ns", "problem"),
    [
        (33 * MS, "same time twice"),
        (10 * MS, "backwards"),
        (33 * MS + 2 * JUMP_NS, "jumped"),
    ],
)
def test_a_clock_that_misbehaves_is_told(device_ns: int, problem: str) -> None:
    stamper = Stamper()
    stamper.stamp(Shot(0, False), S)
    assert stamper.stamp(Shot(33 * MS, False), S + 33 * MS)[1] == ""
    t_ns, found = stamper.stamp(Shot(device_ns, False), S + 66 * MS)
    assert problem in found
    assert t_ns == S + 66 * MS, "from then on it is mapped anew"


def test_a_kernel_time_is_kept_unless_it_is_of_another_clock() -> None:
    stamper = Stamper()
    assert stamper.stamp(Shot(5 * S, True), 5 * S + 20 * MS) == (5 * S, "")
    wrong, problem = Stamper().stamp(Shot(1_700_000_000 * S, True), 5 * S)
    assert wrong == 5 * S
    assert "not the host's" in problem


# ------------------------------------------------------------------ reader


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "RETRY_S", 0.02)


@pytest.mark.usefixtures("soon")
def test_an_unplugged_camera_is_told_and_comes_back() -> None:
    now = time.monotonic_ns()
    script = Script(
        Shot(now, True, encoded=jpeg(1)),
        CameraError("/dev/video0: No such device"),
        CameraError("/dev/video0: No such device"),
        Shot(now + 2 * MS, True, encoded=jpeg(2)),
    )
    reader, news, pictures = Reader(CAMERA, lambda: script), [], []
    until(lambda: script.opened >= 3 and reader._state == "live", "the camera again")
    until(lambda: pictures.extend(reader.take()) or len(pictures) == 2, "both pictures")
    news = reader.news(time.monotonic_ns())
    kinds = [kind for kind, _ in news]
    assert kinds == ["camera_lost", "camera_back"], "each turn once, however often it is tried"
    assert "No such device" in news[0][1]["reason"]
    assert news[0][1]["camera"] == "front"
    reader.close()


@pytest.mark.usefixtures("soon")
def test_a_camera_that_stalls_is_told_once_and_the_others_go_on() -> None:
    gate = threading.Event()
    now = time.monotonic_ns()
    stalled = Reader(CAMERA, lambda: Script(Shot(now, True, encoded=jpeg(1)), gate))
    other = Reader(CAMERA, lambda: Pattern(CAMERA))
    until(stalled.take, "the first picture")
    later = time.monotonic_ns() + 2 * devices.STALL_NS
    assert [kind for kind, _ in stalled.news(later)] == ["camera_stalled"]
    assert stalled.news(later) == []
    until(other.take, "pictures of the other")
    gate.set()
    stalled.close()
    other.close()


def test_pictures_nobody_takes_are_dropped_and_counted() -> None:
    now = time.monotonic_ns()
    shots = [Shot(now + k * MS, True, encoded=jpeg(k)) for k in range(KEPT + 3)]
    reader = Reader(CAMERA, lambda: Script(*shots))
    until(lambda: reader.dropped == 3, "drops")
    taken = [
        read_number(simplejpeg.decode_jpeg(p.payload, colorspace="RGB")) for p in reader.take()
    ]
    assert taken == list(range(3, KEPT + 3)), "the newest stay, in order"
    drops = [data for kind, data in reader.news(now) if kind == "camera_dropped"]
    assert sum(data["pictures"] for data in drops) == 3
    reader.close()


# ------------------------------------------------------------------ files and crops


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=50)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.time_base = fractions.Fraction(1, 50)
        for k in range(10):
            frame = av.VideoFrame.from_ndarray(draw_number(k, 320, 240), format="rgb24")
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_film_plays_in_order_at_its_own_times_over_and_over(film: Path) -> None:
    shots = VideoFile(film, CAMERA).shots()
    played = [next(shots) for _ in range(25)]
    numbers = [read_number(s.pixels) for s in played]
    assert numbers == [k % 10 for k in range(25)]
    steps = np.diff([s.t_device_ns for s in played]) / 1e6
    assert (steps > 0).all()
    assert np.median(steps) == pytest.approx(20.0)


def test_what_cannot_be_opened_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="no video file"):
        open_source(SourceSection(kind="file", path="gone.mp4"), CAMERA, tmp_path)
    with pytest.raises(CameraError, match="`device` is missing"):
        open_source(SourceSection(kind="v4l2"), CAMERA, tmp_path)
    (tmp_path / "text.mp4").write_text("not a film")
    shots = open_source(SourceSection(kind="file", path="text.mp4"), CAMERA, tmp_path).shots()
    with pytest.raises(CameraError, match=r"text\.mp4"):
        next(shots)
    shots = open_source(SourceSection(kind="v4l2", device="/dev/video99"), CAMERA, tmp_path).shots()
    with pytest.raises(CameraError, match="video99"):
        next(shots)


def test_a_crop_is_a_part_of_the_picture() -> None:
    two_eyes = np.hstack([draw_number(7, 320, 240), draw_number(9, 320, 240)])
    for left, number in ((0, 7), (320, 9)):
        assert read_number(cropped(two_eyes, (left, 0, 320, 240))) == number
    with pytest.raises(CameraError, match="beyond"):
        cropped(two_eyes, (400, 0, 320, 240))


# ------------------------------------------------------------------ codecs


def frames(codec: str, n: int) -> list[bytes]:
    encoder = PictureEncoder(replaced(CAMERA, codec=codec))
    return [encoder.encode(draw_number(k, CAMERA.width, CAMERA.height))[0] for k in range(n)]


def taken(reader: Reader, n: int) -> list[Picture]:
    found: list[Picture] = []
    until(lambda: found.extend(reader.take()) or len(found) >= n, f"{n} pictures")
    reader.close()
    return found


def test_what_the_device_encoded_is_kept_where_the_camera_is_recorded_so() -> None:
    now = time.monotonic_ns()
    for codec, kind in (("jpeg", Codec.JPEG), ("h264", Codec.H264)):
        made = frames(codec, 4)
        shots = [Shot(now + k * MS, True, encoded=f, codec=kind) for k, f in enumerate(made)]
        found = taken(Reader(replaced(CAMERA, codec=codec), lambda s=shots: Script(*s)), 4)
        assert [p.payload for p in found] == made
        assert [(p.codec, p.key) for p in found] == [
            (kind, k == 0 or kind is Codec.JPEG) for k in range(4)
        ]


@pytest.mark.parametrize("source", ["jpeg", "h264", ""])
@pytest.mark.parametrize("codec", ["jpeg", "png", "h264"])
def test_every_picture_of_any_source_becomes_the_cameras_codec(source: str, codec: str) -> None:
    now = time.monotonic_ns()
    if source:
        kind = Codec.JPEG if source == "jpeg" else Codec.H264
        shots = [
            Shot(now + k * MS, True, encoded=f, codec=kind) for k, f in enumerate(frames(source, 5))
        ]
    else:
        shots = [
            Shot(now + k * MS, True, pixels=draw_number(k, CAMERA.width, CAMERA.height))
            for k in range(5)
        ]
    found = taken(Reader(replaced(CAMERA, codec=codec), lambda: Script(*shots)), 5)
    decoder = Decoder()
    for k, picture in enumerate(found):
        assert picture.codec.name.lower() == codec
        if codec == "h264":
            rgb = decoder.decode(picture.payload)
        else:
            spec = CameraSpec("front", CAMERA.width, CAMERA.height, codec=RECORDED[codec])
            rgb = decode_still(picture.payload, spec)
        assert read_number(rgb) == k


def test_video_that_nobody_takes_goes_on_with_a_key_picture() -> None:
    now = time.monotonic_ns()
    gate = threading.Event()
    rgb = [draw_number(k, CAMERA.width, CAMERA.height) for k in range(KEPT + 6)]
    shots = [Shot(now + k * MS, True, pixels=p) for k, p in enumerate(rgb)]
    first, rest = shots[: KEPT + 2], shots[KEPT + 2 :]
    reader = Reader(replaced(CAMERA, codec="h264"), lambda: Script(*first, gate, *rest))
    until(lambda: reader.dropped, "drops")
    gate.set()
    until(lambda: len(reader._waiting) == 5, "the rest")
    found = reader.take()
    reader.close()
    assert found[0].key
    decoder = Decoder()
    numbers = [read_number(decoder.decode(p.payload)) for p in found]
    assert numbers == list(range(KEPT + 1, KEPT + 6))
    assert reader.dropped == KEPT + 1
    drops = [data for kind, data in reader.news(now) if kind == "camera_dropped"]
    assert sum(data["pictures"] for data in drops) == KEPT + 1


def test_a_picture_that_cannot_be_decoded_costs_itself() -> None:
    now = time.monotonic_ns()
    shots = [Shot(now + k * MS, True, encoded=jpeg(k) if k != 1 else b"no JPEG") for k in range(3)]
    reader = Reader(replaced(CAMERA, codec="png"), lambda: Script(*shots))
    assert len(taken(reader, 2)) == 2
    assert reader.dropped == 1


def test_parameter_sets_are_repeated_for_devices_that_send_them_once() -> None:
    first = frames("h264", 1)[0]
    units = {kind: b"\0\0\0\1" + first[a:b] for kind, a, b in nal_units(first)}
    sets, bare = ParameterSets(), units[5]
    assert sets.complete(bare) == bare, "none are known yet"
    assert sets.complete(first) == first
    again = sets.complete(bare)
    assert again == units[7] + units[8] + units[5]
    assert read_number(Decoder().decode(again)) == 0
    assert sets.complete(b"no picture") == b"no picture"


def test_depth_keeps_every_bit_and_is_checked() -> None:
    config = replaced(CAMERA, codec="depth")
    depth = np.random.default_rng(0).integers(0, 2**16, (240, 320), dtype=np.uint16)
    payload, key = PictureEncoder(config).encode(depth)
    spec = CameraSpec("front", CAMERA.width, CAMERA.height, codec=RECORDED["depth"])
    np.testing.assert_array_equal(decode_still(payload, spec), depth)
    assert key
    with pytest.raises(CameraError, match=r"expected \(240, 320\) uint16"):
        PictureEncoder(config).encode(np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(CameraError, match=r"expected \(240, 320, 3\) uint8"):
        PictureEncoder(CAMERA).encode(depth)


def test_the_bus_has_room_for_pure_noise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    for codec in ("jpeg", "png", "h264", "depth"):
        config = replaced(CAMERA, codec=codec)
        pixels = noise if codec != "depth" else noise[:, :, :2].copy().view(np.uint16)[:, :, 0]
        payload, _ = PictureEncoder(config).encode(pixels)
        assert len(payload) + CAMERA_HEADER.itemsize < message_bytes(config)
