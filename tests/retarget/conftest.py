from __future__ import annotations

import functools
from typing import Any

import pytest

from retarget import Rig, builtin_rigs, load_rig
from retarget.errors import MissingModelPackageError
from retarget.rigfile import find_rig, read_rig

FILES = {name: read_rig(find_rig(name)) for name in builtin_rigs()}
ARM_RIGS = tuple(name for name, file in FILES.items() if file.arms)
HAND_RIGS = tuple(name for name, file in FILES.items() if file.hands)


@functools.cache
def cached_rig(name: str) -> Rig:
    """A built-in rig, loaded once; the test is skipped where its model is not installed."""
    try:
        return load_rig(name)
    except MissingModelPackageError as error:
        pytest.skip(str(error))


@functools.cache
def cached_scene(name: str) -> Any:
    """Compiled scene of a built-in rig; shared, so do not change it."""
    return cached_rig(name).compile(scene=True)


@pytest.fixture(scope="session")
def openarm() -> Rig:
    return cached_rig("openarm")


@pytest.fixture(params=ARM_RIGS)
def rig(request) -> Rig:
    return cached_rig(request.param)
