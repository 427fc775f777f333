from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import Dataset, Episode
from recorder.edits import read_lines
from recorder.errors import (
    CorruptEpisodeError,
    DatasetError,
    DiskFull,
    EpisodeNotFoundError,
    SchemaError,
    WriterClosedError,
)
from recorder.schema import new_ulid
from tests.recorder.takes import HEAD, STREAMS, random_rows

ROWS = random_rows(HEAD, 20, np.random.default_rng(8))


def record(dataset: Dataset, **attributes: object) -> Episode:
    writer = dataset.begin(STREAMS, attributes=attributes)
    writer.append("operator/head", ROWS)
    episode = writer.finish()
    writer.wait_settled()
    return episode


def test_episode_name_is_wall_time_and_ulid(tmp_path: Path) -> None:
    wall = datetime(2026, 11, 22, 20, 15, 3, tzinfo=UTC)
    writer = Dataset.open(tmp_path, create=True).begin(STREAMS, wall_time=wall)
    stamp, _, ulid = writer.id.partition("_")
    assert stamp == "2026-11-22T20-15-03Z"
    assert len(ulid) == 26
    assert writer.finish().attributes["wall_time"] == "2026-11-22T20:15:03+00:00"


@given(st.integers(0, 2**48 - 2))
def test_ulids_sort_by_time(ms: int) -> None:
    assert len(new_ulid(ms)) == 26
    assert new_ulid(ms) < new_ulid(ms + 1)


def test_listing_tells_what_was_recorded(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path, create=True)
    episode = record(dataset, task="stack", operator="ada", take=3, rig="openarm")
    (row,) = dataset.episodes()
    assert (row.id, row.path) == (episode.id, episode.path)
    assert (row.task, row.operator, row.take, row.rig) == ("stack", "ada", 3, "openarm")
    assert (row.state, row.outcome, row.rows, row.pictures) == ("complete", None, 20, 0)
    assert row.duration_s == pytest.approx(19 * 0.002)
    assert len(dataset) == 1


@pytest.mark.parametrize("damage", ["missing", "torn", "foreign line"])
def test_catalogue_is_rebuilt_from_the_episodes(tmp_path: Path, damage: str) -> None:
    dataset = Dataset.open(tmp_path, create=True)
    ids = [record(dataset, take=i).id for i in range(4)]
    before = dataset.episodes()
    catalog = tmp_path / "catalog.jsonl"
    if damage == "missing":
        catalog.unlink()
    elif damage == "torn":
        catalog.write_bytes(catalog.read_bytes()[:-30])
    else:
        catalog.write_bytes(b'[1]\nnot json\n{"id": "gone"}\n')
    assert Dataset.open(tmp_path).episodes() == before
    assert [row.id for row in dataset.episodes()] == ids
    assert {entry["id"] for entry in read_lines(catalog)} >= set(ids)


def test_last_label_wins_and_originals_stay(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path, create=True)
    episode = record(dataset, task="stack", outcome="failure")
    original = (episode.path / "zarr.json").read_bytes()
    dataset.label(episode.id, outcome="success", notes="neat")
    dataset.label(episode.id, grade=0.5, task="stack two")
    dataset.set_quality(episode.id, {"verdict": "warn", "findings": []})
    (row,) = dataset.episodes()
    assert (row.outcome, row.notes, row.grade) == ("success", "neat", 0.5)
    assert (row.task, row.quality) == ("stack two", "warn")
    attributes = dataset[episode.id].attributes
    assert (attributes["outcome"], attributes["task"]) == ("success", "stack two")
    dataset.label(episode.id, outcome="")
    assert dataset.episodes()[0].outcome is None
    assert (episode.path / "zarr.json").read_bytes() == original


def test_discard_hides_and_restore_brings_back(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path, create=True)
    episode = record(dataset)
    dataset.discard(episode.id)
    assert dataset.episodes() == []
    assert dataset.episodes(include_discarded=True)[0].discarded
    assert len(dataset[episode.id].stream("operator/head")) == 20
    dataset.restore(episode.id)
    assert [row.id for row in dataset.episodes()] == [episode.id]


def test_label_after_a_torn_line_is_not_lost(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path, create=True)
    episode = record(dataset)
    dataset.label(episode.id, outcome="failure")
    with (tmp_path / "labels.jsonl").open("ab") as file:
        file.write(b'{"id": "half')
    dataset.label(episode.id, outcome="success")
    assert dataset.episodes()[0].outcome == "success"


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no dataset at"):
        Dataset.open(tmp_path / "none")
    dataset = Dataset.open(tmp_path, create=True)
    episode = record(dataset)
    with pytest.raises(EpisodeNotFoundError, match="no episode 'nope'"):
        dataset.label("nope", outcome="success")
    with pytest.raises(EpisodeNotFoundError):
        dataset["../" + tmp_path.name]
    with pytest.raises(SchemaError, match="expected one of"):
        dataset.label(episode.id, outcome="great")
    (tmp_path / "dataset.json").write_text('{"schema_version": 99}')
    with pytest.raises(DatasetError, match="schema version 99, expected 1"):
        Dataset.open(tmp_path)


def test_finished_writer_refuses_more(tmp_path: Path) -> None:
    writer = Dataset.open(tmp_path, create=True).begin(STREAMS)
    writer.finish()
    with pytest.raises(WriterClosedError):
        writer.append("operator/head", ROWS)
    with pytest.raises(WriterClosedError):
        writer.finish()


def test_unfinished_episode_is_not_listed(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path, create=True)
    writer = dataset.begin(STREAMS)
    assert dataset.episodes() == []
    writer.finish()
    assert len(dataset.episodes()) == 1


def test_one_damaged_description_hides_no_other_episode(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = Dataset.open(tmp_path, create=True)
    whole, damaged = record(dataset), record(dataset)
    (tmp_path / "catalog.jsonl").unlink()
    for garbage in (b"", b"{}", b"[1]", b"\x00" * 40, b'{"attributes": {}}'):
        (damaged.path / "zarr.json").write_bytes(garbage)
        again = Dataset.open(tmp_path)
        assert [row.id for row in again.episodes()] == [whole.id]
        assert damaged.id in caplog.text, "never silently"
        with pytest.raises(CorruptEpisodeError, match="does not describe an episode"):
            again[damaged.id]
        caplog.clear()


def test_a_dataset_that_is_gone_takes_no_episode(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path / "disk" / "data", create=True)
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    assert not dataset.reachable
    with pytest.raises(DatasetError, match="any more"):
        dataset.begin(STREAMS)
    assert not (tmp_path / "disk").exists(), "nothing is begun where the disk was"


def test_a_take_is_whole_though_the_catalogue_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset.open(tmp_path, create=True)

    def full(path: Path, entry: object) -> None:
        raise DiskFull(path, OSError(errno.ENOSPC, "No space left on device"))

    with monkeypatch.context() as broken:
        broken.setattr("recorder.edits.append_line", full)
        episode = record(dataset)
        assert [row.id for row in dataset.episodes()] == [episode.id]
        assert not (tmp_path / "catalog.jsonl").exists()
    assert [row.id for row in dataset.episodes()] == [episode.id]
    assert (tmp_path / "catalog.jsonl").exists(), "made up for"
