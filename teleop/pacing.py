"""Time as a grid of integers: slots on an absolute grid, late ones skipped and counted."""

from __future__ import annotations

import time

NS_PER_S = 1_000_000_000


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


def sleep_until(instant_ns: int) -> int:
    """Sleep until `instant_ns` (host monotonic) and return the time of waking [ns]."""
    now_ns = time.monotonic_ns()
    while now_ns < instant_ns:
        time.sleep((instant_ns - now_ns) / NS_PER_S)
        now_ns = time.monotonic_ns()
    return now_ns
