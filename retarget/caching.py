"""Where this package keeps what it can make again: compiled kernels, fitted shapes."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

OLD_S = 30 * 24 * 3600
"""What was not used for this long [s] may be deleted."""


def cache_dir(kind: str, key: str, keep: int | None = None) -> Path | None:
    """An existing, writable folder `$XDG_CACHE_HOME/telecap/KIND-KEY`; None where none can be.

    Folders of the same kind that were not used for a month are deleted when a new one is made, and
    all but the `keep` that were used last.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "telecap"
    folder = base / f"{kind}-{key[:16]}"
    try:
        is_new = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    except OSError:
        return None
    if is_new:
        _tidy(base, kind, keep)
    return folder if os.access(folder, os.W_OK) else None


def _tidy(base: Path, kind: str, keep: int | None) -> None:
    used = []
    for folder in base.glob(f"{kind}-*"):
        with contextlib.suppress(OSError):
            used.append((folder.stat().st_mtime, folder))
    for rank, (used_s, folder) in enumerate(sorted(used, reverse=True)):
        crowded = keep is not None and rank >= keep
        if crowded or time.time() - used_s > OLD_S:  # of files, so wall time
            with contextlib.suppress(OSError):
                for file in sorted(folder.rglob("*"), reverse=True):
                    file.unlink() if file.is_file() else file.rmdir()
                folder.rmdir()
