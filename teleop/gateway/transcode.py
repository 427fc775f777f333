"""Camera pictures made smaller for a slow link: as JPEG or as H.264."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from recorder.h264 import Encoder
from teleop.gateway.pictures import Offer
from teleop.gateway.videolevel import Level
from teleop.protocol import Codec, VideoPicture

log = logging.getLogger(__name__)

RATE_HZ = 30
KEY_EVERY = 150
"""Pictures between key pictures: a client that lost its way asks for one at once."""
REFERENCE_PIXELS = 640 * 480


class Transcoder:
    """Encodes the pictures of one client; its calls must not overlap.

    H.264 pictures build on those before: every picture that was encoded must be sent, in order.
    """

    def __init__(self) -> None:
        self._encoders: dict[int, tuple[tuple[int, int, int], Encoder]] = {}
        self._keys: set[int] = set()

    def ask_key(self, stream_id: int) -> None:
        """The next picture of this stream must be decodable by itself."""
        self._keys.add(stream_id)

    def encode(self, offer: Offer, level: Level, fresh: bool = False) -> VideoPicture:
        """The picture at this level; as it is, when it cannot be made smaller.

        Args:
            offer: As the camera encoded it, or its pixels.
            level: What it may cost.
            fresh: The client has not got the picture before from here: do not build on it.
        """
        picture = offer.picture
        if fresh or not offer.can_be_encoded:
            self._encoders.pop(picture.stream_id, None)
        if not offer.can_be_encoded:
            return picture
        try:
            if offer.pixels is not None:
                rgb = smaller(offer.pixels, level.divisor)
            else:
                rgb = shrunk(picture.payload, level.divisor)
        except ValueError as error:
            log.warning("a picture of stream %d cannot be decoded: %s", picture.stream_id, error)
            return picture
        if level.codec == "jpeg":
            self._encoders.pop(picture.stream_id, None)
            payload = simplejpeg.encode_jpeg(rgb, quality=level.quality, colorsubsampling="420")
            return _with(picture, Codec.JPEG, True, payload)
        return self._h264(picture, rgb, level)

    def _h264(
        self, picture: VideoPicture, rgb: npt.NDArray[np.uint8], level: Level
    ) -> VideoPicture:
        stream = picture.stream_id
        height, width = rgb.shape[:2]
        share = width * height * level.divisor**2 / REFERENCE_PIXELS
        wanted = (width, height, max(30, round(level.kbit_s * share)))
        shape, encoder = self._encoders.get(stream, (None, None))
        if encoder is None or shape != wanted:
            encoder = Encoder(
                width, height, RATE_HZ, KEY_EVERY, kbit_s=wanted[2], profile="baseline"
            )
            self._encoders[stream] = (wanted, encoder)
        key, payload = encoder.encode(rgb, stream in self._keys)
        self._keys.discard(stream)
        return _with(picture, Codec.H264, key, payload)


def smaller(rgb: npt.NDArray[np.uint8], divisor: int) -> npt.NDArray[np.uint8]:
    """Pixels (height, width, 3) with both sides divided and even."""
    height, width = (n // divisor // 2 * 2 for n in rgb.shape[:2])
    if divisor == 1:
        return np.ascontiguousarray(rgb[:height, :width])
    found: npt.NDArray[np.uint8] = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    return found


def shrunk(jpeg: bytes, divisor: int) -> npt.NDArray[np.uint8]:
    """Pixels (height, width, 3) of a JPEG, both sides divided and even.

    Raises:
        ValueError: It is no JPEG.
    """
    if divisor == 1:
        rgb = simplejpeg.decode_jpeg(jpeg, colorspace="RGB")
    else:
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
        rgb = simplejpeg.decode_jpeg(  # the transform itself leaves out what is not needed
            jpeg, colorspace="RGB", min_height=height // divisor, min_width=width // divisor,
            min_factor=1,
        )  # fmt: skip
    height, width = rgb.shape[:2]
    return np.ascontiguousarray(rgb[: height // 2 * 2, : width // 2 * 2])


def _with(picture: VideoPicture, codec: Codec, key: bool, payload: bytes) -> VideoPicture:
    return VideoPicture(picture.stream_id, codec, key, picture.seq, picture.t_capture_ns, payload)
