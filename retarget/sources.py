"""Find a robot's model file: in an installed package, or at the user's own path."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path, PurePosixPath

from retarget.errors import MissingModelPackageError, ModelFileError
from retarget.modelsections import ModelSource
from retarget.rigfile import RigFile


def find_model(rig: str, section: ModelSource, rig_dir: Path) -> Path:
    """Path of the model file of `section`.

    Raises:
        MissingModelPackageError: The package is not installed; says what installs it.
        ModelFileError: The file does not exist.
    """
    if section.package:
        return _in_package(rig, section)
    path = Path(section.path).expanduser()
    path = path if path.is_absolute() else rig_dir / path
    if not path.is_file():
        hint = f"; {section.hint}" if section.hint else ""
        raise ModelFileError(f"rig {rig!r}: no model file {path}{hint}")
    return path.resolve()


def missing_packages(file: RigFile) -> tuple[str, ...]:
    """Commands that install the packages whose models a rig needs and that are not there."""
    absent = [
        source
        for source in (file.model, *file.attach)
        if source.package
        and importlib.util.find_spec(source.package) is None
        and _data_file(_distribution(source), source.path) is None
    ]
    return tuple(dict.fromkeys(_install_command(source) for source in absent))


def _install_command(source: ModelSource) -> str:
    if source.extra:
        return f'pip install "telecap[{source.extra}]"'
    return f"pip install {_distribution(source)}"


def _distribution(source: ModelSource) -> str:
    return source.distribution or source.package.replace("_", "-")


def _in_package(rig: str, section: ModelSource) -> Path:
    """Model file among the modules or the data files of an installed package."""
    install = _install_command(section)
    spec = importlib.util.find_spec(section.package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        candidate = Path(folder) / section.path
        if candidate.is_file():
            return candidate
    data_file = _data_file(_distribution(section), section.path)
    if data_file is not None:
        return data_file
    if spec is None:
        raise MissingModelPackageError(rig, section.package, install)
    raise ModelFileError(
        f"rig {rig!r}: the package {section.package!r} is installed but has no {section.path!r}; "
        f"another version may have it: {install} --upgrade"
    )


def _data_file(distribution: str, path: str) -> Path | None:
    """A data file that a wheel put outside its modules (`share/…`), found from its record."""
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    wanted = PurePosixPath(path).parts
    for file in files:
        if file.parts[-len(wanted) :] == wanted:
            found = Path(str(file.locate())).resolve()
            if found.is_file():
                return found
    return None
