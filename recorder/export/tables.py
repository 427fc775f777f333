"""Files of a LeRobot v3 dataset below `data/` and `meta/`, written with pyarrow alone.

Layout: github.com/huggingface/lerobot, `datasets/utils.py` (codebase version v3.0).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

CHUNKS_SIZE = 1000
"""Files in one chunk directory."""
DATA_FILES_SIZE_MB = 100
VIDEO_FILES_SIZE_MB = 200
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PER_FILE = 1000

INDEX_FEATURES: dict[str, dict[str, Any]] = {
    "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    "frame_index": {"dtype": "int64", "shape": [1], "names": None},
    "episode_index": {"dtype": "int64", "shape": [1], "names": None},
    "index": {"dtype": "int64", "shape": [1], "names": None},
    "task_index": {"dtype": "int64", "shape": [1], "names": None},
}
"""Columns every LeRobot dataset has."""


def place(file_number: int) -> dict[str, int]:
    """Chunk and file index of the n-th file of its kind."""
    chunk_index, file_index = divmod(file_number, CHUNKS_SIZE)
    return {"chunk_index": chunk_index, "file_index": file_index}


class DataFiles:
    """The rows of all episodes: one row group an episode, a new file when one is full.

    Args:
        root: Directory of the dataset.
        max_file_bytes: Uncompressed size at which the next episode starts a new file.
    """

    def __init__(self, root: Path, max_file_bytes: int) -> None:
        self._root = root
        self._max_file_bytes = max_file_bytes
        self._file_number = -1
        self._bytes = 0
        self._writer: Any = None

    def write_episode(self, columns: Mapping[str, NDArray[Any]]) -> int:
        """Append the rows of one episode; the number of the file they went to."""
        table = pa.table({name: _column(values) for name, values in columns.items()})
        if self._writer is None or self._bytes + table.nbytes > self._max_file_bytes:
            self._open_next(table.schema)
        self._writer.write_table(table, row_group_size=len(table))
        self._bytes += table.nbytes
        return self._file_number

    def close(self) -> None:
        """Finish the current file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open_next(self, schema: Any) -> None:
        self.close()
        self._file_number += 1
        self._bytes = 0
        path = self._root / DATA_PATH.format(**place(self._file_number))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(path, schema, compression="snappy")


def write_tasks(root: Path, tasks: Sequence[str]) -> None:
    """`meta/tasks.parquet`: what `pandas.DataFrame.to_parquet` writes with the task as index."""
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": list(tasks)})
    columns = [
        _pandas_column("task_index", "int64", "int64"),
        _pandas_column("task", "unicode", "object"),
    ]
    description = {
        "index_columns": ["task"],
        "column_indexes": [_pandas_column(None, "unicode", "object")],
        "columns": columns,
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    table = table.replace_schema_metadata({"pandas": json.dumps(description)})
    path = root / "meta/tasks.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def write_episodes(root: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """`meta/episodes/`: one row an episode, with its place, its length and its statistics."""
    for number, start in enumerate(range(0, len(rows), EPISODES_PER_FILE)):
        where = {f"meta/episodes/{key}": value for key, value in place(number).items()}
        batch = [dict(row) | where for row in rows[start : start + EPISODES_PER_FILE]]
        path = root / EPISODES_PATH.format(**place(number))
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(batch), path, compression="snappy")


def write_json(root: Path, name: str, value: Mapping[str, Any]) -> None:
    """A JSON file below `meta/`."""
    path = root / "meta" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, allow_nan=False), encoding="utf-8")


def vector_feature(dtype: str, names: Sequence[str]) -> dict[str, Any]:
    """Entry of `features` for a vector with named components."""
    return {"dtype": dtype, "shape": [len(names)], "names": list(names)}


def video_feature(width: int, height: int, fps: int) -> dict[str, Any]:
    """Entry of `features` for a camera."""
    return {
        "dtype": "video",
        "shape": [height, width, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": height,
            "video.width": width,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": fps,
            "video.channels": 3,
            "has_audio": False,
        },
    }


def _column(values: NDArray[Any]) -> Any:
    """A vector becomes a fixed-size list; LeRobot reads a feature of shape (1,) as a number."""
    if values.ndim == 1:
        return pa.array(values)
    if values.shape[1] == 1:
        return pa.array(np.ascontiguousarray(values[:, 0]))
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _pandas_column(name: str | None, pandas_type: str, numpy_type: str) -> dict[str, Any]:
    metadata = {"encoding": "UTF-8"} if name is None else None
    return {
        "name": name,
        "field_name": name,
        "pandas_type": pandas_type,
        "numpy_type": numpy_type,
        "metadata": metadata,
    }
