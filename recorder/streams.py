"""Writers of one numeric stream and of one camera, inside an open episode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recorder.errors import SchemaError
from recorder.journal import Journal
from recorder.layout import shard_path, slots
from recorder.pictures import Passed, gate_of, group_of, picture_dtype
from recorder.schema import CHUNK_ROWS, CameraSpec, StreamSpec
from recorder.sealing import SealedGroup
from recorder.shard import KEPT_PICTURES, ShardWriter, Stamps, encode_rows

Rows = np.ndarray[Any, np.dtype[np.void]]


def open_shards(root: Path, spec: StreamSpec) -> dict[str, ShardWriter]:
    """One shard per field; a field without elements (`(0,)`) has none."""
    return {
        name: ShardWriter(shard_path(root, f"{spec.name}/{name}", 1 + spec.dtype[name].ndim))
        for name in spec.field_names
        if spec.dtype[name].itemsize
    }


def open_image(root: Path, camera: CameraSpec) -> ShardWriter:
    """The shard of a camera's pictures."""
    path = shard_path(root, f"{camera.group}/image", 1 + picture_dtype(camera).ndim)
    return ShardWriter(path, group_of(camera.codec), KEPT_PICTURES)


class NumericWriter:
    """Rows of one stream: to the journal at once, to the fields' shards a chunk at a time.

    Attributes:
        rows: Rows accepted.
        shards: Shard of each field.
    """

    def __init__(self, root: Path, spec: StreamSpec, journal: Journal | None, number: int) -> None:
        self.spec = spec
        self.shards = open_shards(root, spec)
        self.rows = 0
        self._journal = journal
        self._number = number
        self._buffer = np.zeros(CHUNK_ROWS, dtype=spec.dtype)
        self._fill = 0
        self._span: tuple[int, int] | None = None

    def normalise(self, rows: Any) -> Rows:
        """`rows` as a `(n,)` array of the stream's dtype.

        Raises:
            SchemaError: When the fields differ.
        """
        given = np.atleast_1d(np.asarray(rows))
        if given.dtype == self.spec.dtype:
            return given
        want, have = self.spec.dtype, given.dtype
        same = have.names == want.names and all(have[n] == want[n] for n in want.names or ())
        if not same or given.ndim != 1:
            raise SchemaError(f"stream {self.spec.name!r} has rows of {want}, got {have}")
        return given.astype(want)

    def append(self, rows: Rows) -> None:
        """Accept rows.

        Raises:
            OSError: The disk refused; `rows` tells how many were accepted.
        """
        if self._journal is not None:
            self._journal.append(self._number, self.rows, rows)
        while len(rows):
            part = rows[: CHUNK_ROWS - self._fill]
            self._buffer[self._fill : self._fill + len(part)] = part
            self._fill += len(part)
            self.rows += len(part)
            first = int(part["t_ns"][0]) if self._span is None else self._span[0]
            self._span = (first, int(part["t_ns"][-1]))
            rows = rows[len(part) :]
            if self._fill == CHUNK_ROWS:
                self.flush()

    def tail(self) -> tuple[int, int, Rows]:
        """Stream number, first row and the rows that are in no chunk yet."""
        return self._number, self.rows - self._fill, self._buffer[: self._fill]

    def flush(self) -> None:
        """Write the waiting rows as a chunk to each field that does not have them yet."""
        first = self.rows - self._fill
        for name, shard in self.shards.items():
            if self._fill and shard.rows == first:
                shard.append(encode_rows(self._buffer[name][: self._fill], CHUNK_ROWS), self._fill)
        self._fill = 0

    def sealed(self) -> SealedGroup:
        """Write the last rows."""
        self.flush()
        n_chunks = slots(self.rows, CHUNK_ROWS)
        shards = [(shard, n_chunks) for shard in self.shards.values()]
        return SealedGroup(self.spec.name, self.rows, shards, self._span)


class PictureWriter:
    """Pictures of one camera: one record per picture, whose header also carries its times.

    Attributes:
        times: Writer of the numeric arrays beside the pictures.
        image: Shard of the pictures.
        early: Pictures left out because they build on one from before the take.
    """

    def __init__(self, root: Path, camera: CameraSpec) -> None:
        self.camera = camera
        self.image = open_image(root, camera)
        self.times = NumericWriter(root, camera.times_spec(), None, -1)
        self.early = 0
        self._gate = gate_of(camera)
        self._row = np.zeros(1, dtype=self.times.spec.dtype)

    def append(self, payload: bytes, stamps: Stamps) -> Passed:
        """Store one encoded picture, unless it is none of this camera."""
        passed = self._gate.check(payload, stamps.seq)
        if passed.early:
            self.early += 1
        elif not passed.refused:
            self.image.append(payload, 1, stamps, key=passed.key)
            self._row[0] = stamps
            self.times.append(self._row)
        return passed

    def sealed(self) -> SealedGroup:
        """Write the last times."""
        group = self.times.sealed()
        n_chunks = slots(group.rows, group_of(self.camera.codec))
        return replace(group, shards=[*group.shards, (self.image, n_chunks)])
