"""What the operator is told of events of the control law. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from teleop.effects import Tell

HANDS = {"left_wrist": "Left hand", "right_wrist": "Right hand", "head": "Head"}
HELD = {
    "jumped": "jumped in tracking: its arm is held, let go and engage again",
    "frozen": "is frozen in tracking: its arm is held",
    "emulated": "is out of sight: its arm is held",
    "ok": "is tracked again",
}
WHY = {
    "deviation": "{joint} is {degrees:.0f}° from where it was led",
    "fault": "the robot reports a fault",
    "refused by the robot": "the robot refused commands",
}


def words_of(kind: str, data: Mapping[str, Any]) -> Tell | None:
    """What to tell of an event, None when it is not the operator's concern."""
    if kind == "tracking":
        hand, verdict = HANDS[str(data["tip"])], str(data["verdict"])
        return Tell("info" if verdict == "ok" else "warning", f"{hand} {HELD[verdict]}.")
    if kind == "rebased":
        why = WHY[str(data["reason"])].format(
            joint=data["joint"], degrees=math.degrees(float(data["rad"]))
        )
        return Tell("warning", f"Continuing from where the robot is: {why}.")
    return None
