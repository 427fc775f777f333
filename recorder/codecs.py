"""Zarr v3 codecs of pictures, found through the entry-point group `zarr.codecs`.

Names and configurations of `imagecodecs_jpeg` and `imagecodecs_png` are those of the codecs in
`imagecodecs`, which reads the same files. `telecap_h264` is our own.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import cv2
import numpy as np
import simplejpeg
from zarr.abc.codec import ArrayBytesCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, NDBuffer
from zarr.core.common import JSON, parse_named_configuration

from recorder.h264 import Decoder, Encoder
from recorder.pictures import encode_png
from recorder.schema import H264, JPEG, PNG
from recorder.shard import as_records, records_in


@dataclass(frozen=True)
class _PictureCodec(ArrayBytesCodec):
    """What the codecs have in common: RGB uint8, chunk shape `(n, height, width, 3)`."""

    is_fixed_size = False

    name: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def from_dict(cls, data: dict[str, JSON]) -> Self:
        """Read the codec's entry in `zarr.json`."""
        _, configuration = parse_named_configuration(data, cls.name, require_configuration=False)
        options: dict[str, Any] = dict(configuration or {})
        return cls(**{k: v for k, v in options.items() if k in cls.options})

    def to_dict(self) -> dict[str, JSON]:
        """Entry of the codec in `zarr.json`."""
        return {"name": self.name, "configuration": {k: getattr(self, k) for k in self.options}}

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Unknown before encoding.

        Raises:
            ValueError: Always; Zarr asks only codecs of fixed size.
        """
        raise ValueError(f"{self.name} has no fixed encoded size ({input_byte_length} bytes raw)")

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        frames = chunk_data.as_numpy_array().reshape(-1, *chunk_spec.shape[-3:])
        return chunk_spec.prototype.buffer.from_bytes(self._encode(np.ascontiguousarray(frames)))

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        frames = self._decode(chunk_data.to_bytes(), chunk_spec.shape[0])
        return chunk_spec.prototype.nd_buffer.from_numpy_array(frames.reshape(chunk_spec.shape))

    @abstractmethod
    def _encode(self, frames: np.ndarray[Any, Any]) -> bytes:
        """A chunk of `(n, height, width, 3)`."""

    @abstractmethod
    def _decode(self, data: bytes, n: int) -> np.ndarray[Any, Any]:
        """Frames of a chunk whose shape begins with `n`."""


@dataclass(frozen=True)
class JpegCodec(_PictureCodec):
    """JPEG, one picture a chunk.

    Attributes:
        level: JPEG quality, 0 to 100.
        subsampling: Chroma subsampling, `420`, `422`, `440`, `444`.
    """

    name = JPEG
    options = ("level", "subsampling")

    level: int = 90
    subsampling: str = "420"

    def _encode(self, frames: np.ndarray[Any, Any]) -> bytes:
        data: bytes = simplejpeg.encode_jpeg(frames[0], self.level, "RGB", self.subsampling, True)
        return data

    def _decode(self, data: bytes, n: int) -> np.ndarray[Any, Any]:
        picture: np.ndarray[Any, Any] = simplejpeg.decode_jpeg(data, "RGB")
        return picture


@dataclass(frozen=True)
class PngCodec(_PictureCodec):
    """PNG, one picture a chunk, lossless."""

    name = PNG

    def _encode(self, frames: np.ndarray[Any, Any]) -> bytes:
        return encode_png(frames[0])

    def _decode(self, data: bytes, n: int) -> np.ndarray[Any, Any]:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError("a chunk is not decodable as PNG")
        return np.ascontiguousarray(picture[:, :, ::-1])


@dataclass(frozen=True)
class H264Codec(_PictureCodec):
    """H.264, several pictures a chunk: records from a key picture on, see `recorder.shard`.

    The chunk's own pictures are the last of them: those whose row divided by the chunk's length is
    that of the last. A chunk at the end of the array may hold fewer; the rest is black.

    Attributes:
        crf: x264 constant rate factor used when Zarr itself writes.
    """

    name = H264
    options = ("crf",)

    crf: int = 18

    def _encode(self, frames: np.ndarray[Any, Any]) -> bytes:
        n, height, width, _ = frames.shape
        encoder = Encoder(width, height, 30.0, n, crf=self.crf)
        return as_records([encoder.encode(frame, k == 0)[1] for k, frame in enumerate(frames)])

    def _decode(self, data: bytes, n: int) -> np.ndarray[Any, Any]:
        records = list(records_in(data))
        chunk = records[-1][0] // n
        decoder, found = Decoder(), []
        for row, payload in records:
            if row // n == chunk:
                found.append(decoder.decode(payload))
            else:
                decoder.skip(payload)
        frames = np.zeros((n, *found[0].shape), np.uint8)
        frames[: len(found)] = found
        return frames
