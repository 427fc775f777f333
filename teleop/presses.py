"""From a button that is down or up to press, hold and tap. Pure; for buttons, palms and pedals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Gesture = Literal["press", "hold", "tap"]
GESTURES = ("press", "hold", "tap", "review_press", "review_hold", "review_tap")
"""`press` acts when a button goes down, `hold` once it was down for some time, `tap` when it comes
up before that; `review_…` replaces the plain one while a take waits for its label."""


@dataclass(slots=True)
class Press:
    """Edges and hold time of one button."""

    down_since_ns: int | None = None
    held: bool = False
    """The hold of this press was given."""

    def meet(self, down: bool, now_ns: int) -> None:
        """Meet the button as it is: a press that began unseen is no edge and becomes no hold."""
        self.down_since_ns, self.held = (now_ns, True) if down else (None, False)

    def read(self, down: bool, now_ns: int, hold_ns: int) -> Gesture | None:
        """What the button did.

        Args:
            down: Whether it is down now.
            now_ns: Host time [ns].
            hold_ns: From when on a press is a hold [ns].
        """
        since = self.down_since_ns
        if down and since is None:
            self.down_since_ns, self.held = now_ns, False
            return "press"
        if down and since is not None and not self.held and now_ns - since >= hold_ns:
            self.held = True
            return "hold"
        if not down and since is not None:
            self.down_since_ns = None
            return None if self.held else "tap"
        return None
