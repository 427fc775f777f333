"""Asks the operating system to run a loop on time, and says what was granted."""

from __future__ import annotations

import gc
import os
from enum import Enum


class Scheduling(Enum):
    """What a loop process got."""

    FIFO = "SCHED_FIFO"
    NICE = "nice"
    DEFAULT = "default"

    @property
    def advice(self) -> str:
        """How to get more, for `telecap doctor` and the log."""
        if self is Scheduling.FIFO:
            return ""
        return (
            "allow real-time scheduling: a line '<user> - rtprio 30' in "
            "/etc/security/limits.d/telecap.conf, then log in again"
        )


def request_scheduling(priority: int, nice: int = -10) -> Scheduling:
    """Ask for SCHED_FIFO at `priority`, else for `nice`, else leave things as they are.

    Children do not inherit the real-time class (`SCHED_RESET_ON_FORK`).
    """
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    try:
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except OSError:
        return request_nice(nice)
    return Scheduling.FIFO


def request_nice(nice: int) -> Scheduling:
    """Ask for a share of the processor ahead of ordinary processes (`nice` below 0)."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    except OSError:
        return Scheduling.DEFAULT
    return Scheduling.NICE


def quiet_garbage_collector() -> None:
    """No collector pauses inside a loop: what exists is frozen, cycles are left alone."""
    gc.collect()
    gc.freeze()
    gc.disable()
