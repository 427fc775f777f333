"""Deleting episodes for good: only discarded ones, only by name, and logged."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recorder import edits
from recorder.catalog import EPISODES, EpisodeRow, read_catalog
from recorder.errors import EpisodeNotFoundError, RecorderError
from recorder.lock import EpisodeLock
from recorder.parts import whole_of

TRASH = ".purged-"
"""Prefix of a directory on its way out: what a crash leaves of it is no episode any more."""


class NotDiscardedError(RecorderError):
    """An episode that was never discarded was to be deleted."""


@dataclass(frozen=True, slots=True)
class Purge:
    """What a purge would delete.

    Attributes:
        rows: The episodes, as listed.
        bytes: Their size on disk.
        pictures: In all of them.
        seconds: Of recording.
    """

    rows: tuple[EpisodeRow, ...]
    bytes: int
    pictures: int
    seconds: float


def plan_purge(root: Path, episodes: Sequence[str]) -> Purge:
    """What deleting these episodes would take away; nothing is touched.

    Raises:
        EpisodeNotFoundError: One does not exist.
        NotDiscardedError: One was not discarded before.
    """
    known = {row.id: row for row in read_catalog(root)}
    for name in episodes:
        if whole_of(name) != name:
            raise RecorderError(
                f"{name} is a part of {whole_of(name)}: data go only with the whole recording"
            )
        if name not in known:
            raise EpisodeNotFoundError(f"no episode {name!r} in {root}")
        if not known[name].discarded:
            raise NotDiscardedError(f"episode {name} is not discarded: discard it first")
    rows = tuple(known[name] for name in dict.fromkeys(episodes))
    return Purge(
        rows,
        sum(_size(row.path) for row in rows),
        sum(row.pictures for row in rows),
        sum(row.duration_s for row in rows),
    )


def purge(root: Path, episodes: Sequence[str]) -> Purge:
    """Delete discarded episodes for good; what was deleted.

    Raises:
        RecorderError: As `plan_purge`, before anything is deleted.
        EpisodeBusyError: A live process holds one; those before it are gone.
    """
    edits.check_writable(root)
    plan = plan_purge(root, episodes)
    for row in plan.rows:
        EpisodeLock(row.path).let_go()  # nobody else holds it
        edits.record(root, row.id, "purge", {"bytes": _size(row.path), "take": row.take})
        gone = row.path.with_name(TRASH + row.id)
        row.path.rename(gone)
        shutil.rmtree(gone)
    for left in (root / EPISODES).glob(f"{TRASH}*"):  # of a purge that was killed
        shutil.rmtree(left, ignore_errors=True)
    return plan


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
