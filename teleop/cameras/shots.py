"""A picture as a device gave it, and what gives them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from teleop.cameras.base import Codec
from teleop.cameras.encoding import Pixels

__all__ = ["NS", "Pixels", "Shot", "Source"]

NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture as a device gave it.

    Either its pixels, or what the device itself encoded.

    Attributes:
        t_device_ns: Time of exposure on the device's clock [ns].
        same_clock: The device's clock is the host's monotonic clock.
        pixels: `(height, width, 3)` uint8 RGB, or depth `(height, width)` uint16.
        encoded: The picture in `codec`.
        codec: How the device encoded it.
        missed: Pictures the device numbered since the last one, but that did not arrive.
    """

    t_device_ns: int
    same_clock: bool
    pixels: Pixels | None = None
    encoded: bytes = b""
    codec: Codec = Codec.JPEG
    missed: int = 0


class Source(Protocol):
    """Gives pictures one after another, waiting for each.

    It may have `about()`, what the device tells of itself (serial number, …), JSON.
    """

    def shots(self) -> Iterator[Shot]:
        """Pictures until the device ends; raises CameraError when it fails."""
        ...
