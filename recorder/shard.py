"""An append-only Zarr v3 shard: the journal is the shard.

    file = (record header, encoded chunk)*  then  (offset, nbytes)*, crc32c of that index

Headers lie in the gaps that `sharding_indexed` permits, because its index holds explicit offsets.
A file without the index is a journal that can be scanned; with it, it is a standard shard.

Video groups several records into one chunk: from the header of the key record at which decoding
starts to the end of the chunk's last record. Such chunks may share records; what reads them walks
the headers inside.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import google_crc32c
import numpy as np
from numcodecs import zstd  # type: ignore[import-untyped]

from recorder.errors import CorruptEpisodeError

MAGIC = b"TELECAP1"
_HEADER = struct.Struct("<8sQIIqqqQII")
"""Magic, first row, rows, payload bytes, four stamps, payload crc32c, crc32c of the header."""
CRC = struct.Struct("<I")
PARTIAL = ".partial"
KEPT, KEPT_PICTURES = 2048, 65536
"""Places of records a writer remembers, of a field and of a camera; those of longer takes are read
from their headers at the end, so that memory does not grow with a take."""


class Stamps(NamedTuple):
    """Times of one picture [ns] and its sequence number; zero for numeric chunks."""

    t_ns: int = 0
    t_device_ns: int = 0
    t_receive_ns: int = 0
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """One intact record: where its payload lies and which rows it holds."""

    offset: int
    nbytes: int
    first_row: int
    n_rows: int
    stamps: Stamps

    @property
    def end(self) -> int:
        """First byte after the record."""
        return self.offset + self.nbytes

    def payload(self, file: BinaryIO) -> bytes:
        """What the record holds, from the open shard."""
        file.seek(self.offset)
        return file.read(self.nbytes)


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan of a shard found.

    Attributes:
        records: Intact records from the start, without a hole.
        intact: Bytes they take.
        size: Bytes of the file.
        damaged: Start and end of stretches between records that are none; only `rescan` goes on
            behind them, and its records may leave out rows.
    """

    records: tuple[Record, ...]
    intact: int
    size: int
    damaged: tuple[tuple[int, int], ...] = ()

    @property
    def rows(self) -> int:
        """Rows in the intact records."""
        return self.records[-1].first_row + self.records[-1].n_rows if self.records else 0

    @property
    def places(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """Offset and bytes of each record's payload, `(records, 2)`."""
        pairs = [(r.offset, r.nbytes) for r in self.records]
        return np.array(pairs, dtype=np.uint64).reshape(-1, 2)


def write_all(fd: int, buffers: Sequence[bytes | memoryview]) -> int:
    """Append all buffers to `fd`; on an error the file is cut back to where it was.

    Raises:
        OSError: As the operating system says (disk full, quota, I/O).
    """
    start = os.lseek(fd, 0, os.SEEK_END)
    total = sum(len(b) for b in buffers)
    try:
        written = os.writev(fd, buffers)
        if written < total:
            _write_rest(fd, b"".join(buffers)[written:])
    except OSError:
        os.ftruncate(fd, start)
        raise
    return total


def _write_rest(fd: int, rest: bytes) -> None:
    while rest:
        rest = rest[os.write(fd, rest) :]


class ShardWriter:
    """Appends encoded chunks to `<path>.partial`; `seal` adds the index, `publish` renames.

    Args:
        path: The shard when it is published.
        per_chunk: Records that one chunk of the index groups, from the key record before them.
        kept: Places that are remembered.

    Attributes:
        rows: Rows written, the first row of the next record.
        dirty: Written since the last `take_dirty`.
    """

    def __init__(self, path: Path, per_chunk: int = 1, kept: int | None = None) -> None:
        self.path = path
        self._per_chunk = per_chunk
        self._keys = array("Q")
        self.partial = path.with_name(path.name + PARTIAL)
        self.partial.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self.fd = os.open(self.partial, flags, 0o644)
        self.rows = 0
        self.dirty = False
        self._index = array("Q")
        self._kept = KEPT if kept is None else kept
        self._size = 0
        self.n_records = 0
        """Records written."""

    def resume(self, records: Sequence[Record], keys: Sequence[int] = ()) -> None:
        """Continue after records found by a scan; the file is cut behind the last of them.

        Args:
            records: Records to keep, from the first on.
            keys: Which of them (by number) decoding can start from; for grouped records.
        """
        self._keys = array("Q", keys)
        self._size = records[-1].end if records else 0
        os.ftruncate(self.fd, self._size)
        self._index = array("Q", [v for r in records for v in (r.offset, r.nbytes)])
        self._kept = sys.maxsize  # what was scanned is known anyhow
        self.n_records = len(records)
        self.rows = records[-1].first_row + records[-1].n_rows if records else 0

    def place(self, record: int) -> tuple[int, int]:
        """Offset and bytes of a record's payload; of a shard that was resumed."""
        return self._index[2 * record], self._index[2 * record + 1]

    def append(
        self,
        payload: bytes,
        n_rows: int = 1,
        stamps: Stamps = Stamps(),  # noqa: B008
        *,
        key: bool = True,
    ) -> None:
        """Write one record that holds the next `n_rows` rows.

        Args:
            payload: Encoded rows.
            n_rows: How many.
            stamps: Times of a picture.
            key: Decoding can start here; asked for where records are grouped.
        """
        written = write_all(self.fd, (_header(self.rows, n_rows, payload, stamps), payload))
        if key and self._per_chunk > 1:
            self._keys.append(self.n_records)
        if self.n_records < self._kept:
            self._index.extend((self._size + _HEADER.size, len(payload)))
        self._size += written
        self.n_records += 1
        self.rows += n_rows
        self.dirty = True

    def seal(self, n_chunks: int) -> None:
        """Append the index of the first `n_chunks` chunks; no chunk, no file is needed."""
        if n_chunks:
            places = self._places()
            if self._per_chunk > 1:
                places = grouped(places, self._keys, self._per_chunk)
            index = places[:n_chunks].tobytes()
            write_all(self.fd, (index, CRC.pack(google_crc32c.value(index))))

    def _places(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """Offset and bytes of each record's payload, `(records, 2)`."""
        known = np.frombuffer(self._index, dtype=np.uint64).reshape(-1, 2)
        if len(known) == self.n_records:
            return known
        places = np.empty((self.n_records, 2), dtype=np.uint64)
        places[: len(known)] = known
        offset = int(known[-1].sum())
        with self.partial.open("rb", buffering=0) as file:
            for record in range(len(known), self.n_records):
                head = os.pread(file.fileno(), _HEADER.size, offset)
                nbytes = _HEADER.unpack(head)[3]
                places[record] = offset + _HEADER.size, nbytes
                offset += _HEADER.size + nbytes
        return places

    def publish(self, n_chunks: int) -> None:
        """Give the sealed file its name in the Zarr array; it stays open, to be synced."""
        if n_chunks:
            self.partial.replace(self.path)
        else:
            self.partial.unlink(missing_ok=True)
            self.close()

    def close(self) -> None:
        """Close the file as it is."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def grouped(
    places: np.ndarray[Any, np.dtype[np.uint64]], keys: Sequence[int], per_chunk: int
) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Chunks of `per_chunk` records each, from their key record's header on.

    Args:
        places: Offset and bytes of each record's payload, `(records, 2)`.
        keys: Numbers of the records decoding can start from, ascending; the first is 0.
        per_chunk: Records of a chunk.

    Returns:
        Offset and bytes of each chunk, `(chunks, 2)`.
    """
    firsts = range(0, len(places), per_chunk)
    starts = [keys[bisect_right(keys, first) - 1] for first in firsts]
    begins = [int(places[start, 0]) - _HEADER.size for start in starts]
    lasts = [min(first + per_chunk, len(places)) - 1 for first in firsts]
    spans = [(b, int(places[k].sum()) - b) for b, k in zip(begins, lasts, strict=True)]
    return np.array(spans, dtype=np.uint64).reshape(-1, 2)


def records_in(chunk: bytes) -> Iterator[tuple[int, bytes]]:
    """First row and payload of each record of a grouped chunk.

    Raises:
        CorruptEpisodeError: The bytes are not a run of whole records.
    """
    offset = 0
    while offset < len(chunk):
        start = offset + _HEADER.size
        if len(chunk) < start or not chunk.startswith(MAGIC, offset):
            raise CorruptEpisodeError("a chunk of pictures does not consist of whole records")
        _, first, _, nbytes, *_ = _HEADER.unpack_from(chunk, offset)
        offset = start + nbytes
        yield first, chunk[start:offset]


def as_records(payloads: Sequence[bytes]) -> bytes:
    """A grouped chunk of its own: records of one row each, numbered from 0."""
    return b"".join(_header(i, 1, p, Stamps()) + p for i, p in enumerate(payloads))


def _header(first_row: int, n_rows: int, payload: bytes, stamps: Stamps) -> bytes:
    crc = google_crc32c.value(payload)
    head = _HEADER.pack(MAGIC, first_row, n_rows, len(payload), *stamps, crc, 0)[:-4]
    return head + CRC.pack(google_crc32c.value(head))


def scan(path: Path) -> Scan:
    """Read records until the first that is not intact or does not continue the rows."""
    size = path.stat().st_size
    if size == 0:
        return Scan((), 0, 0)
    records: list[Record] = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        offset, row = 0, 0
        while (record := _record_at(data, offset)) is not None and record.first_row == row:
            records.append(record)
            offset, row = record.end, row + record.n_rows
    return Scan(tuple(records), offset, size)


def rescan(path: Path) -> Scan:
    """Read all intact records, also behind damage in the middle of the file."""
    size = path.stat().st_size
    if size == 0:
        return Scan((), 0, 0)
    records: list[Record] = []
    damaged: list[tuple[int, int]] = []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        offset, row = 0, 0
        while (found := _next_record(data, offset, row)) is not None:
            start = found.offset - _HEADER.size
            if start > offset:
                damaged.append((offset, start))
            records.append(found)
            offset, row = found.end, found.first_row + found.n_rows
    return Scan(tuple(records), offset, size, tuple(damaged))


def _next_record(data: mmap.mmap, offset: int, row: int) -> Record | None:
    """The first intact record from here on that holds no row before `row`."""
    while offset >= 0:
        record = _record_at(data, offset)
        if record is not None and record.first_row >= row:
            return record
        offset = data.find(MAGIC, offset + 1)
    return None


def _record_at(data: mmap.mmap, offset: int) -> Record | None:
    start = offset + _HEADER.size
    head = data[offset:start]
    if len(head) < _HEADER.size:
        return None
    magic, first, n_rows, nbytes, *stamps, crc, head_crc = _HEADER.unpack(head)
    if magic != MAGIC or head_crc != google_crc32c.value(head[:-4]) or n_rows < 1:
        return None
    payload = data[start : start + nbytes]
    if len(payload) < nbytes or crc != google_crc32c.value(payload):
        return None
    return Record(start, nbytes, first, n_rows, Stamps(*stamps))


def is_index(data: bytes) -> bool:
    """Whether bytes behind the records are a whole shard index."""
    return len(data) % 16 == 4 and data[-4:] == CRC.pack(google_crc32c.value(data[:-4]))


def encode_rows(column: np.ndarray[Any, Any], chunk_rows: int) -> bytes:
    """One chunk of a numeric field: little-endian rows, zero padded to `chunk_rows`, zstd, crc32c.

    Args:
        column: `(n, *shape)` with n ≤ `chunk_rows`, little-endian.
        chunk_rows: Rows of a full chunk.
    """
    data = column.tobytes()
    data += bytes((chunk_rows - len(column)) * (len(data) // len(column)))
    packed: bytes = zstd.compress(data, 1)
    return packed + CRC.pack(google_crc32c.value(packed))


def decode_rows(payload: bytes, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """All rows of a chunk, `(chunk_rows, *dtype.shape)`, padding included.

    Raises:
        CorruptEpisodeError: When the checksum does not fit.
    """
    packed, crc = payload[:-4], payload[-4:]
    if CRC.pack(google_crc32c.value(packed)) != crc:
        raise CorruptEpisodeError("a chunk contradicts its checksum")
    data: bytes = zstd.decompress(packed)
    return np.frombuffer(data, dtype=dtype.base).reshape(-1, *dtype.shape)


def encode_text(texts: Sequence[str]) -> bytes:
    """One chunk of a text column: `vlen-utf8` (count, then length and bytes each), zstd, crc32c."""
    items = [t.encode() for t in texts]
    data = CRC.pack(len(items)) + b"".join(CRC.pack(len(b)) + b for b in items)
    packed: bytes = zstd.compress(data, 1)
    return packed + CRC.pack(google_crc32c.value(packed))


def decode_text(payload: bytes) -> list[str]:
    """What `encode_text` wrote."""
    data: bytes = zstd.decompress(payload[:-4])
    texts, offset = [], 4
    for _ in range(CRC.unpack_from(data)[0]):
        (n,) = CRC.unpack_from(data, offset)
        texts.append(data[offset + 4 : offset + 4 + n].decode())
        offset += 4 + n
    return texts
