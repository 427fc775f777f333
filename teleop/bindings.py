"""From controller buttons to session intents. Pure; a rig file may map every button otherwise.

```toml
[bindings]
deadman = "squeeze"            # of each side, held
hold_s = 1.0                   # from when on a press is a hold
bare_hands = true              # gestures stand for buttons where there is no controller
[bindings.right]
primary = { press = "record_toggle", review_press = "save_success" }
secondary = { press = "pause_toggle", review_press = "save_failure" }
stick_up = { review_press = "grade_up" }
stick_down = { review_press = "grade_down" }
[bindings.left]
secondary = { press = "estop" }
primary = { hold = "reset_or_home", review_tap = "discard", review_hold = "redo" }
```
A button named in the rig replaces that button's whole entry; `{}` frees it. `press` acts when the
button goes down, `hold` once it was down for `hold_s`, `tap` when it comes up before that; a
`review_` gesture replaces the plain one while a take waits for its label (`teleop.presses`).

A bare hand has a deadman and, by its palm menu, the buttons primary, secondary, `stick_up` and
`stick_down` (`teleop.gestures`); they do what the controller's do. Both fists are the e-stop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from teleop.effects import Asked, Pair, Tracked, View
from teleop.errors import BindingError
from teleop.gestures import MENU_BUTTONS, PALM_FINGERS, FistReader, HandReader, hand_shape
from teleop.intents import Intent, IntentArgs
from teleop.presses import GESTURES, Press
from teleop.protocol import (
    HEAD_BIT,
    LEFT_CONTROLLER_BIT,
    LEFT_HAND_BIT,
    RIGHT_CONTROLLER_BIT,
    RIGHT_HAND_BIT,
)
from teleop.samples import Button, Motion, Recording, Tracking

SideName = Literal["left", "right"]

BUTTONS = {
    "trigger": Button.TRIGGER,
    "squeeze": Button.SQUEEZE,
    "thumbstick": Button.THUMBSTICK,
    "primary": Button.PRIMARY,
    "secondary": Button.SECONDARY,
    "menu": Button.MENU,
    "stick_up": Button.STICK_UP,
    "stick_down": Button.STICK_DOWN,
}
ACTIONS = (
    *(intent.value for intent in Intent),
    "save_success",
    "save_failure",
    "pause_toggle",
    "reset_or_home",
)
DEFAULTS: dict[SideName, dict[str, dict[str, str]]] = {
    "right": {
        "primary": {"press": "record_toggle", "review_press": "save_success"},
        "secondary": {"press": "pause_toggle", "review_press": "save_failure"},
        "stick_up": {"review_press": "grade_up"},
        "stick_down": {"review_press": "grade_down"},
    },
    "left": {
        "secondary": {"press": "estop"},
        "primary": {"hold": "reset_or_home", "review_tap": "discard", "review_hold": "redo"},
    },
}
CONTROLLER_BITS: tuple[tuple[SideName, int, int], ...] = (
    ("left", LEFT_CONTROLLER_BIT, LEFT_HAND_BIT),
    ("right", RIGHT_CONTROLLER_BIT, RIGHT_HAND_BIT),
)
BUTTON_NAMES: dict[tuple[SideName, Button], str] = {
    ("left", Button.PRIMARY): "left X",
    ("left", Button.SECONDARY): "left Y",
    ("right", Button.PRIMARY): "right A",
    ("right", Button.SECONDARY): "right B",
}
"""As they are printed on the controllers."""
# Plain integers: operators of `IntFlag` members cost a microsecond each, on every message.
_STICK_UP, _STICK_DOWN = int(Button.STICK_UP), int(Button.STICK_DOWN)
_SQUEEZE, _KNOWN_BUTTONS, _VALID = int(Button.SQUEEZE), 0x3F, int(Tracking.VALID)
STICK_ON, STICK_OFF = 0.7, 0.3
SQUEEZE_ON, SQUEEZE_OFF = 0.7, 0.3
"""Analogue squeeze: pressed above, released below, unchanged in between."""


@dataclass(frozen=True, slots=True)
class Bindings:
    """What each button does.

    Attributes:
        actions: Action by (side, button, gesture).
        deadman: Button that must be held for its arm to follow.
        hold_ns: From when on a press is a hold [ns].
        bare_hands: Gestures count where there is no controller.
    """

    actions: Mapping[tuple[SideName, Button, str], str]
    deadman: Button = Button.SQUEEZE
    hold_ns: int = 1_000_000_000
    bare_hands: bool = True

    @classmethod
    def from_rig(cls, section: Mapping[str, Any] | None = None) -> Bindings:
        """Bindings of a rig file's `[bindings]` section over the defaults.

        Raises:
            BindingError: A side, button, gesture or action does not exist, a deadman has a second
                meaning, or no button is left for the e-stop.
        """
        section = dict(section or {})
        deadman = _button(section.pop("deadman", "squeeze"))
        hold_s = section.pop("hold_s", 1.0)
        if not isinstance(hold_s, (int, float)) or not 0.1 <= hold_s <= 10.0:
            raise BindingError(f"bindings.hold_s must be 0.1 to 10 seconds, got {hold_s!r}")
        bare_hands = section.pop("bare_hands", True)
        if not isinstance(bare_hands, bool):
            raise BindingError(f"bindings.bare_hands must be true or false, got {bare_hands!r}")
        actions: dict[tuple[SideName, Button, str], str] = {}
        for side, defaults in DEFAULTS.items():
            table = {**defaults, **section.pop(side, {})}
            for name, gestures in table.items():
                for gesture, action in gestures.items():
                    _check(side, name, gesture, action)
                    actions[side, _button(name), gesture] = action
        if section:
            raise BindingError(f"bindings has unknown keys {sorted(section)}; sides: left, right")
        if any(button is deadman for _, button, _ in actions):
            raise BindingError(f"{deadman.name} is the deadman; it cannot have another meaning")
        if Intent.ESTOP not in actions.values():
            raise BindingError("bindings leave no button for estop; bind one to it")
        return cls(actions, deadman, round(hold_s * 1e9), bare_hands)

    def action(self, side: SideName, button: Button, gesture: str, view: View) -> str | None:
        """Action of a gesture in the present state, None when it has none."""
        if view.recording is Recording.REVIEW:
            review = self.actions.get((side, button, f"review_{gesture}"))
            if review is not None:
                return review
        return self.actions.get((side, button, gesture))

    def palm_buttons(self, side: SideName, view: View) -> list[Button]:
        """What the palm menu of a side offers in the present state."""
        return [
            button
            for button in PALM_FINGERS
            if button in MENU_BUTTONS
            or any(self.action(side, button, gesture, view) for gesture in ("press", "hold", "tap"))
        ]


def _button(name: object) -> Button:
    if not isinstance(name, str) or name not in BUTTONS:
        raise BindingError(f"no button {name!r}; buttons: {sorted(BUTTONS)}")
    return BUTTONS[name]


def _check(side: str, button: str, gesture: str, action: str) -> None:
    where = f"bindings.{side}.{button}"
    if gesture not in GESTURES:
        raise BindingError(f"{where} has no gesture {gesture!r}; gestures: {list(GESTURES)}")
    if action not in ACTIONS:
        raise BindingError(f"{where}.{gesture} is {action!r}; actions: {list(ACTIONS)}")


@dataclass(slots=True)
class ButtonReader:
    """Edges and hold times of one client's buttons, and of the gestures that stand for them.

    A button that is already down when its controller appears means nothing until it was released,
    except for the e-stop: that one is better given once too often. A deadman that is held while
    its side changes between controller and bare hand means nothing until it was released either.

    Attributes:
        hands: Gestures by side.
        bare: The newest frame showed a bare hand and no controller.
    """

    bindings: Bindings
    hands: dict[SideName, HandReader] = field(
        default_factory=lambda: {"left": HandReader(), "right": HandReader()}
    )
    bare: bool = False
    _fists: FistReader = field(default_factory=FistReader)
    _kinds: dict[SideName, str] = field(default_factory=dict)
    _spent: set[SideName] = field(default_factory=set)
    _known: set[SideName] = field(default_factory=set)
    _buttons: dict[tuple[SideName, Button], Press] = field(default_factory=dict)
    _squeezed: dict[SideName, bool] = field(default_factory=dict)
    _flicked: dict[SideName, int] = field(default_factory=dict)
    _last_down: dict[SideName, int] = field(default_factory=dict)

    def read(self, frame: Any, view: View, now_ns: int) -> tuple[Tracked, list[Asked]]:
        """Facts and intents of one OPERATOR_FRAME row.

        Args:
            frame: OPERATOR_FRAME row.
            view: The session now: some buttons mean different things in different states.
            now_ns: Host time [ns].
        """
        asked: list[Asked] = []
        has_buttons, deadman = [False, False], [False, False]
        presence = int(frame["presence"])
        for index, (side, bit, hand_bit) in enumerate(CONTROLLER_BITS):
            if presence & bit:
                self.hands[side].lost(now_ns)
                down = self._down(side, frame[f"{side}_controller"])
                held, kind = bool(down & self.bindings.deadman.value), "controller"
            elif presence & hand_bit and self._read_hand(frame, side, view, now_ns):
                down, held, kind = self.hands[side].buttons, self.hands[side].deadman, "hand"
            else:
                self.hands[side].lost(now_ns)
                self._known.discard(side)
                continue
            has_buttons[index] = True
            deadman[index] = self._fresh(side, kind, held)
            asked += self._gestures(side, down, view, now_ns)
        self.bare = not presence & (LEFT_CONTROLLER_BIT | RIGHT_CONTROLLER_BIT) and bool(
            presence & (LEFT_HAND_BIT | RIGHT_HAND_BIT)
        )
        if self._fists.read(all(hand.fist for hand in self.hands.values()), now_ns):
            asked.append(Asked(Intent.ESTOP, by="both fists"))
        tracked = Tracked(
            t_pose_ns=int(frame["t_ns"]),
            head_valid=bool(presence & HEAD_BIT) and _valid(int(frame["head_flags"])),
            hands_valid=hands_valid(frame),
            has_buttons=(has_buttons[0], has_buttons[1]),
            deadman=(deadman[0], deadman[1]),
        )
        return tracked, asked

    def _read_hand(self, frame: Any, side: SideName, view: View, now_ns: int) -> bool:
        """Take a bare hand; whether its gestures can be read."""
        hand, reader = frame[f"{side}_hand"], self.hands[side]
        if not (self.bindings.bare_hands and _valid(int(hand["flags"]))):
            return False
        knows_head = int(frame["presence"]) & HEAD_BIT and _valid(int(frame["head_flags"]))
        head = frame["head"] if knows_head else None
        shape = hand_shape(hand["joints"], head, side)
        reader.read(shape, now_ns, self.bindings.palm_buttons(side, view))
        return True

    def _fresh(self, side: SideName, kind: str, held: bool) -> bool:
        """The deadman, unless it has been held since its side was another kind of device."""
        before = self._kinds.get(side, kind)
        self._kinds[side] = kind
        if before != kind:
            self._spent.add(side)
            self._known.discard(side)
        if not held:
            self._spent.discard(side)
        return held and side not in self._spent

    def _down(self, side: SideName, controller: Any) -> int:
        down = int(controller["buttons"]) & _KNOWN_BUTTONS
        squeeze = float(controller["squeeze"])
        was = self._squeezed.get(side, False)
        squeezed = squeeze > (SQUEEZE_OFF if was else SQUEEZE_ON)
        self._squeezed[side] = squeezed
        down |= _SQUEEZE if squeezed else 0
        return down | self._flick(side, float(controller["thumbstick"][1]))

    def _flick(self, side: SideName, up: float) -> int:
        """A stick pushed away or pulled back, as a button; one way until it is let go."""
        before = self._flicked.get(side, 0)
        if abs(up) > STICK_ON:
            found = _STICK_UP if up > 0 else _STICK_DOWN
        else:
            found = before if abs(up) > STICK_OFF else 0
        self._flicked[side] = found
        return found

    def _gestures(self, side: SideName, down: int, view: View, now_ns: int) -> list[Asked]:
        first = side not in self._known
        self._known.add(side)
        if not (down or first or self._last_down.get(side, 0)):
            return []
        self._last_down[side] = down
        asked = []
        for button in Button:
            press = self._buttons.setdefault((side, button), Press())
            is_down = bool(down & button.value)
            action = None
            if first:
                press.meet(is_down, now_ns)
                pressed = self.bindings.action(side, button, "press", view)
                action = pressed if is_down and pressed == Intent.ESTOP else None
            elif gesture := press.read(is_down, now_ns, self.bindings.hold_ns):
                action = self.bindings.action(side, button, gesture, view)
            if action:
                asked += resolve(action, view, self._name(side, button))
        return asked

    def _name(self, side: SideName, button: Button) -> str:
        """A button as the operator knows it."""
        if self._kinds.get(side) == "hand":
            return f"{side} palm, {PALM_FINGERS.get(button, 'other')} finger"
        return BUTTON_NAMES.get((side, button), f"{side} {str(button.name).lower()}")


def resolve(action: str, view: View, by: str) -> list[Asked]:
    """Intent of an action in the present state; empty where it means nothing."""
    match action:
        case "save_success":
            return [Asked(Intent.SAVE, IntentArgs(outcome="success"), by)]
        case "save_failure":
            return [Asked(Intent.SAVE, IntentArgs(outcome="failure"), by)]
        case "pause_toggle":
            toggle = {Recording.RECORDING: Intent.PAUSE, Recording.PAUSED: Intent.RESUME}
            return [Asked(toggle[view.recording], by=by)] if view.recording in toggle else []
        case "redo" | "reset_or_home" if view.motion is Motion.ESTOP:
            return [Asked(Intent.ESTOP_RESET, by=by)]
        case "reset_or_home":
            idle = view.motion in (Motion.IDLE, Motion.HOLD)
            return [Asked(Intent.HOME, by=by)] if idle else []
        case _:
            return [Asked(Intent(action), by=by)]


def hands_valid(frame: Any) -> Pair:
    """Whether each side has a usable pose: its controller's grip, without one its hand."""
    presence = int(frame["presence"])

    def usable(side: SideName, controller_bit: int, hand_bit: int) -> bool:
        if presence & controller_bit:
            return _valid(int(frame[f"{side}_controller"]["flags"]))
        return bool(presence & hand_bit) and _valid(int(frame[f"{side}_hand"]["flags"]))

    left, right = (usable(*bits) for bits in CONTROLLER_BITS)
    return left, right


def _valid(flags: int) -> bool:
    return flags & _VALID == _VALID
