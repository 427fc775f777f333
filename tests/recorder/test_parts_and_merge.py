"""Splits and merges lie beside the data as well: nothing recorded is touched, all is undone."""

from __future__ import annotations

import hashlib
import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder import Dataset, Episode, Policy, Window, align, check_episode
from recorder.errors import DatasetError, EpisodeNotFoundError, RecorderError, SchemaError
from recorder.merge import HIDDEN
from tests.recorder.takes import CAMERAS, HEAD, STREAMS, pictures, random_rows

ROWS = random_rows(HEAD, 500, np.random.default_rng(8))  # 0.998 s
GRID = {"operator/head": Policy("nearest", 10**9)}


def record(dataset: Dataset, **attributes: object) -> Episode:
    writer = dataset.begin(STREAMS, CAMERAS[:1], attributes=attributes)
    writer.append("operator/head", ROWS)
    for i, frame in enumerate(pictures(30, np.random.default_rng(2))):
        t_ns = int(ROWS["t_ns"][0]) + i * 33_000_000
        writer.append_picture("front", frame, t_ns, t_ns, t_ns, i)
    episode = writer.finish()
    writer.wait_settled()
    return episode


def digest(path: Path) -> str:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    names = "".join(str(file.relative_to(path)) for file in files)
    return hashlib.sha256(names.encode() + b"".join(f.read_bytes() for f in files)).hexdigest()


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(tmp_path / "here", create=True)


# ------------------------------------------------------------------------- split


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.02, 0.97), min_size=1, max_size=5, unique=True))
def test_parts_hold_every_instant_once(
    tmp_path_factory: pytest.TempPathFactory, times: list[float]
) -> None:
    times = sorted(round(t, 3) for t in times)
    if min(np.diff(times), default=1.0) <= 0.0:
        return
    dataset = Dataset.open(tmp_path_factory.mktemp("split"), create=True)
    whole = record(dataset)
    instants = align(whole, 100, GRID).t_ns
    names = dataset.split(whole.id, times)
    assert names == [f"{whole.id}~{k + 1}" for k in range(len(times) + 1)]
    rows = dataset.episodes()
    assert [row.id for row in rows] == names
    assert sum(row.duration_s for row in rows) == pytest.approx(whole.duration_s)
    parts = [dataset[name] for name in names]
    edges = [p.span_ns for p in parts]
    assert edges[0][0] == whole.start_ns and edges[-1][1] == whole.end_ns
    assert all(a[1] + 1 == b[0] for a, b in pairwise(edges))
    for row, part in zip(rows, parts, strict=True):
        seen = align(part, 100, GRID).t_ns
        assert len(seen) == 0 or (part.span_ns[0] <= seen[0] and seen[-1] <= part.span_ns[1])
        assert Episode(row.path).id == part.id == part.attributes["id"]
    assert sum(len(align(p, 100, GRID)) for p in parts) >= len(instants) - len(times)


def test_a_split_touches_nothing_and_is_undone(dataset: Dataset) -> None:
    whole, other = record(dataset, task="stack"), record(dataset)
    before = digest(dataset.path / "episodes")
    first, second = dataset.split(whole.id, [0.4])
    assert digest(dataset.path / "episodes") == before
    assert [r.id for r in dataset.episodes()] == [first, second, other.id]
    (edit,) = [e for e in dataset.history(whole.id) if e.op == "split"]
    dataset.undo(edit.id)
    assert [r.id for r in dataset.episodes()] == [whole.id, other.id]
    assert dataset[whole.id].span_ns == (whole.start_ns, whole.end_ns)
    with pytest.raises(EpisodeNotFoundError, match="no part"):
        dataset[first]
    with pytest.raises(EpisodeNotFoundError, match="has no part"):
        Episode(whole.path.with_name(first))


