"""The control process: `ControlCore` on an absolute grid, revised the moment a newer pose comes."""

from __future__ import annotations

import json
import logging
import sys
import time

import numpy as np

from retarget import FilterConfig, load_rig
from teleop.bus import Subscriber
from teleop.control import ControlConfig, ControlCore, Outputs
from teleop.control_log import CallLog
from teleop.following import LEFT_CONTROLLER, RIGHT_CONTROLLER
from teleop.gripping import grip_of
from teleop.pacing import Grid
from teleop.processes.loop import Process
from teleop.samples import (
    CONTROL_INPUT,
    MEMORY,
    OPERATOR_FRAME,
    SESSION_STATE,
    Motion,
    Tracking,
    command_dtype,
    robot_state_dtype,
    row_sizes,
    solution_dtype,
    target_dtype,
)

log = logging.getLogger(__name__)

PRIORITY = 20
MAX_REVISIONS = 4
"""Revisions of one tick at most: a flood of frames must not starve the grid."""
WARM_UP_TICKS = 20


class ControlProcess:
    """Wires a `ControlCore` to the bus. One `step` a wake-up: a slot is due or a frame came."""

    def __init__(self, process: Process) -> None:
        config, bus = process.config, process.bus
        rig = load_rig(config.rig)
        n, g, f = row_sizes(rig)
        self._process = process
        control = ControlConfig(
            rate_hz=config.control_rate_hz, filters=FilterConfig(), grip=grip_of(rig)
        )
        _warm_up(ControlCore(rig, control))
        self._core = ControlCore(rig, control)
        self._frames = bus.subscriber("operator/frame", OPERATOR_FRAME, depth=8)
        self._session = bus.subscriber("session/state", SESSION_STATE, depth=16)
        self._state = bus.subscriber("robot/state", robot_state_dtype(n, g, f), depth=8)
        self._robot_events = bus.subscriber("events/robot", None)
        self._target = bus.publisher("target", target_dtype())
        self._solution = bus.publisher("solution", solution_dtype(n, f))
        self._command = bus.publisher("command/requested", command_dtype(n, g, f))
        self._inputs = bus.publisher("control/input", CONTROL_INPUT)
        self._log = CallLog(self._core)
        self._waiter = bus.waiter([self._frames])
        self._revisions = 0
        self._grid = Grid(time.monotonic_ns(), config.control_rate_hz)

    def start(self) -> None:
        """Begin the grid now."""
        self._grid = Grid(time.monotonic_ns(), self._grid.rate_hz)

    def step(self) -> None:
        """Sleep until the next slot or frame, then serve it."""
        self._waiter.wait(self._grid.next_ns() - time.monotonic_ns())
        now_ns = time.monotonic_ns()
        slot = self._grid.take(now_ns)
        if slot is not None:
            self._serve_slot(slot, now_ns)
        elif self._revisions < MAX_REVISIONS:
            self._serve_frame(now_ns)
        else:
            self._sleep_to_slot()
        self._process.beat(ticks=self._grid.slot, late=self._grid.skipped)

    def _serve_slot(self, slot: int, now_ns: int) -> None:
        self._revisions = 0
        for message in self._robot_events.drain():
            if json.loads(message.data)["kind"] == "scene_reset":
                self._core.restart()
                self._log.restarted()
                self._state.latest()
                self._state.last = None  # what came so far shows the robot elsewhere
        session, frame, state = map(_newest, (self._session, self._frames, self._state))
        outputs = self._core.tick(session, frame, state, now_ns, slot)
        self._publish(outputs, now_ns)
        self._inputs.send(self._log.tick(session, frame, state, now_ns, slot, outputs is not None))
        checkpoint = self._log.checkpoint(now_ns)
        if checkpoint is not None:
            self._process.event(MEMORY, checkpoint)

    def _serve_frame(self, now_ns: int) -> None:
        frame = self._frames.latest()
        if frame is None:
            return
        outputs = self._core.revise(frame, now_ns)
        row = self._log.revision(frame, now_ns, outputs is not None)
        if outputs is not None:
            self._revisions += 1
            self._publish(outputs, now_ns)
        self._inputs.send(row)

    def _sleep_to_slot(self) -> None:
        time.sleep(max(0, self._grid.next_ns() - time.monotonic_ns()) * 1e-9)

    def _publish(self, outputs: Outputs | None, began_ns: int) -> None:
        """The command first: it is the one somebody waits for."""
        if outputs is None:
            return
        now_ns = time.monotonic_ns()
        outputs.command["t_ns"] = now_ns
        self._command.send(outputs.command)
        solution, target = outputs.solution, outputs.target
        solution["t_ns"] = target["t_ns"] = now_ns
        solution["t_solve_ns"] = now_ns - began_ns
        self._solution.send(solution)
        self._target.send(target)
        for kind, data in outputs.events:
            log.warning("%s: %s", kind, data)
            self._process.event(kind, data)


def _newest(subscriber: Subscriber) -> np.void | None:
    """The newest row ever received: how old it may be is for the control law to judge."""
    subscriber.latest()
    return None if subscriber.last is None else subscriber.last.data


def _warm_up(core: ControlCore) -> None:
    """Compile kernels and touch memory before the first real tick, on a core to throw away."""
    rig = core.rig
    state = np.zeros(1, robot_state_dtype(*row_sizes(rig)))[0]
    state["position"], state["gripper_command"] = rig.q_home, 1.0
    session, frame = np.zeros(1, SESSION_STATE)[0], np.zeros(1, OPERATOR_FRAME)[0]
    session["motion"], session["engaged"], session["engage_count"] = Motion.ENGAGED, True, 1
    session["reach_scale"], session["T_robot_stage"][6] = 1.0, 1.0
    frame["presence"] = LEFT_CONTROLLER | RIGHT_CONTROLLER
    for device in ("left_controller", "right_controller"):
        frame[device]["flags"], frame[device]["grip"][6] = Tracking.VALID | Tracking.TRACKED, 1.0
    for k in range(1, WARM_UP_TICKS):
        frame["seq"] = k
        frame["t_ns"] = k * 1_000_000
        frame["left_controller"]["grip"][0] = frame["right_controller"]["grip"][0] = 1e-4 * k
        core.tick(session, frame, state, 0)
        frame["seq"] = 1000 + k
        core.revise(frame, 0)


def main() -> int:
    """Entry point: `python -m teleop.processes.control CONFIG.json`."""
    with Process.from_argv("control", sys.argv) as process:
        control = ControlProcess(process)
        process.real_time(PRIORITY)
        control.start()
        process.ready()
        while not process.stopping:
            control.step()
    return 0


if __name__ == "__main__":
    sys.exit(main())
