"""Pictures of one camera brought into the codec it is recorded in."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from recorder.h264 import Decoder, Encoder, is_key
from recorder.pictures import encode_depth, encode_png
from teleop.cameras.base import CameraError, Codec
from teleop.config import CameraConfig

JPEG_QUALITY = 90
H264_CRF = 20
KEYS_PER_S = 3
"""Key pictures: what a lost picture costs, and what training decodes to reach one in the middle."""
CODECS = {"jpeg": Codec.JPEG, "h264": Codec.H264, "png": Codec.PNG, "depth": Codec.DEPTH}
"""Codecs by the names of rig files."""

Pixels = npt.NDArray[Any]


class PictureEncoder:
    """Encodes the pictures of one camera, in order; used by one thread.

    Attributes:
        codec: What comes out.
    """

    def __init__(self, camera: CameraConfig) -> None:
        self.codec = CODECS[camera.codec]
        self._camera = camera
        self._video: Encoder | None = None
        self._wants_key = False

    def request_key(self) -> None:
        """The next picture must be decodable by itself; may be called from another thread."""
        self._wants_key = True

    def encode(self, pixels: Pixels) -> tuple[bytes, bool]:
        """The encoded picture, and whether it is decodable by itself.

        Args:
            pixels: `(height, width, 3)` uint8 RGB, or depth `(height, width)` uint16.

        Raises:
            CameraError: The pixels are of another kind or size than the camera's.
        """
        self._check(pixels)
        match self.codec:
            case Codec.JPEG:
                return encode_jpeg(pixels), True
            case Codec.PNG:
                return encode_png(pixels), True
            case Codec.DEPTH:
                return encode_depth(pixels), True
            case Codec.H264:
                return self._encode_video(pixels)

    def _encode_video(self, rgb: Pixels) -> tuple[bytes, bool]:
        if self._video is None:
            camera = self._camera
            every = max(1, round(camera.rate_hz / KEYS_PER_S))
            self._video = Encoder(
                camera.width, camera.height, camera.rate_hz, every, crf=H264_CRF, profile="baseline"
            )
        wanted, self._wants_key = self._wants_key, False
        key, payload = self._video.encode(rgb, wanted)
        return payload, key

    def _check(self, pixels: Pixels) -> None:
        camera, is_depth = self._camera, self.codec is Codec.DEPTH
        shape: tuple[int, ...] = (camera.height, camera.width) + (() if is_depth else (3,))
        dtype = np.dtype(np.uint16 if is_depth else np.uint8)
        if pixels.shape != shape or pixels.dtype != dtype:
            raise CameraError(
                f"camera {camera.name!r}: pixels {pixels.shape} {pixels.dtype}, expected {shape} "
                f"{dtype}"
            )


class PictureDecoder:
    """Decodes what devices encoded, where it is wanted in another codec."""

    def __init__(self) -> None:
        self._video: Decoder | None = None

    def decode(self, payload: bytes, codec: Codec) -> Pixels | None:
        """Pixels of a picture; None where video has not come to a key picture yet.

        Raises:
            CameraError: It cannot be decoded.
        """
        try:
            if codec is Codec.JPEG:
                rgb: Pixels = simplejpeg.decode_jpeg(payload, colorspace="RGB")
                return rgb
            if codec is Codec.H264:
                return self._decode_video(payload)
        except ValueError as error:
            self._video = None
            raise CameraError(f"a picture cannot be decoded: {error}") from error
        raise CameraError(f"pictures in {codec.name} are not decoded here")

    def _decode_video(self, payload: bytes) -> Pixels | None:
        if self._video is None:
            if not is_key(payload):
                return None
            self._video = Decoder()
        return self._video.decode(payload)


def encode_jpeg(rgb: npt.NDArray[np.uint8], quality: int = JPEG_QUALITY) -> bytes:
    """A JPEG of RGB pixels, `(height, width, 3)`."""
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(rgb), quality=quality, colorspace="RGB", colorsubsampling="420"
    )
    return encoded


def resized(pixels: Pixels, width: int, height: int) -> Pixels:
    """Pixels at another size; depth takes the nearest, between two there is nothing."""
    if pixels.shape[:2] == (height, width):
        return pixels
    method = cv2.INTER_NEAREST if pixels.ndim == 2 else cv2.INTER_AREA
    found: Pixels = cv2.resize(pixels, (width, height), interpolation=method)
    return found
