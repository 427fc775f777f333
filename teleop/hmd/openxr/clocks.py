"""The runtime's clock and this machine's: XrTime to and from the device clock.

`XR_KHR_convert_timespec_time` speaks CLOCK_MONOTONIC, which `time.monotonic_ns` reads on Linux;
its Windows sister speaks the performance counter, which `time.perf_counter_ns` reads there.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable

import xr

from teleop.hmd.openxr.errors import OpenXrError
from teleop.hmd.openxr.runtime import CLOCK, Runtime

NS = 1_000_000_000
IS_WINDOWS = sys.platform == "win32"
device_clock_ns: Callable[[], int] = time.perf_counter_ns if IS_WINDOWS else time.monotonic_ns
"""The device clock of this client, in tracking, pings and pongs alike [ns]."""


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_int64), ("tv_nsec", ctypes.c_int64))


_TO_XR = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64)
)
_FROM_XR = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)


class RuntimeClock:
    """Converts between XrTime and `device_clock_ns`.

    Raises:
        OpenXrError: The runtime does not tell its clock.
    """

    def __init__(self, runtime: Runtime) -> None:
        if not runtime.has(CLOCK):
            raise OpenXrError(f"{runtime.name} does not tell its clock: it lacks {CLOCK}")
        names = (
            (
                "xrConvertWin32PerformanceCounterToTimeKHR",
                "xrConvertTimeToWin32PerformanceCounterKHR",
            )
            if IS_WINDOWS
            else ("xrConvertTimespecTimeToTimeKHR", "xrConvertTimeToTimespecTimeKHR")
        )
        self._to_xr = runtime.function(names[0], _TO_XR)
        self._from_xr = runtime.function(names[1], _FROM_XR)
        self._instance = ctypes.cast(runtime.instance, ctypes.c_void_p)

    def now(self) -> tuple[int, int]:
        """The same instant as XrTime and on the device clock [ns]."""
        t_ns = device_clock_ns()
        return self.to_xr(t_ns), t_ns

    def to_xr(self, t_ns: int) -> int:
        """XrTime of an instant of the device clock [ns]."""
        out = ctypes.c_int64()
        moment = _to_native(t_ns)
        xr.check_result(
            xr.Result(self._to_xr(self._instance, ctypes.byref(moment), ctypes.byref(out)))
        )
        return out.value

    def to_device(self, time_xr: int) -> int:
        """Device clock [ns] of an XrTime."""
        moment = ctypes.c_int64() if IS_WINDOWS else _Timespec()
        xr.check_result(xr.Result(self._from_xr(self._instance, time_xr, ctypes.byref(moment))))
        return _from_native(moment)


def _to_native(t_ns: int) -> ctypes.Structure | ctypes.c_int64:
    if IS_WINDOWS:
        return ctypes.c_int64(t_ns * _counts_per_second() // NS)
    return _Timespec(t_ns // NS, t_ns % NS)


def _from_native(moment: ctypes.Structure | ctypes.c_int64) -> int:
    if isinstance(moment, ctypes.c_int64):
        return moment.value * NS // _counts_per_second()
    return int(moment.tv_sec) * NS + int(moment.tv_nsec)


def _counts_per_second() -> int:
    return round(1.0 / time.get_clock_info("perf_counter").resolution)
