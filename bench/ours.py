"""telecap's retargeter as a contender."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from bench.contender import Array
from retarget import Retargeter, Rig, Targets

COLLISION_MODES = ("off", "soft", "hard")


class Telecap:
    """`Retargeter.step` with its default settings."""

    def __init__(self, rig: Rig, rate_hz: float, collision: str = "") -> None:
        options = {"collision": collision} if collision else {}
        self._retargeter = Retargeter(rig, rate_hz, **options)  # type: ignore[arg-type]
        self.name = f"telecap, collisions {collision}" if collision else "telecap"
        self.settings = "Retargeter(rig, rate_hz" + (
            f", collision={collision!r})" if collision else ")"
        )
        self.exceptions = 0

    def reset(self, q: Array) -> None:
        self._retargeter.reset(q)
        self.exceptions = 0

    def prepare(self, Ts_robot_tip: Mapping[str, Array]) -> Targets:
        return Targets(**{f"T_robot_{tip}": T for tip, T in Ts_robot_tip.items()})

    def solve(self, prepared: Targets) -> Array:
        return self._retargeter.step(prepared).q


def variants(rig: Rig, rate_hz: float) -> list[Telecap]:
    """One for each collision mode this version offers."""
    if "collision" not in inspect.signature(Retargeter.__init__).parameters:
        return [Telecap(rig, rate_hz)]
    return [Telecap(rig, rate_hz, mode) for mode in COLLISION_MODES]
