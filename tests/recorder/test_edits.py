"""Edits lie beside the data: logged and undoable; only a purge deletes, and only by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder import Dataset, Episode, Policy, align
from recorder.edits import read_labels
from recorder.errors import EpisodeNotFoundError, SchemaError
from recorder.purge import TRASH, NotDiscardedError
from tests.recorder.takes import HEAD, STREAMS, random_rows

ROWS = random_rows(HEAD, 200, np.random.default_rng(8))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(tmp_path, create=True)


def record(dataset: Dataset, **attributes: object) -> Episode:
    writer = dataset.begin(STREAMS, attributes=attributes)
    writer.append("operator/head", ROWS)
    episode = writer.finish()
    writer.wait_settled()
    return episode


def digest(path: Path) -> str:
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def test_no_edit_touches_the_recording(dataset: Dataset) -> None:
    episode = record(dataset, task="stack")
    before = digest(episode.path)
    dataset.label(episode.id, outcome="failure", notes="slow", grade=2.0, task="stack two")
    dataset.tag(episode.id, ["night", "camera moved"])
    dataset.trim(episode.id, 0.1, 0.3)
    dataset.discard(episode.id)
    assert digest(episode.path) == before


def test_tags_add_up_and_go(dataset: Dataset) -> None:
    name = record(dataset).id
    dataset.tag(name, ["b", "a"])
    dataset.tag(name, ["c"], remove=["b", "never given"])
    (row,) = dataset.episodes()
    assert row.tags == ("a", "c")


@pytest.mark.parametrize("name", ["", "  ", "a,b", "x" * 65, "line\nbreak"])
def test_what_is_no_tag_is_refused(dataset: Dataset, name: str) -> None:
    episode = record(dataset).id
    with pytest.raises(SchemaError, match="tag"):
        dataset.tag(episode, [name])
    assert dataset.history() == []


def test_views_and_listings_see_only_what_a_trim_leaves(dataset: Dataset) -> None:
    episode = record(dataset)
    whole = align(episode, 100.0, {"operator/head": "nearest"})
    dataset.trim(episode.id, 0.1, 0.25)
    trimmed = dataset[episode.id]
    part = align(trimmed, 100.0, {"operator/head": Policy("nearest")})
    assert part.t_ns[0] == episode.start_ns + 100_000_000
    assert part.t_ns[-1] <= episode.start_ns + 250_000_000
    assert 0 < len(part) < len(whole)
    assert len(trimmed.stream("operator/head")) == 200, "the rows themselves stay"
    (row,) = dataset.episodes()
    assert row.duration_s == pytest.approx(0.15)


@pytest.mark.parametrize("part", [(-0.1, 0.2), (0.2, 0.2), (0.3, 0.1), (0.1, 99.0)])
def test_a_trim_is_a_part_of_the_episode(dataset: Dataset, part: tuple[float, float]) -> None:
    episode = record(dataset).id
    with pytest.raises(SchemaError, match="expected some of its"):
        dataset.trim(episode, *part)


def test_every_edit_can_be_taken_back_and_that_too(dataset: Dataset) -> None:
    name = record(dataset).id
    dataset.label(name, outcome="success")
    dataset.trim(name, 0.1, 0.2)
    dataset.discard(name)
    label, trim, discard = dataset.history(name)
    assert (label.op, trim.op, discard.op) == ("label", "trim", "discard")
    assert all(edit.by and edit.time for edit in (label, trim, discard))
    dataset.undo(discard.id)
    dataset.undo(trim.id)
    (row,) = dataset.episodes()
    assert row.duration_s == pytest.approx(dataset[name].duration_s)
    undo = dataset.history()[-1]
    assert undo.op == "undo"
    dataset.undo(undo.id)
    assert dataset.episodes()[0].duration_s == pytest.approx(0.1)
    with pytest.raises(SchemaError, match="undone already"):
        dataset.undo(discard.id)
    with pytest.raises(SchemaError, match="no edit"):
        dataset.undo("nothing")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=25))
def test_undoing_is_as_if_it_had_never_been(tmp_path_factory, choices: list[int]) -> None:
    """Any sequence of edits and undos merges like its live edits alone."""
    root = tmp_path_factory.mktemp("data")
    dataset = Dataset.open(root, create=True)
    (root / "episodes" / "e").mkdir()
    (root / "episodes" / "e" / "zarr.json").write_text("{}")
    makers = [
        lambda d: d.label("e", outcome="success"),
        lambda d: d.label("e", notes="n"),
        lambda d: d.tag("e", ["t"]),
        lambda d: d.tag("e", [], ["t"]),
        lambda d: d.discard("e"),
        lambda d: d.restore("e"),
    ]
    for choice in choices:
        live = [e for e in dataset.history() if not e.undone]
        if choice >= len(makers) and live:
            dataset.undo(live[choice % len(live)].id)
        else:
            makers[choice % len(makers)](dataset)
    expected = tmp_path_factory.mktemp("expected")
    again = Dataset.open(expected, create=True)
    (expected / "episodes" / "e").mkdir()
    (expected / "episodes" / "e" / "zarr.json").write_text("{}")
    by_kind = {"discard": again.discard, "restore": again.restore}
    for edit in dataset.history():
        if edit.undone or edit.op == "undo":
            continue
        if edit.op in by_kind:
            by_kind[edit.op]("e")
        elif edit.op == "tag":
            again.tag("e", edit.values["add"], edit.values["remove"])
        else:
            again.label("e", **edit.values)
    assert read_labels(root).get("e", {}) == read_labels(expected).get("e", {})


def test_only_what_was_discarded_is_deleted_and_only_by_name(dataset: Dataset) -> None:
    keep, go, stay = (record(dataset, take=k) for k in range(3))
    before = {episode.id: digest(episode.path) for episode in (keep, stay)}
    dataset.discard(go.id)
    with pytest.raises(NotDiscardedError, match="discard it first"):
        dataset.purge([go.id, keep.id])
    with pytest.raises(EpisodeNotFoundError):
        dataset.purge(["no such"])
    assert go.path.exists(), "one wrong name deletes nothing"
    plan = dataset.plan_purge([go.id])
    assert plan.bytes > 0 and plan.rows[0].take == 1
    assert go.path.exists(), "a plan deletes nothing"
    dataset.purge([go.id])
    assert not go.path.exists()
    assert [row.id for row in dataset.episodes(include_discarded=True)] == [keep.id, stay.id]
    assert {name: digest(dataset[name].path) for name in before} == before
    last = dataset.history()[-1]
    assert (last.op, last.episode, last.values["bytes"]) == ("purge", go.id, plan.bytes)
    with pytest.raises(SchemaError, match="deleted data"):
        dataset.undo(last.id)


def test_a_purge_that_was_killed_leaves_no_episode_and_is_tidied_by_the_next(
    dataset: Dataset,
) -> None:
    first, second = record(dataset), record(dataset)
    dataset.discard(first.id)
    dataset.discard(second.id)
    half = first.path.with_name(TRASH + first.id)
    first.path.rename(half)
    (half / "zarr.json").unlink()
    assert [r.id for r in Dataset.open(dataset.path).episodes(include_discarded=True)] == [
        second.id
    ]
    dataset.purge([second.id])
    assert not half.exists()


def test_edits_of_older_versions_still_count(dataset: Dataset) -> None:
    name = record(dataset).id
    with (dataset.path / "labels.jsonl").open("a") as file:
        file.write(f'{{"time": "2026", "id": "{name}", "op": "label", "outcome": "success"}}\n')
    assert dataset.episodes()[0].outcome == "success"
    assert dataset.history()[0].id == ""
