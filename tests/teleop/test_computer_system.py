"""A computer that misbehaves under a take: a disk that hangs, a clock that somebody sets."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recorder import Dataset
from teleop.config import CameraConfig
from teleop.supervisor import Supervisor
from teleop.system import new_config
from tests.teleop.driver import Driver

pytestmark = pytest.mark.system
# Every process of the system imports this before anything else.
MISBEHAVE = """
import os, time
here, sync, wall_ns = os.path.dirname(__file__), os.fdatasync, time.time_ns

def slow_sync(fd):
    if os.path.exists(here + "/slow"):
        time.sleep(2.5)
    sync(fd)

def set_ns():
    return wall_ns() - 3_600_000_000_000 * os.path.exists(here + "/set")

os.fdatasync, time.time_ns = slow_sync, set_ns
"""
SLOW_S = 5.0


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a file named `slow` makes every commit take 2.5 s, and one named `set` an hour less."""
    folder = tmp_path / "computer"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(MISBEHAVE)
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{before}" if before else str(folder))
    return folder


@pytest.fixture
def system(computer: Path, tmp_path: Path) -> Iterator[Supervisor]:
    cameras = (CameraConfig(name="head_left", width=160, height=120, rate_hz=30),)
    config = new_config(dataset=str(tmp_path / "dataset"), port=0, render="cpu", cameras=cameras)
    with Supervisor(config) as running:
        running.start()
        yield running


async def test_a_slow_disk_and_a_set_clock_are_told_and_lose_nothing(
    system: Supervisor, computer: Path
) -> None:
    async with Driver(system.url, system.config.token) as driver:
        await driver.engage()
        await driver.start_take()
        await asyncio.sleep(1.0)
        (computer / "slow").touch()
        await driver.client.wait_for_status(
            lambda s: any("disk is slow" in text for text in s.notices), "a warning", 10
        )
        await asyncio.sleep(SLOW_S)
        (computer / "slow").unlink()
        await driver.client.wait_for_status(
            lambda s: not any("disk is slow" in text for text in s.notices), "all well", 10
        )
        (computer / "set").touch()
        await asyncio.sleep(2.5)
        await driver.save_take()
    dataset = Dataset.open(Path(system.config.dataset), repair=False)
    end_s = asyncio.get_running_loop().time() + 10.0
    while not dataset.episodes() and asyncio.get_running_loop().time() < end_s:
        await asyncio.sleep(0.1)
    (row,) = dataset.episodes()
    assert (row.state, row.failed, row.drops) == ("complete", False, 0)
    episode = dataset[row.id]
    told = {event.kind: event.data for event in episode.events}
    assert told["disk_slow"]["behind_s"] > 1.0
    assert told["wall_clock_set"]["step_s"] == pytest.approx(-3600.0, abs=0.1)
    # Nothing was lost, no time went backwards, and the robot did not wait.
    for name in ("state", "session"):
        assert (np.diff(episode.stream(name)["seq"].astype(int)) == 1).all(), name
    camera = episode.camera("head_left")
    assert (np.diff(camera.seq.astype(int)) == 1).all()
    assert (np.diff(camera.t_ns) > 0).all()
    steps_ms = np.diff(episode.stream("state").t_ns) / 1e6
    assert (steps_ms > 0).all()
    assert np.percentile(steps_ms, 99) < 20.0
