"""What an operator can ask of a session, whatever the device: button, page, keyboard or HTTP."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

Outcome = Literal["success", "failure"]


class Intent(StrEnum):
    """Names of the intents, as they travel in `event` messages and `POST /api/session/{name}`."""

    ESTOP = "estop"
    ESTOP_RESET = "estop_reset"
    RECORD_START = "record_start"
    RECORD_STOP = "record_stop"
    RECORD_TOGGLE = "record_toggle"
    PAUSE = "pause"
    RESUME = "resume"
    SAVE = "save"
    DISCARD = "discard"
    REDO = "redo"
    """Discard the take under review and begin the next at once."""
    GRADE_UP = "grade_up"
    GRADE_DOWN = "grade_down"
    HOME = "home"
    SCENE_RESET = "scene_reset"


class IntentArgs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Arguments of an intent; each intent reads those it knows.

    Attributes:
        outcome: `save`: how the take ended.
        notes: `save`: free text.
        grade: `save`: how good the take is, 1 to 5; None keeps what was given by `grade_up` and
            `grade_down`.
        seed: `scene_reset`: seed of the new scene; `None` asks for the next one.
    """

    outcome: Outcome | None = None
    notes: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    grade: Annotated[int, msgspec.Meta(ge=1, le=5)] | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] | None = None


NO_ARGS = IntentArgs()
