"""The robot process: one adapter at its rate, commands passed on the moment they arrive."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

import numpy as np

from retarget import load_rig
from teleop.pacing import Grid, sleep_until
from teleop.processes.loop import Process
from teleop.robots.base import RobotError, SimulatedRobot, make_robot
from teleop.robots.driver import RobotDriver
from teleop.robots.upsampling import Upsampler, upsampling_of
from teleop.samples import (
    SESSION_STATE,
    Motion,
    command_dtype,
    robot_state_dtype,
    row_sizes,
    sim_qpos_dtype,
)

log = logging.getLogger(__name__)

PRIORITY = 30  # above control: a late robot is worse than a late command
REPORT_PERIOD_NS = 1_000_000_000
SKIPPED_SHARE = 0.05
"""Share of slots skipped within a second that is worth a word."""


class RobotProcess:
    """Wires a `RobotDriver` to the bus. One `step` a wake-up: a slot is due or a command came."""

    def __init__(self, process: Process) -> None:
        config, bus = process.config, process.bus
        rig = load_rig(config.rig)
        adapter = make_robot(rig, seed=config.seed)
        n, g, f = row_sizes(rig)
        self._process = process
        upsampling = upsampling_of(rig)
        upsampler = None
        if upsampling is not None:
            upsampler = Upsampler(rig, config.control_rate_hz, upsampling)
        self._driver = RobotDriver(rig, adapter, upsampler=upsampler)
        self._simulated = adapter if isinstance(adapter, SimulatedRobot) else None
        self._commands = bus.subscriber("command/requested", command_dtype(n, g, f), depth=16)
        self._session = bus.subscriber("session/state", SESSION_STATE, depth=16)
        self._requests = bus.subscriber("robot/request", None)
        self._state = bus.publisher("robot/state", robot_state_dtype(n, g, f))
        self._sent = bus.publisher("command/sent", command_dtype(n, g, f))
        # physics moves in slots only: a command that wakes a simulated robot gains nothing
        self._waiter = None if self._simulated is not None else bus.waiter([self._commands])
        if self._simulated is not None:
            self._scene = np.zeros((), sim_qpos_dtype(self._simulated.qpos().size))
            self._sim = bus.publisher("sim/qpos", self._scene.dtype)
        self._reported: dict[str, int] = {"refused": 0, "slipped_ns": 0, "skipped": 0}
        self._next_report_ns = 0
        self._rate_hz = adapter.rate_hz
        self._grid = Grid(time.monotonic_ns(), self._rate_hz)

    def start(self) -> None:
        """Connect to the robot and begin the grid now."""
        self._driver.start(time.monotonic_ns())
        self._grid = Grid(time.monotonic_ns(), self._rate_hz)

    def step(self) -> None:
        """Sleep until the next slot or command, then serve it."""
        if self._waiter is None:
            now_ns = sleep_until(self._grid.next_ns())
        else:
            self._waiter.wait(self._grid.next_ns() - time.monotonic_ns())
            now_ns = time.monotonic_ns()
        self._obey(now_ns)
        if self._grid.take(now_ns) is not None:
            self._serve_slot(now_ns)
        self._process.beat(ticks=self._grid.slot, late=self._grid.skipped)

    def close(self) -> None:
        """Hold, then let the adapter stop."""
        self._driver.adapter.hold(time.monotonic_ns())
        self._driver.adapter.close()

    def _obey(self, now_ns: int) -> None:
        session = self._session.latest()
        if session is not None:
            self._publish_sent(self._driver.motion(Motion(session["motion"]), now_ns))
        command = self._commands.latest()
        if command is not None:
            self._publish_sent(self._driver.command(command, now_ns))

    def _serve_slot(self, now_ns: int) -> None:
        for message in self._requests.drain():
            self._request(message.data, now_ns)
        self._publish_sent(self._driver.advance(now_ns))
        self._publish_sent(self._driver.watch(now_ns))
        state = self._driver.state(now_ns)
        self._state.send(state)
        if self._simulated is not None:
            self._scene["t_ns"], self._scene["seq"] = state["t_ns"], state["seq"]
            self._scene["qpos"] = self._simulated.qpos()
            self._sim.send(self._scene)
        if now_ns >= self._next_report_ns:
            self._report(now_ns)

    def _publish_sent(self, row: np.ndarray[Any, np.dtype[np.void]] | None) -> None:
        if row is not None:
            self._sent.send(row)

    def _request(self, payload: bytes, now_ns: int) -> None:
        try:
            request = json.loads(payload)
            self._driver.adapter.request(request, now_ns)
        except (RobotError, ValueError) as error:
            log.error("request refused: %s", error)
            self._process.event("request_refused", {"reason": str(error)})
            return
        self._driver.relocated(now_ns)
        self._process.event(str(request["op"]), {k: v for k, v in request.items() if k != "op"})

    def _report(self, now_ns: int) -> None:
        """Once a second, say what went wrong; single late slots are in the health only."""
        self._next_report_ns = now_ns + REPORT_PERIOD_NS
        totals = {
            "refused": self._driver.refused,
            "slipped_ns": self._simulated.slipped_ns if self._simulated is not None else 0,
            "skipped": self._grid.skipped,
        }
        news = {k: v - self._reported[k] for k, v in totals.items()}
        self._reported = totals
        if news["skipped"] > SKIPPED_SHARE * self._rate_hz or news["refused"] or news["slipped_ns"]:
            reason = self._driver.last_refusal if news["refused"] else ""
            log.warning("within the last second: %s %s", news, reason)
            self._process.event("robot_trouble", {**news, "reason": reason})


def main() -> int:
    """Entry point: `python -m teleop.processes.robot CONFIG.json`."""
    with Process.from_argv("robot", sys.argv) as process:
        robot = RobotProcess(process)
        process.real_time(PRIORITY)
        robot.start()
        process.ready()
        try:
            while not process.stopping:
                robot.step()
        finally:
            robot.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
