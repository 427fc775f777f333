"""`telecap pedals`: which input devices there are, and what their keys are called."""

from __future__ import annotations

import selectors
from collections.abc import Sequence

from teleop.commands.shared import UsageError, out
from teleop.gateway.keys import EV_KEY, KEY_DOWN, InputDevice, find_devices, key_names


def pedals(*, listen: bool = True) -> int:
    """List pedals, button boxes and keyboards; then name each key that is pressed, until Ctrl-C.

    Args:
        listen: Wait for keys; otherwise only list.
    """
    names, devices = key_names(), find_devices()
    if not devices:
        raise UsageError(
            "no input device can be opened: plug one in, and let this user read /dev/input/event* "
            "(on most systems: `sudo usermod -aG input $USER`, then log in again)"
        )
    for device in devices:
        out.print(f"{device.path:22} {device.name}", markup=False)
    if listen:
        out.print('Press keys. A line is what a rig file may have under [pedals."NAME"].')
        _listen(devices, {code: same[0] for code, same in names.items()})
    return 0


def _listen(devices: Sequence[InputDevice], names: dict[int, str]) -> None:
    with selectors.DefaultSelector() as waiting:
        for device in devices:
            waiting.register(device.fd, selectors.EVENT_READ, device)
        while waiting.get_map():
            for key, _ in waiting.select():
                device = key.data
                try:
                    events = list(device.read())
                except BlockingIOError:
                    continue
                except OSError:
                    out.print(f"{device.name} is gone", markup=False)
                    waiting.unregister(device.fd)
                    continue
                for event in events:
                    if event.type == EV_KEY and event.value == KEY_DOWN and event.code in names:
                        out.print(f'"{device.name}"  {names[event.code]}', markup=False)
