"""Reader of one numeric stream: memory-mapped, random access, safe across fork and spawn."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recorder import layout
from recorder.errors import UnknownStreamError
from recorder.schema import StreamSpec
from recorder.shard import PARTIAL, decode_rows, scan
from recorder.shardreader import ShardReader

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
        self._first = 0
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
            name: open_shard(root, f"{spec.name}/{name}", 1 + spec.dtype[name].ndim, n_chunks)
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
        start, stop = self._first + start, self._first + stop
        first, last = start // self._chunk_rows, layout.slots(stop, self._chunk_rows)
        if start >= stop or dtype.itemsize == 0:
            return np.zeros((max(stop - start, 0), *dtype.shape), dtype=dtype.base)
        shard = self._shards[field]
        chunks = [decode_rows(chunk, dtype) for chunk in shard.chunks(first, last)]
        base = first * self._chunk_rows
        return np.concatenate(chunks)[start - base : stop - base]

    def between(self, first_ns: int, last_ns: int) -> Stream:
        """The same stream with only its rows from the first to the last within these times."""
        t_ns = self.t_ns
        inside = np.flatnonzero((t_ns >= first_ns) & (t_ns <= last_ns))
        found = copy.copy(self)
        found._first = self._first + (int(inside[0]) if len(inside) else 0)
        found._rows = int(inside[-1] - inside[0] + 1) if len(inside) else 0
        return found

    @property
    def first_row(self) -> int:
        """Row of the recorded stream that is this one's first: 0 unless by `between`."""
        return self._first

    def rows(self, start: int = 0, stop: int | None = None) -> np.ndarray[Any, np.dtype[np.void]]:
        """Rows as a structured array, as they were appended."""
        stop = self._rows if stop is None else min(stop, self._rows)
        found = np.zeros(max(stop - start, 0), dtype=self._spec.dtype)
        for field in self._spec.field_names:
            found[field] = self.read(field, start, stop)
        return found


def open_shard(root: Path, array: str, ndim: int, n_chunks: int) -> ShardReader:
    """The shard of an array, sealed or not."""
    path = layout.shard_path(root, array, ndim)
    partial = path.with_name(path.name + PARTIAL)
    if not path.exists() and partial.exists():
        return ShardReader(partial, n_chunks, scan(partial).places)
    return ShardReader(path, n_chunks)
