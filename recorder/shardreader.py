"""Random access to the chunks of one sealed shard, mapped or by ranges of an object store."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from recorder.errors import CorruptEpisodeError
from recorder.location import is_local, read_end, read_range
from recorder.shard import CRC

AHEAD_BYTES = 4 << 20
"""Read from an object store at once where chunks are read one after another."""


class ShardReader:
    """Random access to the chunks of one shard.

    Pickles as its path; a map is opened where it is first used, so readers cross both fork and
    spawn.

    Args:
        path: The shard.
        n_chunks: Chunks its index must hold.
        places: Offset and bytes of the chunks of an unsealed shard, which has no index.
    """

    def __init__(
        self,
        path: Path,
        n_chunks: int,
        places: np.ndarray[Any, np.dtype[np.uint64]] | None = None,
    ) -> None:
        self.path = path
        self.n_chunks = n_chunks
        self._places = places
        self._map: mmap.mmap | None = None
        self._index: np.ndarray[Any, np.dtype[np.uint64]] | None = None
        self._span = (0, b"")
        self._last = -2

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_map": None, "_index": None, "_span": (0, b""), "_last": -2}

    def chunk(self, i: int) -> bytes:
        """Encoded bytes of chunk `i`."""
        begin, end = self._bounds(i)
        if self._map is not None:
            return self._map[begin:end]
        ahead = i == self._last + 1
        self._last = i
        return self._fetched(begin, end, self._last_of(i) if ahead else end)

    def chunks(self, first: int, last: int) -> list[bytes]:
        """Encoded bytes of chunks `first` to before `last`; in one request where it is one."""
        bounds = [self._bounds(i) for i in range(first, last)]
        if self._map is not None or not bounds:
            return [self.chunk(i) for i in range(first, last)]
        begin, end = bounds[0][0], max(stop for _, stop in bounds)
        data = read_range(self.path, begin, end)
        return [data[b - begin : e - begin] for b, e in bounds]

    def sizes(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Encoded bytes of each chunk."""
        if self.n_chunks == 0:
            return np.zeros(0, dtype=np.int64)
        return self._opened()[: self.n_chunks, 1].astype(np.int64)

    def _bounds(self, i: int) -> tuple[int, int]:
        offset, nbytes = (int(v) for v in self._opened()[i])
        return offset, offset + nbytes

    def _last_of(self, i: int) -> int:
        """End of the last chunk that is worth reading with chunk `i`."""
        index = self._opened()[i:]
        ends = index.sum(axis=1).astype(np.int64)
        near = ends <= int(index[0, 0]) + AHEAD_BYTES
        return int(ends[near].max(initial=int(ends[0])))

    def _fetched(self, begin: int, end: int, ahead: int) -> bytes:
        start, data = self._span
        if not start <= begin <= end <= start + len(data):
            start, data = self._span = (begin, read_range(self.path, begin, max(end, ahead)))
        return data[begin - start : end - start]

    def _opened(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        if self._index is not None:
            return self._index
        if is_local(self.path):
            with self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self._places is not None:
            self._index = self._places
            return self._index
        nbytes = 16 * self.n_chunks + CRC.size
        footer = read_end(self.path, nbytes) if self._map is None else self._map[-nbytes:]
        index, crc = footer[: -CRC.size], footer[-CRC.size :]
        if len(footer) != nbytes or CRC.pack(google_crc32c.value(index)) != crc:
            raise CorruptEpisodeError(f"{self.path}: index of {self.n_chunks} chunks is damaged")
        self._index = np.frombuffer(index, dtype="<u8").reshape(-1, 2)
        return self._index
