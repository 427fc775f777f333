"""One-time codes: what a headset is shown instead of the token. Pure; time is a parameter.

A code fits on a QR picture or is typed by hand, is worth the token once, and is worth nothing after
half an hour. A photo of yesterday's screen opens nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without what looks alike: 0 O, 1 I L, U V."""
LENGTH = 8
VALID_NS = 30 * 60 * 1_000_000_000
MAX_CODES = 8
GUESSES = 5
"""Wrong codes within a minute; then none is taken for a minute. Codes have 39 bits."""
MINUTE_NS = 60 * 1_000_000_000


def new_code() -> str:
    """A fresh code."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def tidy(code: str) -> str:
    """A code as it was typed, without spaces and dashes, in capitals."""
    return "".join(c for c in code.upper() if c.isalnum())


class TooManyGuessesError(Exception):
    """Wrong codes came faster than a person mistypes."""


@dataclass(slots=True)
class Pairing:
    """Codes that are worth the token."""

    _codes: dict[str, int] = field(default_factory=dict)
    _wrong: list[int] = field(default_factory=list)

    def make(self, now_ns: int) -> str:
        """A new code; of many that were never used the oldest is forgotten."""
        code = new_code()
        self.add(code, now_ns)
        return code

    def add(self, code: str, now_ns: int) -> None:
        """Take a code from now on."""
        while len(self._codes) >= MAX_CODES:
            self._codes.pop(next(iter(self._codes)))
        self._codes[tidy(code)] = now_ns + VALID_NS

    def redeem(self, code: str, now_ns: int) -> bool:
        """Whether the code is good; it is not a second time.

        Raises:
            TooManyGuessesError: Wait a minute.
        """
        self._wrong = [t_ns for t_ns in self._wrong if now_ns - t_ns < MINUTE_NS]
        if len(self._wrong) >= GUESSES:
            raise TooManyGuessesError
        expires_ns = self._codes.pop(tidy(code), None)
        if expires_ns is not None and now_ns < expires_ns:
            return True
        self._wrong.append(now_ns)
        return False
