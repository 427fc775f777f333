from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simplejpeg
import zarr
from zarr.registry import get_codec_class

from recorder.codecs import JpegCodec


def test_zarr_finds_the_codec_by_its_entry_point() -> None:
    assert get_codec_class("imagecodecs_jpeg") is JpegCodec


def test_zarr_writes_and_reads_pictures_with_the_codec(tmp_path: Path) -> None:
    gradient = np.linspace(0, 255, 32 * 24 * 3).reshape(1, 24, 32, 3).astype(np.uint8)
    array = zarr.create_array(
        str(tmp_path / "a"),
        shape=(3, 24, 32, 3),
        chunks=(1, 24, 32, 3),
        dtype="uint8",
        serializer=JpegCodec(level=95, subsampling="444"),
        compressors=None,
    )
    array[1:2] = gradient
    again = zarr.open_array(str(tmp_path / "a"), mode="r")
    assert np.abs(again[1:2].astype(int) - gradient).max() < 16
    data = (tmp_path / "a/c/1/0/0/0").read_bytes()
    np.testing.assert_array_equal(simplejpeg.decode_jpeg(data, "RGB"), again[1])
    assert again.metadata.to_dict()["codecs"][0] == {
        "name": "imagecodecs_jpeg",
        "configuration": {"level": 95, "subsampling": "444"},
    }


def test_configuration_of_imagecodecs_is_understood() -> None:
    entry = {"name": "imagecodecs_jpeg", "configuration": {"level": 80, "optimize": None}}
    codec = JpegCodec.from_dict(entry)  # type: ignore[arg-type]
    assert (codec.level, codec.subsampling) == (80, "420")
    assert JpegCodec.from_dict({"name": "imagecodecs_jpeg"}) == JpegCodec()
    with pytest.raises(ValueError, match="no fixed encoded size"):
        codec.compute_encoded_size(1, None)  # type: ignore[arg-type]
