"""Each codec of pictures, from the writer to every reader, through crashes and damage."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
import zarr

from recorder import CameraSpec, Dataset, Episode, EpisodeWriter
from recorder.checks import identical_share, look
from recorder.codecs import H264Codec, PngCodec
from recorder.errors import SchemaError
from recorder.h264 import Decoder, Encoder, is_key, nal_units, read_access_unit
from recorder.pictures import GROUP, encode_depth, encode_png
from recorder.repair import repair_episode
from recorder.schema import DEPTH, H264, JPEG, PNG
from recorder.shard import scan
from tests.recorder.takes import copy_open_take

W, H, KEYS = 64, 48, 7
CODECS = (JPEG, PNG, H264, DEPTH)


def scene(i: int) -> np.ndarray[Any, Any]:
    """A picture whose brightness tells its number, on a moving gradient."""
    rgb = np.zeros((H, W, 3), np.uint8)
    rgb[H // 2 :, :, 0] = (np.arange(W) * 3 + 2 * i) % 256
    rgb[: H // 2] = 20 + 5 * i
    return rgb


def depth_scene(i: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(i).integers(0, 2**16, (H, W), dtype=np.uint16)


def number_in(picture: np.ndarray[Any, Any]) -> int:
    return round((picture[2 : H // 2 - 2].mean() - 20) / 5)


def h264(n: int, keys: int = KEYS, size: tuple[int, int] = (W, H)) -> list[bytes]:
    encoder = Encoder(*size, 30.0, keys, crf=12)
    frames = [np.ascontiguousarray(np.resize(scene(i), (size[1], size[0], 3))) for i in range(n)]
    return [encoder.encode(frame)[1] for frame in frames]


def payloads(codec: str, n: int) -> list[bytes]:
    if codec == JPEG:
        return [simplejpeg.encode_jpeg(scene(i), 90, "RGB", "444") for i in range(n)]
    if codec == PNG:
        return [encode_png(scene(i)) for i in range(n)]
    if codec == H264:
        return h264(n)
    return [encode_depth(depth_scene(i)) for i in range(n)]


def begin(root: Path, codec: str) -> EpisodeWriter:
    attributes = {"depth_unit_m": 0.001} if codec == DEPTH else {}
    camera = CameraSpec("front", W, H, codec=codec, attributes=attributes)
    return Dataset.open(root, create=True).begin([], [camera])


def put(writer: EpisodeWriter, frames: list[bytes], first_seq: int = 0) -> None:
    for i, frame in enumerate(frames, first_seq):
        writer.append_picture("front", frame, 10**9 + i * 10**7, i, i + 1, i)


def record(root: Path, codec: str, n: int) -> tuple[Episode, list[bytes]]:
    frames = payloads(codec, n)
    writer = begin(root, codec)
    put(writer, frames)
    episode = writer.finish()
    writer.wait_settled()
    return episode, frames


def assert_shows(camera: Any, row: int, number: int) -> None:
    if camera.spec.codec == DEPTH:
        np.testing.assert_array_equal(camera[row], depth_scene(number))
    elif camera.spec.codec == PNG:
        np.testing.assert_array_equal(camera[row], scene(number))
    else:
        assert number_in(camera[row]) == number
        assert np.abs(camera[row].astype(int) - scene(number)).mean() < 12


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 36])
def test_pictures_come_back_in_any_order(tmp_path: Path, codec: str, n: int) -> None:
    episode, frames = record(tmp_path, codec, n)
    camera = episode.camera("front")
    assert len(camera) == n
    assert [camera.encoded(i) for i in range(n)] == frames
    assert camera.sizes.tolist() == [len(f) for f in frames]
    order = [*range(n), *reversed(range(n)), *np.random.default_rng(0).permutation(n).tolist()]
    for i in order:
        assert_shows(camera, i, i)
    for i in range(0, n, 5):
        shown = simplejpeg.decode_jpeg(camera.jpeg(i), "RGB")
        assert shown.shape == (H, W, 3)
        assert camera.grey(i).shape == (H, W)
        assert camera.grey(i, 8).shape == (H // 8, W // 8)
    with pytest.raises(IndexError, match=f"which has {n}"):
        camera[n]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("n", [1, 10, 25])
def test_zarr_reads_the_same_pictures(tmp_path: Path, codec: str, n: int) -> None:
    episode, _ = record(tmp_path, codec, n)
    camera = episode.camera("front")
    array = zarr.open_group(str(episode.path), mode="r")["cameras/front/image"]
    assert isinstance(array, zarr.Array)
    whole = np.asarray(array[:])
    assert array.shape == whole.shape == (n, *camera[0].shape)
    for i in range(n):
        np.testing.assert_array_equal(whole[i], camera[i])
    np.testing.assert_array_equal(array[n - 1], camera[n - 1])


def test_depth_needs_no_codec_of_ours(tmp_path: Path) -> None:
    episode, _ = record(tmp_path, DEPTH, 3)
    array = zarr.open_group(str(episode.path), mode="r")["cameras/front/image"]
    inner = array.metadata.to_dict()["codecs"][0]["configuration"]["codecs"]  # type: ignore[union-attr, index]
    assert [c["name"] for c in inner] == ["bytes", "zstd", "crc32c"]
    assert episode.camera("front").is_depth
    assert episode.camera("front").attributes["depth_unit_m"] == 0.001


@pytest.mark.parametrize("codec", [H264Codec(crf=5), PngCodec()])
def test_zarr_writes_with_our_codecs(tmp_path: Path, codec: H264Codec | PngCodec) -> None:
    rows = 4 if isinstance(codec, H264Codec) else 1
    frames = np.array([scene(i) for i in range(10)])
    array = zarr.create_array(
        str(tmp_path / "a"), shape=frames.shape, chunks=(rows, H, W, 3), dtype="uint8",
        serializer=codec, compressors=None,
    )  # fmt: skip
    array[:] = frames
    again = np.asarray(zarr.open_array(str(tmp_path / "a"), mode="r")[:])
    assert [number_in(f) for f in again] == list(range(10))
    assert (again == frames).all() or isinstance(codec, H264Codec)


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_no_picture_of_the_camera_is_a_drop_with_its_reason(
    tmp_path: Path, codec: str
) -> None:
    good = payloads(codec, 2)
    other = {
        JPEG: simplejpeg.encode_jpeg(np.zeros((8, 8, 3), np.uint8), 90),
        PNG: encode_png(np.zeros((8, 8, 3), np.uint8)),
        H264: h264(1, size=(32, 32))[0],
        DEPTH: encode_depth(np.zeros((2 * H, W), np.uint16)),
    }[codec]
    writer = begin(tmp_path, codec)
    put(writer, [good[0], b"", b"no picture", good[0][:20], other, good[0]])
    episode = writer.finish()
    assert [episode.camera("front").encoded(i) for i in range(2)] == [good[0], good[0]]
    assert episode.attributes["drops"] == {"cameras/front": 4}
    reasons = [e.data["reason"] for e in episode.events if e.kind == "drop"]
    assert len(reasons) == 4 and all(reasons)
    sizes = "2 pictures" if codec == DEPTH else f"expected {W}x{H}"
    assert sizes in reasons[3]


def test_a_grey_png_is_refused(tmp_path: Path) -> None:
    import cv2

    writer = begin(tmp_path, PNG)
    put(writer, [cv2.imencode(".png", np.zeros((H, W), np.uint8))[1].tobytes()])
    assert "expected [8, 2]" in writer.finish().events[0].data["reason"]


# ------------------------------------------------------------------------ video
def test_video_begins_with_a_key_picture_and_says_what_came_before(tmp_path: Path) -> None:
    frames = h264(20)
    writer = begin(tmp_path, H264)
    put(writer, frames[4:], first_seq=4)
    episode = writer.finish()
    camera = episode.camera("front")
    assert camera.seq.tolist() == list(range(7, 20))
    assert not episode.attributes["drops"]
    event = episode.events[0]
    assert (event.kind, dict(event.data)) == ("before_key_picture", {"camera": "front", "count": 3})
    for row in range(len(camera)):
        assert_shows(camera, row, row + 7)


def test_a_missing_picture_costs_those_that_build_on_it(tmp_path: Path) -> None:
    frames = h264(30)
    writer = begin(tmp_path, H264)
    for i, frame in enumerate(frames):
        if i != 9:
            writer.append_picture("front", frame, i, i, i, i)
    episode = writer.finish()
    camera = episode.camera("front")
    assert camera.seq.tolist() == [*range(9), *range(14, 30)]
    assert episode.attributes["drops"] == {"cameras/front": 4}
    assert {e.data["reason"] for e in episode.events} == {"the picture it builds on is missing"}
    for row, number in enumerate(camera.seq.tolist()):
        assert_shows(camera, row, number)


def test_key_pictures_without_parameters_and_b_pictures_are_refused(tmp_path: Path) -> None:
    import av

    first = h264(1)[0]
    bare = b"".join(b"\0\0\0\1" + first[a:b] for kind, a, b in nal_units(first) if kind == 5)
    assert not read_access_unit(bare).complete
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt, context.time_base = W, H, "yuv420p", 1
    context.options = {"x264-params": "bframes=2:b-adapt=0:annexb=1:repeat-headers=1"}
    packets: list[bytes] = []
    for i in range(12):
        frame = av.VideoFrame.from_ndarray(scene(i), format="rgb24").reformat(format="yuv420p")
        frame.pts = i
        packets += [bytes(p) for p in context.encode(frame)]
    packets += [bytes(p) for p in context.encode(None)]
    assert sum(read_access_unit(p).bidirectional for p in packets) >= 3
    writer = begin(tmp_path, H264)
    put(writer, [bare, *packets])
    episode = writer.finish()
    reasons = [e.data["reason"] for e in episode.events if e.kind == "drop"]
    assert "without its parameter sets" in reasons[0]
    assert "B picture" in " ".join(reasons) or "reordered" in " ".join(reasons)
    camera = episode.camera("front")
    for row in range(len(camera)):  # whatever was kept can be shown
        assert camera[row].shape == (H, W, 3)


def test_odd_sides_cannot_be_h264() -> None:
    with pytest.raises(SchemaError, match="even sides, got 63x48"):
        CameraSpec("front", 63, 48, codec=H264)
    with pytest.raises(ValueError, match="even sides, got 64x47"):
        Encoder(64, 47, 30.0, 10)
    with pytest.raises(SchemaError, match="codec 'av1', expected"):
        CameraSpec("front", 64, 48, codec="av1")


def test_an_encoder_keys_when_asked_and_at_its_period() -> None:
    encoder = Encoder(W, H, 30.0, 10, crf=20)
    keys = []
    for i in range(30):
        key, data = encoder.encode(scene(i), key=i == 13)
        assert is_key(data) == key
        assert len(read_access_unit(data).parameters) > 0 or not key
        keys += [i] * key
    assert keys == [0, 10, 13, 23]


def test_video_that_stands_still_is_told_from_video_that_moves(tmp_path: Path) -> None:
    for name, step, still in (("still", 0, 1.0), ("moving", 1, 0.0)):
        encoder = Encoder(W, H, 30.0, 10, crf=20)
        writer = begin(tmp_path / name, H264)
        put(writer, [encoder.encode(scene(step * (i % 40)))[1] for i in range(60)])
        camera = writer.finish().camera("front")
        assert identical_share(camera) is None
        assert look(camera).still_share == still


# ----------------------------------------------------------------------- crashes
@pytest.fixture(params=CODECS)
def open_take(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EpisodeWriter]:
    writer = begin(tmp_path / "live", request.param)
    put(writer, payloads(request.param, 33))
    yield writer
    writer.close()


def shard_of(episode: Path) -> Path:
    (found,) = (episode / "cameras/front/image").rglob("*.partial")
    return found


def test_a_take_cut_anywhere_keeps_every_whole_picture(
    open_take: EpisodeWriter, tmp_path: Path
) -> None:
    source = copy_open_take(open_take, tmp_path / "source")
    records = scan(shard_of(source)).records
    rng = np.random.default_rng(1)
    size = shard_of(source).stat().st_size
    for k, cut in enumerate([0, size, *rng.integers(0, size, 12).tolist()]):
        path = copy_open_take(open_take, tmp_path / f"cut{k}")
        with shard_of(path).open("r+b") as file:
            file.truncate(cut)
        whole = sum(r.end <= cut for r in records)
        repair_episode(path)
        camera = Episode(path).camera("front")
        assert camera.seq.tolist() == list(range(whole))
        for row in range(whole):
            assert_shows(camera, row, row)


def test_damage_costs_the_picture_and_those_that_build_on_it(
    open_take: EpisodeWriter, tmp_path: Path
) -> None:
    video = next(iter(open_take._cameras.values())).camera.codec == H264
    for k in (0, 3, 7, 13, 30):
        path = copy_open_take(open_take, tmp_path / f"damage{k}")
        record = scan(shard_of(path)).records[k]
        with shard_of(path).open("r+b") as file:
            file.seek(record.offset + record.nbytes // 2)
            byte = file.read(1)[0]
            file.seek(-1, 1)
            file.write(bytes([byte ^ 0x5A]))
        repaired = repair_episode(path)
        lost = set(range(k, min(33, (k // KEYS + 1) * KEYS)) if video else [k])
        rest = [i for i in range(33) if i not in lost]
        episode = Episode(path)
        camera = episode.camera("front")
        assert camera.seq.tolist() == rest
        assert episode.attributes["drops"] == {"cameras/front": len(lost)}
        assert repaired is not None
        aside = sum(p.stat().st_size for p in (path / ".lost").iterdir())
        assert aside == repaired.lost_bytes >= record.nbytes
        for row, number in enumerate(rest):
            assert_shows(camera, row, number)
        array = zarr.open_group(str(path), mode="r")["cameras/front/image"]
        np.testing.assert_array_equal(np.asarray(array[:])[-1], camera[len(rest) - 1])  # type: ignore[index]


def test_a_killed_repair_of_video_begins_its_copy_anew(tmp_path: Path) -> None:
    writer = begin(tmp_path / "live", H264)
    put(writer, h264(33))
    path = copy_open_take(writer, tmp_path / "copy")
    writer.close()
    shard = shard_of(path)
    data = bytearray(shard.read_bytes())
    record = scan(shard).records[9]
    leftover = bytes(data[: scan(shard).records[4].end - 9])
    data[record.offset + record.nbytes // 2] ^= 0x5A
    shard.write_bytes(data)
    shard.with_name(f"{shard.name}.copy.partial").write_bytes(leftover)
    repair_episode(path)
    camera = Episode(path).camera("front")
    assert camera.seq.tolist() == [*range(9), *range(14, 33)]
    for row, number in enumerate(camera.seq.tolist()):
        assert_shows(camera, row, number)
    assert not [p for p in path.rglob("*") if "partial" in p.name]


def test_an_unfinished_take_can_be_looked_at(open_take: EpisodeWriter) -> None:
    camera = Episode(open_take.path, allow_unfinished=True).camera("front")
    for row in range(len(camera)):
        assert_shows(camera, row, row)


@pytest.mark.parametrize("codec", CODECS)
def test_pictures_between_two_times_are_a_camera_of_their_own(tmp_path: Path, codec: str) -> None:
    episode, frames = record(tmp_path, codec, 25)
    whole = episode.camera("front")
    cut = whole.between(10**9 + 9 * 10**7, 10**9 + 19 * 10**7)
    assert len(cut) == 11
    assert cut.seq.tolist() == list(range(9, 20))
    assert cut.sizes.tolist() == [len(frame) for frame in frames[9:20]]
    for i in (10, 0, 5, -1):
        assert_shows(cut, i, 9 + i % 11)
        assert cut.encoded(i) == frames[9 + i % 11]
        np.testing.assert_array_equal(cut.grey(i), whole.grey(9 + i % 11))
    with pytest.raises(IndexError, match="picture 11 of camera 'front', which has 11"):
        cut.encoded(11)
    assert len(pickle.loads(pickle.dumps(cut))) == 11
    assert len(whole.between(0, 5)) == 0
    assert len(whole) == 25


# ----------------------------------------------------------------------- sharing
def _numbers(camera: Any) -> list[int]:
    return [number_in(camera[i]) for i in range(len(camera) - 1, -1, -3)]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_video_is_read_in_other_processes(tmp_path: Path, start: str) -> None:
    episode, _ = record(tmp_path, H264, 25)
    camera = episode.camera("front")
    here = _numbers(camera)
    with multiprocessing.get_context(start).Pool(1) as pool:
        assert pool.apply_async(_numbers, (camera,)).get(60) == here == list(range(24, -1, -3))


def test_video_is_read_from_several_threads(tmp_path: Path) -> None:
    episode, _ = record(tmp_path, H264, 40)
    camera = pickle.loads(pickle.dumps(episode.camera("front")))
    order = np.random.default_rng(3).integers(0, 40, 400).tolist()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda i: number_in(camera[i]), order)) == order


def test_a_decoder_says_what_it_cannot_decode() -> None:
    with pytest.raises(ValueError, match=r"not decodable|0 out"):
        Decoder().decode(h264(3)[2])
    with pytest.raises(ValueError, match="no slice"):
        is_key(b"\0\0\0\1\x67abc")


def test_groups_are_short_enough_to_seek_in() -> None:
    assert GROUP <= 10
