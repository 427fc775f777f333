"""A disk that somebody else fills: the take ends whole, and the next is refused with the reason."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder import Dataset
from teleop.config import CameraConfig
from teleop.diskwatch import END_BYTES, MB, START_BYTES, free_bytes
from teleop.intents import Intent
from teleop.supervisor import Supervisor
from teleop.system import new_config
from tests.teleop.driver import Driver

pytestmark = pytest.mark.system


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with little more room than a take needs to begin."""
    path = tmp_path / "disk"
    path.mkdir()
    size = START_BYTES + 64 * MB
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


async def test_a_take_ends_whole_before_the_disk_is_full(disk: Path) -> None:
    config = new_config(
        rig="openarm",
        dataset=str(disk / "dataset"),
        port=0,
        render="cpu",
        cameras=(CameraConfig(name="head_left", width=160, height=120, rate_hz=15),),
    )
    with Supervisor(config) as running:
        running.start()
        async with Driver(running.url, running.config.token) as driver:
            await driver.engage()
            await driver.start_take()
            await driver.client.wait_for_status(
                lambda s: any("GB left" in text for text in s.notices), "a warning", 5
            )
            await asyncio.sleep(1.0)
            filler = disk / "somebody-else"
            filler.write_bytes(bytes(free_bytes(disk) - END_BYTES + 8 * MB))
            status = await driver.client.wait_for_status(
                lambda s: s.recording == "idle", "the end of the take", 10
            )
            assert any("nearly full" in text for text in status.notices), status.notices
            await driver.client.event(Intent.RECORD_START)
            await asyncio.sleep(0.5)
            status = driver.client.status
            assert status is not None
            assert status.recording == "idle"
            assert any("are needed" in text for text in status.notices), status.notices
            filler.unlink()
            await driver.client.wait_for_status(
                lambda s: not any("are needed" in text for text in s.notices), "room", 5
            )
            await driver.client.event(Intent.RECORD_START)
            await driver.client.wait_for_status(lambda s: s.recording == "recording", "a take", 5)
            await driver.client.event(Intent.RECORD_STOP)
            await driver.client.wait_for_status(lambda s: s.recording == "review", "a review", 5)
    dataset = Dataset.open(disk / "dataset", repair=False)
    first, second = dataset.episodes()
    assert (first.state, first.failed, first.drops) == ("complete", False, 0)
    episode = dataset[first.id]
    assert "nearly full" in episode.attributes["interrupted"]
    assert "disk_low" in [event.kind for event in episode.events]
    assert len(episode.camera("head_left")) > 10
    assert second.state == "complete"
