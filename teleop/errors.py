"""Errors of the live application: one base, one class per cause."""

from __future__ import annotations


class TeleopError(Exception):
    """Base of every error raised by `teleop`."""


class ProtocolError(TeleopError):
    """A message that `telecap.v1` does not allow.

    Attributes:
        code: WebSocket close code, 4400 to 4499.
        reason: What was wrong and what was expected.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class BindingError(TeleopError):
    """A rig file maps a button that does not exist, or to an intent that does not exist."""


class GatewayError(TeleopError):
    """The gateway cannot serve: no address, no certificate, no rig."""
