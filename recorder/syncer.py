"""Group commits to the disk in a thread of their own, so that a slow disk never delays intake."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from recorder.journal import EventLog, Journal
from recorder.shard import ShardWriter
from recorder.streams import NumericWriter

_SHARDS_PER_SYNC = 8


@dataclass(slots=True)
class _Retiring:
    """An old journal segment, open, and the shards to sync before it may go."""

    path: Path
    fd: int
    shards: list[ShardWriter]
    synced: bool = False
    covered: bool = False

    def take(self, n: int) -> list[ShardWriter]:
        taken, self.shards = self.shards[:n], self.shards[n:]
        self.covered = not self.shards
        return taken


class Syncer:
    """Makes one open episode durable: journal, events and pictures at every sync.

    Shards of numeric streams are synced a few at a time, and only so that an old segment of the
    journal, which holds the same rows, can be deleted.
    """

    def __init__(
        self,
        journal: Journal,
        events: EventLog,
        numerics: Sequence[NumericWriter],
        images: Sequence[ShardWriter],
        segment_bytes: int,
    ) -> None:
        self._journal = journal
        self._events = events
        self._numerics = numerics
        self._images = images
        self._segment_bytes = segment_bytes
        self._retiring: _Retiring | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="recorder-sync")
        self._job: Future[None] | None = None
        self._started_s = 0.0

    def rotate(self) -> None:
        """Start a new journal segment when this one is large and the last one is gone."""
        if self._journal.size < self._segment_bytes or self._retiring is not None:
            return
        path, fd = self._journal.rotate(writer.tail() for writer in self._numerics)
        shards = [s for n in self._numerics for s in n.shards.values() if s.dirty]
        self._retiring = _Retiring(path, fd, shards)

    def start(self, *, wait: bool) -> None:
        """Start a sync unless one is running; `wait` until all accepted so far is durable.

        Raises:
            OSError: A sync failed.
        """
        if not self.ready(wait=wait):
            return
        self._drop_retired()
        files = tuple(self._take_dirty())
        self.run(lambda: _sync(files))
        if wait:
            self.ready(wait=True)

    def now(self) -> None:
        """Make all accepted rows durable in this thread; call only when `ready`."""
        images = [image.fd for image in self._images if image.dirty]
        old = [] if self._retiring is None else [self._retiring.fd]
        _sync((*old, self._journal.fd, self._events.fd, *images))

    def ready(self, *, wait: bool = False) -> bool:
        """Whether no job is running; raises the OSError of one that failed."""
        if self._job is None:
            return True
        if not wait and not self._job.done():
            return False
        job, self._job = self._job, None
        job.result()
        return True

    def run(self, job: Callable[[], None]) -> None:
        """Run slow work on the disk in the thread; call only when `ready`."""
        self._started_s = time.monotonic()
        self._job = self._pool.submit(job)

    @property
    def behind_s(self) -> float:
        """How long the job has been running that runs now [s]."""
        running = self._job is not None and not self._job.done()
        return time.monotonic() - self._started_s if running else 0.0

    def stop(self, *, wait: bool) -> None:
        """End the thread after its work; `wait` for that."""
        if self._retiring is not None:
            self._pool.submit(os.close, self._retiring.fd)
            self._retiring = None
        self._pool.shutdown(wait=wait)

    def _take_dirty(self) -> list[int]:
        """Files to sync now: journal, events, pictures, and some shards the old journal covers."""
        files = [self._journal.fd]
        if self._events.dirty:
            files.append(self._events.fd)
            self._events.dirty = False
        shards = [image for image in self._images if image.dirty]
        if self._retiring is not None:
            if not self._retiring.synced:  # it grew since the last sync
                files.insert(0, self._retiring.fd)
                self._retiring.synced = True
            shards += self._retiring.take(_SHARDS_PER_SYNC)
        for shard in shards:
            shard.dirty = False
            files.append(shard.fd)
        return files

    def _drop_retired(self) -> None:
        """Delete the old segment once a finished sync covered the last shard that needs it."""
        if self._retiring is not None and self._retiring.covered:
            os.close(self._retiring.fd)
            self._retiring.path.unlink()
            self._retiring = None


def _sync(fds: Sequence[int]) -> None:
    for fd in fds:
        os.fdatasync(fd)
