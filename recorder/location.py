"""Where a dataset lies: a directory of this machine, or a URL of an object store, only to be read.

URLs (`s3://bucket/cube`, `gs://…`, `memory://…`) are opened with universal-pathlib, whose paths
behave like those of the standard library and go through fsspec.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from recorder.errors import DatasetError

SCHEME = "://"


def as_path(place: Path | str) -> Path:
    """A path of this machine, or one like it for a URL.

    Raises:
        DatasetError: `universal-pathlib`, or what reads this kind of URL, is not installed.
    """
    if not isinstance(place, str) or SCHEME not in place:
        return Path(place) if isinstance(place, str) else place
    try:
        from upath import UPath

        found = UPath(place)
        _ = found.fs  # what reads this kind of URL is looked for here
    except ImportError as error:
        raise DatasetError(
            f"{place}: cannot be opened ({error}); pip install 'telecap[remote]' and what fsspec "
            "needs for this kind of URL (s3fs, gcsfs, or obstore and its `fsspec.register`)"
        ) from error
    except ValueError as error:
        raise DatasetError(f"{place}: cannot be opened: {error}") from error
    return cast("Path", found)


def is_local(path: Path) -> bool:
    """Whether files at this path can be mapped and written."""
    return isinstance(path, Path)


def read_range(path: Path, start: int, stop: int) -> bytes:
    """Bytes `start` to before `stop` of a remote file."""
    remote = cast("_Remote", path)
    return remote.fs.cat_file(remote.path, start=start, end=stop)


def read_end(path: Path, nbytes: int) -> bytes:
    """The last bytes of a remote file; all of it if it has fewer."""
    size = cast("_Remote", path).fs.size(path=cast("_Remote", path).path)
    return read_range(path, max(size - nbytes, 0), size)


class _FileSystem(Protocol):
    """What is used of fsspec's `AbstractFileSystem`."""

    def cat_file(self, path: str, start: int, end: int) -> bytes:
        """Bytes of a file."""

    def size(self, path: str) -> int:
        """Bytes it has."""


class _Remote(Protocol):
    """What is used of a `UPath` beyond the methods of `Path`."""

    fs: _FileSystem
    path: str
