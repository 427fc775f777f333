"""Starts, watches, restarts and stops the processes of one system.

A process that dies is reported on the bus and restarted; the others protect themselves meanwhile
(the robot holds without commands, control holds without a session, the recorder keeps writing).
The supervisor never touches the robot: it only makes sure that somebody is there to do so.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teleop import samples
from teleop.bus import Bus
from teleop.config import RunConfig
from teleop.errors import TeleopError

log = logging.getLogger(__name__)

PROCESSES = ("robot", "control", "cameras", "record", "gateway")
APART = ("robot", "gateway")
READY_TIMEOUT_S = 90.0
STALL_NS = dict.fromkeys(("robot", "control"), 3_000_000_000)
PATIENT_STALL_NS = 15_000_000_000
"""Silence after which a process is taken for hung. Disk and GL may take seconds; killing a recorder
that only waits for its disk would end the take it is trying to save."""
RESTARTS_PER_MINUTE = 5
STOP_TIMEOUT_S = 2.0
ROBOT_STOP_TIMEOUT_S = 0.8
POLL_S = 0.02


class ProcessFailedError(TeleopError):
    """A process of the system cannot be kept running."""

    def __init__(self, name: str, reason: str, log_tail: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"the {name} process {reason}; the end of its log:\n{log_tail}")


@dataclass
class Child:
    """One watched process."""

    name: str
    popen: subprocess.Popen[bytes]
    started_ns: int
    health: samples.Health = samples.Health.STARTING
    beat_ns: int = 0
    restarts: list[int] = field(default_factory=list)


class Supervisor:
    """The running system.

    Args:
        config: What to run; saved into its run directory.

    Use as a context manager: leaving it stops every process.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.run_dir = Path(config.run_dir)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.config_path = config.save()
        self.bus = Bus(config.instance)
        self.events = self.bus.publisher("events/supervisor", None, max_bytes=65536)
        self.beats = {
            name: self.bus.subscriber(f"health/{name}", samples.HEALTH, depth=4)
            for name in PROCESSES
        }
        self.children: dict[str, Child] = {}

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where the gateway listens, e.g. `http://127.0.0.1:8765`."""
        return str(json.loads((self.run_dir / "gateway.json").read_text())["url"])

    def start(self, on_ready: Callable[[str], None] = lambda _: None) -> None:
        """Start every process and wait until all are ready.

        Args:
            on_ready: Called with the name of each process as it becomes ready.

        Raises:
            ProcessFailedError: One of them ended or was not ready in time.
        """
        (self.run_dir / "gateway.json").unlink(missing_ok=True)
        for name in PROCESSES:
            self.children[name] = self._spawn(name, [])
        waiting = set(PROCESSES)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while waiting:
            for name in sorted(waiting):
                child = self.children[name]
                self._listen(child)
                if child.health is samples.Health.RUNNING:
                    waiting.discard(name)
                    on_ready(name)
                elif child.popen.poll() is not None:
                    raise self._failed(name, f"ended with exit code {child.popen.returncode}")
                elif time.monotonic() > deadline:
                    raise self._failed(name, f"was not ready after {READY_TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)

    def watch(self) -> None:
        """Look once at every process; restart what died or stalled.

        Raises:
            ProcessFailedError: A process dies again and again.
        """
        now_ns = time.monotonic_ns()
        for child in list(self.children.values()):
            self._listen(child)
            code = child.popen.poll()
            stall_ns = STALL_NS.get(child.name, PATIENT_STALL_NS)
            if code is not None:
                self._restart(child, "died", {"exit_code": code})
            elif child.health is samples.Health.RUNNING and now_ns - child.beat_ns > stall_ns:
                child.popen.kill()
                child.popen.wait()
                self._restart(child, "stalled", {"silent_s": (now_ns - child.beat_ns) / 1e9})

    def stop(self) -> None:
        """Stop every process: first those that ask for motion, last the robot."""
        self.publish("stopping", {})
        self._end([n for n in PROCESSES if n != "robot"], STOP_TIMEOUT_S)
        self._end(["robot"], ROBOT_STOP_TIMEOUT_S)
        self.children.clear()
        self.bus.close()

    def publish(self, kind: str, data: dict[str, Any]) -> None:
        """Put an event on the bus; a running take records it."""
        event = {"t_ns": time.monotonic_ns(), "kind": kind, "data": data}
        self.events.send(json.dumps(event).encode())

    def log_tail(self, name: str, lines: int = 12) -> str:
        """Last lines of a process's log."""
        path = self.run_dir / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    # ---------------------------------------------------------------- inside
    def _spawn(self, name: str, restarts: list[int]) -> Child:
        command = [sys.executable, "-m", f"teleop.processes.{name}", str(self.config_path)]
        with (self.run_dir / f"{name}.log").open("ab") as log_file:
            popen = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                env=child_environment(os.environ),
                start_new_session=True,  # Ctrl-C reaches the supervisor, which stops in order
            )
        cpus = affinity(name, os.sched_getaffinity(0))
        if cpus is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended already; `watch` will tell
                os.sched_setaffinity(popen.pid, cpus)
        return Child(name, popen, time.monotonic_ns(), restarts=restarts)

    def _listen(self, child: Child) -> None:
        beat = self.beats[child.name].latest()
        if beat is None or int(beat["pid"]) != child.popen.pid:
            return  # silence, or the last words of a predecessor
        child.beat_ns = int(beat["t_ns"])
        if beat["ready"]:
            child.health = samples.Health.RUNNING

    def _restart(self, child: Child, kind: str, data: dict[str, Any]) -> None:
        name = child.name
        log.error("the %s process %s (%s); restarting it", name, kind, data)
        self.publish(f"process_{kind}", {"process": name, **data})
        now_ns = time.monotonic_ns()
        restarts = [t for t in child.restarts if now_ns - t < 60_000_000_000] + [now_ns]
        if len(restarts) > RESTARTS_PER_MINUTE:
            raise self._failed(name, f"failed {len(restarts)} times within a minute")
        self.children[name] = self._spawn(name, restarts)

    def _failed(self, name: str, reason: str) -> ProcessFailedError:
        return ProcessFailedError(name, reason, self.log_tail(name))

    def _end(self, names: list[str], timeout_s: float) -> None:
        ending = [self.children[n] for n in names if n in self.children]
        for child in ending:
            if child.popen.poll() is None:
                child.popen.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        for child in ending:
            try:
                child.popen.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("the %s process did not stop in time: killed", child.name)
                child.popen.kill()
                child.popen.wait()


def affinity(name: str, cpus: Collection[int]) -> set[int] | None:
    """Cores of a process on a small host; None leaves it to the kernel.

    Real-time loops that wake hundreds of times a second throw a renderer out of its core's cache
    each time. With two or three cores they are kept apart: cameras alone on the last one.
    """
    if not 2 <= len(cpus) <= 3:
        return None
    ordered = sorted(cpus)
    if name in APART:
        return set(ordered[:-1])
    return {ordered[-1]} if name == "cameras" else None


def child_environment(parent: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """Environment of a process: one thread per numeric library, offscreen rendering."""
    single = (
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
    )
    ours = {
        "LP_NUM_THREADS": "0",  # software rendering in the calling thread, with no helper thread
        "PYTHONUNBUFFERED": "1",
    }
    return {"MUJOCO_GL": "egl", **parent, **dict.fromkeys(single, "1"), **ours}
