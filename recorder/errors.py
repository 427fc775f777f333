"""Errors of the recorder: one base class, one class per cause."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path


class RecorderError(Exception):
    """Base of every error raised by `recorder`."""


class SchemaError(RecorderError):
    """A stream, camera or attribute cannot be stored as asked."""


class UnknownStreamError(RecorderError):
    """A stream or camera that the episode does not have."""

    def __init__(self, kind: str, name: str, existing: Iterable[str]) -> None:
        self.name = name
        self.existing = tuple(existing)
        super().__init__(f"no {kind} {name!r} in the episode; it has {list(self.existing)}")


class WriterClosedError(RecorderError):
    """A finished episode writer was used again."""


class WriteFailedError(RecorderError):
    """The disk refused a write; what was accepted before is kept.

    Attributes:
        errno: Error number of the operating system.
    """

    def __init__(self, path: Path, cause: OSError) -> None:
        self.path = path
        self.errno = cause.errno
        super().__init__(f"cannot write {path}: {cause.strerror}; rows accepted before are kept")

    @classmethod
    def of(cls, path: Path, cause: OSError) -> WriteFailedError:
        """The error that says why: `DiskFull` where no room is left."""
        return (DiskFull if cause.errno in _FULL else WriteFailedError)(path, cause)


class DiskFull(WriteFailedError):  # noqa: N818 (named by the contract between the packages)
    """No space, quota or file size is left for the recording."""


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class EpisodeNotFoundError(RecorderError):
    """No episode of this name or at this path."""


class UnfinishedEpisodeError(RecorderError):
    """The episode is still being recorded, or its writer died and it was not repaired yet."""


class EpisodeBusyError(RecorderError):
    """A live process holds the episode."""


class CorruptEpisodeError(RecorderError):
    """Stored bytes contradict their checksum or their metadata."""


class DatasetError(RecorderError):
    """The directory is not a dataset this version can read."""
