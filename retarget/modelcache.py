"""Compiled MuJoCo models, kept between processes.

Decoding meshes and making their hulls takes most of a rig's loading, and every process of a running
system loads the rig. What a model is made of decides its key: the code that puts it together, the
rig file, and path, size and time of change of every file it reads.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import mujoco

from retarget.caching import cache_dir

KEPT = 24
"""So many models are kept: one has up to 60 MB, mostly of meshes."""
RACY_S = 2.0
"""A file that changed less long ago [s] may change again unseen."""
_CODE = ("assembly.py", "modelcache.py", "rig.py", "spec.py", "urdf.py")
_INCLUDE = re.compile(r"<include\b[^>]*\bfile\s*=\s*[\"']([^\"']+)[\"']")


def files_of(path: Path, spec: Any) -> list[Path]:
    """Every file an MJCF or URDF is made of, as far as its spec tells.

    A name that is no file where MuJoCo would look for it is returned as it is: `key` then refuses.
    """
    found = _included(path)
    for elements, folder in (
        (spec.meshes, spec.meshdir),
        (spec.hfields, spec.meshdir),
        (spec.skins, spec.meshdir),
        (spec.textures, spec.texturedir),
    ):
        for element in elements:
            names = [element.file] if element.file else []
            names += [name for name in getattr(element, "cubefiles", ()) if name]
            found += [_resolved(path.parent, folder, name) for name in names]
    return found


def _included(path: Path) -> list[Path]:
    """A model file and what it includes, by the folder of the main one as MuJoCo has it."""
    found, waiting = [], [path]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.append(file)
        with contextlib.suppress(OSError):
            text = file.read_text(errors="replace")
            waiting += [path.parent / name for name in _INCLUDE.findall(text)]
    return found


def _resolved(model_dir: Path, folder: str, name: str) -> Path:
    """Where MuJoCo looks for a file: beside the model, under its folder for such files."""
    plain = model_dir / folder / name
    return plain if plain.is_file() else model_dir / name


def key(files: Iterable[Path], recipe: Sequence[object]) -> str | None:
    """Digest of all that decides a model; None when a file cannot be found, or is too new.

    Within a second MuJoCo itself takes a file for unchanged, and may compile what it read before.
    """
    digest = hashlib.sha256(f"{mujoco.__version__} {_code()} {list(recipe)!r}".encode())
    for file in sorted(set(files)):
        try:
            state = file.stat()
        except OSError:
            return None
        if time.time() - state.st_mtime < RACY_S:  # of files, so wall time
            return None
        digest.update(f"{file.resolve()} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@functools.cache
def _code() -> str:
    digest = hashlib.sha256()
    for name in _CODE:
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()


def load(name: str) -> Any | None:
    """The kept model of this key; None when there is none, or it cannot be read."""
    folder = cache_dir("models", name, keep=KEPT)
    file = folder / "model.mjb" if folder else None
    if file is None or not file.is_file():
        return None
    try:
        return mujoco.MjModel.from_binary_path(str(file))
    except (ValueError, mujoco.FatalError):
        return None


def save(name: str, model: Any) -> None:
    """Keep a model, whole or not at all; nothing happens where nothing can be written."""
    folder = cache_dir("models", name, keep=KEPT)
    if folder is None:
        return
    with contextlib.suppress(OSError, ValueError, mujoco.FatalError):
        handle, temporary = tempfile.mkstemp(suffix=".mjb", dir=folder)
        os.close(handle)
        try:
            mujoco.mj_saveModel(model, temporary)
            Path(temporary).replace(folder / "model.mjb")
        finally:
            Path(temporary).unlink(missing_ok=True)
