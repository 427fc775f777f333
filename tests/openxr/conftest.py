"""Fixtures against a real OpenXR runtime; run by `make test-xr`, skipped elsewhere."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.openxr.monado import Monado

PREFIX = Path(os.environ.get("TELECAP_XR_PREFIX", ""))
PREFIX_ONLY = ("VK_DRIVER_FILES", "LIBGL_DRIVERS_PATH", "__EGL_VENDOR_LIBRARY_DIRS")
"""What the unpacked runtime's libraries need, and this system's programs must not see."""
SCREEN = ":77"
SCREEN_SIZE = "1280x800x24"
NULL_COMPOSITOR = {"XRT_COMPOSITOR_NULL": "1"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/openxr" in str(item.path):
            item.add_marker(pytest.mark.xr)


@pytest.fixture(scope="session", autouse=True)
def runtime_files() -> Path:
    if not (PREFIX.is_dir() and (PREFIX / "monado.json").is_file()):
        pytest.skip("TELECAP_XR_PREFIX names no unpacked OpenXR runtime: run `make test-xr`")
    return PREFIX


@pytest.fixture
def start_monado(runtime_files: Path) -> Iterator[Callable[[dict[str, str]], Monado]]:
    """Starts a runtime, the one this process then finds."""
    with _runtimes(runtime_files) as start:
        yield start


@pytest.fixture(scope="module")
def runtime(runtime_files: Path) -> Iterator[Monado]:
    """One runtime for the tests of a module that neither end it nor change it for good."""
    with _runtimes(runtime_files) as start:
        yield start(NULL_COMPOSITOR)


@contextlib.contextmanager
def _runtimes(prefix: Path) -> Iterator[Callable[[dict[str, str]], Monado]]:
    folder = Path(tempfile.mkdtemp(prefix="xr", dir="/tmp"))  # a socket's path must be short
    started: list[Monado] = []

    def start(environment: dict[str, str]) -> Monado:
        monado = Monado(prefix, folder, environment)
        started.append(monado)
        monado.start()
        return monado

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        patch.setenv("XR_RUNTIME_JSON", str(prefix / "monado.json"))
        patch.setenv("EGL_PLATFORM", "surfaceless")
        yield start
        for monado in started:
            monado.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def monado(start_monado: Callable[[dict[str, str]], Monado]) -> Monado:
    return start_monado(NULL_COMPOSITOR)


@pytest.fixture
def screen() -> Iterator[str]:
    server = subprocess.Popen(
        ["Xvfb", SCREEN, "-screen", "0", SCREEN_SIZE, "-nolisten", "tcp"],
        stderr=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if k not in PREFIX_ONLY},
    )
    socket = Path(f"/tmp/.X11-unix/X{SCREEN[1:]}")
    end = time.monotonic() + 10.0
    while not socket.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    yield SCREEN
    server.terminate()
    server.wait()
