from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import zarr

from recorder import Dataset, DiskFull, EpisodeWriter
from recorder.errors import WriteFailedError
from tests.recorder.takes import (
    CAMERAS,
    HEAD,
    STATE,
    STREAMS,
    encoded,
    feed,
    pictures,
    random_rows,
    same_bits,
)

RNG = np.random.default_rng(7)
STATES, HEADS = random_rows(STATE, 1500, RNG), random_rows(HEAD, 300, RNG)
FRAMES = pictures(75, RNG)


class Disk:
    """`os.writev` of a disk of limited size; a write may go half through before it fails."""

    def __init__(self, free: int, error: int = errno.ENOSPC) -> None:
        self.free = free
        self.error = error
        self._writev = os.writev

    def writev(self, fd: int, buffers: Sequence[bytes]) -> int:
        data = b"".join(buffers)
        fits = data[: self.free]
        if not fits:
            raise OSError(self.error, os.strerror(self.error))
        self.free -= len(fits)
        return self._writev(fd, [fits])

    def write(self, fd: int, data: bytes) -> int:
        return self.writev(fd, [data])


@pytest.mark.parametrize("seed", range(12))
def test_full_disk_keeps_what_was_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    free = int(np.random.default_rng(seed).integers(10_000, 2_000_000))
    disk = Disk(free)
    dataset = Dataset.open(tmp_path, create=True)
    writer = dataset.begin(STREAMS, CAMERAS)
    monkeypatch.setattr("recorder.shard.os.writev", disk.writev)
    monkeypatch.setattr("recorder.shard.os.write", disk.write)
    with pytest.raises(DiskFull, match="rows accepted before are kept"):
        for _ in feed(writer, STATES, HEADS, FRAMES):
            pass
    rows, taken = writer.rows, writer.pictures
    lost = sum(writer.drops.values())
    assert isinstance(writer.failed, DiskFull)
    writer.append("state", STATES[:2])  # reported once; later rows are counted
    writer.append_picture("front", FRAMES[0], 0, 0, 0, 0)
    writer.sync()
    assert sum(writer.drops.values()) == lost + 3
    disk.free = 10**9  # the reserve
    episode = writer.finish()
    assert same_bits(episode.stream("state").rows(), STATES[: rows["state"]])
    assert same_bits(episode.stream("operator/head").rows(), HEADS[: rows["operator/head"]])
    for camera in CAMERAS:
        assert encoded(episode, camera.name) == FRAMES[: taken[camera.name]]
    assert episode.attributes["failed"]["error"] == "DiskFull"
    assert dataset.episodes()[0].failed
    group = zarr.open_group(str(episode.path), mode="r")
    assert group["state/position"].shape == (rows["state"], 3)
    assert same_bits(np.asarray(group["state/hand"][:]), STATES["hand"][: rows["state"]])


def test_no_space_for_the_index_leaves_a_take_to_repair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(300_000)
    writer = Dataset.open(tmp_path, create=True).begin(STREAMS, CAMERAS)
    monkeypatch.setattr("recorder.shard.os.writev", disk.writev)
    monkeypatch.setattr("recorder.shard.os.write", disk.write)
    with pytest.raises(DiskFull):
        for _ in feed(writer, STATES, HEADS, FRAMES):
            pass
    rows = writer.rows
    with pytest.raises(DiskFull):
        writer.finish()
    assert Dataset.open(tmp_path).repaired == ()  # still full: left as it is
    monkeypatch.undo()
    dataset = Dataset.open(tmp_path)
    (repaired,) = dataset.repaired
    found = dataset[repaired.id].stream("state").rows()
    assert len(found) >= rows["state"]
    assert same_bits(found, STATES[: len(found)])


def test_other_write_errors_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Dataset.open(tmp_path, create=True).begin(STREAMS, CAMERAS)
    monkeypatch.setattr("recorder.shard.os.writev", Disk(0, errno.EIO).writev)
    with pytest.raises(WriteFailedError) as caught:
        writer.append("state", STATES[:1])
    assert caught.value.errno == errno.EIO
    assert not isinstance(caught.value, DiskFull)
    monkeypatch.undo()
    assert len(writer.finish().stream("state")) == 0


def test_failed_sync_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Dataset.open(tmp_path, create=True).begin(STREAMS, CAMERAS)
    writer.append("state", STATES[:300])
    writer.sync(wait=True)

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("recorder.syncer.os.fdatasync", broken)
    with pytest.raises(WriteFailedError):
        writer.sync(wait=True)
    monkeypatch.undo()
    assert len(writer.finish().stream("state")) == 300


def test_begin_on_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Dataset.open(tmp_path, create=True)

    def full(fd: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("recorder.writer.os.posix_fallocate", full)
    with pytest.raises(DiskFull):
        EpisodeWriter(tmp_path / "episodes" / "e", STREAMS, CAMERAS, {}, datetime.now(UTC))
    assert list((tmp_path / "episodes").iterdir()) == []


def test_a_take_whose_disk_is_gone_is_not_finished_elsewhere(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path / "disk" / "data", create=True)
    writer = dataset.begin(STREAMS, CAMERAS)
    writer.append("state", STATES[:300])
    writer.sync(wait=True)
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    with pytest.raises(WriteFailedError, match="No such file"):
        writer.finish()
    assert not (tmp_path / "disk").exists()
    again = Dataset.open(tmp_path / "unplugged" / "data")
    assert [r.id for r in again.repaired] == [writer.id], "plugged in again, it comes back"
    assert same_bits(again[writer.id].stream("state").rows(), STATES[:300])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 24 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)  # maps of readers may live on


def test_a_disk_that_really_fills_ends_the_take_and_harms_nothing_earlier(small_disk: Path) -> None:
    dataset = Dataset.open(small_disk / "data", create=True)
    first = dataset.begin(STREAMS, CAMERAS)
    for _ in feed(first, STATES, HEADS, FRAMES):
        pass
    earlier = first.finish()
    first.wait_settled()
    before = {p: p.read_bytes() for p in earlier.path.rglob("*") if p.is_file()}
    writer = dataset.begin(STREAMS, CAMERAS)
    noise = [simplejpeg.encode_jpeg(RNG.integers(0, 255, (24, 32, 3), dtype=np.uint8), 100)]
    big = noise[0] + bytes(200_000)  # what follows the end of a JPEG belongs to it as well
    accepted = 0
    with pytest.raises(DiskFull, match="rows accepted before are kept"):
        for k in range(1000):
            writer.append("state", STATES[k : k + 1])
            writer.append_picture("front", big, k, k, k, k)
            accepted = k + 1
            writer.sync(wait=k % 20 == 0)
    rows, taken = writer.rows["state"], writer.pictures["front"]
    assert 50 < accepted <= min(rows, taken + 1)
    episode = writer.finish()
    writer.wait_settled()
    assert same_bits(episode.stream("state").rows(), STATES[:rows])
    assert encoded(episode, "front") == [big] * taken
    assert {p: p.read_bytes() for p in before} == before
    again = Dataset.open(small_disk / "data")
    assert [row.failed for row in again.episodes()] == [False, True]
    begun = []
    with pytest.raises(DiskFull):
        while True:
            begun.append(again.begin(STREAMS, CAMERAS))
    for unfinished in begun:
        unfinished.close()
    assert [row.id for row in again.episodes()] == [earlier.id, episode.id]
