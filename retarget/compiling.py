"""Compile kernels ahead of their use, and keep what was compiled between processes.

numba notices a changed kernel only by the file it is in, yet kernels call each other across files.
So what is kept lies in a folder named after the content of all of them.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

from retarget.caching import cache_dir

Function = TypeVar("Function", bound=Callable[..., Any])

KERNELS = Path(__file__).parent / "kernels"


def jit(function: Function) -> Function:
    """Compile at the first call, strictly IEEE, and keep the code where it can be kept."""
    folder = _folder()
    if folder is None:  # nothing can be written: every process compiles for itself
        uncached: Function = numba.njit(error_model="numpy")(function)
        return uncached
    before = numba.config.CACHE_DIR  # read by numba when a function is decorated, not later
    numba.config.CACHE_DIR = str(folder)
    try:
        compiled: Function = numba.njit(cache=True, error_model="numpy")(function)
    finally:
        numba.config.CACHE_DIR = before
    return compiled


@functools.cache
def _folder() -> Path | None:
    """The folder of this content of the kernels; None where it cannot be written."""
    digest = hashlib.sha256(numba.__version__.encode())
    for file in sorted(KERNELS.glob("*.py")):
        digest.update(file.read_bytes())
    return cache_dir("kernels", digest.hexdigest())
