"""Pedals at the session: what their keys ask, and words when they come and go."""

from __future__ import annotations

import time
from collections.abc import Sequence

from teleop.effects import Asked, Tell
from teleop.gateway.hub import Hub
from teleop.gateway.orders import tell
from teleop.pedals import PedalBindings


class PedalDesk:
    """Hears of devices and keys, in the event loop's thread; `teleop.gateway.keys.Listener`.

    Args:
        hub: Whose session is asked.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def pedal_plugged(self, bindings: PedalBindings, keys_down: Sequence[str]) -> None:
        """A device is there now, with some of its keys down."""
        now_ns, view = time.monotonic_ns(), self._hub.session.view()
        self._ask(self._hub.pedals.plug(bindings, keys_down, view, now_ns), now_ns)
        tell(self._hub.holder(), Tell("info", f"{bindings.device} is connected."))

    def pedal_unplugged(self, device: str) -> None:
        """A device is gone: its deadman is let go, its e-stop given."""
        self._ask(self._hub.pedals.unplug(device), time.monotonic_ns())
        tell(self._hub.holder(), Tell("warning", f"{device} is disconnected."))

    def pedal_key(self, device: str, key: str, down: bool) -> None:
        """A key went down or up."""
        now_ns, view = time.monotonic_ns(), self._hub.session.view()
        self._ask(self._hub.pedals.key(device, key, down, view, now_ns), now_ns)

    def _ask(self, requests: Sequence[Asked], now_ns: int) -> None:
        for asked in requests:
            self._hub.ask(asked.intent, asked.args, asked.by, now_ns)
