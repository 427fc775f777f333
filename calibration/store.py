"""Operator profiles on disk: one folder a name, one numbered JSON file a version.

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
from dataclasses import replace
from pathlib import Path

from calibration.errors import ProfileFormatError, ProfileNameError, ProfileNotFoundError
from calibration.operator import OperatorProfile

SCHEMA_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ProfileStore:
    """Versioned operator profiles in one directory.

    Args:
        directory: Where profiles lie; made at the first save.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)

    def names(self) -> list[str]:
        """Operators with at least one version, sorted."""
        if not self.directory.is_dir():
            return []
        return sorted(p.name for p in self.directory.iterdir() if self._versions(p))

    def history(self, name: str) -> list[int]:
        """Versions of one operator, oldest first; empty if there is none."""
        return self._versions(self._folder(name))

    def save(self, profile: OperatorProfile) -> OperatorProfile:
        """Write `profile` as the next version of its name, make it current and return it numbered.

        Two processes saving at once get two versions; none overwrites the other.
        """
        folder = self._folder(profile.name)
        folder.mkdir(parents=True, exist_ok=True)
        version = (self._versions(folder) or [0])[-1]
        while True:
            version += 1
            numbered = replace(profile, version=version)
            document = {"schema": SCHEMA_VERSION, **numbered.to_dict()}
            if _write(folder / f"{version:04d}.json", json.dumps(document, indent=2), new=True):
                break
        self._set_current(folder, version)
        return numbered

    def load(self, name: str, version: int | None = None) -> OperatorProfile:
        """Read the current version of an operator, or the one asked for.

        Raises:
            ProfileNotFoundError: There is no such operator or version.
            ProfileFormatError: The file is damaged or of another schema.
        """
        folder = self._folder(name)
        versions = self._versions(folder)
        if not versions:
            raise ProfileNotFoundError(f"no operator profile {name!r}; profiles: {self.names()}")
        wanted = self.current(name) if version is None else version
        if wanted not in versions:
            raise ProfileNotFoundError(
                f"operator {name!r} has no version {wanted}; versions: {versions}"
            )
        return _read(folder / f"{wanted:04d}.json")

    def current(self, name: str) -> int:
        """Version in use: what `current` says, else the newest.

        Raises:
            ProfileNotFoundError: There is no such operator.
        """
        folder = self._folder(name)
        versions = self._versions(folder)
        if not versions:
            raise ProfileNotFoundError(f"no operator profile {name!r}; profiles: {self.names()}")
        pointer = folder / "current"
        text = pointer.read_text().strip() if pointer.is_file() else ""
        return int(text) if text.isdigit() and int(text) in versions else versions[-1]

    def use(self, name: str, version: int) -> None:
        """Make an older version current again.

        Raises:
            ProfileNotFoundError: There is no such operator or version.
        """
        self.load(name, version)
        self._set_current(self._folder(name), version)

    def _folder(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ProfileNameError(
                f"operator name {name!r} is not usable: 1 to 64 letters, digits, '.', '_' or '-', "
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


def _read(path: Path) -> OperatorProfile:
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
        return OperatorProfile.from_dict(document)
    except (KeyError, TypeError, ValueError) as error:
        raise ProfileFormatError(f"{path} is not an operator profile: {error!r}") from error


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
