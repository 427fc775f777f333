"""Grippers: from a trigger or a pinch to an opening, taken over softly and without chatter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class GripConfig:
    """How triggers and pinches work grippers.

    Attributes:
        mode: `continuous`: opening = 1 - trigger. `binary`: closed or open, as a Schmitt trigger.
        takeover: Continuous: travel of the trigger that takes a gripper over.
        pinch_play: Continuous, bare hands only: a pinch moves the gripper only where it leaves
            this much play to either side. Fingertips shake by millimetres, triggers do not.
        close_at: Binary: closes when the trigger rises to this.
        open_at: Binary: opens when it falls to this.
        pinch_m: Distance of thumb tip to index tip that counts as closed, and as open [m].
    """

    mode: Literal["continuous", "binary"] = "continuous"
    takeover: float = 0.05
    pinch_play: float = 0.08
    close_at: float = 0.7
    open_at: float = 0.3
    pinch_m: tuple[float, float] = (0.015, 0.075)

    def __post_init__(self) -> None:
        if not 0.0 < self.open_at < self.close_at < 1.0:
            raise ValueError(
                f"0 < open_at < close_at < 1 is needed, got {self.open_at} and {self.close_at}"
            )
        if not 0.0 <= self.pinch_play < 0.5 or not self.takeover >= 0.0:
            raise ValueError(f"pinch_play must be within 0..0.5, takeover at least 0: {self}")
        if not 0.0 <= self.pinch_m[0] < self.pinch_m[1]:
            raise ValueError(f"pinch_m must be closed before open [m], got {self.pinch_m}")

    def pinch(self, gap_m: float) -> float:
        """Trigger value, 0 to 1, of a distance between thumb tip and index tip; NaN stays NaN."""
        closed, open_ = self.pinch_m
        return min(max((open_ - gap_m) / (open_ - closed), 0.0), 1.0) if gap_m >= 0 else math.nan


class GripperTakeover:
    """Let a trigger take a gripper over softly.

    After engaging, the gripper stays as it was until the trigger has moved, or met the opening
    that is held: picking up the controllers must not drop what the robot holds. In binary mode it
    stays until the trigger passes one of its thresholds.

    Attributes:
        config: Settings.
    """

    def __init__(self, opening: float = 1.0, config: GripConfig | None = None) -> None:
        """Start by holding `opening`."""
        self.config = config or GripConfig()
        self._opening = opening
        self._trigger_at_engage: float | None = None
        self._taken = False
        self._closed = False

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
        self._closed = self._opening < 0.5
        self._closed = self._closes(trigger)
        self._taken = self.config.mode == "continuous" and self._meets(trigger)

    def release(self) -> None:
        """Hold the opening whatever the trigger does."""
        self._trigger_at_engage, self._taken = None, False

    def update(self, trigger: float, pinched: bool = False) -> float:
        """Opening to ask for.

        Args:
            trigger: 0 released to 1 pressed; what is not a number holds.
            pinched: It is the pinch of a bare hand.
        """
        if self._trigger_at_engage is None or not math.isfinite(trigger):
            return self._opening
        if self.config.mode == "binary":
            self._switch(trigger)
        else:
            self._follow(trigger, self.config.pinch_play if pinched else 0.0)
        return self._opening

    def _switch(self, trigger: float) -> None:
        """Open or close where the trigger passes a threshold; nothing in between."""
        before, self._closed = self._closed, self._closes(trigger)
        if self._closed != before:
            self._taken = True
            self._opening = 0.0 if self._closed else 1.0

    def _follow(self, trigger: float, play: float) -> None:
        start = self._trigger_at_engage
        if start is None or not math.isfinite(start):
            self._trigger_at_engage = trigger
            return
        if not self._taken:
            held = 1.0 - self._opening
            crossed = (start - held) * (trigger - held) <= 0
            self._taken = crossed or abs(trigger - start) > max(self.config.takeover, play)
        if self._taken:
            # stretched by the play, so that both ends are reached
            wanted = 1.0 - trigger + play * (1.0 - 2.0 * trigger)
            opening = min(max(self._opening, wanted - play), wanted + play)
            self._opening = min(max(opening, 0.0), 1.0)

    def _closes(self, trigger: float) -> bool:
        """State of the Schmitt trigger after a value."""
        if self._closed:
            return not trigger <= self.config.open_at
        return trigger >= self.config.close_at

    def _meets(self, trigger: float) -> bool:
        return math.isfinite(trigger) and abs((1.0 - trigger) - self._opening) < 1e-3
