"""What keeps the robot from following: joints at their limits, parts about to touch. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

AT_LIMIT = 1
"""Bit of `solution/saturation`: the position limit."""
LASTING_NS = 300_000_000
"""Touching a limit in passing is no news."""
REMEMBERED_NS = 500_000_000
"""What was seen is told this long, so that words can be read."""
CLOSE_M = 0.01
MAX_NAMES = 3


@dataclass(slots=True)
class StrainWatch:
    """Hears solutions; tells in words what an operator should know of them.

    Attributes:
        joint_names: In the order of the solution.
    """

    joint_names: Sequence[str] = ()
    _since_ns: dict[int, int] = field(default_factory=dict)
    _lasting_ns: dict[int, int] = field(default_factory=dict)
    _closest: tuple[int, float] | None = None

    def hear(self, solution: Any, now_ns: int) -> None:
        """Take a `solution` row."""
        at_limit = set(np.flatnonzero(solution["saturation"] & AT_LIMIT).tolist())
        self._since_ns = {joint: self._since_ns.get(joint, now_ns) for joint in at_limit}
        for joint, since_ns in self._since_ns.items():
            if now_ns - since_ns >= LASTING_NS:
                self._lasting_ns[joint] = now_ns
        clearance_m = float(solution["clearance_m"])
        if clearance_m < CLOSE_M:  # NaN where it was not computed
            before = self._closest
            fresh = before is None or now_ns - before[0] > REMEMBERED_NS
            least = clearance_m if fresh or before is None else min(clearance_m, before[1])
            self._closest = (now_ns, least)

    def words(self, now_ns: int) -> list[str]:
        """Sentences for the operator; none where all is well."""
        found = []
        joints = [j for j, t in self._lasting_ns.items() if now_ns - t <= REMEMBERED_NS]
        if joints:
            names = [self._name(j) for j in sorted(joints)]
            more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
            found.append(f"At its limit: {', '.join(names[:MAX_NAMES])}{more}.")
        if self._closest is not None and now_ns - self._closest[0] <= REMEMBERED_NS:
            millimetres = max(0.0, 1e3 * self._closest[1])
            found.append(f"Parts of the robot are {millimetres:.0f} mm from touching.")
        return found

    def _name(self, joint: int) -> str:
        known = joint < len(self.joint_names)
        return self.joint_names[joint].replace("_", " ") if known else f"joint {joint + 1}"
