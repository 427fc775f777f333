"""Cameras with the number of each picture in it, through the whole system into a take."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recorder import Dataset, check_episode
from retarget.rigfile import find_rig
from teleop.cameras.sources import read_number
from teleop.config import CameraConfig
from teleop.recording import RECORDED
from teleop.supervisor import Supervisor
from teleop.system import new_config
from tests.teleop.driver import Driver

pytestmark = pytest.mark.system
TAKE_S = float(os.environ.get("TELECAP_SOAK_S", "8"))
"""A longer take for a soak: two hours once, by hand."""
STALL_S = float(os.environ.get("TELECAP_STALL_S", "5"))
"""The recorder stands still for this long in the middle, as behind a disk that does not answer."""
MAX_GROWTH_MB = 8.0
"""Of each process over two thirds of the take, however long it is: what is kept has an end."""
SOURCES = """
[camera_group]
name = "devices"
[camera_group.sources.head_left]
kind = "pattern"
[camera_group.sources.wrist_left]
kind = "pattern"
"""
CODECS = (("jpeg", "jpeg"), ("h264", "png"))


def cameras(head: str, wrist: str) -> tuple[CameraConfig, ...]:
    return (
        CameraConfig(name="head_left", width=320, height=240, rate_hz=30, codec=head),
        CameraConfig(name="wrist_left", width=320, height=240, rate_hz=40, codec=wrist),
    )


@pytest.fixture(params=CODECS, ids="-".join)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Supervisor]:
    shipped = find_rig("openarm")
    text = re.sub(r"\[camera_group\].*?\n(?=\[)", "", shipped.read_text(), flags=re.DOTALL)
    (tmp_path / "openarm_scene.xml").write_text((shipped.parent / "openarm_scene.xml").read_text())
    rig = tmp_path / "bench.toml"
    rig.write_text(text + SOURCES)
    config = new_config(
        rig=str(rig),
        dataset=str(tmp_path / "dataset"),
        port=0,
        cameras=cameras(*request.param),
        render="cpu",
    )
    with Supervisor(config) as running:
        running.start()
        yield running


def resident_mb(system: Supervisor) -> dict[str, float]:
    found = {}
    for name, child in system.children.items():
        status = Path(f"/proc/{child.popen.pid}/status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert resident is not None, name
        found[name] = int(resident[1]) / 1e3
    return found


async def test_rows_hold_what_they_say_though_the_recorder_stalls(system: Supervisor) -> None:
    async with Driver(system.url, system.config.token) as driver:
        await driver.engage()
        await driver.start_take()
        await asyncio.sleep(TAKE_S / 3)
        recorder = system.children["record"].popen.pid
        os.kill(recorder, signal.SIGSTOP)
        await asyncio.sleep(STALL_S)
        os.kill(recorder, signal.SIGCONT)
        await asyncio.sleep(1.0)  # what waited is written; the room it took is kept
        early_mb = resident_mb(system)
        await asyncio.sleep(max(0.0, 2 * TAKE_S / 3 - STALL_S - 1.0))
        grown_mb = {name: mb - early_mb[name] for name, mb in resident_mb(system).items()}
        await driver.save_take()
    dataset = Dataset.open(Path(system.config.dataset), repair=False)
    end_s = asyncio.get_running_loop().time() + 10.0
    while not dataset.episodes() and asyncio.get_running_loop().time() < end_s:
        await asyncio.sleep(0.1)  # an hour of pictures is not sealed in an instant
    episode = dataset[dataset.episodes()[0].id]
    assert not episode.attributes.get("drops")
    about = [e.data for e in episode.events if e.kind == "camera_devices"]
    assert about == [{name: {"model": "test pattern"} for name in ("head_left", "wrist_left")}]
    for name in ("state", "sim/qpos", "session"):
        assert (np.diff(episode.stream(name)["seq"].astype(int)) == 1).all(), name
    late_ms = np.diff(episode.stream("state").t_ns) / 1e6
    assert np.percentile(late_ms, 99) < 20.0, "the robot does not wait for the recorder"
    for camera, rate_hz in (("head_left", 30), ("wrist_left", 40)):
        pictures = episode.camera(camera)
        asked = next(c for c in system.config.cameras if c.name == camera)
        assert pictures.spec.codec == RECORDED[asked.codec]
        assert len(pictures) == pytest.approx(rate_hz * episode.duration_s, rel=0.05)
        numbers = np.array([read_number(pictures[i]) for i in range(len(pictures))])
        assert (np.diff(numbers) == 1).all(), "no picture is missing, twice, or elsewhere"
        assert (np.diff(pictures.seq.astype(int)) == 1).all()
        off_ms = (pictures.t_ns - pictures.t_ns[0]) / 1e6 - (numbers - numbers[0]) * 1e3 / rate_hz
        tenth = len(off_ms) // 10
        drift_ms = float(np.median(off_ms[-tenth:]) - np.median(off_ms[:tenth]))
        assert abs(drift_ms) < 5.0, "times and numbers do not drift apart"
        assert np.percentile(np.abs(off_ms), 99) < 50.0, "nor is a picture made late as a rule"
        print(
            f"{camera}: {len(numbers)} pictures, drift {drift_ms:.2f} ms, "
            f"at most {np.abs(off_ms).max():.1f} ms from the number"
        )
    print(
        f"{episode.duration_s:.0f} s, grown by", {k: f"{mb:.1f} MB" for k, mb in grown_mb.items()}
    )
    if TAKE_S >= 60.0:  # before that the recorder still makes the model of its check
        for name, mb in grown_mb.items():
            assert mb < MAX_GROWTH_MB, f"memory of {name} stays flat"


async def test_a_simulated_depth_camera_is_recorded_beside_video(tmp_path: Path) -> None:
    config = new_config(
        rig="openarm",
        dataset=str(tmp_path / "dataset"),
        port=0,
        cameras=(
            CameraConfig(name="head_left", width=160, height=120, rate_hz=15, codec="h264"),
            CameraConfig(name="ceiling", width=160, height=120, rate_hz=10, codec="depth"),
        ),
        render="cpu",
    )
    with Supervisor(config) as running:
        running.start()
        async with Driver(running.url, running.config.token) as driver:
            await driver.engage()
            await driver.start_take()
            await asyncio.sleep(2.0)
            welcome = driver.client.welcome
            assert welcome is not None
            streams = {stream.name for stream in welcome.streams}
            await driver.stop_take()
    assert streams == {"head_left"}, "depth is not shown to operators"
    dataset = Dataset.open(tmp_path / "dataset", repair=False)
    episode = dataset[dataset.episodes()[0].id]
    assert not episode.attributes["drops"]
    depth, colour = episode.camera("ceiling"), episode.camera("head_left")
    assert depth.is_depth and depth.attributes["depth_unit_m"] == 0.001
    assert len(depth) > 12 and len(colour) > 18
    seen = depth[0][depth[0] > 0]
    assert 500 < np.median(seen) < 4000, "millimetres to a table"
    assert colour[len(colour) - 1].std() > 10
    assert not {"black", "blurred", "empty"} & {f.code for f in check_episode(episode).findings}
