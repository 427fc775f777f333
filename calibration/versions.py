"""Named calibrations on disk: one folder a name, one numbered JSON file a version.

```
profiles/
  ana/0001.json  ana/0002.json  ana/current      `current` holds the number of the version in use
```
Versions are never changed or removed, so an episode can name the one it was recorded with.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from abc import abstractmethod
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from calibration.errors import ProfileFormatError, ProfileNameError, ProfileNotFoundError

SCHEMA_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Named(Protocol):
    """What a store can hold.

    Attributes:
        name: What it is called; the name of its folder.
    """

    @property
    def name(self) -> str:
        """What it is called; the name of its folder."""

    def numbered(self, version: int) -> Self:
        """The same with its version."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""


T = TypeVar("T", bound=Named)


class VersionedStore(Generic[T]):
    """Versions of named calibrations in one directory.

    Args:
        directory: Where they lie; made at the first save.

    Attributes:
        kind: What they are, for messages.
    """

    kind = "calibration"

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)

    def names(self) -> list[str]:
        """Names with at least one version, sorted."""
        if not self.directory.is_dir():
            return []
        return sorted(p.name for p in self.directory.iterdir() if self._versions(p))

    def history(self, name: str) -> list[int]:
        """Versions of a name, oldest first; empty if there is none."""
        return self._versions(self._folder(name))

    def save(self, profile: T) -> T:
        """Write `profile` as the next version of its name, make it current and return it numbered.

        Two processes saving at once get two versions; none overwrites the other.
        """
        folder = self._folder(profile.name)
        folder.mkdir(parents=True, exist_ok=True)
        version = (self._versions(folder) or [0])[-1]
        while True:
            version += 1
            numbered = profile.numbered(version)
            document = {"schema": SCHEMA_VERSION, **numbered.to_dict()}
            if _write(folder / f"{version:04d}.json", json.dumps(document, indent=2), new=True):
                break
        self._set_current(folder, version)
        return numbered

    def load(self, name: str, version: int | None = None) -> T:
        """Read the current version of a name, or the one asked for.

        Raises:
            ProfileNotFoundError: There is no such name or version.
            ProfileFormatError: The file is damaged or of another schema.
        """
        folder = self._folder(name)
        versions = self._versions(folder)
        if not versions:
            raise ProfileNotFoundError(f"no {self.kind} {name!r}; profiles: {self.names()}")
        wanted = self.current(name) if version is None else version
        if wanted not in versions:
            raise ProfileNotFoundError(
                f"{self.kind} {name!r} has no version {wanted}; versions: {versions}"
            )
        return self._read(folder / f"{wanted:04d}.json")

    def current(self, name: str) -> int:
        """Version in use: what `current` says, else the newest.

        Raises:
            ProfileNotFoundError: There is no such name.
        """
        folder = self._folder(name)
        versions = self._versions(folder)
        if not versions:
            raise ProfileNotFoundError(f"no {self.kind} {name!r}; profiles: {self.names()}")
        pointer = folder / "current"
        text = pointer.read_text().strip() if pointer.is_file() else ""
        return int(text) if text.isdigit() and int(text) in versions else versions[-1]

    def use(self, name: str, version: int) -> None:
        """Make an older version current again.

        Raises:
            ProfileNotFoundError: There is no such name or version.
        """
        self.load(name, version)
        self._set_current(self._folder(name), version)

    @staticmethod
    @abstractmethod
    def parse(document: dict[str, Any]) -> T:
        """Read what `to_dict` wrote.

        Raises:
            KeyError: A key is missing.
            ValueError: A value is out of its range.
        """

    def _read(self, path: Path) -> T:
        try:
            document = json.loads(path.read_text())
        except ValueError as error:
            raise ProfileFormatError(f"{path} is not JSON: {error}") from error
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != SCHEMA_VERSION:
            raise ProfileFormatError(
                f"{path} has schema {schema!r}; this version reads {SCHEMA_VERSION}"
            )
        try:
            return self.parse(document)
        except (KeyError, TypeError, ValueError) as error:
            raise ProfileFormatError(f"{path} is not a {self.kind}: {error!r}") from error

    def _folder(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ProfileNameError(
                f"the name {name!r} is not usable: 1 to 64 letters, digits, '.', '_' or '-', "
                "starting with a letter or digit"
            )
        return self.directory / name

    @staticmethod
    def _versions(folder: Path) -> list[int]:
        if not folder.is_dir():
            return []
        return sorted(int(p.stem) for p in folder.glob("*.json") if p.stem.isdigit())

    @staticmethod
    def _set_current(folder: Path, version: int) -> None:
        _write(folder / "current", f"{version:04d}\n", new=False)


def _write(path: Path, text: str, *, new: bool) -> bool:
    """Write a whole file or nothing; with `new`, False if it exists already."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    aside = Path(name)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if not new:
            aside.replace(path)
            return True
        try:
            os.link(aside, path)  # unlike rename, a link never replaces what is there
        except FileExistsError:
            return False
        return True
    finally:
        aside.unlink(missing_ok=True)
