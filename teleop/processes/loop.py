"""What every process of a system shares: configuration, logging, signals, health, events.

`Process.from_argv` makes one; the process opens its topics on `process.bus`, calls `ready`, and
then loops `while not process.stopping`, with one `beat` a step.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

import numpy as np

from teleop.bus import Bus
from teleop.config import RunConfig
from teleop.errors import TeleopError
from teleop.samples import HEALTH
from teleop.scheduling import Scheduling, quiet_garbage_collector, request_scheduling

log = logging.getLogger(__name__)

BEAT_PERIOD_NS = 100_000_000
MAX_EVENT_BYTES = 64 * 1024
PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends, however it does (Linux).

    A supervisor that was killed cannot stop its processes; without it nobody watches them.
    """
    parent = os.getppid()
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):  # not Linux
        return
    if os.getppid() != parent:  # it ended meanwhile
        os.kill(os.getpid(), signal.SIGTERM)


def give_back_memory() -> None:
    """Return to the system what set-up has freed; compiling a model frees a hundred megabytes."""
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)


class UsageError(TeleopError):
    """The process was started with wrong arguments."""


class Process:
    """One running process; a context manager, because its bus has to be closed.

    Attributes:
        name: Name in topics: `health/<name>`, `events/<name>`.
        config: The system it belongs to.
        bus: Its bus.
        stopping: Set by SIGTERM and SIGINT; loops end when they see it.
    """

    def __init__(self, name: str, config: RunConfig) -> None:
        self.name = name
        self.config = config
        self.stopping = False
        self.bus = Bus(config.instance)
        self._health = self.bus.publisher(f"health/{name}", HEALTH)
        self._events = self.bus.publisher(f"events/{name}", None, max_bytes=MAX_EVENT_BYTES)
        self._row = np.zeros((), HEALTH)
        self._row["pid"] = os.getpid()
        self._ticks = 0
        self._next_beat_ns = 0

    @classmethod
    def from_argv(cls, name: str, argv: Sequence[str]) -> Self:
        """Load the configuration named on the command line, set up logging and signals.

        Raises:
            UsageError: There is not exactly one argument.
        """
        if len(argv) != 2:
            raise UsageError(f"usage: python -m teleop.processes.{name} CONFIG.json")
        logging.basicConfig(
            level=logging.INFO, format=f"%(asctime)s {name} %(levelname)s %(name)s: %(message)s"
        )
        end_with_parent()
        process = cls(name, RunConfig.load(Path(argv[1])))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, process._stop)
        process.beat()
        return process

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stopping = True

    def real_time(self, priority: int) -> Scheduling:
        """Ask for real-time scheduling and stop the garbage collector; call it after set-up."""
        got = request_scheduling(priority)
        quiet_garbage_collector()
        log.info("scheduling: %s%s", got.value, f" ({got.advice})" if got.advice else "")
        self.event("scheduling", {"got": got.value})
        return got

    def ready(self) -> None:
        """Tell the supervisor that set-up is over."""
        give_back_memory()
        self._row["ready"] = True
        self._next_beat_ns = 0
        self.beat()

    def beat(self, *, ticks: int | None = None, late: int = 0, dropped: int = 0) -> None:
        """Publish health at 10 Hz; call it at every step, it costs a clock reading otherwise.

        Args:
            ticks: Steps done; calls of `beat` are counted when not given.
            late: Slots skipped so far.
            dropped: Samples lost on inputs so far.
        """
        self._ticks = self._ticks + 1 if ticks is None else ticks
        now_ns = time.monotonic_ns()
        if now_ns < self._next_beat_ns:
            return
        self._next_beat_ns = now_ns + BEAT_PERIOD_NS
        self._row["t_ns"] = now_ns
        self._row["ticks"], self._row["late"], self._row["dropped"] = self._ticks, late, dropped
        self._health.send(self._row)

    def event(self, kind: str, data: dict[str, Any] | None = None) -> None:
        """Put an event on `events/<name>`; a running take records it."""
        event = {"t_ns": time.monotonic_ns(), "kind": kind, "data": data or {}}
        self._events.send(json.dumps(event).encode())

    def close(self) -> None:
        """Leave the bus."""
        self.bus.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
