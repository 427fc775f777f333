"""What made a recording: versions of telecap and of what it computes with, kept with every take."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("telecap", "numpy", "pin", "mujoco", "numba", "daqp", "zarr", "av", "simplejpeg")
GIT_TIMEOUT_S = 2.0


@cache
def provenance() -> dict[str, Any]:
    """Versions of packages, of Python and the system, and the git commit of a working copy.

    `git` is empty where telecap was installed from a package; it ends with `+` where files were
    changed after the commit.
    """
    return {
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "git": git_commit(Path(__file__).resolve().parent.parent),
    }


def git_commit(root: Path) -> str:
    """Commit of a working copy, with `+` behind it where files differ; empty where it is none."""
    if not (root / ".git").exists():
        return ""
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return commit + "+" * bool(commit and changed)


def digest(value: Any) -> str:
    """SHA-256 of JSON data, whatever the order of its keys; empty for None."""
    if value is None:
        return ""
    plain = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - no input of others in it
            command, capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
