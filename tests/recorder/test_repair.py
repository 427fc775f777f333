from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorder import Dataset, Episode, EpisodeWriter
from recorder.errors import EpisodeBusyError, UnfinishedEpisodeError
from recorder.journal import read_tails
from recorder.repair import repair_dataset, repair_episode
from recorder.shard import scan
from tests.recorder.takes import (
    CAMERAS,
    HEAD,
    STATE,
    STREAMS,
    copy_open_take,
    encoded,
    feed,
    pictures,
    random_rows,
    same_bits,
)

RNG = np.random.default_rng(5)
STATES, HEADS = random_rows(STATE, 1500, RNG), random_rows(HEAD, 300, RNG)
FRAMES = pictures(75, RNG)


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the disk where it is repaired a hundred times; durability is not tested there."""
    monkeypatch.setattr("recorder.sealing.os.fdatasync", lambda fd: None)
    monkeypatch.setattr("recorder.layout.os.fsync", lambda fd: None)


@pytest.fixture
def short_take(tmp_path: Path) -> Iterator[EpisodeWriter]:
    """Two chunks, a tail, 16 pictures."""
    writer = Dataset.open(tmp_path / "live", create=True).begin(STREAMS, CAMERAS)
    for _ in feed(writer, STATES[:640], HEADS, FRAMES[:16]):
        pass
    yield writer
    writer.close()


@pytest.fixture
def take(tmp_path: Path) -> Iterator[EpisodeWriter]:
    """A take with all rows written, not finished."""
    writer = Dataset.open(tmp_path / "live", create=True).begin(STREAMS, CAMERAS, {"task": "t"})
    for _ in feed(writer, STATES, HEADS, FRAMES):
        pass
    writer.event(3, "drop", {"stream": "state", "count": 4, "reason": ""})
    writer.mark("interrupted", "robot died")
    yield writer
    writer.close()


def tree_hash(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(str(file.relative_to(path)).encode() + file.read_bytes())
    return digest.hexdigest()


def assert_prefix(episode: Episode, n_state: int, n_head: int, n_front: int) -> None:
    """The episode holds exactly these first rows and pictures, unaltered."""
    assert same_bits(episode.stream("state").rows(), STATES[:n_state])
    assert same_bits(episode.stream("operator/head").rows(), HEADS[:n_head])
    assert encoded(episode, "front") == FRAMES[:n_front]
    assert episode.camera("front").seq.tolist() == list(range(n_front))


def test_crash_loses_no_row_that_was_accepted(take: EpisodeWriter, tmp_path: Path) -> None:
    path = copy_open_take(take, tmp_path / "crashed")
    (repaired,) = repair_dataset(tmp_path / "crashed")
    assert (repaired.rows, repaired.pictures, repaired.lost_bytes) == (1800, 150, 0)
    episode = Episode(path)
    assert episode.state == "recovered"
    assert_prefix(episode, 1500, 300, 75)
    assert episode.attributes["interrupted"] == "robot died"
    assert episode.attributes["drops"] == {"state": 4}
    assert episode.duration_s == pytest.approx(1499 * 0.002)
    assert [e.kind for e in episode.events] == ["drop", "mark"]
    assert sorted(p.name for p in path.iterdir()) == [
        "cameras",
        "events",
        "operator",
        "state",
        "zarr.json",
    ]


def test_crash_after_any_step_keeps_every_row(tmp_path: Path) -> None:
    live = Dataset.open(tmp_path / "live", create=True)
    writer = live.begin(STREAMS, CAMERAS)
    for step, _ in enumerate(feed(writer, STATES, HEADS, FRAMES, batch=5), start=1):
        if step % 50 == 0:
            path = copy_open_take(writer, tmp_path / f"crashed{step}")
            repair_dataset(tmp_path / f"crashed{step}")
            assert_prefix(Episode(path), 5 * step, step, (step + 3) // 4)
    writer.close()


def test_rotated_journal_covers_what_is_in_no_chunk(tmp_path: Path) -> None:
    live = Dataset.open(tmp_path / "live", create=True)
    root = live.path / "episodes" / "e"
    now = datetime.now(UTC)
    writer = EpisodeWriter(root, STREAMS, CAMERAS, {}, now, segment_bytes=100_000)
    names = set()
    for _ in feed(writer, STATES, HEADS, FRAMES):
        writer.sync(wait=True)
        names |= {p.name for p in (writer.path / "journal").glob("*.log")}
    assert len(names) > 5
    assert len(list((writer.path / "journal").glob("*.log"))) <= 2
    path = copy_open_take(writer, tmp_path / "crashed")
    repair_episode(path)
    assert_prefix(Episode(path), 1500, 300, 75)
    assert_prefix(writer.finish(), 1500, 300, 75)


def test_a_segment_that_a_slow_sync_has_not_reached_yet_is_synced_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Dataset.open(tmp_path, create=True)
    root = live.path / "episodes" / "e"
    writer = EpisodeWriter(root, STREAMS, CAMERAS, {}, datetime.now(UTC), segment_bytes=20_000)
    writer.sync(wait=True)
    go, synced, real = threading.Event(), list[int](), os.fdatasync

    def slow(fd: int) -> None:
        assert go.wait(20)
        synced.append(os.fstat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", slow)
    first = writer.path / "journal" / "000001.log"
    inode = first.stat().st_ino
    writer.append("state", STATES[:5])
    writer.sync()  # waits before it has reached anything
    row = 5
    while len(list(first.parent.glob("*.log"))) == 1:
        writer.append("state", STATES[row : row + 5])
        row += 5
    go.set()
    writer.sync(wait=True)
    assert synced.count(inode) == 2, "as it was asked for, and what was written after that"
    for _ in range(5):
        writer.sync(wait=True)
    assert not first.exists()
    episode = writer.finish()
    assert (episode.state, episode.attributes["drops"]) == ("complete", {})
    assert len(episode.stream("state")) == row


@pytest.mark.usefixtures("unsynced")
def test_picture_file_cut_at_every_record_keeps_the_rest(
    short_take: EpisodeWriter, tmp_path: Path
) -> None:
    source = copy_open_take(short_take, tmp_path / "source")
    shard = "cameras/front/image/c/0/0/0/0.partial"
    ends = [0] + [r.end for r in scan(source / shard).records]
    for kept in range(17):
        for cut in sorted({ends[kept], max(ends[kept] - 1, 0)}):
            path = _copy(source, tmp_path)
            with (path / shard).open("r+b") as file:
                file.truncate(cut)
            repair_episode(path)
            assert_prefix(Episode(path), 640, 128, kept if cut == ends[kept] else kept - 1)


@pytest.mark.usefixtures("unsynced")
def test_any_file_cut_at_any_byte_keeps_every_intact_row(
    short_take: EpisodeWriter, tmp_path: Path
) -> None:
    source = copy_open_take(short_take, tmp_path / "source")
    files = [
        p.relative_to(source)
        for p in source.rglob("*")
        if p.is_file() and (p.suffix in (".partial", ".log")) and p.stat().st_size
    ]
    rng = np.random.default_rng(6)
    for _ in range(100):
        name = files[rng.integers(len(files))]
        path = _copy(source, tmp_path)
        cut = int(rng.integers((path / name).stat().st_size))
        with (path / name).open("r+b") as file:
            file.truncate(cut)
        expected = _intact(path)
        repair_episode(path)
        assert_prefix(Episode(path), *expected)


def _copy(source: Path, where: Path) -> Path:
    target = where / f"case{len(list(where.iterdir()))}"
    shutil.copytree(source, target)
    return target


def _intact(path: Path) -> tuple[int, int, int]:
    """Rows every field of a stream has, in chunks or in the journal, judged independently."""
    tails = read_tails(path / "journal", {0: STATE, 1: HEAD})
    counts = []
    for number, name in enumerate(("state", "operator/head")):
        rows = [scan(p).rows for p in (path / name).glob("*/c/**/*.partial")]
        tail = tails.get(number)
        full = [max(n, tail.end) if tail and tail.first_row <= n else n for n in rows]
        counts.append(min(full))
    front = scan(path / "cameras/front/image/c/0/0/0/0.partial").rows
    return counts[0], counts[1], front


def test_cut_bytes_are_kept_aside(take: EpisodeWriter, tmp_path: Path) -> None:
    path = copy_open_take(take, tmp_path / "crashed")
    shard = path / "cameras/front/image/c/0/0/0/0.partial"
    with shard.open("ab") as file:
        file.write(b"half a record")
    repaired = repair_episode(path)
    assert repaired is not None
    assert repaired.lost_bytes == 13
    assert (path / ".lost/cameras.front.image.bin").read_bytes() == b"half a record"
    assert_prefix(Episode(path), 1500, 300, 75)


def test_repair_leaves_other_episodes_byte_identical(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path / "data", create=True)
    first = dataset.begin(STREAMS, CAMERAS)
    for _ in feed(first, STATES[:600], HEADS, FRAMES):
        pass
    before = first.finish().path
    first.wait_settled()
    digest = tree_hash(before)
    crashed = dataset.begin(STREAMS, CAMERAS)
    for _ in feed(crashed, STATES[:600], HEADS, FRAMES):
        pass
    crashed.close()
    again = Dataset.open(tmp_path / "data")
    assert [r.id for r in again.repaired] == [crashed.id]
    assert tree_hash(before) == digest
    assert [(e.id, e.state) for e in again.episodes()] == [
        (first.id, "complete"),
        (crashed.id, "recovered"),
    ]
    assert Dataset.open(tmp_path / "data").repaired == ()


def test_repair_leaves_a_live_writer_alone(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path, create=True)
    writer = dataset.begin(STREAMS, CAMERAS)
    steps = feed(writer, STATES, HEADS, FRAMES)
    for _ in range(100):
        next(steps)
    assert Dataset.open(tmp_path).repaired == ()
    with pytest.raises(EpisodeBusyError, match="live process"):
        repair_episode(writer.path)
    for _ in steps:
        pass
    assert_prefix(writer.finish(), 1500, 300, 75)


def test_unfinished_episode_is_refused_unless_asked(take: EpisodeWriter) -> None:
    with pytest.raises(UnfinishedEpisodeError, match="still being recorded"):
        Episode(take.path)
    seen = Episode(take.path, allow_unfinished=True)
    assert seen.state == "recording"
    assert len(seen.stream("state")) == 1280
    assert same_bits(seen.stream("state").rows(), STATES[:1280])
    assert encoded(seen, "front") == FRAMES[: len(seen.camera("front"))]


@pytest.mark.parametrize("killed_at", ["seal", "publish", "write_root", "settle"])
def test_finish_killed_at_any_step_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    live = Dataset.open(tmp_path / "live", create=True)
    writer = live.begin(STREAMS, CAMERAS)
    for _ in feed(writer, STATES, HEADS, FRAMES):
        pass

    class Killed(BaseException):
        pass

    calls = 0

    def die(*_: object, **__: object) -> None:
        nonlocal calls
        calls += 1
        if calls >= (1 if killed_at in ("write_root", "settle") else 7):
            shutil.copytree(writer.path, path)
            raise Killed

    Dataset.open(tmp_path / "crashed", create=True)
    path = tmp_path / "crashed" / "episodes" / writer.id
    target = {
        "seal": "recorder.shard.ShardWriter.seal",
        "publish": "recorder.shard.ShardWriter.publish",
        "write_root": "recorder.layout.write_root",
        "settle": "recorder.writer.settle",
    }[killed_at]
    real = _resolve(target)

    def spy(*args: object, **kwargs: object) -> object:
        die()
        return real(*args, **kwargs)

    monkeypatch.setattr(target, spy)
    if killed_at == "settle":
        writer.finish()
        writer.wait_settled()
    else:
        with pytest.raises(Killed):
            writer.finish()
    monkeypatch.undo()
    Dataset.open(tmp_path / "crashed")
    episode = Episode(path)
    assert episode.state == ("complete" if killed_at == "settle" else "recovered")
    assert_prefix(episode, 1500, 300, 75)
    assert not (path / "journal").exists()
    writer.close()


def _resolve(name: str) -> Any:
    parts = name.split(".")
    found: Any = importlib.import_module(".".join(parts[:2]))
    for part in parts[2:]:
        found = getattr(found, part)
    return found


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x5A]))


@pytest.mark.usefixtures("unsynced")
def test_a_damaged_picture_costs_that_picture_and_is_counted(
    short_take: EpisodeWriter, tmp_path: Path
) -> None:
    source = copy_open_take(short_take, tmp_path / "source")
    shard = "cameras/front/image/c/0/0/0/0.partial"
    records = scan(source / shard).records
    for k in range(len(records)):
        for offset in (records[k].offset - 20, records[k].offset + records[k].nbytes // 2):
            path = _copy(source, tmp_path)
            flip(path / shard, offset)
            repaired = repair_episode(path)
            assert repaired is not None and repaired.lost_bytes >= records[k].nbytes
            episode = Episode(path)
            rest = [i for i in range(16) if i != k]
            assert encoded(episode, "front") == [FRAMES[i] for i in rest]
            assert episode.camera("front").seq.tolist() == rest
            assert encoded(episode, "wrist") == FRAMES[:16], "other cameras are whole"
            assert same_bits(episode.stream("state").rows(), STATES[:640])
            lost = {"cameras/front": 1} if k < 15 else {}  # behind the last nothing was expected
            assert episode.attributes["drops"] == lost


@pytest.mark.usefixtures("unsynced")
def test_a_damaged_chunk_costs_its_rows_in_all_fields_and_is_counted(
    take: EpisodeWriter, tmp_path: Path
) -> None:
    source = copy_open_take(take, tmp_path / "source")
    for field in ("t_ns", "position", "hand"):
        (shard,) = (source / "state" / field).glob("c/**/*.partial")
        records = scan(shard).records
        for chunk in range(len(records) - 1):
            path = _copy(source, tmp_path)
            flip(path / shard.relative_to(source), records[chunk].offset + 3)
            repair_episode(path)
            episode = Episode(path)
            kept = np.delete(STATES, np.s_[256 * chunk : 256 * (chunk + 1)])
            assert same_bits(episode.stream("state").rows(), kept)
            assert episode.attributes["drops"] == {"state": 4 + 256}
            assert same_bits(episode.stream("operator/head").rows(), HEADS)
            assert (episode.start_ns, episode.end_ns) == (
                int(min(kept["t_ns"][0], HEADS["t_ns"][0])),
                int(kept["t_ns"][-1]),
            )


@pytest.mark.usefixtures("unsynced")
def test_no_damage_anywhere_alters_a_row_or_a_picture(
    short_take: EpisodeWriter, tmp_path: Path
) -> None:
    """Bytes flipped at 200 random places: what comes back is what was written, in order."""
    source = copy_open_take(short_take, tmp_path / "source")
    files = sorted(
        p.relative_to(source)
        for p in source.rglob("*")
        if p.is_file() and p.suffix in (".partial", ".log") and p.stat().st_size
    )
    rng = np.random.default_rng(11)
    by_time = {int(row["t_ns"]): row for row in STATES}
    for _ in range(200):
        path = _copy(source, tmp_path)
        for _ in range(int(rng.integers(1, 4))):
            name = files[rng.integers(len(files))]
            flip(path / name, int(rng.integers((path / name).stat().st_size)))
        repair_episode(path)
        episode = Episode(path)
        rows = episode.stream("state").rows()
        assert (np.diff(rows["t_ns"]) > 0).all()
        for row in rows[:: max(1, len(rows) // 20)]:
            assert same_bits(np.array([row]), np.array([by_time[int(row["t_ns"])]]))
        assert len(rows) >= 640 - 3 * 256
        for camera in ("front", "wrist"):
            shown = episode.camera(camera).seq.tolist()
            assert encoded(episode, camera) == [FRAMES[i] for i in shown]
            assert len(shown) >= 16 - 3
        shutil.rmtree(path)


def test_a_repair_of_damage_that_is_killed_is_repeated_to_the_same_end(
    take: EpisodeWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = copy_open_take(take, tmp_path / "source")
    front = "cameras/front/image/c/0/0/0/0.partial"
    flip(source / front, scan(source / front).records[30].offset + 9)
    (shard,) = (source / "state" / "position").glob("c/**/*.partial")
    flip(shard, scan(shard).records[2].offset + 9)
    whole, killed = _copy(source, tmp_path), _copy(source, tmp_path)
    repair_episode(whole)
    monkeypatch.setattr("recorder.repair.seal", lambda *_: (_ for _ in ()).throw(OSError(5, "x")))
    with pytest.raises(OSError, match="x"):
        repair_episode(killed)
    monkeypatch.undo()
    repair_episode(killed)
    first, second = Episode(whole), Episode(killed)
    assert same_bits(second.stream("state").rows(), first.stream("state").rows())
    assert encoded(second, "front") == encoded(first, "front")
    assert second.attributes["drops"] == first.attributes["drops"]
