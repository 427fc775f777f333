"""Watches the disk under a recording: refuses to begin without room, warns, ends in time. Pure.

What fills the disk may be somebody else. A take is ended while there is still room to finish it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MB, GB = 10**6, 10**9
START_BYTES = 512 * MB
"""Needed to begin a take."""
END_BYTES = 96 * MB
"""A take is ended when no more is left: what is still on its way needs some of it."""
LOW_BYTES, LOW_S = 2 * GB, 600.0
"""A disk is low when less is left, or less time at the rate of the running take."""
SLOW_S = 1.0
"""A commit that takes longer is told: 100 ms are usual."""
RATE_AFTER_S = 10.0
News = tuple[str, dict[str, float]]


def free_bytes(path: Path) -> int:
    """Room for this user on the disk of a path."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


@dataclass(slots=True)
class DiskWatch:
    """What is left of a disk, and how it keeps up.

    Attributes:
        path: A file of the dataset; while it cannot be seen, no take can begin.
        problem: Why no take can begin; empty when one can.
        warning: What people should know; empty when all is well.
        full: A running take must end now.
    """

    path: Path
    free: Callable[[Path], int] = free_bytes
    problem: str = ""
    warning: str = ""
    full: bool = False
    _begin: tuple[int, int] | None = None
    _told: set[str] = field(default_factory=set)

    def look(self, now_ns: int, recording: bool, behind_s: float) -> list[News]:
        """Look at the disk; call it about once a second.

        Args:
            now_ns: Host time [ns].
            recording: A take runs.
            behind_s: How long the newest commit has been running [s].

        Returns:
            Events of the running take that are new: `disk_low`, `disk_slow`.
        """
        try:
            left = self.free(self.path)
        except OSError as error:
            self.problem = self.warning = f"the dataset is out of reach: {error.strerror}"
            return []
        if not recording:
            self._begin = None
            self._told.clear()
        elif self._begin is None:
            self._begin = (now_ns, left)
        left_s = self._left_s(left, now_ns)
        self.full = left < END_BYTES
        self.problem = ""
        if left < START_BYTES:
            self.problem = (
                f"the disk has {left / MB:.0f} MB left, {START_BYTES / MB:.0f} MB are needed"
            )
        low = left < LOW_BYTES or (left_s is not None and left_s < LOW_S)
        slow = behind_s > SLOW_S
        self.warning = self._words(left, left_s, low, behind_s if slow else 0.0)
        news = [("disk_low", {"free_mb": left / MB})] if low else []
        news += [("disk_slow", {"behind_s": behind_s})] if slow else []
        fresh = [(kind, data) for kind, data in news if recording and kind not in self._told]
        self._told |= {kind for kind, _ in fresh}
        if not slow:
            self._told.discard("disk_slow")
        return fresh

    def _left_s(self, left: int, now_ns: int) -> float | None:
        """How long the disk lasts at the rate of this take; None while that is not known."""
        if self._begin is None:
            return None
        begin_ns, before = self._begin
        seconds = (now_ns - begin_ns) / 1e9
        used = before - left
        return left * seconds / used if seconds >= RATE_AFTER_S and used > 0 else None

    @staticmethod
    def _words(left: int, left_s: float | None, low: bool, behind_s: float) -> str:
        found = []
        if low:
            lasts = "" if left_s is None else f", enough for {left_s / 60:.0f} min"
            found.append(f"the disk has {left / GB:.1f} GB left{lasts}")
        if behind_s:
            found.append(f"the disk is slow, {behind_s:.1f} s behind")
        return "; ".join(found)
