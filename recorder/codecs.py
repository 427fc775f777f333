"""The Zarr v3 codec `imagecodecs_jpeg`: one JPEG per chunk, found through `zarr.codecs`.

Name and configuration are those of the codec in `imagecodecs`, which reads the same files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import simplejpeg
from zarr.abc.codec import ArrayBytesCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer, NDBuffer
from zarr.core.common import JSON, parse_named_configuration

from recorder.schema import JPEG


@dataclass(frozen=True)
class JpegCodec(ArrayBytesCodec):
    """JPEG of an RGB picture, chunk shape `(1, height, width, 3)`, uint8.

    Attributes:
        level: JPEG quality, 0 to 100.
        subsampling: Chroma subsampling, `420`, `422`, `440`, `444`.
    """

    is_fixed_size = False

    level: int = 90
    subsampling: str = "420"

    @classmethod
    def from_dict(cls, data: dict[str, JSON]) -> Self:
        """Read the codec's entry in `zarr.json`."""
        _, configuration = parse_named_configuration(data, JPEG, require_configuration=False)
        options: dict[str, Any] = dict(configuration or {})
        return cls(**{k: v for k, v in options.items() if k in ("level", "subsampling")})

    def to_dict(self) -> dict[str, JSON]:
        """Entry of the codec in `zarr.json`."""
        return {
            "name": JPEG,
            "configuration": {"level": self.level, "subsampling": self.subsampling},
        }

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Unknown before encoding.

        Raises:
            ValueError: Always; Zarr asks only codecs of fixed size.
        """
        raise ValueError(f"{JPEG} has no fixed encoded size ({input_byte_length} bytes raw)")

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer | None:
        picture = chunk_data.as_numpy_array().reshape(chunk_spec.shape[-3:])
        contiguous = np.ascontiguousarray(picture)
        data = simplejpeg.encode_jpeg(contiguous, self.level, "RGB", self.subsampling, True)
        return chunk_spec.prototype.buffer.from_bytes(data)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        picture = simplejpeg.decode_jpeg(chunk_data.to_bytes(), "RGB")
        return chunk_spec.prototype.nd_buffer.from_numpy_array(picture.reshape(chunk_spec.shape))