def test_parts_begin_with_the_labels_of_the_whole_and_have_their_own(dataset: Dataset) -> None:
    name = record(dataset, task="stack").id
    dataset.label(name, outcome="success", notes="all")
    dataset.tag(name, ["night"])
    first, second = dataset.split(name, [0.4])
    dataset.label(second, outcome="failure", task="unstack")
    dataset.tag(second, ["slip"])
    assert dataset[second].attributes["tags"] == ["night", "slip"]
    dataset.tag(second, remove=["night"])
    assert dataset[second].attributes["tags"] == ["slip"]
    assert dataset[first].attributes["tags"] == ["night"]
    dataset.discard(first)
    dataset.trim(second, 0.1, 0.3)
    (row,) = dataset.episodes()
    assert (row.id, row.outcome, row.task, row.notes) == (second, "failure", "unstack", "all")
    assert row.duration_s == pytest.approx(0.2)
    assert dataset[second].attributes["outcome"] == "failure"
    assert dataset[first].attributes["outcome"] == "success"
    rows = dataset.episodes(include_discarded=True)
    assert [(r.id, r.discarded) for r in rows] == [(first, True), (second, False)]


def test_a_part_is_trimmed_by_its_own_seconds(dataset: Dataset) -> None:
    whole = record(dataset)
    first, second = dataset.split(whole.id, [0.4])
    dataset.trim(second, 0.1, 0.3)
    begin_ns = whole.start_ns + 400_000_000
    assert dataset[second].span_ns == (begin_ns + 100_000_000, begin_ns + 300_000_000)
    dataset.trim(second, 0.0, 0.2)  # again, and not within what the first left
    assert dataset[second].span_ns == (begin_ns, begin_ns + 200_000_000)
    for name, end_s in ((first, 0.41), (second, whole.duration_s)):
        with pytest.raises(SchemaError, match="expected some of its"):
            dataset.trim(name, 0.0, end_s)
    dataset.trim(first, 0.0, 0.4)
    assert dataset[first].span_ns == (whole.start_ns, begin_ns - 1)


def test_a_split_lies_within_what_a_trim_left(dataset: Dataset) -> None:
    whole = record(dataset)
    dataset.trim(whole.id, 0.2, 0.8)
    with pytest.raises(SchemaError, match=r"between 0.20 and 0.80 s"):
        dataset.split(whole.id, [0.1])
    first, second = dataset.split(whole.id, [0.5])
    assert dataset[first].span_ns[0] == whole.start_ns + 200_000_000
    assert dataset[second].span_ns[1] == whole.start_ns + 800_000_000


@pytest.mark.parametrize("times", [[], [0.0], [0.998], [-1.0], [5.0], [0.5, 0.4], [0.5, 0.5]])
def test_what_cannot_be_split_is_refused(dataset: Dataset, times: list[float]) -> None:
    name = record(dataset).id
    with pytest.raises(SchemaError):
        dataset.split(name, times)
    assert [r.id for r in dataset.episodes()] == [name]


def test_a_part_is_not_split_nor_its_whole_trimmed_again(dataset: Dataset) -> None:
    name = record(dataset).id
    first, _ = dataset.split(name, [0.5])
    for act in (lambda: dataset.split(name, [0.2]), lambda: dataset.trim(name, 0.1, 0.2)):
        with pytest.raises(SchemaError, match="is split into"):
            act()
    with pytest.raises(SchemaError, match="is a part"):
        dataset.split(first, [0.2])
    dataset.discard(first)
    with pytest.raises(RecorderError, match="only with the whole recording"):
        dataset.purge([first])
    dataset.discard(name)
    assert dataset.episodes() == []
    assert [r.id for r in dataset.purge([name]).rows] == [name]


def test_parts_train_like_episodes(dataset: Dataset) -> None:
    whole = record(dataset)
    wanted = {"picture": Window("cameras/front"), "pose": Window("operator/head", "pose")}
    all_samples = dataset.windows(20, wanted)
    dataset.split(whole.id, [0.5])
    windows = pickle.loads(pickle.dumps(dataset.windows(20, wanted)))
    assert len(all_samples) - 1 <= len(windows) <= len(all_samples) + 1
    names = {windows[i]["episode"] for i in range(len(windows))}
    assert names == {f"{whole.id}~1", f"{whole.id}~2"}
    assert check_episode(dataset[f"{whole.id}~1"]).verdict


# ------------------------------------------------------------------------- merge


