"""The gateway as a process on the real bus."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retarget import load_rig
from teleop.bus import Bus
from teleop.config import CameraConfig, RunConfig
from teleop.samples import (
    HEALTH,
    OPERATOR_FRAME,
    SESSION_STATE,
    Motion,
    Recording,
    robot_state_dtype,
)
from tests.teleop.gateway_rig import TOKEN, Rig, headset, make_rig

pytestmark = pytest.mark.system
START_S = 90.0


class System:
    """A gateway process, and a test that plays robot and recorder."""

    def __init__(self, run_dir: Path) -> None:
        self.config = RunConfig(
            instance=f"test{time.monotonic_ns():x}",
            run_dir=str(run_dir),
            dataset=str(run_dir / "dataset"),
            port=0,
            token=TOKEN,
            render="cpu",
            cameras=(CameraConfig(name="head_left"),),
        )
        self.path = self.config.save()
        self.bus = Bus(self.config.instance)
        rig = load_rig("openarm")
        dtype = robot_state_dtype(len(rig.joint_names), len(rig.gripper_names))
        self.row = np.zeros(1, dtype)[0]
        self.row["position"] = rig.q_home
        self.robot = self.bus.publisher("robot/state", dtype)
        self.recorder = self.bus.publisher("recorder/status", None, max_bytes=65536)
        self.frames = self.bus.subscriber("operator/frame", OPERATOR_FRAME)
        self.states = self.bus.subscriber("session/state", SESSION_STATE)
        self.health = self.bus.subscriber("health/gateway", HEALTH)
        self.recorder_status: dict[str, Any] = {"state": "idle", "last": None}
        self.process: subprocess.Popen[bytes] | None = None
        self.rig: Rig = make_rig(run_dir)

    def start(self) -> None:
        address = Path(self.config.run_dir) / "gateway.json"
        address.unlink(missing_ok=True)
        command = [sys.executable, "-m", "teleop.processes.gateway", str(self.path)]
        self.process = subprocess.Popen(command)
        end = time.monotonic() + START_S
        while not address.exists():
            assert self.process.poll() is None, "the gateway ended at once"
            assert time.monotonic() < end, "the gateway does not listen"
            time.sleep(0.05)
        announced = json.loads(address.read_text())
        assert announced["pid"] == self.process.pid
        self.rig.url = announced["url"]

    async def live(self) -> None:
        """Let robot and recorder speak, all the time."""
        while True:
            self.row["t_ns"] = time.monotonic_ns()
            self.robot.send(self.row)
            self.recorder.send(json.dumps(self.recorder_status).encode())
            await asyncio.sleep(0.01)

    async def until(self, done: Callable[[np.void], bool]) -> np.void:
        """The next session state that does."""
        async with asyncio.timeout(10):
            while True:
                for message in self.states.drain():
                    if done(message.data):
                        return message.data
                await asyncio.sleep(0.01)

    def end(self, number: int) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    running = System(tmp_path)
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.kill()
        running.process.wait()
    running.bus.close()


async def test_the_gateway_on_the_real_bus(system: System) -> None:
    """From the socket to the bus, through a crash in a take, to a polite end."""
    system.recorder_status = {"state": "recording", "take": 4, "last": None}
    living = asyncio.create_task(system.live())
    await system.until(lambda state: state["recording"] == Recording.RECORDING)
    assert system.end(signal.SIGKILL) == -signal.SIGKILL
    system.start()  # a restarted gateway adopts the take that goes on
    state = await system.until(lambda state: state["recording"] == Recording.RECORDING)
    assert state["take"] == 4
    health = system.health.latest()
    assert health is not None
    assert health["ready"]

    async with headset(system.rig) as hmd:
        await hmd.hello(video=["*"])
        await hmd.say("claim")
        await hmd.hear("claim_granted")
        streaming = asyncio.create_task(hmd.hold(1.0))
        await system.until(lambda state: bool(state["operator_connected"]))
        await streaming
        streaming = asyncio.create_task(hmd.hold(2.0, squeeze=(True, True)))
        state = await system.until(lambda state: state["motion"] == Motion.ENGAGED)
        assert state["engage_count"].tolist() == [1, 1]
        streaming.cancel()
        frames = [message.data for message in system.frames.drain()]
        seqs = [int(frame["seq"]) for frame in frames]
        assert seqs == sorted(seqs)
        assert all(frame["t_receive_ns"] >= frame["t_device_ns"] for frame in frames)
        assert system.end(signal.SIGTERM) == 0
        assert (await hmd.closed())[0] == 4410
    living.cancel()
