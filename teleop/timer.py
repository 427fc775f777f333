"""A Linux timer as a file descriptor, to wake a wait set at an exact time.

The standard library has `os.timerfd_create` from Python 3.13 on only, hence libc by ctypes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = 0o4000
_TFD_CLOEXEC = 0o2000000
_NS = 1_000_000_000


class _Timespec(ctypes.Structure):
    _fields_ = (("sec", ctypes.c_long), ("nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class TimerFd:
    """One-shot monotonic timer; its descriptor becomes readable when it fires.

    Raises:
        OSError: The kernel refused the timer.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _Itimerspec()

    def arm(self, delay_ns: int) -> None:
        """Fire once, `delay_ns` from now; at least one nanosecond, zero would disarm."""
        delay_ns = max(1, delay_ns)
        self._spec.value.sec, self._spec.value.nsec = divmod(delay_ns, _NS)
        if self._libc.timerfd_settime(self.fd, 0, ctypes.byref(self._spec), None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def clear(self) -> None:
        """Disarm and forget a firing that has already happened."""
        self._spec.value.sec = self._spec.value.nsec = 0
        self._libc.timerfd_settime(self.fd, 0, ctypes.byref(self._spec), None)
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 8)

    def close(self) -> None:
        """Release the descriptor; closing twice is allowed."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
