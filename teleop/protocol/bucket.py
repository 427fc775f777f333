"""A token bucket: so many messages a second, with bursts up to one second's worth."""

from __future__ import annotations

from dataclasses import dataclass, field

NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class TokenBucket:
    """Integer token bucket.

    Args:
        rate_per_s: Sustained rate and size of a burst.
        now_ns: Host time at which it starts full [ns].
    """

    rate_per_s: int
    now_ns: int
    _level: int = field(init=False)  # in message-nanoseconds: one message costs NS_PER_S

    def __post_init__(self) -> None:
        self._level = self.rate_per_s * NS_PER_S

    def take(self, now_ns: int) -> bool:
        """Whether one more message is allowed at `now_ns`; a refused one costs nothing."""
        elapsed = max(0, now_ns - self.now_ns)
        self.now_ns += elapsed
        full = self.rate_per_s * NS_PER_S
        self._level = min(full, self._level + elapsed * self.rate_per_s)
        if self._level < NS_PER_S:
            return False
        self._level -= NS_PER_S
        return True
