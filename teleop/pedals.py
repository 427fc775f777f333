"""Pedals, button boxes and keyboards on the server, from keys to session intents. Pure.

```toml
[pedals."PCsensor FootSwitch Keyboard"]   # name or path of the device: `telecap pedals` lists them
KEY_A = { press = "record_toggle", review_press = "save_success" }
KEY_B = { held = "deadman" }                # both arms follow while it is down; or one of them
KEY_C = { press = "estop" }
[pedals."/dev/input/by-id/usb-ACME_Button_Box-event-kbd"]
grab = false                                # its keys reach other programs too
KEY_ENTER = { press = "record_toggle" }
```
Gestures and actions are those of `[bindings]`. A device that carries an e-stop and disappears
stops the robot, as a cut wire of an emergency stop does; a deadman that disappears is let go.
The section may also be in a file of its own: `telecap run --pedals FILE`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from teleop.bindings import ACTIONS, resolve
from teleop.effects import Asked, Pair, Tracked, View
from teleop.errors import BindingError
from teleop.intents import Intent
from teleop.presses import GESTURES, Press
from teleop.samples import Recording

HELD: dict[str, Pair] = {
    "deadman": (True, True),
    "deadman_left": (True, False),
    "deadman_right": (False, True),
}
"""What a key that is held can be."""


@dataclass(frozen=True, slots=True)
class PedalBindings:
    """What the keys of one device do.

    Attributes:
        device: Its name, or path, as the rig file has it.
        actions: Action by (key, gesture).
        deadmen: Arms that follow while a key is down.
        grab: Its keys reach no other program.
        hold_ns: From when on a press is a hold [ns].
    """

    device: str
    actions: Mapping[tuple[str, str], str]
    deadmen: Mapping[str, Pair]
    grab: bool = True
    hold_ns: int = 1_000_000_000

    @property
    def stops(self) -> bool:
        """Whether a key of it is an e-stop."""
        return Intent.ESTOP.value in self.actions.values()

    @property
    def steers(self) -> Pair:
        """Arms of which it is a deadman."""
        left, right = (any(arms[k] for arms in self.deadmen.values()) for k in (0, 1))
        return left, right

    @property
    def keys(self) -> frozenset[str]:
        """Keys that mean something."""
        return frozenset(self.deadmen) | {key for key, _ in self.actions}


def pedal_section(path: Path) -> dict[str, Any]:
    """The `[pedals]` section of a file of its own.

    Raises:
        BindingError: It cannot be read, or has no such section.
    """
    try:
        section = tomllib.loads(path.expanduser().read_text(encoding="utf-8")).get("pedals")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BindingError(f"{path} cannot be read: {error}") from error
    if not isinstance(section, dict):
        raise BindingError(f'{path} has no section [pedals."DEVICE"]')
    return section


def pedal_bindings(section: Mapping[str, Any], keys: Mapping[str, str]) -> list[PedalBindings]:
    """Devices of a rig file's `[pedals]` section.

    Args:
        section: Keys by device.
        keys: Names that keys can have, and the one of them that is used for each.

    Raises:
        BindingError: A key, gesture or action does not exist, or a setting is out of range.
    """
    return [_device(device, dict(table), keys) for device, table in section.items()]


def _device(device: str, table: dict[str, Any], keys: Mapping[str, str]) -> PedalBindings:
    where = f'pedals."{device}"'
    grab, hold_s = table.pop("grab", True), table.pop("hold_s", 1.0)
    if not isinstance(grab, bool):
        raise BindingError(f"{where}.grab must be true or false, got {grab!r}")
    if not isinstance(hold_s, (int, float)) or not 0.1 <= hold_s <= 10.0:
        raise BindingError(f"{where}.hold_s must be 0.1 to 10 seconds, got {hold_s!r}")
    actions: dict[tuple[str, str], str] = {}
    deadmen: dict[str, Pair] = {}
    for key, gestures in table.items():
        if key not in keys:
            raise BindingError(f"{where} has no key {key!r}; `telecap pedals` names those pressed")
        if not isinstance(gestures, Mapping):
            raise BindingError(f'{where}.{key} is not of the form {{ press = "action" }}')
        for gesture, action in gestures.items():
            _bind(f"{where}.{key}", keys[key], gesture, action, actions, deadmen)
    if not (actions or deadmen):
        raise BindingError(f"{where} binds no key")
    return PedalBindings(device, actions, deadmen, grab, round(hold_s * 1e9))


def _bind(
    where: str,
    key: str,
    gesture: str,
    action: object,
    actions: dict[tuple[str, str], str],
    deadmen: dict[str, Pair],
) -> None:
    if gesture == "held":
        if action not in HELD:
            raise BindingError(f"{where}.held is {action!r}; expected one of {list(HELD)}")
        deadmen[key] = HELD[str(action)]
        return
    if gesture not in GESTURES:
        raise BindingError(f"{where} has no {gesture!r}; gestures: {['held', *GESTURES]}")
    if action not in ACTIONS:
        raise BindingError(f"{where}.{gesture} is {action!r}; actions: {list(ACTIONS)}")
    actions[key, gesture] = str(action)


@dataclass(slots=True)
class Pedal:
    """One device that is plugged in.

    A key that is already down when the device appears means nothing until it was released, but
    for the e-stop: that one is better given once too often.

    Attributes:
        bindings: What its keys do.
        down: Keys that are down and count.
    """

    bindings: PedalBindings
    down: set[str] = field(default_factory=set)
    _presses: dict[str, Press] = field(default_factory=dict)

    def meet(self, keys_down: Iterable[str], view: View, now_ns: int) -> list[Asked]:
        """Take the keys that are down when the device appears."""
        asked = []
        for key in frozenset(keys_down) & self.bindings.keys:
            self._presses.setdefault(key, Press()).meet(True, now_ns)
            if self._action(key, "press", view) == Intent.ESTOP:
                asked.append(Asked(Intent.ESTOP, by=self._name(key)))
        return asked

    def key(self, key: str, down: bool, view: View, now_ns: int) -> list[Asked]:
        """Take an edge of a key; returns what it asks."""
        if key not in self.bindings.keys:
            return []
        press = self._presses.setdefault(key, Press())
        gesture = press.read(down, now_ns, self.bindings.hold_ns)
        if gesture == "press":
            self.down.add(key)
        elif not down:
            self.down.discard(key)
        return self._ask(key, gesture, view)

    def tick(self, view: View, now_ns: int) -> list[Asked]:
        """Let time pass: presses become holds."""
        asked = []
        for key in self.down:
            gesture = self._presses[key].read(True, now_ns, self.bindings.hold_ns)
            asked += self._ask(key, gesture, view)
        return asked

    def gone(self) -> list[Asked]:
        """The device is no longer there."""
        name = f"{self.bindings.device} (unplugged)"
        return [Asked(Intent.ESTOP, by=name)] if self.bindings.stops else []

    @property
    def deadman(self) -> Pair:
        """Arms whose deadman it holds down."""
        arms = [self.bindings.deadmen[key] for key in self.down if key in self.bindings.deadmen]
        return any(left for left, _ in arms), any(right for _, right in arms)

    def _ask(self, key: str, gesture: str | None, view: View) -> list[Asked]:
        action = None if gesture is None else self._action(key, gesture, view)
        return [] if action is None else resolve(action, view, self._name(key))

    def _action(self, key: str, gesture: str, view: View) -> str | None:
        if view.recording is Recording.REVIEW:
            review = self.bindings.actions.get((key, f"review_{gesture}"))
            if review is not None:
                return review
        return self.bindings.actions.get((key, gesture))

    def _name(self, key: str) -> str:
        return f"{self.bindings.device}, {key}"


@dataclass(slots=True)
class Pedals:
    """All devices of a rig file, plugged in or not.

    Attributes:
        plugged: Those that are there, by name.
    """

    plugged: dict[str, Pedal] = field(default_factory=dict)

    def plug(
        self, bindings: PedalBindings, keys_down: Iterable[str], view: View, now_ns: int
    ) -> list[Asked]:
        """A device appeared with some keys down."""
        pedal = self.plugged[bindings.device] = Pedal(bindings)
        return pedal.meet(keys_down, view, now_ns)

    def unplug(self, device: str) -> list[Asked]:
        """A device disappeared."""
        pedal = self.plugged.pop(device, None)
        return [] if pedal is None else pedal.gone()

    def key(self, device: str, key: str, down: bool, view: View, now_ns: int) -> list[Asked]:
        """An edge of a key of a device that is there."""
        pedal = self.plugged.get(device)
        return [] if pedal is None else pedal.key(key, down, view, now_ns)

    def tick(self, view: View, now_ns: int) -> list[Asked]:
        """Let time pass."""
        return [asked for pedal in self.plugged.values() for asked in pedal.tick(view, now_ns)]

    def add(self, tracked: Tracked) -> Tracked:
        """Facts of a frame with the deadmen of pedals beside those of the hands."""
        if not self.plugged:
            return tracked
        steers = [pedal.bindings.steers for pedal in self.plugged.values()]
        held = [pedal.deadman for pedal in self.plugged.values()]
        return replace(
            tracked,
            has_buttons=_either(tracked.has_buttons, steers),
            deadman=_either(tracked.deadman, held),
        )


def _either(own: Pair, others: Iterable[Pair]) -> Pair:
    pairs = [own, *others]
    return any(left for left, _ in pairs), any(right for _, right in pairs)
