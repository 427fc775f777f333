"""Where an export goes: written aside, renamed when whole, never over something else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recorder.export.errors import OutputExistsError

MARK = Path("meta/info.json")
"""A directory without this file is no export of ours, and is not replaced."""


@contextmanager
def written_aside(out: Path, *, force: bool) -> Iterator[Path]:
    """Give `OUT.partial` to write into; it becomes `out` at the end, or is removed on an error.

    Raises:
        OutputExistsError: When `out` holds something and `force` does not allow to replace it.
    """
    check_free(out, force=force)
    partial = out.with_name(out.name + ".partial")
    if partial.exists():  # of an export that was killed
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
        _replace(out, partial)
    except BaseException:  # Ctrl-C as well: half an export must not stay
        shutil.rmtree(partial, ignore_errors=True)
        raise


def check_free(out: Path, *, force: bool) -> None:
    """Refuse a destination that must not be overwritten.

    Raises:
        OutputExistsError: Saying what is there and what would help.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputExistsError(out, "is a file, expected a directory to create")
    if not any(out.iterdir()):
        return
    if not force:
        raise OutputExistsError(
            out, "is not empty; choose another, or replace it with --force (force=True)"
        )
    if not (out / MARK).exists():
        raise OutputExistsError(
            out, f"holds no {MARK}: it is not an export, so even force=True does not replace it"
        )


def _replace(out: Path, partial: Path) -> None:
    """Rename the new export into place; an old one leaves only after that."""
    old = out.with_name(f".{out.name}.replaced")
    if old.exists():
        shutil.rmtree(old)
    if out.exists():
        out.rename(old)
    partial.rename(out)
    shutil.rmtree(old, ignore_errors=True)
