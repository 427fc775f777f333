"""A disk that is filled or unplugged by somebody: what was recorded stays, all goes on."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder import Dataset
from teleop.config import CameraConfig, RunConfig
from teleop.diskwatch import END_BYTES, MB, START_BYTES, free_bytes
from teleop.intents import Intent, IntentArgs
from teleop.samples import Button
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


def config_on(disk: Path) -> RunConfig:
    return new_config(
        rig="openarm",
        dataset=str(disk / "dataset"),
        port=0,
        render="cpu",
        cameras=(CameraConfig(name="head_left", width=160, height=120, rate_hz=15),),
    )


async def told(driver: Driver, words: str, *, is_told: bool = True) -> None:
    """Wait until the operator is told, or no longer."""
    await driver.client.wait_for_status(
        lambda s: any(words in text for text in s.notices) == is_told, words, 10
    )


async def test_a_take_ends_whole_before_the_disk_is_full(disk: Path) -> None:
    with Supervisor(config_on(disk)) as running:
        running.start()
        async with Driver(running.url, running.config.token) as driver:
            await driver.engage()
            await driver.start_take()
            await told(driver, "GB left")
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
            await told(driver, "are needed", is_told=False)
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


async def test_a_label_given_on_a_full_disk_is_written_when_there_is_room(disk: Path) -> None:
    with Supervisor(config_on(disk)) as running:
        running.start()
        recorder = running.children["record"].popen.pid
        async with Driver(running.url, running.config.token) as driver:
            await driver.engage()
            await driver.start_take()
            await asyncio.sleep(1.0)
            await driver.stop_take()
            await driver.client.wait_for_status(
                lambda s: s.last_take is not None and bool(s.last_take.verdict), "a verdict", 10
            )
            await asyncio.sleep(0.5)
            labels = disk / "dataset" / "labels.jsonl"
            with labels.open("a") as file:  # no room is left in its last page either
                file.write("\n" * (-labels.stat().st_size % os.sysconf("SC_PAGE_SIZE")))
            filler = disk / "somebody-else"
            with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(MB))
            await driver.press("right", Button.PRIMARY)
            await driver.client.wait_for_status(lambda s: s.recording == "idle", "saved", 5)
            await told(driver, "are needed")
            (before,) = Dataset.open(disk / "dataset", repair=False).episodes()
            assert before.outcome is None
            filler.unlink()
            await told(driver, "are needed", is_told=False)
            await asyncio.sleep(1.0)
        running.watch()
        assert running.children["record"].popen.pid == recorder, "the recorder lived on"
    (row,) = Dataset.open(disk / "dataset", repair=False).episodes()
    assert (row.id, row.outcome, row.drops) == (before.id, "success", 0)


async def test_an_unplugged_disk_ends_the_take_and_nothing_else(disk: Path) -> None:
    with Supervisor(config_on(disk)) as running:
        running.start()
        pids = {name: child.popen.pid for name, child in running.children.items()}
        async with Driver(running.url, running.config.token) as driver:
            await driver.engage()
            await driver.start_take()
            await asyncio.sleep(1.0)
            subprocess.run(["umount", "-l", str(disk)], check=True)
            try:
                await told(driver, "out of reach")
                await driver.client.event(Intent.RECORD_STOP)
                await told(driver, "cannot write")
                await driver.client.event(Intent.SAVE, IntentArgs(outcome="success"))
                await driver.client.wait_for_status(lambda s: s.recording == "idle", "idle", 5)
                await driver.client.event(Intent.RECORD_START)
                await asyncio.sleep(1.0)
                status = driver.client.status
                assert status is not None
                assert (status.motion, status.recording) == ("engaged", "idle")
                assert not list(disk.iterdir()), "nothing is begun in the folder below"
                running.watch()
                now = {name: child.popen.pid for name, child in running.children.items()}
                assert now == pids, "every process lived on"
            finally:
                subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=True)
