"""Readers of one episode: memory-mapped, random access, safe across fork and spawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from recorder import edits, layout
from recorder.errors import EpisodeNotFoundError, UnfinishedEpisodeError, UnknownStreamError
from recorder.journal import Event
from recorder.schema import CAMERAS, EVENTS, CameraSpec, State, StreamSpec
from recorder.shard import PARTIAL, ShardReader, decode_rows, decode_text, scan

Array = np.ndarray[Any, Any]


class Stream:
    """One numeric stream.

    Attributes:
        name: Name in the episode.
        rate_hz: Nominal rate, 0 when written on change.
        fields: Description of each field (`unit`, `frame`, `names`, `quaternion`).
        attributes: Attributes of the stream.
    """

    def __init__(self, root: Path, spec: StreamSpec, rows: int, chunk_rows: int) -> None:
        self._spec = spec
        self._rows = rows
        self._chunk_rows = chunk_rows
        self.name = spec.name
        self.rate_hz = spec.rate_hz
        self.fields: Mapping[str, Mapping[str, Any]] = {
            name: spec.fields.get(name, {}) for name in spec.field_names
        }
        self.attributes = spec.attributes
        n_chunks = layout.slots(rows, chunk_rows)
        self._shards = {
            name: _shard(root, f"{spec.name}/{name}", 1 + spec.dtype[name].ndim, n_chunks)
            for name in spec.field_names
        }
        self._cache: dict[str, Array] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cache": {}}

    def __len__(self) -> int:
        return self._rows

    def __contains__(self, field: str) -> bool:
        return field in self._shards

    def __getitem__(self, field: str) -> Array:
        """All rows of a field, `(rows, *shape)`, read-only; kept in memory once read."""
        if field not in self._cache:
            values = self.read(field)
            values.setflags(write=False)
            self._cache[field] = values
        return self._cache[field]

    @property
    def dtype(self) -> np.dtype[np.void]:
        """Structured dtype of a row."""
        return self._spec.dtype

    @property
    def t_ns(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Host time of each row [ns], `(rows,)`."""
        return self["t_ns"]

    def read(self, field: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows `start` to `stop` of a field; reads only the chunks that hold them.

        Raises:
            UnknownStreamError: When the stream has no such field.
        """
        if field not in self._shards:
            raise UnknownStreamError("field", f"{self.name}/{field}", self._shards)
        dtype = self._spec.dtype[field]
        stop = self._rows if stop is None else min(stop, self._rows)
        first, last = start // self._chunk_rows, layout.slots(stop, self._chunk_rows)
        if start >= stop or dtype.itemsize == 0:
            return np.zeros((max(stop - start, 0), *dtype.shape), dtype=dtype.base)
        shard = self._shards[field]
        chunks = [decode_rows(shard.chunk(i), dtype) for i in range(first, last)]
        base = first * self._chunk_rows
        return np.concatenate(chunks)[start - base : stop - base]

    def rows(self, start: int = 0, stop: int | None = None) -> np.ndarray[Any, np.dtype[np.void]]:
        """Rows as a structured array, as they were appended."""
        stop = self._rows if stop is None else min(stop, self._rows)
        found = np.zeros(max(stop - start, 0), dtype=self._spec.dtype)
        for field in self._spec.field_names:
            found[field] = self.read(field, start, stop)
        return found


class CameraStream:
    """The pictures of one camera and their times.

    Attributes:
        name: Name of the camera.
        spec: Size, rate and codec.
    """

    def __init__(self, root: Path, spec: CameraSpec, rows: int, chunk_rows: int) -> None:
        self.name = spec.name
        self.spec = spec
        self.rate_hz = spec.rate_hz
        self.attributes = spec.attributes
        self.times = Stream(root, spec.times_spec(), rows, chunk_rows)
        self._image = _shard(root, f"{spec.group}/image", 4, rows)

    def __len__(self) -> int:
        return len(self.times)

    def __getitem__(self, i: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Picture `i`, `(height, width, 3)` uint8 RGB."""
        picture: Array = simplejpeg.decode_jpeg(self.encoded(i), "RGB")
        return picture

    def encoded(self, i: int) -> bytes:
        """Picture `i` as the JPEG bytes that were recorded."""
        n = len(self)
        if not -n <= i < n:
            raise IndexError(f"picture {i} of camera {self.name!r}, which has {n}")
        return self._image.chunk(i % n)

    @property
    def sizes(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Encoded bytes of each picture, `(pictures,)`."""
        return self._image.sizes()

    @property
    def t_ns(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Host time of each exposure [ns]."""
        return self.times["t_ns"]

    @property
    def t_device_ns(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Time of each exposure on the camera's clock [ns]."""
        return self.times["t_device_ns"]

    @property
    def t_receive_ns(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Arrival of each picture at the host [ns]."""
        return self.times["t_receive_ns"]

    @property
    def seq(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """Number the camera gave each picture."""
        return self.times["seq"]


class Episode:
    """One recorded take.

    Args:
        path: Directory of the episode.
        allow_unfinished: Also open an episode that is still being recorded or was not repaired;
            it then shows only what is in chunks.

    Attributes:
        id: Name of the episode.
        path: Its directory.
        attributes: Its attributes, with later labels merged in.

    Raises:
        EpisodeNotFoundError: When there is none at `path`.
        UnfinishedEpisodeError: When it is not whole and that was not asked for.
    """

    def __init__(self, path: Path | str, *, allow_unfinished: bool = False) -> None:
        self.path = Path(path)
        self.id = self.path.name
        try:
            recorded = layout.read_root(self.path)
        except FileNotFoundError as error:
            raise EpisodeNotFoundError(f"no episode at {self.path}") from error
        self.state: State = recorded["state"]
        if self.state == "recording" and not allow_unfinished:
            raise UnfinishedEpisodeError(
                f"episode {self.id} is still being recorded or needs a repair; "
                "open its dataset, or pass allow_unfinished=True to look at it as it is"
            )
        labels = edits.read_labels(self.path.parent.parent).get(self.id, {})
        self.attributes: dict[str, Any] = recorded | labels
        self._chunk_rows: int = recorded["chunk_rows"]
        self._streams = {s["name"]: StreamSpec.from_json(s) for s in recorded["streams"]}
        self._cameras = {c["name"]: CameraSpec.from_json(c) for c in recorded["cameras"]}
        self._rows: dict[str, int] = recorded.get("rows") or self._rows_on_disk()

    def __repr__(self) -> str:
        return f"Episode({str(self.path)!r}, {self.state}, {self.duration_s:.1f} s)"

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the numeric streams."""
        return tuple(self._streams)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return tuple(self._cameras)

    @property
    def start_ns(self) -> int:
        """Earliest time of any row [ns]."""
        return int(self.attributes.get("start_ns", 0))

    @property
    def end_ns(self) -> int:
        """Latest time of any row [ns]."""
        return int(self.attributes.get("end_ns", 0))

    @property
    def duration_s(self) -> float:
        """Time from the earliest to the latest row [s]."""
        return float(self.attributes.get("duration_s", 0.0))

    @property
    def span_ns(self) -> tuple[int, int]:
        """Host time of the part that views and exports use [ns]: all of it unless trimmed."""
        first, last = self.attributes.get("trim_ns", (self.start_ns, self.end_ns))
        return max(int(first), self.start_ns), min(int(last), self.end_ns)

    @property
    def events(self) -> list[Event]:
        """Everything that was marked during the take, in order of arrival."""
        n = self._rows.get(EVENTS, 0)
        if n == 0:
            return []
        shards = {k: _shard(self.path, f"{EVENTS}/{k}", 1, 1) for k in ("t_ns", "kind", "data")}
        stamps = decode_rows(shards["t_ns"].chunk(0), np.dtype("<i8"))
        kinds, data = (decode_text(shards[k].chunk(0)) for k in ("kind", "data"))
        return [
            Event(int(t), k, json.loads(d)) for t, k, d in zip(stamps, kinds, data, strict=True)
        ]

    def stream(self, name: str) -> Stream:
        """A numeric stream.

        Raises:
            UnknownStreamError: When the episode has none of this name.
        """
        if name not in self._streams:
            raise UnknownStreamError("stream", name, self._streams)
        return Stream(self.path, self._streams[name], self._rows[name], self._chunk_rows)

    def camera(self, name: str) -> CameraStream:
        """A camera.

        Raises:
            UnknownStreamError: When the episode has none of this name.
        """
        if name not in self._cameras:
            raise UnknownStreamError("camera", name, self._cameras)
        rows = self._rows[f"{CAMERAS}/{name}"]
        return CameraStream(self.path, self._cameras[name], rows, self._chunk_rows)

    def _rows_on_disk(self) -> dict[str, int]:
        """Rows that every field of a stream has in its chunks, of an unfinished episode."""
        specs = [*self._streams.values(), *(c.times_spec() for c in self._cameras.values())]
        return {
            spec.name: min(
                _rows_in(self.path, f"{spec.name}/{f}", 1 + spec.dtype[f].ndim)
                for f in spec.field_names
                if spec.dtype[f].itemsize
            )
            for spec in specs
        }


def _shard(root: Path, array: str, ndim: int, n_chunks: int) -> ShardReader:
    path = layout.shard_path(root, array, ndim)
    partial = path.with_name(path.name + PARTIAL)
    if not path.exists() and partial.exists():
        return ShardReader(partial, n_chunks, scan(partial).records)
    return ShardReader(path, n_chunks)


def _rows_in(root: Path, array: str, ndim: int) -> int:
    path = layout.shard_path(root, array, ndim)
    partial = path.with_name(path.name + PARTIAL)
    file = path if path.exists() else partial
    return scan(file).rows if file.exists() else 0
