"""Notices when somebody, or NTP, sets the computer's clock. Pure; the clocks are parameters.

Nothing recorded depends on it: all times are monotonic. But names and `wall_time` of later takes
are not comparable with those before, which a take should say.
"""

from __future__ import annotations

from dataclasses import dataclass

STEP_NS = 50_000_000
"""Slewing moves the clock by 0.5 ms a second at most: more at once is a step."""


@dataclass(slots=True)
class WallClockWatch:
    """Compares the wall clock with the monotonic one."""

    _offset_ns: int | None = None

    def step_ns(self, wall_ns: int, monotonic_ns: int) -> int:
        """How far the wall clock was set since the last call [ns]; 0 when it was not."""
        offset_ns = wall_ns - monotonic_ns
        before, self._offset_ns = self._offset_ns, offset_ns
        moved_ns = 0 if before is None else offset_ns - before
        return moved_ns if abs(moved_ns) >= STEP_NS else 0
