"""What the operator's gestures are about to do, in words for the headset. Pure."""

from __future__ import annotations

from teleop.bindings import Bindings, ButtonReader, SideName, resolve
from teleop.effects import View
from teleop.gestures import KEEP_NS, PALM_FINGERS
from teleop.intents import Intent
from teleop.protocol import GestureInfo
from teleop.samples import Button, Recording

WORDS = {
    Intent.ESTOP: "emergency stop",
    Intent.ESTOP_RESET: "reset the emergency stop",
    Intent.RECORD_START: "start recording",
    Intent.RECORD_STOP: "stop recording",
    Intent.PAUSE: "pause",
    Intent.RESUME: "resume",
    Intent.SAVE: "save",
    Intent.DISCARD: "discard",
    Intent.REDO: "once more",
    Intent.GRADE_UP: "better",
    Intent.GRADE_DOWN: "worse",
    Intent.HOME: "go home",
    Intent.SCENE_RESET: "new scene",
}
"""Of what is asked of the session in the end."""
GESTURES = ("press", "tap", "hold")


def gesture_info(reader: ButtonReader, view: View, now_ns: int) -> GestureInfo | None:
    """What to show of the palm menu now; None while no palm offers it."""
    for side, hand in reader.hands.items():
        if hand.seen_ns is None or now_ns - hand.seen_ns > KEEP_NS:
            continue
        if hand.pinching is not None or hand.buttons:
            button = hand.pinching or Button(hand.buttons)
            words = offer(reader.bindings, side, button, view)
            if hand.buttons and not _has_hold(reader.bindings, side, button, view):
                return GestureInfo(text=f"Done: {words}", share=1.0)
            return GestureInfo(text=f"Keep the pinch: {words}", share=round(hand.share, 2))
        if hand.menu:
            parts = [
                f"{PALM_FINGERS[button]}: {offer(reader.bindings, side, button, view)}"
                for button in reader.bindings.palm_buttons(side, view)
            ]
            return GestureInfo(text=f"{side.capitalize()} palm. Pinch {', '.join(parts)}")
    return None


def offer(bindings: Bindings, side: SideName, button: Button, view: View) -> str:
    """What a button does in the present state: "pause", or "discard, held: go home"."""
    said = []
    for gesture in GESTURES:
        action = bindings.action(side, button, gesture, view)
        if action is None or not resolve(action, view, ""):
            continue
        words = _words(action, view)
        said.append(f"held: {words}" if gesture == "hold" else words)
    return ", ".join(said) or "nothing now"


def _has_hold(bindings: Bindings, side: SideName, button: Button, view: View) -> bool:
    action = bindings.action(side, button, "hold", view)
    return action is not None and bool(resolve(action, view, ""))


def _words(action: str, view: View) -> str:
    (asked,) = resolve(action, view, "")
    if asked.args.outcome is not None:
        return asked.args.outcome
    if asked.intent is Intent.RECORD_TOGGLE:
        running = view.recording in (Recording.RECORDING, Recording.PAUSED)
        return WORDS[Intent.RECORD_STOP if running else Intent.RECORD_START]
    return WORDS[asked.intent]
