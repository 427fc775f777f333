"""Control and robot as real processes, driven over the bus by a scripted gateway."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retarget import Rig, load_rig
from retarget.frames import matrix_to_pose, stage_to_robot
from teleop.bus import Bus, Message, Publisher, Subscriber
from teleop.config import RunConfig
from teleop.pacing import Grid, sleep_until
from teleop.samples import (
    HEALTH,
    OPERATOR_FRAME,
    SESSION_STATE,
    Motion,
    RobotStatus,
    Tracking,
    command_dtype,
    robot_state_dtype,
    solution_dtype,
)
from teleop.supervisor import child_environment

pytestmark = pytest.mark.system
PROCESSES = ("robot", "control")


class Gateway:
    """Publishes what the gateway would: a session and 90 Hz frames of a moving right hand."""

    def __init__(self, bus: Bus, rig: Rig) -> None:
        n, g = len(rig.joint_names), len(rig.gripper_names)
        self.rig = rig
        self.sessions: Publisher = bus.publisher("session/state", SESSION_STATE)
        self.frames: Publisher = bus.publisher("operator/frame", OPERATOR_FRAME)
        self.requests: Publisher = bus.publisher("robot/request", None)
        self.states: Subscriber = bus.subscriber("robot/state", robot_state_dtype(n, g), 512)
        self.sent: Subscriber = bus.subscriber("command/sent", command_dtype(n, g), 512)
        self.requested: Subscriber = bus.subscriber("command/requested", command_dtype(n, g), 512)
        self.solutions: Subscriber = bus.subscriber("solution", solution_dtype(n), 512)
        self.session = np.zeros(1, SESSION_STATE)[0]
        self.session["T_robot_stage"] = matrix_to_pose(stage_to_robot())
        self.session["reach_scale"] = 1.0
        self.frame = np.zeros(1, OPERATOR_FRAME)[0]
        self.frame["presence"] = 4
        self.frame["right_controller"]["flags"] = int(Tracking.VALID | Tracking.TRACKED)
        self.frame["right_controller"]["grip"] = (0.2, 1.2, -0.3, 0, 0, 0, 1)
        self.hand = self.frame["right_controller"]["grip"][:3].copy()
        self.commands: list[Message] = []
        self.applied: list[Message] = []
        self.measured: list[Message] = []
        self.solved: list[Message] = []

    def engage(self, on: bool) -> None:
        self.session["motion"] = Motion.ENGAGED if on else Motion.HOLD
        self.session["engaged"] = (False, on)
        self.session["engage_count"][1] += on

    def run(self, seconds: float, velocity: np.ndarray | None = None) -> None:
        """Publish for a while; the hand moves at `velocity` in STAGE."""
        grid = Grid(time.monotonic_ns(), 90)
        for k in range(round(seconds * 90)):
            now = sleep_until(grid.instant(k))
            if velocity is not None:
                self.hand += velocity / 90
            self.frame["right_controller"]["grip"][:3] = self.hand
            self.frame["seq"] += 1
            self.frame["t_ns"] = self.frame["t_receive_ns"] = now
            self.session["t_ns"] = now
            self.sessions.send(self.session)
            self.frames.send(self.frame)
            self.collect()

    def collect(self) -> None:
        self.commands += self.requested.drain()
        self.applied += self.sent.drain()
        self.measured += self.states.drain()
        self.solved += self.solutions.drain()

    def tip(self) -> np.ndarray:
        """Measured position of the right tip."""
        self.collect()
        position = self.measured[-1].data["position"]
        return self.rig.forward(position)["right_wrist"][:3, 3]

    def status(self) -> RobotStatus:
        """Newest status of the robot."""
        self.collect()
        return RobotStatus(int(self.measured[-1].data["status"]))

    def latencies_ms(self, rows: list[Message]) -> np.ndarray:
        """Arrival of a frame to the first command that uses it."""
        first = [m.data for m in rows if m.data["first_use"]]
        return np.array([int(r["t_ns"]) - int(r["t_operator_receive_ns"]) for r in first]) / 1e6


@pytest.fixture
def bus() -> Iterator[Bus]:
    with Bus(f"test-{uuid.uuid4().hex[:12]}") as opened:
        yield opened


@pytest.fixture
def processes(bus: Bus, tmp_path: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    config = RunConfig(instance=bus.instance, run_dir=str(tmp_path)).save()
    beats = {name: bus.subscriber(f"health/{name}", HEALTH) for name in PROCESSES}
    running = {name: start(name, config) for name in PROCESSES}
    try:
        for name, beat in beats.items():
            wait_ready(name, running[name], beat)
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def start(name: str, config: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"teleop.processes.{name}", str(config)]
    return subprocess.Popen(command, env=child_environment(os.environ))


def wait_ready(name: str, process: subprocess.Popen[bytes], beat: Subscriber) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        row = beat.latest()
        if row is not None and row["ready"] and int(row["pid"]) == process.pid:
            return
        assert process.poll() is None, f"{name} ended before it was ready"
        time.sleep(0.02)
    pytest.fail(f"{name} was not ready in time")


def test_the_arm_follows_the_hand_and_every_process_ends_cleanly(
    bus: Bus,
    processes: dict[str, subprocess.Popen[bytes]],
) -> None:
    rig = load_rig("openarm")
    gateway = Gateway(bus, rig)
    gateway.run(0.5)
    start_tip = gateway.tip()
    home = rig.forward(rig.q_home)["right_wrist"][:3, 3]
    assert np.linalg.norm(start_tip - home) < 1e-3

    gateway.engage(True)
    gateway.run(0.3)
    assert np.linalg.norm(gateway.tip() - start_tip) < 1e-3, "engaging moved the arm"
    gateway.run(1.0, np.array([0.0, 0.05, -0.05]))  # STAGE up and forward
    gateway.run(0.5)
    moved = gateway.tip() - start_tip
    assert np.allclose(moved, [0.05, 0.0, 0.05], atol=3e-3)

    report = {}
    for name, rows in (("requested", gateway.commands), ("sent", gateway.applied)):
        latency = gateway.latencies_ms(rows)
        assert len(latency) > 100
        report[name] = np.percentile(latency, [50, 99, 100]).round(2).tolist()
        assert report[name][0] < 50
    solve = np.array([m.data["t_solve_ns"] for m in gateway.solved if m.data["operator_seq"]]) / 1e6
    report["solve"] = np.percentile(solve, [50, 99, 100]).round(2).tolist()
    print("arrival to command, p50 p99 max ms:", report)

    gateway.engage(False)
    gateway.run(0.5, np.array([0.0, 0.2, 0.0]))
    still = gateway.tip()
    gateway.run(0.3, np.array([0.0, 0.2, 0.0]))
    assert np.linalg.norm(gateway.tip() - still) < 1e-3, "a released arm moved"

    for name in PROCESSES:
        processes[name].send_signal(signal.SIGTERM)
        assert processes[name].wait(10) == 0


def test_killed_processes_come_back_without_a_jump(
    bus: Bus, processes: dict[str, subprocess.Popen[bytes]]
) -> None:
    rig = load_rig("openarm")
    gateway = Gateway(bus, rig)
    gateway.run(0.3)
    gateway.engage(True)
    gateway.run(1.0, np.array([0.0, 0.06, 0.0]))
    gateway.engage(False)
    gateway.run(0.3)
    away = gateway.tip()

    kill(processes["control"])
    gateway.run(0.3)
    assert gateway.status() & RobotStatus.HOLDING
    restart(bus, processes, "control")
    gateway.run(0.5)
    assert gateway.status() == RobotStatus.OK
    assert np.linalg.norm(gateway.tip() - away) < 1e-3

    home = rig.forward(rig.q_home)["right_wrist"][:3, 3]
    assert np.linalg.norm(away - home) > 0.03
    kill(processes["robot"])
    restart(bus, processes, "robot")  # a simulated robot starts at home
    gateway.run(1.0)
    assert gateway.status() == RobotStatus.OK
    assert np.linalg.norm(gateway.tip() - home) < 2e-3

    gateway.engage(True)
    gateway.run(0.5, np.array([0.0, 0.1, 0.0]))
    gateway.engage(False)
    gateway.run(0.2)
    gateway.requests.send(b'{"op": "scene_reset", "seed": 5}')
    gateway.run(0.7)
    assert gateway.status() == RobotStatus.OK
    assert np.linalg.norm(gateway.tip() - home) < 2e-3


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def restart(bus: Bus, processes: dict[str, subprocess.Popen[bytes]], name: str) -> None:
    config = Path(str(processes[name].args[-1]))  # type: ignore[index]
    beat = bus.subscriber(f"health/{name}", HEALTH)
    processes[name] = start(name, config)
    wait_ready(name, processes[name], beat)
