from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from recorder.export.errors import PictureSizeError
from recorder.export.stats import PictureStats, RowStats, row_stats, sampled_rows
from recorder.export.video import CameraVideo, VideoSettings
from tests.recorder.export_episodes import HEIGHT, WIDTH, number_in, picture

SPS, PPS, IDR, CODED = 7, 8, 5, 1


def write(tmp_path: Path, lengths: list[int], settings: VideoSettings):
    path_of = lambda n: tmp_path / f"file-{n}.mp4"  # noqa: E731
    spans, number = [], 0
    with CameraVideo(path_of, WIDTH, HEIGHT, settings) as video:
        for length in lengths:
            pictures = (picture(number + k) for k in range(length))
            spans.append(video.write_episode(pictures, length))
            number += length
    return spans, path_of


def nal_types(packet: av.Packet) -> list[int]:
    """Types of the length-prefixed NAL units in a packet of an MP4."""
    data, at, types = bytes(packet), 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        types.append(data[at + 4] & 0x1F)
        at += 4 + size
    return types


def packets_in(path: Path) -> list[av.Packet]:
    with av.open(str(path)) as container:
        return [p for p in container.demux(video=0) if p.size]


@pytest.mark.parametrize("fps", [30, 15, 2])
def test_groups_are_short_closed_and_carry_their_headers(tmp_path: Path, fps: int) -> None:
    settings = VideoSettings(fps)
    spans, path_of = write(tmp_path, [25, 13], settings)
    packets = packets_in(path_of(0))
    keys = [k for k, packet in enumerate(packets) if packet.is_keyframe]
    assert {0, spans[1].first} <= set(keys)
    assert max(np.diff([*keys, len(packets)])) <= max(1, fps // 3)
    for packet in packets:
        types = nal_types(packet)
        if packet.is_keyframe:
            assert {SPS, PPS, IDR} <= set(types)
        else:
            assert CODED in types
    assert [p.pts for p in packets] == [p.dts for p in packets]  # no B-frames


def test_pictures_are_yuv420p_h264_of_constant_rate(tmp_path: Path) -> None:
    _, path_of = write(tmp_path, [12], VideoSettings(30))
    with av.open(str(path_of(0))) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 30
        assert stream.frames == 12
        assert stream.start_time == 0


def test_a_full_file_is_followed_by_the_next_at_an_episode_border(tmp_path: Path) -> None:
    lengths = [60] * 6
    _, whole = write(tmp_path / "whole", lengths, VideoSettings(30))
    limit = sum(p.size for p in packets_in(whole(0))) * 6 // 10
    spans, path_of = write(tmp_path, lengths, VideoSettings(30, max_file_bytes=limit))
    assert 0 < spans[-1].file_number < 4  # not a file an episode
    number = 0
    shown: dict[int, list[int]] = {}
    for span, length in zip(spans, lengths, strict=True):
        if span.file_number not in shown:
            with av.open(str(path_of(span.file_number))) as container:
                frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
            shown[span.file_number] = [number_in(frame) for frame in frames]
        inside = shown[span.file_number][span.first : span.first + span.length]
        assert inside == list(range(number, number + length))
        number += length
    assert sum(map(len, shown.values())) == sum(lengths)


def test_files_stay_below_the_length_at_which_float32_seconds_get_coarse(tmp_path: Path) -> None:
    spans, _ = write(tmp_path, [600, 600], VideoSettings(1))
    assert [s.file_number for s in spans] == [0, 1]


def test_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    with (
        CameraVideo(lambda n: tmp_path / f"{n}.mp4", 32, 32, VideoSettings(30)) as video,
        pytest.raises(PictureSizeError, match="32, 32"),
    ):
        video.write_episode([picture(1)], 1)


def test_statistics_of_parts_are_those_of_the_whole() -> None:
    rows = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    merged = RowStats()
    for part in np.split(rows, [10, 11, 500]):
        merged.add(part)
    for name, wanted in row_stats(rows).items():
        np.testing.assert_allclose(merged.result()[name], wanted, atol=1e-6)


def test_quantiles_of_many_rows_come_from_an_even_subsample(monkeypatch) -> None:
    monkeypatch.setattr("recorder.export.stats.MAX_KEPT_ROWS", 500)
    merged, rows = RowStats(), np.arange(10_000, dtype=np.float64)
    for part in np.array_split(rows, 37):
        merged.add(part)
    result = merged.result()
    assert result["count"] == [10_000]
    assert (result["min"], result["max"]) == ([0.0], [9999.0])
    np.testing.assert_allclose(result["q50"], 5000, rtol=0.02)
    np.testing.assert_allclose(result["q01"], 100, atol=40)


def test_picture_statistics_are_those_of_the_pixels() -> None:
    pictures = np.random.default_rng(1).integers(0, 256, (5, 40, 60, 3), dtype=np.uint8)
    counted = PictureStats()
    for rgb in pictures:
        counted.add(rgb)
    result, scaled = counted.result(), pictures / 255.0
    for name, figure in (("mean", np.mean), ("std", np.std), ("min", np.min), ("max", np.max)):
        np.testing.assert_allclose(np.ravel(result[name]), figure(scaled, axis=(0, 1, 2)))
    median = np.quantile(scaled, 0.5, axis=(0, 1, 2))
    np.testing.assert_allclose(np.ravel(result["q50"]), median, atol=1 / 255)


def test_all_rows_of_short_episodes_are_sampled() -> None:
    assert sampled_rows(1).tolist() == [0]
    assert len(sampled_rows(100)) == 100
    assert len(sampled_rows(1800)) == int(1800**0.75)
