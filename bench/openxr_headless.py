"""Poses a second of the native headset client without pictures.

usage: sh scripts/with-xr.sh python -m bench.openxr_headless [--seconds 10]

Monado with its scriptable devices, two controllers and two bare hands; 200 Hz are asked for.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from teleop.hmd.openxr.app import HEADLESS_HZ
from teleop.hmd.openxr.headless import headless_session, stream, wait_until_running
from tests.openxr.monado import Devices, Monado


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    prefix = Path(os.environ["TELECAP_XR_PREFIX"])
    folder = Path(tempfile.mkdtemp(prefix="xr", dir="/tmp"))
    os.environ |= {
        "XDG_RUNTIME_DIR": str(folder),
        "XR_RUNTIME_JSON": str(prefix / "monado.json"),
    }
    monado = Monado(prefix, folder, {"XRT_COMPOSITOR_NULL": "1"})
    monado.start()
    monado.put(Devices())
    try:
        measure(seconds)
    finally:
        monado.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def measure(seconds: float) -> None:
    times_ns: list[int] = []
    with headless_session() as (_, session, sampler):
        wait_until_running(session)
        end = time.monotonic() + seconds
        busy_s = time.thread_time()
        stream(
            session,
            sampler,
            HEADLESS_HZ,
            lambda row: times_ns.append(int(row["t_device_ns"])),
            lambda: time.monotonic() > end,
        )
        busy_s = time.thread_time() - busy_s
    steps_ms = np.diff(times_ns) / 1e6
    print(
        f"{1e3 / steps_ms.mean():.1f} poses/s over {len(steps_ms)}; "
        f"step p50 {np.median(steps_ms):.2f} ms, p99 {np.percentile(steps_ms, 99):.2f} ms; "
        f"client CPU {1e3 * busy_s / len(times_ns):.2f} ms a pose"
    )


if __name__ == "__main__":
    raise SystemExit(main())
