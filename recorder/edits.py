"""What people and checks say about episodes, beside the data: `labels.jsonl`, append only.

Each line is one operation with a name, a time and who did it; the last one wins, none touches an
episode, and any can be undone by its name. The file is the audit log as well.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from recorder.errors import DatasetError, SchemaError, WriteFailedError
from recorder.location import is_local
from recorder.parts import add_parts
from recorder.shard import write_all

LABELS_FILE = "labels.jsonl"
OUTCOMES = ("success", "failure", "")
"""Outcomes a label may give; the empty one takes an earlier outcome back."""
UNDO = "undo"
MAX_TAG = 64
LABELS = ("outcome", "notes", "grade", "task")


@dataclass(frozen=True, slots=True)
class Edit:
    """One operation as it was logged.

    Attributes:
        id: Name of the operation; empty for those of versions that gave none.
        time: When, ISO 8601.
        by: Login of who did it.
        episode: On which episode.
        op: What: `label`, `tag`, `trim`, `split`, `discard`, `restore`, `quality`, `merge`,
            `undo`, `purge`.
        values: Its arguments.
        undone: A later `undo` took it back.
    """

    id: str
    time: str
    by: str
    episode: str
    op: str
    values: Mapping[str, Any]
    undone: bool


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
    record(root, episode, "label", {k: v for k, v in given.items() if v is not None})


def tag(root: Path, episode: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
    """Give tags to an episode and take others away.

    Raises:
        SchemaError: A tag is empty, too long, or has a comma or a line break.
    """
    added, removed = sorted(set(add)), sorted(set(remove))
    for name in (*added, *removed):
        if not name.strip() or len(name) > MAX_TAG or any(c in name for c in ",\n\r"):
            raise SchemaError(
                f"tag {name!r}; expected 1 to {MAX_TAG} characters without comma and line break"
            )
    record(root, episode, "tag", {"add": added, "remove": removed})


def trim(root: Path, episode: str, start_ns: int, end_ns: int) -> None:
    """Let readers see only this part of an episode, host time [ns]; its data stay.

    Raises:
        SchemaError: The end is not after the start.
    """
    if end_ns <= start_ns:
        raise SchemaError(f"a trim ends after its start: {start_ns} to {end_ns} ns")
    record(root, episode, "trim", {"start_ns": start_ns, "end_ns": end_ns})


def split(root: Path, episode: str, bounds_ns: Sequence[int]) -> str:
    """Let readers see an episode as parts; its data stay. Returns the name of the edit.

    Args:
        root: The dataset.
        episode: Its name.
        bounds_ns: Host times at which the parts begin, and the end of the last.

    Raises:
        SchemaError: They do not ascend.
    """
    bounds = [int(t) for t in bounds_ns]
    if len(bounds) < 3 or any(b <= a for a, b in pairwise(bounds)):
        raise SchemaError(f"a split needs ascending times within the episode, got {bounds} ns")
    return record(root, episode, "split", {"bounds_ns": bounds})


def undo(root: Path, edit: str) -> Edit:
    """Take an operation back, or an undo; returns the one that was.

    Raises:
        SchemaError: There is no such operation, it is undone already, or it deleted data.
    """
    known = {entry.id: entry for entry in history(root) if entry.id}
    found = known.get(edit)
    if found is None:
        raise SchemaError(f"no edit {edit!r}; `history` lists those that can be undone")
    if found.undone:
        raise SchemaError(f"edit {edit!r} is undone already")
    if found.op == "purge":
        raise SchemaError(f"edit {edit!r} deleted data: nothing can bring them back")
    record(root, found.episode, UNDO, {"edit": edit})
    return found


def history(root: Path, episode: str | None = None) -> list[Edit]:
    """Everything that was done, oldest first; of one episode, or of all."""
    entries = read_lines(root / LABELS_FILE)
    taken_back = _undone(entries)
    head = ("edit_id", "time", "by", "id", "op")
    return [
        Edit(
            id=str(entry.get("edit_id", "")),
            time=str(entry.get("time", "")),
            by=str(entry.get("by", "")),
            episode=str(entry.get("id", "")),
            op=str(entry.get("op", "")),
            values={k: v for k, v in entry.items() if k not in head},
            undone=entry.get("edit_id") in taken_back,
        )
        for entry in entries
        if episode is None or entry.get("id") == episode
    ]


def _undone(entries: Sequence[Mapping[str, Any]]) -> set[str]:
    """Names of operations that were taken back; an undo that was itself undone counts not."""
    found: set[str] = set()
    for entry in reversed(entries):
        if entry.get("op") == UNDO and entry.get("edit_id") not in found:
            found.add(str(entry.get("edit")))
    return found


def discard(root: Path, episode: str) -> None:
    """Leave an episode out of listings and exports; its data stay."""
    record(root, episode, "discard", {})


def restore(root: Path, episode: str) -> None:
    """Take a discard back."""
    record(root, episode, "restore", {})


def set_quality(root: Path, episode: str, report: Mapping[str, Any]) -> None:
    """Keep the report of a quality check with an episode."""
    record(root, episode, "quality", {"report": dict(report)})


def read_labels(root: Path) -> dict[str, dict[str, Any]]:
    """Merged edits by episode and part.

    Labels, `tags`, `trim_ns`, `discarded`, `quality`, and `parts` of what is split.
    """
    merged: dict[str, dict[str, Any]] = {}
    entries = read_lines(root / LABELS_FILE)
    taken_back = _undone(entries)
    for entry in entries:
        target = merged.setdefault(entry["id"], {})
        if entry.get("edit_id") not in taken_back:
            _apply(entry, target)
        elif entry["op"] == "merge":  # its episodes are as if they had not come
            target["discarded"] = True
    add_parts(merged)
    for target in merged.values():
        target.pop("untagged", None)
        if target.get("outcome") == "":
            target["outcome"] = None
    return merged


def _apply(entry: Mapping[str, Any], target: dict[str, Any]) -> None:
    """Change the labels of one episode by one operation; those of newer versions are let be."""
    match entry["op"]:
        case "label":
            target |= {k: v for k, v in entry.items() if k in LABELS}
        case "tag":
            tags = {*target.get("tags", ()), *entry["add"]} - set(entry["remove"])
            untagged = {*target.get("untagged", ()), *entry["remove"]} - set(entry["add"])
            target |= {"tags": sorted(tags), "untagged": sorted(untagged)}
        case "trim":
            target["trim_ns"] = [entry["start_ns"], entry["end_ns"]]
        case "split":
            target["split_ns"] = entry["bounds_ns"]
        case "discard":
            target["discarded"] = True
        case "restore":
            target["discarded"] = False
        case "quality":
            target["quality"] = entry["report"]


def check_writable(root: Path) -> None:
    """Refuse to change a dataset in an object store.

    Raises:
        DatasetError: It is one.
    """
    if not is_local(root):
        raise DatasetError(f"dataset {root} lies in an object store and can only be read")


def append_line(path: Path, entry: Mapping[str, Any]) -> None:
    """Append one JSON line, also after a torn one, safely among several processes.

    Raises:
        DatasetError: The dataset lies in an object store.
        DiskFull, WriteFailedError: The disk refuses; the file is as it was.
    """
    check_writable(path.parent)
    try:
        fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            end = os.lseek(fd, 0, os.SEEK_END)
            torn = end > 0 and os.pread(fd, 1, end - 1) != b"\n"
            write_all(fd, (b"\n" * torn + json.dumps(entry).encode() + b"\n",))
        finally:
            os.close(fd)
    except OSError as error:
        raise WriteFailedError.of(path, error) from error


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


def record(root: Path, episode: str, op: str, values: Mapping[str, Any], edit_id: str = "") -> str:
    """Log one operation; its name, a new one unless it is part of an operation on several."""
    edit_id = edit_id or secrets.token_hex(4)
    head = {
        "time": datetime.now(UTC).isoformat(),
        "id": episode,
        "op": op,
        "edit_id": edit_id,
        "by": _login(),
    }
    append_line(root / LABELS_FILE, head | dict(values))
    return edit_id


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id without a name
        return str(os.getuid())
