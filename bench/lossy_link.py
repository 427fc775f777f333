"""A network link of its own that can be made slow and lossy: two TUN devices and a pump between.

The kernel's own emulation (netem) is not in every kernel; this drops real IP packets under a real
TCP just the same. Needs root, /dev/net/tun and iproute2.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections import deque
from types import TracebackType
from typing import Self

SPACE, OUTER, INNER = "telecap-lossy", "tclossy0", "tclossy1"
OUTER_IP, INNER_IP = "10.123.45.1", "10.123.45.2"
MAX_QUEUED = 1000
"""Packets that wait at most, as in netem; the next is dropped."""
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def unavailable() -> str:
    """Why there can be no such link here; empty when there can."""
    if os.geteuid() != 0:
        return "root is needed"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened"
    return "" if os.access("/usr/sbin/ip", os.X_OK) or os.access("/sbin/ip", os.X_OK) else "no ip"


class LossyLink:
    """A network namespace reached from here at `INNER_IP`, which reaches here at `OUTER_IP`."""

    prefix = ("ip", "netns", "exec", SPACE)

    def __init__(self) -> None:
        self._bytes_s = float("inf")
        self._loss = 0.0
        self._random = random.Random(0)
        self._queue: deque[bytes] = deque()
        self._free_s = 0.0
        self._stopping = False
        self.dropped = 0

    def __enter__(self) -> Self:
        subprocess.run(["ip", "netns", "del", SPACE], check=False, capture_output=True)
        _run("ip", "netns", "add", SPACE)
        self._outer, self._inner = _tun(OUTER), _tun(INNER)
        _run("ip", "link", "set", INNER, "netns", SPACE)
        _run("ip", "addr", "add", f"{OUTER_IP}/24", "dev", OUTER)
        _run("ip", "link", "set", OUTER, "up")
        for command in (
            ("ip", "addr", "add", f"{INNER_IP}/24", "dev", INNER),
            ("ip", "link", "set", INNER, "up"),
            ("ip", "link", "set", "lo", "up"),
        ):
            _run(*self.prefix, *command)
        self._thread = threading.Thread(target=self._pump, name="lossy-link", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = True
        self._thread.join(2.0)
        os.close(self._outer)
        os.close(self._inner)
        _run("ip", "netns", "del", SPACE)

    def throttle(self, mbit_s: float, loss: float) -> None:
        """Throttle what goes from here into the namespace; `inf` and 0 take it away."""
        self._bytes_s, self._loss = mbit_s * 1e6 / 8, loss

    def _pump(self) -> None:
        while not self._stopping:
            wait_s = 0.2 if not self._queue else max(0.0, self._free_s - time.monotonic())
            ready, _, _ = select.select([self._outer, self._inner], [], [], wait_s)
            if self._inner in ready:
                os.write(self._outer, os.read(self._inner, 65536))
            if self._outer in ready:
                self._take(os.read(self._outer, 65536))
            self._let_go()

    def _take(self, packet: bytes) -> None:
        if self._random.random() < self._loss or len(self._queue) >= MAX_QUEUED:
            self.dropped += 1
            return
        if not self._queue:
            self._free_s = max(self._free_s, time.monotonic()) + len(packet) / self._bytes_s
        self._queue.append(packet)

    def _let_go(self) -> None:
        now_s = time.monotonic()
        while self._queue and self._free_s <= now_s:
            os.write(self._inner, self._queue.popleft())
            if self._queue:
                self._free_s += len(self._queue[0]) / self._bytes_s


def _tun(name: str) -> int:
    handle = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return handle


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
