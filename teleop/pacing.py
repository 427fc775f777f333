"""Time as a grid of integers: slots on an absolute grid, late ones skipped and counted."""

from __future__ import annotations

import time

NS_PER_S = 1_000_000_000
SLOT_DRIFT = 1024
"""Share by which the origin of `SlotTimes` follows late slots: clocks and rates never quite fit."""


class Grid:
    """Slots `k = 0, 1, 2, …` at `t0_ns + k / rate_hz`; pure, `now_ns` is always passed in.

    Attributes:
        t0_ns: Time of slot 0 [ns].
        rate_hz: Slots per second, a whole number.
        slot: The slot that comes next.
        skipped: Slots that had passed before anybody asked for them.
        late_ns: How late the last taken slot was [ns].

    Raises:
        ValueError: The rate is not positive.
    """

    def __init__(self, t0_ns: int, rate_hz: int) -> None:
        if rate_hz <= 0:
            raise ValueError(f"rate must be positive, got {rate_hz} Hz")
        self.t0_ns = t0_ns
        self.rate_hz = rate_hz
        self.slot = 0
        self.skipped = 0
        self.late_ns = 0

    def instant(self, k: int) -> int:
        """Time of slot `k` [ns]; integer arithmetic, so the phase never drifts."""
        return self.t0_ns + k * NS_PER_S // self.rate_hz

    def next_ns(self) -> int:
        """Time of the slot that comes next [ns]."""
        return self.instant(self.slot)

    def take(self, now_ns: int) -> int | None:
        """Take the slot that is due, or None when none is.

        Slots that passed entirely (the following one is due as well) are skipped and counted, not
        replayed in a burst; the newest due slot is taken.
        """
        if now_ns < self.next_ns():
            return None
        due = self._newest_due(now_ns)
        self.skipped += due - self.slot
        self.late_ns = now_ns - self.instant(due)
        self.slot = due + 1
        return due

    def _newest_due(self, now_ns: int) -> int:
        due = (now_ns - self.t0_ns) * self.rate_hz // NS_PER_S
        # `instant` rounds down, so the slot after the quotient may already be due
        while self.instant(due + 1) <= now_ns:
            due += 1
        return max(due, self.slot)


class SlotTimes:
    """When slots of a grid are, learnt from when they are served.

    Nobody wakes early, and seldom late by the same amount: what is computed for the time of a slot
    must not shake with the time of waking. Pure, and the same for the same calls.

    Attributes:
        period_ns: Length of a slot [ns].
        slot: Number of the present slot; -1 before the first.
        now_ns: Time of the present slot [ns].
        before_ns: Time of the slot that was served before it [ns].
    """

    def __init__(self, period_ns: int) -> None:
        self.period_ns = period_ns
        self.slot = -1
        self.now_ns = 0
        self.before_ns = 0
        self._origin_ns: int | None = None

    def take(self, slot: int, now_ns: int) -> None:
        """Slot number `slot` is served at `now_ns`."""
        origin_ns = now_ns - slot * self.period_ns
        known_ns = self._origin_ns
        if known_ns is None or not known_ns <= origin_ns < known_ns + self.period_ns:
            self._origin_ns = origin_ns  # earlier than ever, or another grid
        else:
            self._origin_ns = known_ns + (origin_ns - known_ns) // SLOT_DRIFT
        self.slot, self.before_ns = slot, self.now_ns
        self.now_ns = self._origin_ns + slot * self.period_ns


def sleep_until(instant_ns: int) -> int:
    """Sleep until `instant_ns` (host monotonic) and return the time of waking [ns]."""
    now_ns = time.monotonic_ns()
    while now_ns < instant_ns:
        time.sleep((instant_ns - now_ns) / NS_PER_S)
        now_ns = time.monotonic_ns()
    return now_ns
