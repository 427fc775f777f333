"""The catalogue: one line per episode, `catalog.jsonl`; derived, rebuilt whenever it lacks one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from recorder import edits, layout
from recorder.errors import CorruptEpisodeError, WriteFailedError
from recorder.location import is_local
from recorder.schema import CAMERAS, EVENTS

log = logging.getLogger(__name__)

CATALOG_FILE = "catalog.jsonl"
EPISODES = "episodes"


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """One episode as listed.

    Attributes:
        id: Name of the episode, or of a part of one that is split.
        path: What opens it; a directory, except of a part.
        task: Language instruction.
        variation: How the scene was set up for it.
        operator: Who recorded it.
        rig: Robot it was recorded with.
        take: Number of the take in its session.
        wall_time: Start, ISO 8601.
        outcome: `success`, `failure` or None.
        notes: Free text of the label.
        grade: Number given by a label.
        tags: Words given by people, in alphabetical order.
        duration_s: Length [s], of what a trim leaves.
        state: `complete` or `recovered`.
        rows: Rows of all numeric streams.
        pictures: Pictures of all cameras.
        drops: Rows and pictures lost.
        failed: The disk refused during the take.
        discarded: Left out of listings and exports.
        quality: Verdict of the quality check, None before it ran.
    """

    id: str
    path: Path
    task: str = ""
    variation: str = ""
    operator: str = ""
    rig: str = ""
    take: int = 0
    wall_time: str = ""
    outcome: str | None = None
    notes: str = ""
    grade: float | None = None
    tags: tuple[str, ...] = ()
    duration_s: float = 0.0
    state: str = "complete"
    rows: int = 0
    pictures: int = 0
    drops: int = 0
    failed: bool = False
    discarded: bool = False
    quality: str | None = None


_STORED = tuple(
    f.name for f in fields(EpisodeRow) if f.name not in ("path", "discarded", "quality", "tags")
)


def catalogue(root: Path, attributes: Mapping[str, Any]) -> None:
    """Append the line of one finished episode; a listing makes up for one that has no room now."""
    try:
        edits.append_line(root / CATALOG_FILE, _line(attributes))
    except WriteFailedError as error:
        log.info("%s is whole, but not in the catalogue yet: %s", attributes["id"], error)


def listed_episodes(root: Path) -> set[str]:
    """Names of the episodes that have a line; these are finished."""
    return {entry["id"] for entry in edits.read_lines(root / CATALOG_FILE) if "id" in entry}


def read_catalog(root: Path) -> list[EpisodeRow]:
    """All finished episodes in order of their names, with the labels merged in."""
    lines = {entry["id"]: entry for entry in edits.read_lines(root / CATALOG_FILE) if "id" in entry}
    labels = edits.read_labels(root)
    rows = []
    for path in sorted((root / EPISODES).iterdir(), key=lambda p: p.name):
        if path.name.startswith(".") or (is_local(path) and not path.is_dir()):
            continue
        line = lines.get(path.name) or _rebuild(root, path)
        if line is None:
            continue
        found = labels.get(path.name, {})
        parts = () if found.get("discarded") else found.get("parts", ())
        names = parts or (path.name,)
        rows += [_row(path.with_name(name), line, labels.get(name, {})) for name in names]
    return rows


def _rebuild(root: Path, path: Path) -> dict[str, Any] | None:
    """Read an episode the catalogue lacks, and add it where it can; None while not finished."""
    try:
        attributes = layout.read_root(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except CorruptEpisodeError as error:
        log.error("%s: it is not listed", error)
        return None
    if attributes["state"] == "recording":
        return None
    if is_local(root):
        catalogue(root, attributes)
    return _line(attributes)


def _line(attributes: Mapping[str, Any]) -> dict[str, Any]:
    counts: Mapping[str, int] = attributes["rows"]
    pictures = {k: n for k, n in counts.items() if k.startswith(f"{CAMERAS}/")}
    line = {name: attributes[name] for name in _STORED if name in attributes}
    return line | {
        "rows": sum(n for k, n in counts.items() if k not in pictures and k != EVENTS),
        "pictures": sum(pictures.values()),
        "drops": sum(attributes["drops"].values()),
        "failed": "failed" in attributes,
    }


def _row(path: Path, line: Mapping[str, Any], labels: Mapping[str, Any]) -> EpisodeRow:
    merged = {k: v for k, v in {**line, **labels}.items() if k in _STORED or k == "discarded"}
    quality = labels.get("quality", {}).get("verdict")
    tags = tuple(labels.get("tags", ()))
    if "trim_ns" in labels:
        start_ns, end_ns = labels["trim_ns"]
        merged["duration_s"] = round((end_ns - start_ns) / 1e9, 6)  # a part ends 1 ns early
    names = {"path": path, "id": path.name}
    return EpisodeRow(**{**merged, **names, "quality": quality, "tags": tags})
