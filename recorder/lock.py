"""A lock that a live writer holds on its episode; it falls with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from recorder.errors import EpisodeBusyError

LOCK_FILE = ".lock"


class EpisodeLock:
    """Exclusive lock on an episode directory (`flock` on a file inside).

    Raises:
        EpisodeBusyError: When another process holds it.
    """

    def __init__(self, root: Path) -> None:
        self._fd = os.open(root / LOCK_FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._fd)
            raise EpisodeBusyError(f"{root.name} is being written by a live process") from error

    def release(self, root: Path) -> None:
        """Remove the file and let go."""
        (root / LOCK_FILE).unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        """Let go and leave the file, for an episode that stays unfinished."""
        os.close(self._fd)
