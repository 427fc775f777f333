"""Bringing the episodes of other datasets into one.

Files are hard-linked where both lie on one file system, and copied otherwise; the other dataset is
only read. What people and checks said about an episode comes along, with its author and time.
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from recorder import edits, layout
from recorder.catalog import EPISODES, catalogue, read_catalog
from recorder.errors import DatasetError
from recorder.location import is_local
from recorder.parts import whole_of

HIDDEN = ".merge-"
"""Prefix of an episode on its way in; what a crash leaves of it is no episode."""
MERGE = "merge"


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge brought.

    Attributes:
        edit: Name of the edit, by which it can be undone; empty when nothing came.
        episodes: Names of the episodes that are new.
        known: Those that were there before.
        left: Those that were left where they are, with the reason.
    """

    edit: str
    episodes: tuple[str, ...]
    known: tuple[str, ...]
    left: tuple[tuple[str, str], ...]


def merge(root: Path, source: Path, *, copy: bool = False, discarded: bool = False) -> Merged:
    """Bring the finished episodes of `source` into the dataset in `root`.

    Args:
        root: Where they go.
        source: Where they come from.
        copy: Copy files even where links would do.
        discarded: Also those that were discarded; they stay so.

    Raises:
        DatasetError: Both are the same dataset.
        OSError: The disk refused; what came before is whole, and a repetition goes on behind it.
    """
    edits.check_writable(root)
    if not is_local(source):
        raise DatasetError(f"dataset {source} lies in an object store: copy it here first")
    if root.resolve() == source.resolve():
        raise DatasetError(f"dataset {root} cannot be merged into itself")
    for torn in (root / EPISODES).glob(f"{HIDDEN}*"):  # of a merge that was killed
        shutil.rmtree(torn, ignore_errors=True)
    kept = {whole_of(row.id) for row in read_catalog(source) if not row.discarded}
    every = {whole_of(row.id) for row in read_catalog(source)}
    unfinished = {
        path.name for path in (source / EPISODES).iterdir() if not path.name.startswith(".")
    } - every
    left = [(name, "unfinished: repair its dataset first") for name in sorted(unfinished)]
    if not discarded:
        left += [(name, "discarded") for name in sorted(every - kept)]
    wanted = sorted(every if discarded else kept)
    known = [name for name in wanted if (root / EPISODES / name).exists()]
    new = [name for name in wanted if name not in known]
    edit = secrets.token_hex(4)
    for name in new:
        _bring(root, source, name, edit, copy=copy)
    return Merged(edit if new else "", tuple(new), tuple(known), tuple(left))


def _bring(root: Path, source: Path, name: str, edit: str, *, copy: bool) -> None:
    """One episode: files, then what is said of it, then its name, so that a crash leaves none."""
    hidden = root / EPISODES / f"{HIDDEN}{name}"
    bring = shutil.copy2 if copy else _link
    shutil.copytree(source / EPISODES / name, hidden, copy_function=bring)
    here = {entry.get("edit_id") for entry in edits.read_lines(root / edits.LABELS_FILE)}
    for entry in edits.read_lines(source / edits.LABELS_FILE):
        if whole_of(str(entry.get("id", ""))) == name and entry.get("edit_id") not in here:
            edits.append_line(root / edits.LABELS_FILE, entry)
    edits.record(root, name, MERGE, {"source": str(source.resolve())}, edit)
    hidden.rename(root / EPISODES / name)
    layout.sync_directory(root / EPISODES)
    catalogue(root, layout.read_root(root / EPISODES / name))


def _link(source: str, destination: str) -> str:
    try:
        os.link(source, destination)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, destination)
    return destination
