"""Small takes with known contents, for the tests of the recorder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from recorder import CameraSpec, Dataset, Episode, EpisodeWriter, StreamSpec

STATE = np.dtype(
    [
        ("t_ns", np.int64),
        ("seq", np.uint64),
        ("position", np.float64, (3,)),
        ("hand", np.float32, (26, 7)),
        ("flags", np.uint8),
        ("engaged", np.bool_, (2,)),
        ("absent", np.float64, (0,)),
    ]
)
HEAD = np.dtype([("t_ns", np.int64), ("flags", np.uint8), ("pose", np.float64, (7,))])
STREAMS = (
    StreamSpec("state", STATE, 500.0, {"position": {"unit": "rad", "names": ["a", "b", "c"]}}),
    StreamSpec("operator/head", HEAD, 90.0, {"pose": {"quaternion": "xyzw"}}),
)
CAMERAS = (CameraSpec("front", 32, 24), CameraSpec("wrist", 32, 24))


def random_rows(dtype: np.dtype[Any], n: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Rows of random bits (bools valid), with ascending times."""
    rows = np.zeros(n, dtype=dtype)
    for name in dtype.names or ():
        column = rows[name]
        if column.dtype.kind == "b":
            rows[name] = rng.integers(0, 2, column.shape)
        elif column.size:
            raw = rng.bytes(column.nbytes)
            rows[name] = np.frombuffer(raw, dtype=column.dtype).reshape(column.shape)
    rows["t_ns"] = 1_000_000_000 + np.arange(n) * 2_000_000
    return rows


def pictures(n: int, rng: np.random.Generator) -> list[bytes]:
    frames = rng.integers(0, 255, (n, 24, 32, 3), dtype=np.uint8)
    return [simplejpeg.encode_jpeg(frame, 90, "RGB", "420") for frame in frames]


def feed(
    writer: EpisodeWriter,
    state: np.ndarray[Any, Any],
    head: np.ndarray[Any, Any],
    frames: list[bytes],
    batch: int = 5,
) -> Iterator[None]:
    """Write a take in small steps; yields after each."""
    done = 0
    for step, start in enumerate(range(0, len(state), batch)):
        writer.append("state", state[start : start + batch])
        writer.append("operator/head", head[step : step + 1])
        if done < len(frames) and step % 4 == 0:
            for camera in CAMERAS:
                t_ns = int(state["t_ns"][start])
                writer.append_picture(camera.name, frames[done], t_ns, done, t_ns + 5, done)
            done += 1
        yield


def copy_open_take(writer: EpisodeWriter, dataset: Path) -> Path:
    """A dataset as a crash of the writer would leave it: same files, nobody holds the lock."""
    Dataset.open(dataset, create=True)
    path = dataset / "episodes" / writer.id
    shutil.copytree(writer.path, path)
    return path


def same_bits(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Equal to the last bit, NaN included."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def encoded(episode: Episode, camera: str) -> list[bytes]:
    stream = episode.camera(camera)
    return [stream.encoded(i) for i in range(len(stream))]
