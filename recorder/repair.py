"""Finish what a killed writer left: every intact row and picture, nothing earlier touched.

Rows in chunks are found by scanning the shards; rows in the tail journal follow them. A stream ends
where the first of its fields ends. A picture or chunk that is damaged in the middle is left out of
all fields and counted as a drop; what follows it stays. Bytes that are no intact record are moved
to `.lost/`, not deleted. Every step may be interrupted and repeated.
"""

from __future__ import annotations

import logging
import os
import shutil
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from recorder import layout
from recorder.catalog import EPISODES, catalogue, listed_episodes
from recorder.errors import CorruptEpisodeError, EpisodeBusyError
from recorder.h264 import is_key
from recorder.journal import Event, Tail, read_events, read_tails
from recorder.lock import LOCK_FILE, EpisodeLock
from recorder.pictures import group_of, picture_dtype
from recorder.schema import EVENTS, JOURNAL, SETTLED, CameraSpec, StreamSpec
from recorder.sealing import SealedGroup, seal, settle
from recorder.shard import (
    PARTIAL,
    Record,
    Scan,
    ShardWriter,
    decode_rows,
    encode_rows,
    is_index,
    rescan,
)

log = logging.getLogger(__name__)

_LOST = ".lost"


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair saved.

    Attributes:
        id: Name of the episode.
        rows: Rows of numeric streams.
        pictures: Pictures.
        lost_bytes: Bytes that belong to no intact row; kept in `.lost/` of the episode.
    """

    id: str
    rows: int
    pictures: int
    lost_bytes: int


def repair_dataset(root: Path | str) -> list[Repaired]:
    """Repair every unfinished episode of a dataset that no live writer holds.

    An episode that cannot be repaired now (the disk is full, or what describes it is damaged) is
    left as it is and logged.
    """
    found = []
    listed = listed_episodes(Path(root))
    for path in sorted((Path(root) / EPISODES).iterdir()):
        if path.name in listed and not _has_traces(path):
            continue
        try:
            repaired = repair_episode(path)
        except EpisodeBusyError:
            continue
        except (OSError, CorruptEpisodeError) as error:
            log.error("cannot repair %s: %s", path, error)
            continue
        if repaired is not None:
            catalogue(Path(root), layout.read_root(path))
            found.append(repaired)
    return found


def repair_episode(root: Path) -> Repaired | None:
    """Finish one episode; None when there was nothing to do.

    Raises:
        EpisodeBusyError: A live process writes it.
        OSError: The disk refused; the episode is as repairable as before.
    """
    if not _needs_repair(root):
        return None
    lock = EpisodeLock(root)
    try:
        if root.name.startswith("."):  # killed before the first row: nothing in it
            shutil.rmtree(root)
            return None
        repaired = _repair(root, layout.read_root(root))
        shutil.rmtree(root / SETTLED, ignore_errors=True)
        (root / LOCK_FILE).unlink(missing_ok=True)
    finally:
        lock.let_go()
    return repaired


def _has_traces(root: Path) -> bool:
    """Whether files lie there that a finished writer removes."""
    return (root / LOCK_FILE).exists() or (root / JOURNAL).exists()


def _needs_repair(root: Path) -> bool:
    if _has_traces(root):
        return True
    if not (root / layout.METADATA).exists():
        return False
    return bool(layout.read_root(root)["state"] == "recording")


def _repair(root: Path, attributes: dict[str, Any]) -> Repaired | None:
    if attributes["state"] != "recording" and not (root / JOURNAL).exists():
        return None
    streams = [StreamSpec.from_json(s) for s in attributes["streams"]]
    cameras = [CameraSpec.from_json(c) for c in attributes["cameras"]]
    tails = read_tails(root / JOURNAL, {i: s.dtype for i, s in enumerate(streams)})
    salvage = _Salvage(root, attributes["chunk_rows"])
    groups = [salvage.stream(s, tails.get(i)) for i, s in enumerate(streams)]
    groups += [salvage.camera(c) for c in cameras]
    events = read_events(root / JOURNAL)
    begin_ns = min((g.span_ns[0] for g in groups if g.span_ns is not None), default=0)
    events += [replace(event, t_ns=begin_ns) for event in salvage.drops]
    counts = {g.name: g.rows for g in groups}
    promised = {k: n for k, n in attributes.get("rows", {}).items() if k != EVENTS}
    whole = attributes["state"] != "recording" and counts == promised
    final = dict(attributes)
    if not whole:
        recovery = {"lost_bytes": salvage.lost_bytes, "rows": counts}
        final = _with_events(final, events) | {"state": "recovered", "recovery": recovery}
        log.warning("recovered episode %s: %s", root.name, recovery)
    settle(root, seal(root, streams, cameras, groups, events, final).fds)
    if whole:  # the power failed between sealing and settling: it cost nothing
        return None
    pictures = sum(counts[c.group] for c in cameras)
    return Repaired(root.name, sum(counts.values()) - pictures, pictures, salvage.lost_bytes)


def _with_events(attributes: Mapping[str, Any], events: list[Event]) -> dict[str, Any]:
    """Attributes as the writer would have stored them: marks and drop counts come from events."""
    found = dict(attributes)
    drops: dict[str, int] = {}
    for event in events:
        if event.kind == "mark":
            found[event.data["key"]] = event.data["value"]
        elif event.kind == "drop":
            stream = event.data["stream"]
            drops[stream] = drops.get(stream, 0) + event.data["count"]
    return found | {"drops": drops}


class _Salvage:
    """Collects the intact rows of one episode and makes its shards ready to seal."""

    def __init__(self, root: Path, chunk_rows: int) -> None:
        self.root = root
        self.chunk_rows = chunk_rows
        self.lost_bytes = 0
        self.drops: list[Event] = []

    def stream(self, spec: StreamSpec, tail: Tail | None, renew: bool = False) -> SealedGroup:
        """One numeric stream: chunks, then the rows of the journal that follow them.

        Args:
            spec: The stream.
            tail: Rows that follow the chunks.
            renew: Take all rows from the tail, which begins with the first, and none from chunks.
        """
        scans: dict[str, tuple[Path, Scan]] = {}
        for name in spec.field_names:
            if spec.dtype[name].itemsize:
                array = f"{spec.name}/{name}"
                path, found = self._scan(array, 1 + spec.dtype[name].ndim)
                scans[name] = (path, Scan((), 0, found.size) if renew else found)
        lost = _holes([found for _, found in scans.values()], self.chunk_rows)
        if lost:
            self._dropped(spec.name, len(lost) * self.chunk_rows)
            scans = {n: (p, _without(f, lost, self.chunk_rows)) for n, (p, f) in scans.items()}
            tail = _moved_up(tail, lost, self.chunk_rows)
        rows = min(_reach(found.rows, tail) for _, found in scans.values())
        shards = []
        for name, (path, found) in scans.items():
            shard = self._complete(path, found, spec.dtype[name], rows, _column(tail, name))
            shards.append((shard, layout.slots(rows, self.chunk_rows)))
        times = next((shard for shard, _ in shards if shard.path.parts[-3] == "t_ns"), None)
        return SealedGroup(spec.name, rows, shards, self._span(times, rows))

    def camera(self, camera: CameraSpec) -> SealedGroup:
        """One camera: its record headers are the journal of its times."""
        per_chunk = group_of(camera.codec)
        array, ndim = f"{camera.group}/image", 1 + picture_dtype(camera).ndim
        path, found = self._scan(array, ndim)
        records, keys = list(found.records), list[int]()
        if per_chunk > 1:
            records, keys = self._decodable(path, found, array)
        spec = camera.times_spec()
        stamps = np.array([r.stamps for r in records], dtype=spec.dtype)
        lost = found.rows - len(records)
        if lost:
            self._dropped(camera.group, lost)
        group = self.stream(spec, Tail(0, stamps), renew=lost > 0)
        image = ShardWriter(path, per_chunk)
        records = [replace(record, first_row=i) for i, record in enumerate(records[: group.rows])]
        image.resume(records, [k for k in keys if k < group.rows])
        shards = [*group.shards, (image, layout.slots(group.rows, per_chunk))]
        return SealedGroup(group.name, group.rows, shards, group.span_ns)

    def _decodable(self, path: Path, found: Scan, array: str) -> tuple[list[Record], list[int]]:
        """Records of video that can still be decoded, in a file without holes; and the key ones.

        Pictures behind a hole build on what it held, up to the next key picture: their bytes are
        put aside as well.
        """
        partial = path.with_name(path.name + PARTIAL)
        kept: list[Record] = []
        keys: list[int] = []
        orphans: list[Record] = []
        if not found.records:
            return kept, keys
        with partial.open("rb") as file:
            decodable, expected = False, 0
            for record in found.records:
                key = is_key(record.payload(file))
                decodable = key or (decodable and record.first_row == expected)
                expected = record.first_row + 1
                if key:
                    keys.append(len(kept))
                (kept if decodable else orphans).append(record)
            if orphans:
                self._keep_lost(array, [r.payload(file) for r in orphans])
        if found.damaged or orphans:
            kept = _rewritten(partial, kept)
        return kept, keys

    def _scan(self, array: str, ndim: int) -> tuple[Path, Scan]:
        """Scan a shard, sealed or not, and put bytes aside that are no intact record."""
        path = layout.shard_path(self.root, array, ndim)
        partial = path.with_name(path.name + PARTIAL)
        if path.exists() and not partial.exists():
            path.replace(partial)
        found = rescan(partial) if partial.exists() else Scan((), 0, 0)
        if found.size > found.intact or found.damaged:
            with partial.open("rb") as file:
                spans = [*found.damaged, (found.intact, found.size)]
                parts = [_read(file, *span) for span in spans]
            if is_index(parts[-1]):
                parts.pop()
            if any(parts):
                self._keep_lost(array, parts)
        return path, found

    def _keep_lost(self, array: str, parts: Sequence[bytes]) -> None:
        """Put bytes aside that no row can hold."""
        data = b"".join(parts)
        self.lost_bytes += len(data)
        name = array.replace("/", ".")
        lost = self.root / _LOST / f"{name}.bin"
        lost.parent.mkdir(exist_ok=True)
        number = 1
        while lost.exists() and lost.read_bytes() != data:
            number += 1
            lost = lost.with_name(f"{name}.{number}.bin")
        with lost.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _dropped(self, stream: str, count: int) -> None:
        data = {"stream": stream, "count": count, "reason": "damaged on disk"}
        self.drops.append(Event(0, "drop", data))

    def _complete(
        self, path: Path, found: Scan, dtype: np.dtype[Any], rows: int, tail: Tail | None
    ) -> ShardWriter:
        """Bring the shard of one field to `rows` rows."""
        shard = ShardWriter(path)
        if found.rows >= rows:
            shard.resume([r for r in found.records if r.first_row < rows])
            return shard
        whole = [r for r in found.records if r.n_rows == self.chunk_rows]
        pending = self._pending(shard.partial, found, len(whole), dtype)
        assert tail is not None  # only the tail reaches beyond the chunks
        pending = np.concatenate([pending, tail.rows[found.rows - tail.first_row :]])
        pending = pending[: rows - len(whole) * self.chunk_rows]
        shard.resume(whole)
        for start in range(0, len(pending), self.chunk_rows):
            part = pending[start : start + self.chunk_rows]
            shard.append(encode_rows(part, self.chunk_rows), len(part))
        return shard

    def _pending(
        self, path: Path, found: Scan, n_whole: int, dtype: np.dtype[Any]
    ) -> np.ndarray[Any, Any]:
        """Rows of a last short chunk, which is written again."""
        if n_whole == len(found.records):
            return np.zeros((0, *dtype.shape), dtype=dtype.base)
        last = found.records[-1]
        with path.open("rb") as file:
            file.seek(last.offset)
            return decode_rows(file.read(last.nbytes), dtype)[: last.n_rows]

    def _span(self, times: ShardWriter | None, rows: int) -> tuple[int, int] | None:
        """First and last `t_ns`, from the shard that was just completed."""
        if rows == 0 or times is None:
            return None
        ends = []
        with times.partial.open("rb") as file:
            for row in (0, rows - 1):
                offset, nbytes = times.place(row // self.chunk_rows)
                chunk = decode_rows(_read(file, offset, offset + nbytes), np.dtype("<i8"))
                ends.append(int(chunk[row % self.chunk_rows]))
        return ends[0], ends[1]


def _rewritten(partial: Path, records: Sequence[Record]) -> list[Record]:
    """Copy records to a file of their own that takes the place of `partial`; where they are now."""
    copy = partial.with_name(partial.name + ".copy")
    copy.with_name(copy.name + PARTIAL).unlink(missing_ok=True)  # of a repair that was killed
    writer = ShardWriter(copy)
    with partial.open("rb") as file:
        for record in records:
            writer.append(record.payload(file), record.n_rows, record.stamps)
    os.fdatasync(writer.fd)
    writer.close()
    writer.partial.replace(partial)
    return list(rescan(partial).records)


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _holes(scans: Sequence[Scan], chunk_rows: int) -> list[int]:
    """Chunks that are damaged in any field while a later one of it is intact, ascending."""
    lost: set[int] = set()
    for found in scans:
        there = {record.first_row // chunk_rows for record in found.records}
        lost |= set(range(max(there, default=-1) + 1)) - there
    return sorted(lost)


def _without(found: Scan, lost: Sequence[int], chunk_rows: int) -> Scan:
    """A scan without those chunks; later ones move up."""
    kept = []
    for record in found.records:
        chunk = record.first_row // chunk_rows
        if chunk not in lost:
            up = bisect_left(lost, chunk) * chunk_rows
            kept.append(replace(record, first_row=record.first_row - up))
    return replace(found, records=tuple(kept))


def _moved_up(tail: Tail | None, lost: Sequence[int], chunk_rows: int) -> Tail | None:
    """A tail behind chunks that were left out; what it holds of those rows goes with them."""
    if tail is None:
        return None
    begin = max(tail.first_row, (lost[-1] + 1) * chunk_rows)
    return Tail(begin - len(lost) * chunk_rows, tail.rows[begin - tail.first_row :])


def _reach(rows: int, tail: Tail | None) -> int:
    """Rows a field can have: its chunks and what the journal adds without a hole."""
    return max(rows, tail.end) if tail is not None and tail.first_row <= rows else rows


def _column(tail: Tail | None, name: str) -> Tail | None:
    return None if tail is None else Tail(tail.first_row, tail.rows[name])
