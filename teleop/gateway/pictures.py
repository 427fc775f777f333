"""From `camera/<name>` messages of the bus to pictures of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from recorder.h264 import Decoder
from teleop.cameras.base import Codec as CameraCodec
from teleop.protocol import Codec, VideoPicture
from teleop.samples import CAMERA_HEADER

Pixels = npt.NDArray[np.uint8]
_SENT_AS = {CameraCodec.JPEG: Codec.JPEG, CameraCodec.H264: Codec.H264}


@dataclass(frozen=True, slots=True)
class Offer:
    """One picture of a camera for all clients.

    Attributes:
        picture: As the camera encoded it; without payload where that cannot be sent.
        pixels: `(height, width, 3)` uint8 RGB, where somebody needs them and they are known.
        t_encoded_ns: When the camera process had it encoded, host clock [ns].
        t_heard_ns: When the gateway had it.
    """

    picture: VideoPicture
    pixels: Pixels | None = None
    t_encoded_ns: int = 0
    t_heard_ns: int = 0

    @property
    def is_video(self) -> bool:
        """It builds on the pictures before it."""
        return self.picture.codec is Codec.H264

    @property
    def can_be_encoded(self) -> bool:
        """It can be made smaller without other pictures."""
        return self.pixels is not None or (bool(self.picture.payload) and not self.is_video)


def offer_of(
    stream_id: int, message: bytes, pixels: Pixels | None = None, t_heard_ns: int = 0
) -> Offer:
    """What a camera's message offers.

    Args:
        stream_id: As in `welcome.streams`.
        message: CAMERA_HEADER and the encoded picture.
        pixels: The picture decoded.
        t_heard_ns: Now, host clock [ns].
    """
    header = np.frombuffer(message, CAMERA_HEADER, count=1)[0]
    codec = _SENT_AS.get(int(header["codec"]))  # type: ignore[call-overload]
    payload = message[CAMERA_HEADER.itemsize :] if codec is not None else b""
    picture = VideoPicture(
        stream_id,
        codec or Codec.JPEG,
        bool(header["key"]) or codec is not Codec.H264,
        int(header["seq"]) & 0xFFFFFFFF,
        int(header["t_ns"]),
        payload,
    )
    return Offer(picture, pixels, int(header["t_receive_ns"]), t_heard_ns)


class StreamDecoder:
    """Decodes one camera's pictures for all clients at once, while any needs pixels.

    JPEG is left to who makes it smaller, which costs less. Video waits for a key picture.

    Args:
        wanted: Whether somebody needs pixels.
    """

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self._wanted = wanted
        self._video: Decoder | None = None
        self._next_seq: int | None = None

    def decode(self, message: bytes) -> Pixels | None:
        """Pixels of a camera's message; None where they are not needed, or not to be had."""
        header: Any = np.frombuffer(message, CAMERA_HEADER, count=1)[0]
        if header["codec"] == CameraCodec.JPEG or not self._wanted():
            self._video = None
            return None
        payload = message[CAMERA_HEADER.itemsize :]
        if header["codec"] == CameraCodec.PNG:
            found = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR)
            return None if found is None else np.ascontiguousarray(found[:, :, ::-1])
        if header["codec"] == CameraCodec.H264:
            return self._decode_video(payload, int(header["seq"]), bool(header["key"]))
        return None

    def _decode_video(self, payload: bytes, seq: int, key: bool) -> Pixels | None:
        if key:
            self._video = Decoder()
        elif seq != self._next_seq:
            self._video = None
        self._next_seq = seq + 1
        if self._video is None:
            return None
        try:
            return self._video.decode(payload)
        except ValueError:
            self._video = None
            return None
