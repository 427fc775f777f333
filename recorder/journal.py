"""The tail journal: rows that are not in a chunk yet, so that a killed writer loses none.

One file per segment, `journal/<n>.log`, holds rows of all numeric streams as they arrive. When a
segment is large a new one starts with the rows still waiting; the old one is deleted once the
chunks that hold its rows are on the disk. Events go to `journal/events.jsonl`, one JSON line each.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from recorder.shard import write_all

_HEADER = struct.Struct("<4sIQIIII")
"""Magic, stream, first row, rows, payload bytes, payload crc32c, crc32c of the header."""
_MAGIC = b"TCJ1"
_EVENTS_FILE = "events.jsonl"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened during the take.

    Attributes:
        t_ns: Host time [ns].
        kind: `drop`, `pause`, `resume`, `mark`, a button, a mode change, …
        data: Details (JSON).
    """

    t_ns: int
    kind: str
    data: Mapping[str, Any]


class Journal:
    """Appends raw rows to the current segment.

    Attributes:
        size: Bytes in the current segment.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self._number = 0
        self.size = 0
        self.fd = -1
        self._open_next()

    def append(self, stream: int, first_row: int, rows: np.ndarray[Any, Any]) -> None:
        """Write rows of stream number `stream`, of which the first is row `first_row`."""
        payload = rows.tobytes()
        crc = google_crc32c.value(payload)
        head = _HEADER.pack(_MAGIC, stream, first_row, len(rows), len(payload), crc, 0)
        head = head[:-4] + struct.pack("<I", google_crc32c.value(head[:-4]))
        self.size += write_all(self.fd, (head, payload))

    def rotate(self, tails: Iterable[tuple[int, int, np.ndarray[Any, Any]]]) -> tuple[Path, int]:
        """Start the next segment with the rows still waiting.

        Returns:
            Path and descriptor of the old one, which the caller closes: a sync of it may be on its
            way, and its last rows may have seen none.
        """
        old = self.path, self.fd
        self._open_next()
        for stream, first_row, rows in tails:
            self.append(stream, first_row, rows)
        return old

    @property
    def path(self) -> Path:
        """Path of the current segment."""
        return self._directory / f"{self._number:06d}.log"

    def close(self) -> None:
        """Close the current segment."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _open_next(self) -> None:
        self._number += 1
        self.size = 0
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self.fd = os.open(self.path, flags, 0o644)


class EventLog:
    """Appends events to a file of JSON lines; they stay there, for a take may last for hours.

    Attributes:
        dirty: Written since it was last synced.
    """

    def __init__(self, directory: Path) -> None:
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self.path = directory / _EVENTS_FILE
        self.fd = os.open(self.path, flags, 0o644)
        self.dirty = False

    def append(self, event: Event) -> None:
        """Write one event."""
        line = json.dumps([event.t_ns, event.kind, dict(event.data)]) + "\n"
        write_all(self.fd, (line.encode(),))
        self.dirty = True

    def read(self) -> list[Event]:
        """All events so far; one that could not be written whole is left out."""
        return read_events(self.path.parent)

    def close(self) -> None:
        """Close the file."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@dataclass(frozen=True, slots=True)
class Tail:
    """Contiguous rows of one stream found in a journal; `rows` starts at row `first_row`."""

    first_row: int
    rows: np.ndarray[Any, Any]

    @property
    def end(self) -> int:
        """One after the last row."""
        return self.first_row + len(self.rows)


def read_tails(directory: Path, dtypes: Mapping[int, np.dtype[Any]]) -> dict[int, Tail]:
    """Rows in all segments, by stream number; torn records at a segment's end are left out."""
    pieces: dict[int, list[Tail]] = {}
    for segment in sorted(directory.glob("*.log")):
        for stream, first_row, payload in _records(segment.read_bytes()):
            rows = np.frombuffer(payload, dtype=dtypes[stream])
            pieces.setdefault(stream, []).append(Tail(first_row, rows))
    return {stream: _joined(found) for stream, found in pieces.items()}


def read_events(directory: Path) -> list[Event]:
    """Events in the journal; a torn last line is left out."""
    path = directory / _EVENTS_FILE
    data = path.read_bytes() if path.exists() else b""
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    return [Event(*json.loads(line)) for line in lines]


def _records(data: bytes) -> Iterable[tuple[int, int, bytes]]:
    offset = 0
    while len(head := data[offset : offset + _HEADER.size]) == _HEADER.size:
        magic, stream, first_row, _, nbytes, crc, head_crc = _HEADER.unpack(head)
        payload = data[offset + _HEADER.size : offset + _HEADER.size + nbytes]
        if magic != _MAGIC or head_crc != google_crc32c.value(head[:-4]):
            return
        if len(payload) < nbytes or crc != google_crc32c.value(payload):
            return
        yield stream, first_row, payload
        offset += _HEADER.size + nbytes


def _joined(pieces: list[Tail]) -> Tail:
    """Pieces in order of writing as one run; a piece may repeat rows, a hole ends the older run."""
    first, end = pieces[0].first_row, pieces[0].first_row
    parts: list[np.ndarray[Any, Any]] = []
    for piece in pieces:
        if piece.first_row > end:
            first, end, parts = piece.first_row, piece.first_row, []
        new = piece.rows[end - piece.first_row :]
        parts.append(new)
        end += len(new)
    return Tail(first, np.concatenate(parts))
