"""The catalogue chosen by columns, as Parquet and by SQL; ten thousand episodes at once."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recorder import Dataset, Filter
from recorder.catalog import EpisodeRow
from recorder.errors import RecorderError

ROWS = [
    EpisodeRow(
        id=f"e{k}",
        path=Path(f"/data/e{k}"),
        task="Put the cube away" if k % 2 else "Fold the towel",
        operator="ada" if k < 3 else "bob",
        rig="openarm",
        take=k,
        wall_time=f"2026-1{k % 2}-0{1 + k}T10:00:00+00:00",
        outcome=("success", "failure", None)[k % 3],
        tags=("night",) if k == 4 else (),
        quality=("pass", "warn", "fail")[k % 3],
    )
    for k in range(6)
]


@pytest.mark.parametrize(
    ("chosen", "takes"),
    [
        (Filter(), [0, 1, 2, 3, 4, 5]),
        (Filter(task="*CUBE*"), [1, 3, 5]),
        (Filter(operator="ada"), [0, 1, 2]),
        (Filter(outcome="none"), [2, 5]),
        (Filter(quality=("pass", "warn")), [0, 1, 3, 4]),
        (Filter(tags=("night",)), [4]),
        (Filter(without=("night",)), [0, 1, 2, 3, 5]),
        (Filter(since="2026-11"), [1, 3, 5]),
        (Filter(until="2026-10"), [0, 2, 4]),
        (Filter(operator="bob", outcome="success"), [3]),
    ],
)
def test_a_filter_takes_what_it_says(chosen: Filter, takes: list[int]) -> None:
    assert [row.take for row in ROWS if chosen.takes(row)] == takes


def catalogue(root: Path, n: int) -> Dataset:
    dataset = Dataset.open(root, create=True)
    lines = []
    for k in range(n):
        name = f"2026-11-{1 + k % 28:02d}T00-00-00Z_{k:026d}"
        (root / "episodes" / name).mkdir()
        lines.append({"id": name, "task": f"task {k % 7}", "take": k, "duration_s": 1.5, "rows": k})
    (root / "catalog.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return dataset


def test_ten_thousand_episodes_are_listed_without_opening_one(tmp_path: Path) -> None:
    dataset = catalogue(tmp_path, 10_000)
    begun = time.process_time()
    found = dataset.episodes(Filter(task="task 3"))
    assert len(found) == 1429
    assert time.process_time() - begun < 2.0, "a guard against opening them; measured in bench"


def test_parquet_holds_what_the_listing_does(tmp_path: Path) -> None:
    dataset = catalogue(tmp_path, 20)
    dataset.write_parquet(tmp_path / "catalog.parquet")
    read = pq.read_table(tmp_path / "catalog.parquet").to_pylist()
    assert [row["id"] for row in read] == [row.id for row in dataset.episodes()]
    assert read[3]["tags"] == [] and read[3]["outcome"] is None


def test_sql_is_answered_about_episodes_and_about_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    dataset = catalogue(tmp_path, 21)
    answer = dataset.ask("select task, count(*) n from episodes group by task order by task")
    assert answer.to_pylist()[0] == {"task": "task 0", "n": 3}
    with pytest.raises(RecorderError, match="refused"):
        dataset.ask("select * from no_such_table")
    with pytest.raises(RecorderError, match="refused"):
        dataset.ask("select * from read_csv('/etc/passwd')")
