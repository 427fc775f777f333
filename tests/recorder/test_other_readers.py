"""Other packages' own codecs and pipelines read what we wrote, without ours.

Most need Python 3.12 (`make test-readers`); tensorstore is tested with the round trips.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.registry import get_pipeline_class

from recorder import Dataset
from recorder.schema import DEPTH, JPEG, PNG
from tests.recorder.takes import STATE, STREAMS, random_rows, same_bits
from tests.recorder.test_picture_codecs import record

SCRIPT = Path(__file__).with_name("imagecodecs_reader_script.py")
ROWS = (11, 0, 5)


@pytest.mark.parametrize("codec", [JPEG, PNG])
def test_imagecodecs_opens_our_pictures_with_its_own_codec(tmp_path: Path, codec: str) -> None:
    pytest.importorskip("imagecodecs.zarr", reason="imagecodecs >= 2026 needs Python 3.12")
    episode, _ = record(tmp_path, codec, 12)
    # A process of its own: codecs stay registered.
    command = [sys.executable, str(SCRIPT), str(episode.path), *map(str, ROWS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    camera = episode.camera("front")
    ours = [hashlib.sha256(camera[row].tobytes()).hexdigest() for row in ROWS]
    assert json.loads(done.stdout.splitlines()[-1]) == ours
    assert len(set(ours)) == len(ROWS)


@pytest.fixture
def zarrs_pipeline() -> Iterator[None]:
    pytest.importorskip("zarrs")
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}):
        assert get_pipeline_class().__module__.startswith("zarrs")
        yield


def test_zarrs_reads_our_numbers_bit_exact(tmp_path: Path, zarrs_pipeline: None) -> None:
    rows = random_rows(STATE, 600, np.random.default_rng(1))
    writer = Dataset.open(tmp_path, create=True).begin(STREAMS[:1])
    writer.append("state", rows)
    episode = writer.finish()
    writer.wait_settled()
    group = zarr.open_group(str(episode.path), mode="r")
    for name in STATE.names or ():
        assert same_bits(np.asarray(group[f"state/{name}"][:]), rows[name]), name


def test_zarrs_reads_our_depth_exactly(tmp_path: Path, zarrs_pipeline: None) -> None:
    episode, _ = record(tmp_path, DEPTH, 12)
    image = zarr.open_group(str(episode.path), mode="r")["cameras/front/image"]
    for row in ROWS:
        np.testing.assert_array_equal(image[row], episode.camera("front")[row])
