"""The cameras process against a scripted simulation on the real bus."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from retarget import load_rig
from teleop.bus import Bus, Message, Publisher
from teleop.cameras.base import Picture
from teleop.config import CameraConfig, RunConfig
from teleop.samples import HEALTH, sim_qpos_dtype

pytestmark = pytest.mark.system

CAMERAS = (
    CameraConfig(name="head_left", width=160, height=120, rate_hz=20),
    CameraConfig(name="wrist_left", width=160, height=100, rate_hz=10),
)


class Simulation:
    """Publishes `sim/qpos`, one joint moving, and remembers the times."""

    def __init__(self, bus: Bus) -> None:
        model = load_rig("openarm").compile(scene=True)
        self.row = np.zeros((), sim_qpos_dtype(model.nq))
        self.row["qpos"] = model.key("home").qpos
        self.publisher: Publisher = bus.publisher("sim/qpos", self.row.dtype)
        self.times: set[int] = set()

    def step(self) -> None:
        self.row["t_ns"] = time.monotonic_ns()
        self.row["seq"] += 1
        self.row["qpos"][1] = 0.2 * np.sin(self.row["t_ns"] / 1e9)
        self.times.add(int(self.row["t_ns"]))
        self.publisher.send(self.row)


def test_pictures_of_a_running_simulation(tmp_path: Path) -> None:
    config = RunConfig(
        instance=f"test-{uuid.uuid4().hex[:12]}",
        run_dir=str(tmp_path),
        render="cpu",
        cameras=CAMERAS,
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with Bus(config.instance) as bus:
        simulation = Simulation(bus)
        subscribers = {c.name: bus.subscriber(f"camera/{c.name}", None) for c in CAMERAS}
        events = bus.subscriber("events/cameras", None)
        health = bus.subscriber("health/cameras", HEALTH)
        process = subprocess.Popen(
            [sys.executable, "-m", "teleop.processes.cameras", str(config.save())],
            env=environment,
        )
        try:
            messages: dict[str, list[Message]] = {c.name: [] for c in CAMERAS}
            kinds: list[str] = []
            row = None
            deadline = time.monotonic() + 150
            while len(messages["wrist_left"]) < 15 and time.monotonic() < deadline:
                simulation.step()
                for name, subscriber in subscribers.items():
                    messages[name] += subscriber.drain()
                kinds += [json.loads(m.data)["kind"] for m in events.drain()]
                row = row if (news := health.latest()) is None else news
                time.sleep(0.005)
                assert process.poll() is None
            assert os.getpriority(os.PRIO_PROCESS, process.pid) >= 5
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=30)
        assert code == 0
        for camera in CAMERAS:
            check_stream(camera, messages[camera.name], simulation.times)
        assert row is not None
        assert row["ready"]
        assert row["pid"] == process.pid
        assert "cameras" in kinds
        assert len(messages["head_left"]) > len(messages["wrist_left"]) >= 15


def check_stream(camera: CameraConfig, messages: list[Message], times: set[int]) -> None:
    pictures = [Picture.unpack(camera.name, m.data) for m in messages]
    assert [p.seq for p in pictures] == list(range(len(pictures)))
    stamps = [p.t_ns for p in pictures]
    assert stamps == sorted(set(stamps)), "a state is shown once"
    assert set(stamps) <= times
    assert all(p.t_device_ns == p.t_ns < p.t_receive_ns for p in pictures)
    shapes = {simplejpeg.decode_jpeg(p.payload).shape for p in pictures}
    assert shapes == {(camera.height, camera.width, 3)}
