"""Names and limits of `telecap.v1` that both ends must agree on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

SUBPROTOCOL = "telecap.v1"
HELLO_TIMEOUT_NS = 5_000_000_000


class CloseCode(IntEnum):
    """WebSocket close codes of the application."""

    MALFORMED = 4400
    BAD_TOKEN = 4401
    ORIGIN_REFUSED = 4403
    WRONG_SUBPROTOCOL = 4406
    HELLO_TIMEOUT = 4408
    TAKEN_OVER = 4409
    """The session goes on in another connection; coming back would only take it away again."""
    SERVER_STOPPING = 4410
    TOO_LARGE = 4413
    TOO_MANY = 4429


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server accepts from one client.

    Attributes:
        max_message_bytes: Longest message; longer closes with 4413.
        max_messages_per_s: Sustained rate; the same number may come in one burst.
    """

    max_message_bytes: int = 65_536
    max_messages_per_s: int = 600
