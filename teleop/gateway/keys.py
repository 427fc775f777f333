"""Input devices of the server: finds, opens and reads them with evdev, in the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from teleop.errors import GatewayError
from teleop.pedals import PedalBindings

log = logging.getLogger(__name__)

LOOK_PERIOD_S = 1.0
EV_SYN, EV_KEY, KEY_UP, KEY_DOWN, SYN_DROPPED = 0, 1, 0, 1, 3
"""Linux input event codes; a value of 2 is the repetition of a key that is held."""
MISSING = "pedals need the evdev package: pip install 'telecap[pedals]' (Linux only)"


class InputDevice(Protocol):
    """What is used of an `evdev.InputDevice`."""

    name: str
    path: str
    fd: int

    def read(self) -> Iterable[Any]:
        """Events that wait."""

    def active_keys(self) -> list[int]:
        """Codes of keys that are down."""

    def grab(self) -> None:
        """Let no other program have its events."""

    def close(self) -> None:
        """Close it."""


class Listener(Protocol):
    """Who hears of devices and keys."""

    def pedal_plugged(self, bindings: PedalBindings, keys_down: Sequence[str]) -> None:
        """A device is there now."""

    def pedal_unplugged(self, device: str) -> None:
        """A device is gone."""

    def pedal_key(self, device: str, key: str, down: bool) -> None:
        """A key went down or up."""


def key_names() -> dict[int, tuple[str, ...]]:
    """Names of keys and buttons by code, as the kernel has them (`KEY_A`, `BTN_0`).

    Raises:
        GatewayError: evdev is not installed.
    """
    try:
        from evdev import ecodes
    except ImportError as error:
        raise GatewayError(MISSING) from error
    named: Mapping[int, str | Sequence[str]] = {**ecodes.BTN, **ecodes.KEY}
    return {code: (name,) if isinstance(name, str) else tuple(name) for code, name in named.items()}


def first_names(names: Mapping[int, tuple[str, ...]]) -> dict[str, str]:
    """The name that is used for a key, by any of its names."""
    return {name: same[0] for same in names.values() for name in same}


def find_devices() -> list[InputDevice]:
    """Devices that this user may open. Raises GatewayError without evdev."""
    try:
        import evdev
    except ImportError as error:
        raise GatewayError(MISSING) from error
    found: list[InputDevice] = []
    for path in evdev.list_devices():
        try:
            found.append(evdev.InputDevice(path))
        except OSError as error:
            log.info("%s cannot be opened: %s", path, error)
    return found


def open_device(name_or_path: str) -> InputDevice | None:
    """A device by path, or the first one of a name that has keys; None while there is none."""
    if name_or_path.startswith("/"):
        try:
            from evdev import InputDevice as Device
        except ImportError as error:
            raise GatewayError(MISSING) from error
        try:
            return Device(name_or_path)  # type: ignore[no-any-return]
        except OSError:
            return None
    chosen = None
    for device in find_devices():
        if chosen is None and device.name == name_or_path:
            chosen = device
        else:
            device.close()
    return chosen


class KeyWatch:
    """Keeps the devices of a rig file open, whenever they are plugged in, and reports their keys.

    Args:
        wanted: Devices.
        listener: Who hears of them, in the event loop's thread.
        names: Names of keys by code.
        opener: Opens a device by name or path; None when it is not there.
    """

    def __init__(
        self,
        wanted: Iterable[PedalBindings],
        listener: Listener,
        names: Mapping[int, tuple[str, ...]],
        opener: Callable[[str], InputDevice | None] = open_device,
    ) -> None:
        self._wanted = list(wanted)
        self._listener = listener
        self._names = names
        self._open = opener
        self._devices: dict[str, InputDevice] = {}
        self._down: dict[str, set[int]] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                for bindings in self._wanted:
                    if bindings.device not in self._devices:
                        await self._look_for(bindings)
                await asyncio.sleep(LOOK_PERIOD_S)
        finally:
            for name in list(self._devices):
                self._close(name)

    async def _look_for(self, bindings: PedalBindings) -> None:
        device = await asyncio.to_thread(self._open, bindings.device)
        if device is None:
            return
        try:
            if bindings.grab:
                device.grab()
            down = set(device.active_keys()) & self._names.keys()
        except OSError as error:
            log.warning("%s cannot be used: %s", bindings.device, error)
            device.close()
            return
        self._devices[bindings.device], self._down[bindings.device] = device, down
        loop = asyncio.get_running_loop()
        loop.add_reader(device.fd, self._read, bindings.device)
        log.info("reading keys of %s (%s)", device.name, device.path)
        self._listener.pedal_plugged(bindings, [self._names[code][0] for code in down])

    def _read(self, name: str) -> None:
        try:
            events = list(self._devices[name].read())
        except BlockingIOError:
            return
        except OSError:  # ENODEV: unplugged
            self._close(name)
            self._listener.pedal_unplugged(name)
            return
        for event in events:
            if event.type == EV_KEY and event.value in (KEY_UP, KEY_DOWN):
                self._edge(name, event.code, event.value == KEY_DOWN)
            elif event.type == EV_SYN and event.code == SYN_DROPPED:
                self._catch_up(name)

    def _edge(self, name: str, code: int, down: bool) -> None:
        known = self._down[name]
        if code not in self._names or (code in known) == down:
            return
        known.symmetric_difference_update({code})
        self._listener.pedal_key(name, self._names[code][0], down)

    def _catch_up(self, name: str) -> None:
        """The kernel dropped events: keys that came up meanwhile must not stay down."""
        for code in self._down[name] - set(self._devices[name].active_keys()):
            self._edge(name, code, down=False)

    def _close(self, name: str) -> None:
        device = self._devices.pop(name)
        del self._down[name]
        asyncio.get_running_loop().remove_reader(device.fd)
        device.close()
