"""Grippers: from a trigger or a pinch to an opening, taken over softly."""

from __future__ import annotations

import math


class GripperTakeover:
    """Let a trigger take a gripper over softly; opening = 1 - trigger.

    After engaging, the gripper stays as it was until the trigger has moved, or met the opening
    that is held: picking up the controllers must not drop what the robot holds.

    Attributes:
        threshold: Travel of the trigger that takes over.
    """

    def __init__(self, opening: float = 1.0, threshold: float = 0.05) -> None:
        """Start by holding `opening`."""
        self.threshold = threshold
        self._opening = opening
        self._trigger_at_engage: float | None = None
        self._taken = False

    @property
    def opening(self) -> float:
        """Opening asked for now, 0 closed to 1 open."""
        return self._opening

    @property
    def taken(self) -> bool:
        """Whether the trigger steers the gripper."""
        return self._taken

    def engage(self, trigger: float, opening: float | None = None) -> None:
        """Start listening to the trigger.

        Args:
            trigger: Its value now, 0 to 1.
            opening: The gripper's opening now; what was held before when left out.
        """
        self._opening = self._opening if opening is None else opening
        self._trigger_at_engage = trigger
        self._taken = self._meets(trigger)

    def release(self) -> None:
        """Hold the opening whatever the trigger does."""
        self._trigger_at_engage, self._taken = None, False

    def update(self, trigger: float) -> float:
        """Opening to ask for, given the trigger's value, 0 to 1; bad values hold."""
        start = self._trigger_at_engage
        if start is None or not math.isfinite(trigger):
            return self._opening
        if not self._taken:
            held = 1.0 - self._opening
            crossed = (start - held) * (trigger - held) <= 0
            self._taken = crossed or abs(trigger - start) > self.threshold
        if self._taken:
            self._opening = min(max(1.0 - trigger, 0.0), 1.0)
        return self._opening

    def _meets(self, trigger: float) -> bool:
        return math.isfinite(trigger) and abs((1.0 - trigger) - self._opening) < 1e-3
