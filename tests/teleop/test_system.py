"""The real system: five processes, the real socket, and what happens when any of them is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorder import Dataset, Episode
from teleop.intents import Intent
from teleop.samples import Button
from teleop.supervisor import Supervisor
from teleop.system import new_config
from tests.teleop.driver import Driver

pytestmark = pytest.mark.system


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Supervisor]:
    config = new_config(dataset=str(tmp_path / "dataset"), port=0, task="test", render="cpu")
    with Supervisor(config) as running:
        running.start()
        yield running


def get(system: Supervisor, path: str) -> Any:
    request = urllib.request.Request(
        system.url + path, headers={"Authorization": f"Bearer {system.config.token}"}
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


async def watched(system: Supervisor, seconds: float) -> None:
    """Let the supervisor do its work for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        system.watch()
        await asyncio.sleep(0.05)


async def until(system: Supervisor, wanted: Any, what: str, timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not wanted():
        assert time.monotonic() < end, f"waited {timeout_s} s for {what}"
        await watched(system, 0.1)


async def start_take(driver: Driver) -> None:
    await driver.engage()
    await driver.start_take()


async def stop_take(driver: Driver) -> None:
    await driver.stop_take()


def episodes(system: Supervisor) -> list[Episode]:
    dataset = Dataset.open(Path(system.config.dataset), repair=False)
    return [dataset[r.id] for r in dataset.episodes()]


def tip(system: Supervisor, name: str) -> np.ndarray:
    return np.array(get(system, "/api/scene")["tips"][name][:3])


async def test_a_take_by_buttons_alone_is_saved_labelled_and_whole(system: Supervisor) -> None:
    async with Driver(system.url, system.config.token) as driver:
        await asyncio.sleep(0.3)
        before = tip(system, "right_wrist")
        await start_take(driver)
        np.testing.assert_allclose(tip(system, "right_wrist"), before, atol=2e-3)
        await driver.move("right", (0.0, 0.05, 0.0), 1.0)
        await asyncio.sleep(0.6)
        scale = driver.client.status.reach_scale  # type: ignore[union-attr]
        moved = tip(system, "right_wrist") - before
        np.testing.assert_allclose(moved, [0, 0, 0.05 * scale], atol=4e-3)
        await stop_take(driver)
        await driver.press("right", Button.PRIMARY)
        await driver.client.wait_for_status(lambda s: s.recording == "idle", "saved", 5)
    await until(system, lambda: len(episodes(system)) == 1, "the episode")
    (episode,) = episodes(system)
    assert episode.state == "complete"
    assert episode.attributes["outcome"] == "success"
    assert episode.attributes["provenance"]["packages"]["telecap"]
    assert len(episode.attributes["calibration_hash"]) == 64
    for name in episode.cameras:
        assert len(episode.camera(name)) > 0
        assert np.all(np.diff(episode.camera(name).seq.astype(int)) == 1), "a picture is missing"
    for name in ("state", "sim/qpos", "session"):
        assert np.all(np.diff(episode.stream(name)["seq"].astype(int)) == 1), f"a {name} is missing"
    assert not episode.attributes.get("drops")


async def test_a_graded_take_and_one_that_is_taken_again(system: Supervisor) -> None:
    async with Driver(system.url, system.config.token) as driver:
        await start_take(driver)
        await stop_take(driver)
        await driver.client.event(Intent.REDO)  # before anybody knows the episode's name
        await driver.client.wait_for_status(lambda s: s.recording == "recording", "a take", 5)
        await asyncio.sleep(0.5)
        await stop_take(driver)
        await driver.push_stick("right", 1.0)
        await driver.push_stick("right", 1.0)
        await driver.client.wait_for_status(lambda s: s.grade == 4, "a grade", 5)
        await driver.press("right", Button.PRIMARY)
        await driver.client.wait_for_status(lambda s: s.recording == "idle", "saved", 5)
    dataset = Dataset.open(Path(system.config.dataset), repair=False)
    await until(system, lambda: len(dataset.episodes()) == 1, "the label")
    await until(system, lambda: dataset.episodes()[0].grade == 4.0, "the grade")
    first, second = dataset.episodes(include_discarded=True)
    assert (first.discarded, first.outcome, first.grade) == (True, None, None)
    assert (second.discarded, second.outcome, second.take) == (False, "success", first.take + 1)


async def test_a_killed_recorder_loses_nothing_it_had_received(system: Supervisor) -> None:
    async with Driver(system.url, system.config.token) as driver:
        await start_take(driver)
        await watched(system, 1.5)
        seen = get(system, "/api/status")
        os.kill(system.children["record"].popen.pid, signal.SIGKILL)
        await until(
            system,
            lambda: any(e.state == "recovered" for e in episodes(system)),
            "the recovered episode",
        )
        assert driver.client.status is not None
        await driver.client.wait_for_status(
            lambda s: s.recording != "recording", "the session to notice", 10
        )
    (episode,) = episodes(system)
    assert seen["recording"] == "recording"
    assert len(episode.stream("state")) > 250
    assert np.all(np.diff(episode.stream("state").t_ns) > 0)
    assert all(len(episode.camera(c)) > 25 for c in episode.cameras)
    assert episode.camera(episode.cameras[0])[0].shape[2] == 3


@pytest.mark.parametrize("victim", ["control", "cameras", "gateway"])
async def test_a_killed_process_holds_the_robot_and_the_take_goes_on(
    system: Supervisor, victim: str
) -> None:
    async with Driver(system.url, system.config.token) as driver:
        await start_take(driver)
        await driver.move("right", (0.0, 0.03, 0.0), 0.5)
        await watched(system, 0.5)
        pid = system.children[victim].popen.pid
        os.kill(pid, signal.SIGKILL)
        await until(system, lambda: system.children[victim].popen.pid != pid, "a restart")
        await until(
            system, lambda: system.children[victim].health.name == "RUNNING", "the new process"
        )
        await watched(system, 0.3)
        if victim == "gateway":  # a new address: this operator is gone, the take is not
            driver.sending = False
            status = get(system, "/api/status")
            assert status["recording"] == "recording"
            assert status["engaged"] == [False, False]
            post(system, "/api/session/record_stop")
        else:
            await stop_take(driver)
        await until(system, lambda: len(episodes(system)) == 1, "the episode")
    (episode,) = episodes(system)
    assert episode.state == "complete"
    state = episode.stream("state")
    gap_ns = np.maximum(np.diff(state.t_ns), 1)  # one physics step may be read twice
    speed = np.abs(np.diff(state["position"], axis=0)) / (gap_ns[:, None] * 1e-9)
    assert speed.max() < 4.0, "the arm jumped"
    assert any(e.kind == "process_died" for e in episode.events)


def post(system: Supervisor, path: str) -> None:
    request = urllib.request.Request(
        system.url + path,
        data=b"{}",
        method="POST",
        headers={
            "Authorization": f"Bearer {system.config.token}",
            "Content-Type": "application/json",
        },
    )
    urllib.request.urlopen(request, timeout=5).close()


async def test_a_killed_robot_comes_back_and_does_not_jump_after_it(system: Supervisor) -> None:
    async with Driver(system.url, system.config.token) as driver:
        await driver.engage()
        await driver.move("right", (0.0, 0.06, 0.0), 0.8)
        pid = system.children["robot"].popen.pid
        os.kill(pid, signal.SIGKILL)
        await until(system, lambda: system.children["robot"].popen.pid != pid, "a restart")
        await until(
            system, lambda: system.children["robot"].health.name == "RUNNING", "the new robot"
        )
        await watched(system, 0.5)
        where = tip(system, "right_wrist")
        await watched(system, 0.5)
        np.testing.assert_allclose(tip(system, "right_wrist"), where, atol=5e-3)


async def test_a_silent_operator_makes_the_robot_hold(system: Supervisor) -> None:
    async with Driver(system.url, system.config.token) as driver:
        await driver.engage()
        driver.sending = False
        await driver.client.wait_for_status(lambda s: s.motion == "hold", "a hold", 3)
        driver.sending = True  # still squeezing: no fresh press, no engage
        await asyncio.sleep(0.5)
        assert driver.client.status is not None
        assert driver.client.status.motion == "hold"
        await driver.engage()


def test_ctrl_c_ends_within_three_seconds_and_finishes_the_take(tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    command = [
        sys.executable, "-m", "teleop.cli", "run", "--dataset", str(dataset), "--port", "0",
        "--token", "abc", "--render", "cpu",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = ""
        for line in process.stdout:
            if line.startswith("console"):
                url = line.split()[1].split("/#")[0]
            if "Ctrl-C" in line:
                break

        async def record() -> None:
            async with Driver(url, "abc") as driver:
                await start_take(driver)
                await asyncio.sleep(1.0)
                process.send_signal(signal.SIGINT)

        asyncio.run(record())
        asked = time.monotonic()
        process.wait(timeout=10)
        assert time.monotonic() - asked < 3.0
        assert process.returncode == 0
    (row,) = Dataset.open(dataset, repair=False).episodes()
    assert row.state == "complete"
    assert "interrupted" in Episode(Path(row.path)).attributes
