"""What people and checks say about episodes, beside the data: `labels.jsonl`, append only.

Each line is one operation; the last one wins, so every edit can be undone and none touches an
episode.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recorder.errors import SchemaError

LABELS_FILE = "labels.jsonl"
OUTCOMES = ("success", "failure", "")
"""Outcomes a label may give; the empty one takes an earlier outcome back."""


def label(
    root: Path,
    episode: str,
    outcome: str | None = None,
    notes: str | None = None,
    grade: float | None = None,
    task: str | None = None,
) -> None:
    """Label an episode of the dataset in `root`; None leaves an entry as it is.

    Raises:
        SchemaError: When the outcome is none of `OUTCOMES`.
    """
    if outcome is not None and outcome not in OUTCOMES:
        raise SchemaError(f"outcome {outcome!r}; expected one of {list(OUTCOMES)}")
    given = {"outcome": outcome, "notes": notes, "grade": grade, "task": task}
    _record(root, episode, "label", {k: v for k, v in given.items() if v is not None})


def discard(root: Path, episode: str) -> None:
    """Leave an episode out of listings and exports; its data stay."""
    _record(root, episode, "discard", {})


def restore(root: Path, episode: str) -> None:
    """Take a discard back."""
    _record(root, episode, "restore", {})


def set_quality(root: Path, episode: str, report: Mapping[str, Any]) -> None:
    """Keep the report of a quality check with an episode."""
    _record(root, episode, "quality", {"report": dict(report)})


def read_labels(root: Path) -> dict[str, dict[str, Any]]:
    """The merged edits by episode: `outcome`, `notes`, `grade`, `task`, `discarded`, `quality`."""
    path = root / LABELS_FILE
    merged: dict[str, dict[str, Any]] = {}
    for entry in read_lines(path):
        target = merged.setdefault(entry["id"], {})
        match entry["op"]:
            case "label":
                target |= {k: v for k, v in entry.items() if k not in ("id", "op", "time")}
            case "discard":
                target["discarded"] = True
            case "restore":
                target["discarded"] = False
            case "quality":
                target["quality"] = entry["report"]
            case _:  # an operation of a newer version: not ours to judge
                continue
    for target in merged.values():
        if target.get("outcome") == "":
            target["outcome"] = None
    return merged


def append_line(path: Path, entry: Mapping[str, Any]) -> None:
    """Append one JSON line, also after a torn one, safely among several processes."""
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        end = os.lseek(fd, 0, os.SEEK_END)
        torn = end > 0 and os.pread(fd, 1, end - 1) != b"\n"
        os.write(fd, b"\n" * torn + json.dumps(entry).encode() + b"\n")
    finally:
        os.close(fd)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """All whole JSON lines of a file; a torn line is left out, a missing file is empty."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_bytes().splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # torn by a crash; what it said is derived or was never confirmed
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def _record(root: Path, episode: str, op: str, values: Mapping[str, Any]) -> None:
    head = {"time": datetime.now(UTC).isoformat(), "id": episode, "op": op}
    append_line(root / LABELS_FILE, head | dict(values))
