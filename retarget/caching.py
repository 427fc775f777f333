"""Where this package keeps what it can make again: compiled kernels, fitted shapes."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

OLD_S = 30 * 24 * 3600
"""What was not used for this long [s] may be deleted."""


def cache_dir(kind: str, key: str) -> Path | None:
    """An existing, writable folder `$XDG_CACHE_HOME/telecap/KIND-KEY`; None where none can be.

    Folders of the same kind that were not used for a month are deleted when a new one is made.
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
        _tidy(base, kind)
    return folder if os.access(folder, os.W_OK) else None


def _tidy(base: Path, kind: str) -> None:
    for folder in base.glob(f"{kind}-*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > OLD_S:  # of files, so wall time
                for file in sorted(folder.rglob("*"), reverse=True):
                    file.unlink() if file.is_file() else file.rmdir()
                folder.rmdir()
