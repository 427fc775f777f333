"""A real OpenXR runtime that ends, comes back, or lacks something."""

from __future__ import annotations

import pytest

from teleop.hmd.openxr.errors import RuntimeLostError, RuntimeMissingError
from teleop.hmd.openxr.headless import headless_session, stream, wait_until_running
from teleop.hmd.openxr.runtime import Runtime
from tests.openxr.monado import Monado
from tests.openxr.test_headless import read_until


def test_a_crash_is_told_and_after_a_restart_all_is_well(monado: Monado) -> None:
    with headless_session() as (_, session, sampler):
        wait_until_running(session)
        monado.kill()
        with pytest.raises(RuntimeLostError):
            stream(session, sampler, 1000.0, lambda _: None, lambda: False)
    with pytest.raises(RuntimeMissingError, match="OpenXR"):
        Runtime.open(())
    monado.start()
    with headless_session() as (runtime, session, sampler):
        wait_until_running(session)
        assert "Monado" in runtime.name
        read_until(sampler, lambda row: int(row["presence"]) == 31)


def test_what_a_runtime_lacks_is_named(monado: Monado) -> None:
    with pytest.raises(RuntimeMissingError, match="XR_NOT_THERE"):
        Runtime.open(("XR_NOT_THERE",))