@pytest.mark.parametrize("copy", [False, True])
def test_a_merge_brings_files_and_labels_and_leaves_the_source(
    dataset: Dataset, tmp_path: Path, copy: bool
) -> None:
    source = Dataset.open(tmp_path / "there", create=True)
    kept, bad, parted = (record(source, task=t) for t in ("stack", "drop", "sort"))
    source.label(kept.id, outcome="success", notes="good")
    source.discard(bad.id)
    first, second = source.split(parted.id, [0.5])
    source.tag(second, ["slip"])
    own = record(dataset)
    before = digest(source.path)
    found = dataset.merge(source.path, copy=copy)
    assert digest(source.path) == before
    assert (found.episodes, found.known) == ((kept.id, parted.id), ())
    assert found.left == ((bad.id, "discarded"),)
    rows = {row.id: row for row in dataset.episodes()}
    assert set(rows) == {own.id, kept.id, first, second}
    assert (rows[kept.id].outcome, rows[kept.id].notes) == ("success", "good")
    assert rows[second].tags == ("slip",)
    for name in found.episodes:
        assert digest(dataset.path / "episodes" / name) == digest(source.path / "episodes" / name)
    shard = next((dataset.path / "episodes" / kept.id).rglob("image/c/0/0/0/0"))
    assert shard.stat().st_nlink == (1 if copy else 2)
    by = {edit.op: edit for edit in dataset.history(kept.id)}
    assert by["label"] == next(e for e in source.history(kept.id) if e.op == "label")
    assert by["merge"].values == {"source": str(source.path.resolve())}


def test_a_merge_again_brings_only_what_is_new(dataset: Dataset, tmp_path: Path) -> None:
    source = Dataset.open(tmp_path / "there", create=True)
    old = record(source)
    dataset.merge(source.path)
    dataset.label(old.id, outcome="failure")
    new = record(source)
    found = dataset.merge(source.path)
    assert (found.episodes, found.known) == ((new.id,), (old.id,))
    assert dataset[old.id].attributes["outcome"] == "failure"
    assert dataset.merge(source.path).edit == ""


def test_a_merge_is_undone_and_may_be_purged(dataset: Dataset, tmp_path: Path) -> None:
    source = Dataset.open(tmp_path / "there", create=True)
    names = {record(source).id, record(source).id}
    own = record(dataset)
    edit = dataset.merge(source.path).edit
    dataset.undo(edit)
    assert [r.id for r in dataset.episodes()] == [own.id]
    gone = [r.id for r in dataset.episodes(include_discarded=True) if r.discarded]
    assert set(gone) == names
    again = [e.id for e in dataset.history() if e.op == "undo"][-1]
    dataset.undo(again)
    assert len(dataset.episodes()) == 3
    dataset.undo([e.id for e in dataset.history() if e.op == "undo"][-1])
    dataset.purge(gone)
    assert {r.id for r in source.episodes()} == names
    for name in names:
        assert len(source[name].camera("front")) == 30, "the source keeps its files"


def test_what_cannot_be_merged_is_said(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="into itself"):
        dataset.merge(dataset.path)
    with pytest.raises(DatasetError, match="no dataset at"):
        dataset.merge(tmp_path / "nowhere")
    source = Dataset.open(tmp_path / "there", create=True)
    writer = source.begin(STREAMS)
    (left,) = dataset.merge(source.path).left
    assert left == (writer.id, "unfinished: repair its dataset first")
    writer.close()


def test_a_killed_merge_leaves_no_half_episode(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Dataset.open(tmp_path / "there", create=True)
    first, second = record(source), record(source)
    calls = []

    def killed(path: Path) -> None:
        calls.append(path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("recorder.merge.layout.sync_directory", killed)
        with pytest.raises(KeyboardInterrupt):
            dataset.merge(source.path)
    (dataset.path / "episodes" / f"{HIDDEN}{second.id}").mkdir()
    assert calls
    opened = Dataset.open(dataset.path)
    assert [r.id for r in opened.episodes()] == [first.id]
    assert opened.merge(source.path).episodes == (second.id,)
    assert [r.id for r in opened.episodes()] == [first.id, second.id]
    assert not list((dataset.path / "episodes").glob(f"{HIDDEN}*"))
