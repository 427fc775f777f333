"""What a replay changes in recorded frames: where a hand is held, and its deadman. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from retarget.frames import interpolate
from teleop.following import HandSample, hand_sample
from teleop.hmd.recorded import PARTS
from teleop.motion import SideName
from teleop.samples import Button, Tracking

Matrix = npt.NDArray[np.float64]
FACE_BUTTONS = int(Button.PRIMARY | Button.SECONDARY | Button.MENU)
SQUEEZED = 0.8
"""A squeeze that counts as held."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A hand held elsewhere than recorded: its pose (4, 4) in STAGE and its trigger."""

    T_stage_hand: Matrix
    trigger: float


def between(a: Shown, b: Shown, u: float) -> Shown:
    """A hand on its way from a to b, u from 0 to 1."""
    trigger = a.trigger + u * (b.trigger - a.trigger)
    return Shown(interpolate(a.T_stage_hand, b.T_stage_hand, u), trigger)


def pull_of(sample: HandSample) -> float:
    """Trigger, 0 to 1, of a hand; that of a hand whose pinch is not known is released."""
    pull = sample.pull()
    return pull if math.isfinite(pull) else 0.0


def stand_in(frame: np.void, side: SideName) -> None:
    """Give a bare hand a controller in its palm: its deadman can then be held and let go."""
    controller, hand = PARTS[f"{side}_controller"], PARTS[f"{side}_hand"]
    presence = int(frame["presence"])
    if presence & controller or not presence & hand:
        return
    sample = hand_sample(frame, side)
    if sample is None:
        return
    frame["presence"] = presence | controller
    block = frame[f"{side}_controller"]
    block["flags"] = int(frame[f"{side}_hand"]["flags"]) | Tracking.STAND_IN
    block["grip"], block["trigger"] = sample.pose, pull_of(sample)


def hold(block: Any, held: bool) -> None:
    """Face buttons out; the deadman held or not, its value kept where that agrees."""
    buttons = int(block["buttons"]) & ~FACE_BUTTONS
    if not held:
        buttons &= ~int(Button.SQUEEZE)
    block["buttons"] = buttons
    squeezed = float(block["squeeze"])
    block["squeeze"] = max(squeezed, SQUEEZED) if held else min(squeezed, 0.0)
