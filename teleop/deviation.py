"""When a robot is not where it was led: after a while, commands continue from where it is. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from teleop.samples import RobotStatus

DEVIATION, FAULT, REFUSED = "deviation", "fault", "refused by the robot"
# as ints: IntFlag's operators are slow
_REFUSED, _FAULT = RobotStatus.REFUSED.value, RobotStatus.FAULT.value


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why commands have to continue from the measured state.

    Attributes:
        reason: `DEVIATION`, `FAULT` or `REFUSED`.
        joint: The joint farthest off, an index into q.
        rad: How far [rad].
        is_new: It was not reported already.
    """

    reason: str
    joint: int
    rad: float
    is_new: bool


class DeviationWatch:
    """Compares measured joints with the commanded ones.

    A robot that refuses commands or has a fault moves by its own rules: as long as it does,
    trouble is reported again and again, but new only once.

    Args:
        deviation_rad: Farthest a joint may be from its command.
        deviation_ns: For how long; the time a refusal or a fault must last as well [ns].
    """

    def __init__(self, deviation_rad: float, deviation_ns: int) -> None:
        self.deviation_rad = deviation_rad
        self.deviation_ns = deviation_ns
        self._since_ns: int | None = None
        self._reported = ""

    def restart(self) -> None:
        """Begin to count anew: the state is silent, or commands continue from it."""
        self._since_ns = None

    def check(self, state: np.void, q: npt.NDArray[np.float64], now_ns: int) -> Trouble | None:
        """Trouble that has lasted long enough; `q`, (nq,), is where the robot was led."""
        off = np.abs(state["position"] - q)
        reason = self._reason(int(state["status"]), float(off.max()))
        if not reason:
            self._since_ns, self._reported = None, ""
            return None
        if self._since_ns is None:
            self._since_ns = now_ns
        if now_ns - self._since_ns < self.deviation_ns:
            return None
        is_new = reason != self._reported or reason == DEVIATION
        self._since_ns, self._reported = None, reason
        worst = int(np.argmax(off))
        return Trouble(reason, worst, float(off[worst]), is_new)

    def _reason(self, status: int, off_rad: float) -> str:
        if status & _FAULT:
            return FAULT
        if status & _REFUSED:
            return REFUSED
        return DEVIATION if off_rad > self.deviation_rad else ""


def has_fault(state: np.void) -> bool:
    """Whether a `robot/state` row reports a fault."""
    return bool(int(state["status"]) & _FAULT)
