"""The catalogue as a table: chosen by its columns, saved as Parquet, asked by SQL."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from recorder.catalog import EpisodeRow
from recorder.errors import RecorderError

_KINDS = {
    "take": "int64",
    "grade": "float64",
    "duration_s": "float64",
    "rows": "int64",
    "pictures": "int64",
    "drops": "int64",
    "failed": "bool",
    "discarded": "bool",
}
"""Columns that are not text."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which episodes; what is left empty does not choose.

    Attributes:
        task: Pattern of the task, `*` for anything, whatever the case.
        operator: Who recorded it.
        rig: Robot.
        outcome: `success`, `failure`, or `none` for takes without a label.
        quality: Verdicts that will do, e.g. `("pass", "warn")`.
        tags: All of these.
        without: None of these tags.
        since: First start, ISO 8601, or the beginning of one such as `2026-11`.
        until: Last start, the same way; `2026-11` takes all of November.
    """

    task: str = ""
    operator: str = ""
    rig: str = ""
    outcome: str = ""
    quality: Collection[str] = ()
    tags: Collection[str] = ()
    without: Collection[str] = ()
    since: str = ""
    until: str = ""

    def takes(self, row: EpisodeRow) -> bool:
        """Whether it chooses an episode."""
        return (
            (not self.task or fnmatch.fnmatch(row.task.lower(), self.task.lower()))
            and self.operator in ("", row.operator)
            and self.rig in ("", row.rig)
            and self.outcome in ("", row.outcome or "none")
            and (not self.quality or row.quality in self.quality)
            and set(self.tags) <= set(row.tags)
            and not set(self.without) & set(row.tags)
            and (not self.since or row.wall_time >= self.since)
            and (not self.until or row.wall_time[: len(self.until)] <= self.until)
        )


def table(rows: Sequence[EpisodeRow]) -> Any:
    """The catalogue as an Arrow table, one row an episode; its columns are those of a row."""
    import pyarrow as pa  # long to import, and recording never asks

    names = [field.name for field in fields(EpisodeRow)]
    kinds = {name: pa.type_for_alias(_KINDS.get(name, "string")) for name in names}
    kinds["tags"] = pa.list_(pa.string())
    records = [{**asdict(row), "path": str(row.path), "tags": list(row.tags)} for row in rows]
    return pa.Table.from_pylist(records, pa.schema(list(kinds.items())))


def write_parquet(rows: Sequence[EpisodeRow], path: Path) -> None:
    """Save the catalogue for other programs."""
    import pyarrow.parquet as pq

    pq.write_table(table(rows), path)


def ask(rows: Sequence[EpisodeRow], sql: str) -> Any:
    """Answer SQL about the table `episodes`, by DuckDB.

    Raises:
        RecorderError: DuckDB is not installed, or refuses the question.
    """
    try:
        import duckdb
    except ImportError as error:
        raise RecorderError("SQL needs DuckDB: pip install 'telecap[query]'") from error
    with duckdb.connect(config={"enable_external_access": False}) as connection:
        connection.register("episodes", table(rows))
        try:
            answer: Any = connection.sql(sql)
            if answer is None:
                raise RecorderError(f"the question has no answer: {sql}")
            found = answer.to_arrow_table()
        except duckdb.Error as error:
            raise RecorderError(f"the question was refused: {error}") from error
    return found
