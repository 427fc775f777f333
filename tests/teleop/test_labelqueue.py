"""What the operator said of a take is written, in order, whatever the disk does meanwhile."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder import Dataset, RecorderError
from teleop.labelqueue import Command, LabelQueue
from tests.recorder.takes import HEAD, STREAMS, random_rows


def take(dataset: Dataset) -> str:
    writer = dataset.begin(STREAMS)
    writer.append("operator/head", random_rows(HEAD, 5, np.random.default_rng(0)))
    return writer.finish().id


def label(episode: str, outcome: str) -> Command:
    return {"op": "label", "id": episode, "outcome": outcome, "notes": "", "grade": None}


@pytest.fixture
def refused() -> list[tuple[Command, RecorderError]]:
    return []


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(tmp_path / "data", create=True)


@pytest.fixture
def queue(dataset: Dataset, refused: list[tuple[Command, RecorderError]]) -> LabelQueue:
    return LabelQueue(dataset, lambda command, error: refused.append((command, error)))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_labels_wait_for_a_disk_that_refuses_and_keep_their_order(
    dataset: Dataset, queue: LabelQueue, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    first, second = take(dataset), take(dataset)
    before = (dataset.path / "labels.jsonl").exists()

    def refuse(fd: int, buffers: Sequence[bytes]) -> int:
        os.write(fd, b"".join(buffers)[:7])  # some of it fits
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as broken:
        broken.setattr("recorder.shard.os.writev", refuse)
        queue.put(label(first, "failure"))
        queue.put({"op": "discard", "id": second})
        queue.put(label(first, "success"))
        assert len(queue.waiting) == 3
        assert queue.warning == "3 labels cannot be written yet"
        assert not before
        assert (dataset.path / "labels.jsonl").read_bytes() == b"", "nothing half written stays"
        queue.write()
        assert len(queue.waiting) == 3
    queue.write()
    assert (queue.waiting, queue.warning) == ((), "")
    (row,) = dataset.episodes()
    assert (row.id, row.outcome) == (first, "success")
    assert [edit.op for edit in dataset.history()] == ["label", "discard", "label"]


def test_labels_wait_for_an_unplugged_disk(
    dataset: Dataset, queue: LabelQueue, refused: list[tuple[Command, RecorderError]]
) -> None:
    episode = take(dataset)
    elsewhere = dataset.path.with_name("unplugged")
    dataset.path.rename(elsewhere)
    queue.put(label(episode, "success"))
    assert queue.warning == "1 label cannot be written yet"
    elsewhere.rename(dataset.path)
    queue.write()
    assert (queue.waiting, refused) == ((), [])
    assert dataset.episodes()[0].outcome == "success"


def test_labels_wait_for_a_disk_that_cannot_even_be_looked_at(
    dataset: Dataset, queue: LabelQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    episode = take(dataset)

    def broken(self: Dataset, name: str) -> Path:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "_episode_path", broken)
        queue.put(label(episode, "success"))
        assert len(queue.waiting) == 1
    queue.write()
    assert queue.waiting == ()
    assert dataset.episodes()[0].outcome == "success"


def test_what_cannot_be_done_is_told_and_stops_nothing(
    dataset: Dataset, queue: LabelQueue, refused: list[tuple[Command, RecorderError]]
) -> None:
    episode = take(dataset)
    wrong = [label("no such take", "success"), label(episode, "excellent")]
    for command in wrong:
        queue.put(command)
    queue.put(label(episode, "failure"))
    assert [command for command, _ in refused] == wrong
    assert queue.waiting == ()
    assert dataset.episodes()[0].outcome == "failure"


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["success", "failure"])), max_size=12))
def test_however_often_the_disk_refuses_the_last_word_wins(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[bool, str]]
) -> None:
    dataset = Dataset.open(tmp_path_factory.mktemp("data"), create=True)
    episode = take(dataset)
    queue = LabelQueue(dataset, lambda command, error: None)
    hidden = dataset.path / "hidden.json"
    for works, outcome in said:
        if not works:
            dataset.description.rename(hidden)
        queue.put(label(episode, outcome))
        if not works:
            hidden.rename(dataset.description)
    queue.write()
    wanted = said[-1][1] if said else None
    assert dataset.episodes()[0].outcome == wanted
    assert len(dataset.history()) == len(said)
