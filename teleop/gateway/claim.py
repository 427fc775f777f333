"""Who holds the robot. Pure; time is a parameter."""

from __future__ import annotations

from dataclasses import dataclass

RESUME_NS = 5_000_000_000
"""How long the claim waits for a holder whose connection broke."""


@dataclass(slots=True)
class Claim:
    """At most one session holds the robot, also for a while after its connection broke."""

    holder: str | None = None
    """Session id."""
    device: str = ""
    lost_ns: int | None = None
    """When the holder's connection broke; `None` while it stands."""

    def take(self, session_id: str, device: str) -> bool:
        """Give the claim to `session_id` if it is free or its own."""
        if self.holder not in (None, session_id):
            return False
        self.holder, self.device, self.lost_ns = session_id, device, None
        return True

    def release(self, session_id: str) -> bool:
        """Free the claim if `session_id` holds it."""
        if self.holder != session_id:
            return False
        self.holder, self.device, self.lost_ns = None, "", None
        return True

    def lose(self, session_id: str, now_ns: int) -> bool:
        """The connection of `session_id` broke; returns whether it held the claim."""
        if self.holder != session_id:
            return False
        self.lost_ns = now_ns
        return True

    def expire(self, now_ns: int) -> bool:
        """Free a claim that waited long enough; returns whether it did."""
        if self.lost_ns is None or now_ns - self.lost_ns <= RESUME_NS:
            return False
        self.holder, self.device, self.lost_ns = None, "", None
        return True
