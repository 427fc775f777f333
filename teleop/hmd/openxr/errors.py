"""What can go wrong between this client and an OpenXR runtime."""

from __future__ import annotations

from teleop.errors import TeleopError


class OpenXrError(TeleopError):
    """Base of what the native client raises."""


class RuntimeMissingError(OpenXrError):
    """No OpenXR runtime is installed, or it does not answer."""


class HeadsetMissingError(OpenXrError):
    """The runtime runs, but has no headset."""


class GraphicsMissingError(OpenXrError):
    """No way to draw that both this machine and the runtime know."""


class RuntimeLostError(OpenXrError):
    """The runtime ended, or is about to."""
