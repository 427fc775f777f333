"""Which rate a camera group can hold: lowered when slots are missed for long, raised carefully."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from teleop.pacing import NS_PER_S

STEPS = (Fraction(1), Fraction(2, 3), Fraction(1, 2), Fraction(1, 3), Fraction(1, 6))
"""Rates as parts of the asked one: 30, 20, 15, 10, 5 Hz."""
WINDOW_NS = 2 * NS_PER_S
OVERLOADED_WINDOWS = 3
MISSED_PART = 0.15
"""A window in which more than this part of the slots was missed counts as overloaded."""
CALM_WINDOWS = 2
BUSY_PART = 0.85
"""A higher rate is tried when it would keep the group busy for less than this part of the time."""
MAX_CALM_WINDOWS = 80


@dataclass(frozen=True, slots=True)
class RateChange:
    """The group goes on at another rate.

    Attributes:
        from_hz: Rate so far.
        to_hz: Rate from now on.
        busy_ms: Mean time a slot takes [ms].
    """

    from_hz: int
    to_hz: int
    busy_ms: float


class RateGovernor:
    """Judges windows of two seconds; pure, times are passed in.

    Three overloaded windows in a row lower the rate to one that the measured time of a slot allows.
    Two calm ones raise it by one step; a raise that fails doubles the calm time asked next.

    Attributes:
        asked_hz: The configured rate.
        rate_hz: The rate to run at.
    """

    def __init__(self, asked_hz: int) -> None:
        self.asked_hz = asked_hz
        self.rate_hz = asked_hz
        self._rates = sorted({max(1, int(asked_hz * part)) for part in STEPS}, reverse=True)
        self._calm_asked = CALM_WINDOWS
        self._was_raised = False
        self._overloaded = self._calm = 0
        self._window_start_ns = self._taken = self._missed = self._busy_ns = 0

    def slot(self, now_ns: int, busy_ns: int, missed: int) -> RateChange | None:
        """Tell of a slot that was served.

        Args:
            now_ns: Time it ended [ns].
            busy_ns: Time it took [ns].
            missed: Slots skipped before it.

        Returns:
            A change to make now, else None.
        """
        if self._taken == 0:
            self._window_start_ns = now_ns
        self._taken += 1
        self._missed += missed
        self._busy_ns += busy_ns
        if now_ns - self._window_start_ns < WINDOW_NS:
            return None
        return self._judge()

    def _judge(self) -> RateChange | None:
        busy_s = self._busy_ns / self._taken / NS_PER_S
        missed = self._missed / (self._taken + self._missed)
        self._taken = self._missed = self._busy_ns = 0
        if missed > MISSED_PART:
            self._overloaded, self._calm = self._overloaded + 1, 0
            return self._lower(busy_s) if self._overloaded >= OVERLOADED_WINDOWS else None
        self._overloaded = 0
        self._calm = self._calm + 1 if missed == 0 else 0
        return self._raise(busy_s) if self._calm >= self._calm_asked else None

    def _lower(self, busy_s: float) -> RateChange | None:
        lower = [hz for hz in self._rates if hz < self.rate_hz]
        if not lower:
            return None
        if self._was_raised:
            self._calm_asked = min(2 * self._calm_asked, MAX_CALM_WINDOWS)
        self._was_raised = False
        return self._change(next((hz for hz in lower if hz * busy_s < 1.0), lower[-1]), busy_s)

    def _raise(self, busy_s: float) -> RateChange | None:
        higher = [hz for hz in self._rates if hz > self.rate_hz]
        if not higher or higher[-1] * busy_s > BUSY_PART:
            return None
        self._was_raised = True
        return self._change(higher[-1], busy_s)

    def _change(self, rate_hz: int, busy_s: float) -> RateChange:
        change = RateChange(self.rate_hz, rate_hz, 1e3 * busy_s)
        self.rate_hz = rate_hz
        self._overloaded = self._calm = 0
        return change


def is_due(slot: int, camera_hz: int, group_hz: int) -> bool:
    """Whether a camera of `camera_hz` takes this slot of its group's grid."""
    rate = min(camera_hz, group_hz)
    return slot * rate // group_hz != (slot - 1) * rate // group_hz
