"""How the pictures of a camera are stored: one format per codec of `CameraSpec`.

Pictures arrive encoded and are stored as they are. Before one is accepted its `Gate` checks that it
is a picture of this camera, and, for video, that it continues the picture before it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import simplejpeg

from recorder.errors import CorruptEpisodeError
from recorder.h264 import Decoder, read_access_unit
from recorder.schema import DEPTH, H264, JPEG, PNG, CameraSpec
from recorder.shard import decode_rows, encode_rows

Array = np.ndarray[Any, Any]
GROUP = 10
"""H.264 pictures in one chunk of the Zarr array."""
MEDIA_TYPES = {JPEG: "image/jpeg", PNG: "image/png", H264: "video/h264", DEPTH: "image/x-depth16"}

_PNG_HEAD = struct.Struct(">8sI4sIIBB")
"""Signature, length and type of the first chunk, then width, height, bit depth, colour type."""
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB8 = (8, 2)
"""PNG bit depth and colour type of RGB with one byte each."""


def group_of(codec: str) -> int:
    """Pictures in one chunk of the Zarr array."""
    return GROUP if codec == H264 else 1


def picture_dtype(camera: CameraSpec) -> np.dtype[Any]:
    """Type and shape of one picture: `(height, width, 3)` uint8, or `(height, width)` uint16."""
    if camera.codec == DEPTH:
        return np.dtype(("<u2", (camera.height, camera.width)))
    return np.dtype((np.uint8, (camera.height, camera.width, 3)))


def encode_png(rgb: Array) -> bytes:
    """A lossless picture.

    Args:
        rgb: `(height, width, 3)` uint8.
    """
    _, data = cv2.imencode(".png", rgb[:, :, ::-1], (cv2.IMWRITE_PNG_COMPRESSION, 1))
    return bytes(data.tobytes())


def encode_depth(depth: Array) -> bytes:
    """A depth picture, zstd with a checksum.

    Args:
        depth: `(height, width)` uint16, in the camera's `depth_unit_m`; 0 where there is none.
    """
    return encode_rows(np.ascontiguousarray(depth, dtype="<u2")[None], 1)


def decode_still(payload: bytes, camera: CameraSpec) -> Array:
    """A picture that needs no other.

    Returns:
        `(height, width, 3)` uint8 RGB, for depth `(height, width)` uint16.

    Raises:
        ValueError, CorruptEpisodeError: It is not one.
    """
    if camera.codec == JPEG:
        picture: Array = simplejpeg.decode_jpeg(payload, "RGB")
        return picture
    if camera.codec == PNG:
        found = cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR)
        if found is None:
            raise ValueError("not decodable as PNG")
        return np.ascontiguousarray(found[:, :, ::-1])
    depth: Array = decode_rows(payload, picture_dtype(camera))[0]
    return depth


@dataclass(frozen=True, slots=True)
class Passed:
    """What a gate says of a picture.

    Attributes:
        refused: Why it is not stored, which is a loss; empty when it is stored.
        early: It builds on a picture from before the take: not stored, and no loss.
        key: Decoding can start at it.
    """

    refused: str = ""
    early: bool = False
    key: bool = True


class Gate(Protocol):
    """Decides of each picture of one camera, in order, whether it is stored."""

    def check(self, payload: bytes, seq: int) -> Passed:
        """What becomes of this picture, which has the camera's number `seq`."""
        ...


class StillGate:
    """Gate of pictures that need no other."""

    def __init__(self, camera: CameraSpec) -> None:
        self._camera = camera

    def check(self, payload: bytes, seq: int) -> Passed:
        """See `Gate`."""
        name = {JPEG: "JPEG", PNG: "PNG", DEPTH: "depth picture"}[self._camera.codec]
        try:
            size = self._size(payload)
        except (ValueError, CorruptEpisodeError) as error:
            return Passed(f"not a {name}: {error}")
        return Passed(_wrong_size(size, self._camera))

    def _size(self, payload: bytes) -> tuple[int, int]:
        if self._camera.codec == JPEG:
            height, width, _, _ = simplejpeg.decode_jpeg_header(payload)
            return width, height
        if self._camera.codec == PNG:
            return _png_size(payload)
        try:
            n = len(decode_rows(payload, picture_dtype(self._camera)))
        except RuntimeError as error:  # what the zstd binding raises
            raise ValueError(str(error)) from error
        if n != 1:
            raise ValueError(f"{n} pictures' worth of values")
        return self._camera.width, self._camera.height


class VideoGate:
    """Gate of H.264: the first picture is a key picture, and no hole comes before a delta.

    Decodes only to learn the size, when the parameter sets are new.
    """

    def __init__(self, camera: CameraSpec) -> None:
        self._camera = camera
        self._parameters = b""
        self._started = False
        self._next_seq: int | None = None

    def check(self, payload: bytes, seq: int) -> Passed:
        """See `Gate`."""
        continues = self._next_seq == seq
        self._next_seq = None
        try:
            unit = read_access_unit(payload)
        except ValueError as error:
            return Passed(f"not H.264: {error}", key=False)
        if unit.key:
            reason = self._check_key(payload, unit.parameters, unit.complete)
        elif not self._started:
            return Passed(early=True, key=False)
        elif unit.bidirectional:
            reason = "an H.264 picture that refers to a later one (B picture)"
        else:
            reason = "" if continues else "the picture it builds on is missing"
        if reason:
            return Passed(reason, key=unit.key)
        self._started = True
        self._next_seq = seq + 1
        return Passed(key=unit.key)

    def _check_key(self, payload: bytes, parameters: bytes, complete: bool) -> str:
        if not complete:
            return "an H.264 key picture without its parameter sets (SPS, PPS)"
        if parameters == self._parameters:
            return ""
        try:
            height, width = Decoder().decode_grey(payload).shape
        except ValueError as error:
            return str(error)
        reason = _wrong_size((width, height), self._camera)
        if not reason:
            self._parameters = parameters
        return reason


def gate_of(camera: CameraSpec) -> Gate:
    """A new gate for a take."""
    return VideoGate(camera) if camera.codec == H264 else StillGate(camera)


def _wrong_size(size: tuple[int, int], camera: CameraSpec) -> str:
    if size == (camera.width, camera.height):
        return ""
    return "picture of {}x{}, expected {}x{}".format(*size, camera.width, camera.height)


def _png_size(payload: bytes) -> tuple[int, int]:
    if len(payload) < _PNG_HEAD.size:
        raise ValueError("too short")
    signature, _, kind, width, height, *form = _PNG_HEAD.unpack_from(payload)
    if signature != _PNG_SIGNATURE or kind != b"IHDR":
        raise ValueError("no PNG signature")
    if tuple(form) != _RGB8:
        raise ValueError(f"bit depth and colour type {form}, expected {list(_RGB8)} (RGB)")
    return int(width), int(height)
