"""Processor, scheduling, clock, shared memory and disk."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import time
from pathlib import Path

from teleop.doctor.items import Item

CPU = Path("/sys/devices/system/cpu")
CLOCKSOURCE = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
SHARED = Path("/dev/shm")  # noqa: S108 (where the bus lies)
LEAST_CORES = 4
SHARED_BYTES = 256 << 20
FREE_BYTES = 10 << 30
"""About an hour of four cameras."""
TRIAL_BYTES = 32 << 20
SLOW_MB_S, SLOW_COMMIT_S = 30.0, 0.1
COMMITS = 20
STA_UNSYNC = 0x40
"""Of `adjtimex(2)`: the wall clock is not synchronised."""


def look_at_cores(cpu: Path = CPU) -> Item:
    """Number of cores, and whether they may sleep at the wrong moment."""
    cores = len(os.sched_getaffinity(0))
    governors = {_text(path) for path in cpu.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    slow = sorted(governors - {"performance", "schedutil", ""})
    found = f"{cores} cores" + (f", governor {', '.join(sorted(governors))}" if governors else "")
    if slow:
        todo = "sudo cpupower frequency-set -g performance (clocks that idle add milliseconds)"
        return Item("warn", "processor", found, todo)
    if cores < LEAST_CORES:
        todo = f"{LEAST_CORES} cores and more leave cameras and control one each"
        return Item("warn", "processor", found, todo)
    return Item("ok", "processor", found)


def look_at_scheduling() -> Item:
    """Whether control may run ahead of everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_RTPRIO)
    if os.geteuid() == 0 or soft != 0:
        return Item("ok", "real-time scheduling", "allowed")
    todo = (
        "a line '<user> - rtprio 30' in /etc/security/limits.d/telecap.conf, then log in again; "
        "without it a busy computer delays commands"
    )
    return Item("warn", "real-time scheduling", "not allowed for this user", todo)


def look_at_clock(source: Path = CLOCKSOURCE) -> Item:
    """The clock that time-stamps everything, and whether the wall clock is right."""
    name, synchronised = _text(source) or "unknown", _synchronised()
    if name in {"hpet", "acpi_pm", "jiffies", "refined-jiffies"}:
        todo = "this clock is slow to read; look for 'tsc' messages in dmesg"
        return Item("warn", "clock", f"source {name}", todo)
    if not synchronised:
        todo = (
            "takes are time-stamped by the monotonic clock and not harmed, but their dates may be "
            "wrong: sudo timedatectl set-ntp true"
        )
        return Item("warn", "clock", f"source {name}, wall clock not synchronised", todo)
    return Item("ok", "clock", f"source {name}, wall clock synchronised")


def look_at_shared_memory(folder: Path = SHARED) -> Item:
    """Room for what the processes tell each other."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Item("fail", "shared memory", str(error), f"{folder} must exist and be writable")
    found = f"{free >> 20} MB free in {folder}"
    if not os.access(folder, os.W_OK):
        return Item("fail", "shared memory", f"{folder} cannot be written", "check its rights")
    if free < SHARED_BYTES:
        todo = f"{SHARED_BYTES >> 20} MB are needed; in a container: --shm-size=1g"
        return Item("fail", "shared memory", found, todo)
    return Item("ok", "shared memory", found)


def look_at_disk(dataset: Path) -> Item:
    """Free space and speed where episodes will lie; writes and deletes a file of 32 MB."""
    folder = dataset.expanduser().resolve()
    while not folder.is_dir():
        folder = folder.parent
    try:
        free = shutil.disk_usage(folder).free
        if free < 2 * TRIAL_BYTES:
            return Item("fail", "disk", f"{free >> 20} MB free in {folder}", "make space")
        speed_mb_s, commit_s = _try_disk(folder)
    except OSError as error:
        return Item("fail", "disk", f"{folder} cannot be written: {error}", "choose another folder")
    found = (
        f"{free >> 30} GB free in {folder}, {speed_mb_s:.0f} MB/s, "
        f"slowest of {COMMITS} commits {1e3 * commit_s:.0f} ms"
    )
    if speed_mb_s < SLOW_MB_S or commit_s > SLOW_COMMIT_S:
        todo = "a local solid-state disk; this one may end takes early when cameras are fast"
        return Item("warn", "disk", found, todo)
    if free < FREE_BYTES:
        return Item("warn", "disk", found, "make space: an hour of four cameras takes about 10 GB")
    return Item("ok", "disk", found)


def _try_disk(folder: Path) -> tuple[float, float]:
    """Speed [MB/s] and the slowest of some small commits [s]."""
    path, block = folder / f".telecap-doctor-{os.getpid()}", os.urandom(1 << 20)
    slowest = 0.0
    try:
        with path.open("wb", buffering=0) as file:
            start = time.monotonic()
            for _ in range(TRIAL_BYTES >> 20):
                file.write(block)
            os.fdatasync(file.fileno())
            speed = TRIAL_BYTES / 1e6 / max(time.monotonic() - start, 1e-9)
            for _ in range(COMMITS):
                start = time.monotonic()
                file.write(block[:4096])
                os.fdatasync(file.fileno())
                slowest = max(slowest, time.monotonic() - start)
    finally:
        path.unlink(missing_ok=True)
    return speed, slowest


def _synchronised() -> bool:
    """Whether the kernel counts the wall clock as synchronised; True where it cannot say."""
    try:
        buffer = ctypes.create_string_buffer(512)  # `struct timex`, all zero: only read
        if ctypes.CDLL(None, use_errno=True).adjtimex(buffer) < 0:
            return True
    except (OSError, AttributeError):
        return True
    # modes (int, padded), offset, freq, maxerror, esterror (long), then status (int)
    status = ctypes.c_int.from_buffer(buffer, 8 + 4 * ctypes.sizeof(ctypes.c_long)).value
    return not status & STA_UNSYNC


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
