"""The writer of one episode.

What `append` and `append_picture` accepted is in the kernel when they return: a killed process
loses none of it. `sync` makes it durable against power loss.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from recorder import layout
from recorder.episode import Episode
from recorder.errors import (
    SchemaError,
    UnknownStreamError,
    WriteFailedError,
    WriterClosedError,
)
from recorder.journal import Event, EventLog, Journal
from recorder.lock import EpisodeLock
from recorder.schema import (
    CHUNK_ROWS,
    JOURNAL,
    RESERVED,
    SCHEMA_VERSION,
    CameraSpec,
    StreamSpec,
    check_distinct,
    plain_json,
)
from recorder.sealing import seal, settle
from recorder.shard import ShardWriter, Stamps
from recorder.streams import NumericWriter, PictureWriter
from recorder.syncer import Syncer

log = logging.getLogger(__name__)

_SEGMENT_BYTES = 8 << 20
_RESERVE_BYTES = 4 << 20


class EpisodeWriter:
    """One take being recorded; made by `Dataset.begin`, used from one thread.

    Args:
        root: Directory of the episode; must not exist.
        streams: Numeric streams.
        cameras: Cameras.
        attributes: Attributes of the episode (JSON).
        wall_time: Wall time of the start.
        on_finish: Called with the final attributes once the episode is complete.
        segment_bytes: Size at which the tail journal starts a new segment.
        reserve_bytes: Disk space kept back so that a take can still be finished on a full disk.

    Attributes:
        id: Name of the episode.
        path: Its directory.
        failed: Why the disk refused, once it did; later rows are counted as dropped.
        drops: Rows and pictures lost, by stream.
    """

    def __init__(
        self,
        root: Path,
        streams: Sequence[StreamSpec],
        cameras: Sequence[CameraSpec],
        attributes: Mapping[str, Any],
        wall_time: datetime,
        on_finish: Callable[[Mapping[str, Any]], None] | None = None,
        segment_bytes: int = _SEGMENT_BYTES,
        reserve_bytes: int = _RESERVE_BYTES,
    ) -> None:
        check_distinct(streams, cameras)
        self.path = root
        self.id = root.name
        self.failed: WriteFailedError | None = None
        self.drops: Counter[str] = Counter()
        self._specs = (tuple(streams), tuple(cameras))
        self._attributes = _user_attributes(attributes)
        self._own = {
            "schema_version": SCHEMA_VERSION,
            "id": self.id,
            "wall_time": wall_time.isoformat(),
            "chunk_rows": CHUNK_ROWS,
            "streams": [s.to_json() for s in streams],
            "cameras": [c.to_json() for c in cameras],
        }
        self._on_finish = on_finish
        self._open = True
        try:
            self._create(segment_bytes, reserve_bytes)
        except OSError as error:
            shutil.rmtree(root, ignore_errors=True)
            raise WriteFailedError.of(root, error) from error

    def _create(self, segment_bytes: int, reserve_bytes: int) -> None:
        """Build the directory under a hidden name, so that nobody sees it without its lock."""
        streams, cameras = self._specs
        hidden = self.path.with_name(f".begin-{self.id}")
        hidden.mkdir(parents=True)
        self._lock = EpisodeLock(hidden)
        layout.write_root(hidden, self._root_attributes("recording"), None)
        hidden.rename(self.path)
        journal = self.path / JOURNAL
        self._journal = Journal(journal)
        self._events = EventLog(journal)
        self._reserve = journal / "reserve"
        _reserve(self._reserve, reserve_bytes)
        self._streams = {
            s.name: NumericWriter(self.path, s, self._journal, i) for i, s in enumerate(streams)
        }
        self._cameras = {c.name: PictureWriter(self.path, c) for c in cameras}
        numerics, images = list(self._streams.values()), [c.image for c in self._cameras.values()]
        self._syncer = Syncer(self._journal, self._events, numerics, images, segment_bytes)
        empty = layout.nodes(streams, cameras, defaultdict(int))
        self._syncer.run(lambda: layout.write_nodes(self.path, empty))

    @property
    def rows(self) -> dict[str, int]:
        """Rows accepted, by stream."""
        return {name: writer.rows for name, writer in self._streams.items()}

    @property
    def pictures(self) -> dict[str, int]:
        """Pictures accepted, by camera."""
        return {name: writer.image.rows for name, writer in self._cameras.items()}

    @property
    def behind_s(self) -> float:
        """How long the running group commit has taken so far [s]; a slow disk shows here."""
        return self._syncer.behind_s

    def append(self, stream: str, rows: Any) -> None:
        """Record rows of a numeric stream.

        Args:
            stream: Name of the stream.
            rows: `(n,)` structured array, or one row, of the stream's dtype.

        Raises:
            DiskFull, WriteFailedError: Once, when the disk refuses.
            SchemaError: When the dtype is another one.
        """
        writer = self._numeric(stream)
        new = writer.normalise(rows)
        if self.failed is not None:
            self.drops[stream] += len(new)
            return
        before = writer.rows
        with self._failing():
            try:
                writer.append(new)
                self._syncer.rotate()
            except OSError:
                self.drops[stream] += len(new) - (writer.rows - before)
                raise

    def append_picture(
        self, camera: str, payload: bytes, t_ns: int, t_device_ns: int, t_receive_ns: int, seq: int
    ) -> None:
        """Record one encoded picture.

        A payload that is no picture of the camera, or builds on one that is missing, is counted as
        a drop and marked. H.264 pictures before the first key picture of the take belong to what
        came before it: they are left out, and an event says how many.

        Args:
            camera: Name of the camera.
            payload: Bytes in the camera's codec, stored as they are.
            t_ns: Time of the exposure on the host clock.
            t_device_ns: The same on the camera's clock.
            t_receive_ns: Arrival at this host.
            seq: Number the camera gave it.

        Raises:
            DiskFull, WriteFailedError: Once, when the disk refuses.
        """
        writer = self._picture(camera)
        if self.failed is not None:
            self.drops[writer.camera.group] += 1
            return
        with self._failing():
            try:
                passed = writer.append(payload, Stamps(t_ns, t_device_ns, t_receive_ns, seq))
            except OSError:
                self.drops[writer.camera.group] += 1
                raise
        if passed.refused:
            self.drop(writer.camera.group, 1, t_ns, reason=passed.refused)
        elif writer.early and writer.image.rows == 1 and not passed.early:
            data = {"camera": camera, "count": writer.early}
            self.event(t_ns, "before_key_picture", data)

    def event(self, t_ns: int, kind: str, data: Mapping[str, Any] | None = None) -> None:
        """Record that something happened at `t_ns`."""
        self._check_open()
        if self.failed is not None:
            self.drops["events"] += 1
            return
        with self._failing():
            self._events.append(Event(int(t_ns), kind, plain_json(data or {})))

    def drop(self, stream: str, count: int, t_ns: int, reason: str = "") -> None:
        """Count rows that were lost before they reached the recorder, and mark the place."""
        self._check_open()
        self.drops[stream] += count
        self.event(t_ns, "drop", {"stream": stream, "count": int(count), "reason": reason})

    def mark(self, key: str, value: Any) -> None:
        """Set an attribute of the episode now, so that it survives a crash."""
        self._attributes |= _user_attributes({key: value})
        self.event(0, "mark", {"key": key, "value": value})

    def sync(self, *, wait: bool = False) -> None:
        """Start a group commit of everything accepted, in the background; call every 100 ms.

        A call while one still runs does nothing.

        Args:
            wait: Return only when it is on the disk.
        """
        self._check_open()
        if self.failed is not None:
            return
        with self._failing():
            self._syncer.start(wait=wait)

    def finish(self, attributes: Mapping[str, Any] | None = None) -> Episode:
        """Complete the episode.

        Args:
            attributes: More attributes (outcome, clock fits, …).

        Raises:
            DiskFull, WriteFailedError: There is no space even for the index; the episode stays
                unfinished and is repaired at the next start.
        """
        self._check_open()
        self._attributes |= _user_attributes(attributes or {})
        self._await_sync()
        writers: list[NumericWriter | PictureWriter] = list(self._streams.values())
        writers += self._cameras.values()
        streams, cameras = self._specs
        try:
            self._reserve.unlink(missing_ok=True)
            groups = [w.sealed() for w in writers]
            self._syncer.now()
            final = self._root_attributes("complete")
            sealed = seal(self.path, streams, cameras, groups, self._events.read(), final)
        except OSError as error:
            with suppress(OSError):  # a disk that is gone refuses this as well
                self.close()
            raise WriteFailedError.of(self.path, error) from error
        self._open = False
        self._journal.close()
        self._events.close()
        self._syncer.run(lambda: self._settle(sealed.fds))
        self._syncer.stop(wait=False)
        if self._on_finish is not None:
            self._on_finish(sealed.attributes)
        return Episode(self.path)

    def wait_settled(self) -> None:
        """Wait until a finished episode is on the disk as it is (it is safe before that)."""
        self._syncer.stop(wait=True)

    def close(self) -> None:
        """Let go without finishing; the episode is repaired when the dataset is next opened."""
        if not self._open:
            return
        self._open = False
        self._syncer.stop(wait=True)
        for writer in self._all_shards():
            writer.close()
        self._journal.close()
        self._events.close()
        self._lock.let_go()

    def _settle(self, fds: Sequence[int]) -> None:
        try:
            settle(self.path, fds)
            self._lock.release(self.path)
        except OSError:
            log.exception("episode %s is complete but its journal stays", self.id)
            self._lock.let_go()

    def _root_attributes(self, state: str) -> dict[str, Any]:
        found = {**self._own, "state": state, "drops": dict(self.drops), **self._attributes}
        if self.failed is not None:
            error = self.failed
            found["failed"] = {"error": type(error).__name__, "message": str(error)}
        return found

    def _all_shards(self) -> Iterator[ShardWriter]:
        for numeric in self._streams.values():
            yield from numeric.shards.values()
        for camera in self._cameras.values():
            yield from camera.times.shards.values()
            yield camera.image

    def _await_sync(self) -> None:
        try:
            self._syncer.ready(wait=True)
        except OSError as error:
            self._record_failure(error)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Turn the first refusal of the disk into the failed state, and report it."""
        try:
            yield
        except OSError as error:
            raise self._record_failure(error) from error

    def _record_failure(self, error: OSError) -> WriteFailedError:
        self.failed = WriteFailedError.of(self.path, error)
        log.error("%s", self.failed)
        return self.failed

    def _numeric(self, stream: str) -> NumericWriter:
        self._check_open()
        if stream not in self._streams:
            raise UnknownStreamError("stream", stream, self._streams)
        return self._streams[stream]

    def _picture(self, camera: str) -> PictureWriter:
        self._check_open()
        if camera not in self._cameras:
            raise UnknownStreamError("camera", camera, self._cameras)
        return self._cameras[camera]

    def _check_open(self) -> None:
        if not self._open:
            raise WriterClosedError(f"episode {self.id} is closed")


def _user_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    clash = sorted(RESERVED & set(attributes))
    if clash:
        raise SchemaError(f"attributes {clash} are written by the recorder itself")
    plain: dict[str, Any] = plain_json(dict(attributes))
    return plain


def _reserve(path: Path, nbytes: int) -> None:
    """Keep disk space back, to be released when the disk is full."""
    with path.open("wb") as file:
        if nbytes:
            os.posix_fallocate(file.fileno(), 0, nbytes)
