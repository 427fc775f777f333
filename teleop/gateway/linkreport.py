"""What the operator's link was like, put beside the recording once a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from teleop.gateway.client import Client
from teleop.gateway.orders import clock_fit
from teleop.samples import Recording

PERIOD_NS = 1_000_000_000


class LinkReport:
    """Publishes `link` events while a take is recorded.

    Args:
        publish: Puts an event on `events/gateway`.
    """

    def __init__(self, publish: Callable[[str, dict[str, Any]], None]) -> None:
        self._publish = publish
        self._next_ns = 0

    def tick(self, holder: Client | None, recording: Recording, now_ns: int) -> None:
        """Publish, when it is time and there is an operator."""
        if recording is not Recording.RECORDING or holder is None or now_ns < self._next_ns:
            return
        self._next_ns = now_ns + PERIOD_NS
        self._publish("link", link_report(holder, now_ns))


def link_report(client: Client, now_ns: int) -> dict[str, Any]:
    """Clock, round trip and pictures of one client, as plain values."""
    outbox = client.outbox
    level = outbox.control.level
    return {
        "clock": clock_fit(client),
        "rtt_ms": None if client.rtt_ns is None else round(client.rtt_ns / 1e6, 3),
        "pictures": outbox.journeys.summary(now_ns),
        "encoding": {"codec": level.codec, "divisor": level.divisor, "level": outbox.control.index},
        "pictures_left_out": outbox.replaced,
    }
