"""Datasets in object stores: read like those on disk, never written."""

from __future__ import annotations

import itertools
import multiprocessing
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import numpy as np
import obstore.fsspec
import pytest

from recorder import CameraSpec, Dataset, Episode, Window, check_episode
from recorder.errors import CorruptEpisodeError, DatasetError, EpisodeNotFoundError
from recorder.location import read_end, read_range
from recorder.schema import H264
from recorder.shardreader import AHEAD_BYTES, ShardReader
from tests.recorder.takes import STREAMS, pictures, random_rows, same_bits
from tests.recorder.test_picture_codecs import H, W, h264

NUMBERS = itertools.count()


@pytest.fixture
def local(tmp_path: Path) -> Dataset:
    dataset = Dataset.open(tmp_path / "local", create=True)
    rng = np.random.default_rng(4)
    for task in ("stack", "sort"):
        cameras = [CameraSpec("front", 32, 24), CameraSpec("film", W, H, codec=H264)]
        writer = dataset.begin(STREAMS, cameras, attributes={"task": task})
        for spec in STREAMS:
            writer.append(spec.name, random_rows(spec.dtype, 600, rng))
        for i, (jpeg, video) in enumerate(zip(pictures(30, rng), h264(30), strict=True)):
            t_ns = 1_000_000_000 + i * 33_000_000
            writer.append_picture("front", jpeg, t_ns, t_ns, t_ns, i)
            writer.append_picture("film", video, t_ns, t_ns, t_ns, i)
        writer.event(5, "note", {"text": task})
        writer.finish()
        writer.wait_settled()
    first = dataset.episodes()[0].id
    dataset.label(first, outcome="success")
    dataset.split(first, [0.5])
    return dataset


@pytest.fixture
def url(local: Dataset) -> Iterator[str]:
    store, name = fsspec.filesystem("memory"), f"/bucket{next(NUMBERS)}"
    store.put(str(local.path), name, recursive=True)
    yield f"memory:/{name}"
    store.rm(name, recursive=True)


def assert_same(remote: Episode, here: Episode) -> None:
    assert remote.attributes == here.attributes
    assert remote.events == here.events
    for name in here.streams:
        assert same_bits(remote.stream(name).rows(), here.stream(name).rows())
        assert same_bits(remote.stream(name).rows(300, 520), here.stream(name).rows(300, 520))
    for name in here.cameras:
        mine, theirs = remote.camera(name), here.camera(name)
        assert mine.sizes.tolist() == theirs.sizes.tolist()
        for i in (3, 29, 0, 1, 2, 3, 17):
            assert mine.encoded(i) == theirs.encoded(i)
            np.testing.assert_array_equal(mine[i], theirs[i])


def test_everything_reads_as_on_disk(local: Dataset, url: str) -> None:
    remote = Dataset.open(url)
    ours, theirs = local.episodes(), remote.episodes()
    assert [r.id for r in theirs] == [r.id for r in ours]
    assert [(r.task, r.outcome, r.duration_s) for r in theirs] == [
        (r.task, r.outcome, r.duration_s) for r in ours
    ]
    for row in ours:
        assert_same(remote[row.id], local[row.id])
        assert_same(Episode(f"{url}/episodes/{row.id}"), local[row.id])
    assert check_episode(remote[ours[0].id]).to_dict() == check_episode(local[ours[0].id]).to_dict()


def test_samples_train_from_a_url_in_workers(local: Dataset, url: str) -> None:
    wanted = {"picture": Window("cameras/film"), "pose": Window("operator/head", "pose")}
    here, there = local.windows(20, wanted), Dataset.open(url).windows(20, wanted)
    assert len(here) == len(there) > 10
    again = pickle.loads(pickle.dumps(there))
    for i in range(0, len(here), 3):
        for key, value in here[i].items():
            np.testing.assert_array_equal(again[i][key], value)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(there.__getitem__, (1,))["pose"], here[1]["pose"])


def test_nothing_is_ever_written(local: Dataset, url: str) -> None:
    store = fsspec.filesystem("memory")
    path = url.removeprefix("memory:/")
    before = {name: store.cat_file(name) for name in store.find(path)}
    remote = Dataset.open(url)
    name = remote.episodes()[-1].id
    for act in (
        lambda: remote.begin(STREAMS),
        lambda: remote.label(name, outcome="success"),
        lambda: remote.tag(name, ["x"]),
        lambda: remote.trim(name, 0.1, 0.2),
        lambda: remote.split(name, [0.1]),
        lambda: remote.discard(name),
        lambda: remote.set_quality(name, {}),
        lambda: remote.purge([]),
        lambda: remote.merge(local.path),
    ):
        with pytest.raises(DatasetError, match="can only be read"):
            act()
    with pytest.raises(DatasetError, match="copy it here first"):
        local.merge(url)
    with pytest.raises(EpisodeNotFoundError):
        remote["nothing"]
    store.rm(f"{path}/catalog.jsonl")
    assert len(Dataset.open(url).episodes()) == len(local.episodes())
    assert {n: store.cat_file(n) for n in store.find(path)} == {
        n: data for n, data in before.items() if not n.endswith("catalog.jsonl")
    }


def test_what_cannot_be_opened_is_said() -> None:
    with pytest.raises(DatasetError, match="no dataset at"):
        Dataset.open("memory://nowhere", create=True)
    with pytest.raises(DatasetError, match=r"cannot be opened"):
        Dataset.open("nonsense://bucket")


def test_a_damaged_index_is_told(local: Dataset, url: str) -> None:
    store, path = fsspec.filesystem("memory"), url.removeprefix("memory:/")
    (name,) = [n for n in store.find(path) if "front/image/c" in n and local.episodes()[-1].id in n]
    data = bytearray(store.cat_file(name))
    data[-9] ^= 1
    store.pipe_file(name, bytes(data))
    with pytest.raises(CorruptEpisodeError, match="index of 30 chunks"):
        Dataset.open(url)[local.episodes()[-1].id].camera("front").encoded(0)


def test_few_requests_are_made(local: Dataset, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    from recorder import location, shardreader

    def counted(path: Path, start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return location.read_range(path, start, stop)

    monkeypatch.setattr(shardreader, "read_range", counted)
    episode = Dataset.open(url)[local.episodes()[-1].id]
    episode.stream("state").read("position")
    assert len(asked) == 1, "all chunks at once"
    asked.clear()
    camera = episode.camera("front")
    for i in range(30):
        camera.encoded(i)
    assert len(asked) == 2, "the first picture, and from the second on all that follow"
    assert max(stop - start for start, stop in asked) <= AHEAD_BYTES


def test_obstore_is_one_of_the_ways(local: Dataset) -> None:
    store = obstore.fsspec.FsspecStore("file")
    shard = next(local.path.rglob("front/image/c/0/0/0/0"))
    remote: Any = SimpleNamespace(fs=store, path=str(shard))
    data = shard.read_bytes()
    assert read_end(remote, 20) == data[-20:]
    assert read_end(remote, 10 * len(data)) == data
    assert read_range(remote, 100, 200) == data[100:200]


def test_a_reader_of_a_mapped_file_reads_alike(local: Dataset) -> None:
    shard = next(local.path.rglob("front/image/c/0/0/0/0"))
    reader = ShardReader(shard, 30)
    assert reader.chunks(3, 9) == [reader.chunk(i) for i in range(3, 9)]
    assert reader.chunks(5, 5) == []
