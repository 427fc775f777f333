"""Frames a second of the native headset client in a real compositor.

usage: sh scripts/with-xr.sh python -m bench.openxr_display [--seconds 10]

Monado's main compositor on an X server without a screen, at a third of its size, asked for 72 Hz;
the client draws two 640 × 480 pictures at 30 Hz, two wrist pictures and the HUD, without a server.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from teleop.hmd.hudmodel import HudInput, hud_model
from teleop.hmd.openxr.frames import Display, display_session
from teleop.hmd.openxr.graphics import preferred_kind
from teleop.hmd.openxr.hudimage import HudImage
from teleop.hmd.openxr.session import Session
from teleop.hmd.openxr.view import OperatorView
from teleop.protocol import StreamInfo
from tests.openxr.monado import Monado

SCREEN = ":78"
STREAMS = (("head_left", "left"), ("head_right", "right"), ("wrist_left", ""), ("wrist_right", ""))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    seconds = parser.parse_args().seconds
    folder = Path(tempfile.mkdtemp(prefix="xr", dir="/tmp"))
    os.environ |= {
        "DISPLAY": SCREEN,
        "XDG_RUNTIME_DIR": str(folder),
        "XR_RUNTIME_JSON": os.environ["TELECAP_XR_PREFIX"] + "/monado.json",
    }
    screen = subprocess.Popen(["Xvfb", SCREEN, "-screen", "0", "640x480x24", "-nolisten", "tcp"])
    time.sleep(1.0)
    monado = Monado(
        Path(os.environ["TELECAP_XR_PREFIX"]),
        folder,
        {
            "XRT_COMPOSITOR_FORCE_XCB": "1",
            "XRT_COMPOSITOR_SCALE_PERCENTAGE": "30",
            "XRT_COMPOSITOR_DEFAULT_FRAMERATE": "72",
        },
    )
    monado.start()
    try:
        with display_session(preferred_kind()) as (_, session, _, display):
            measure(session, display, seconds)
    finally:
        monado.stop()
        screen.terminate()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def measure(session: Session, display: Display, seconds: float) -> None:
    view, hud = OperatorView(), HudImage()
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (480, 640, 3), np.uint8) for _ in range(4)]
    infos = [
        StreamInfo(id=i, name=name, eye=eye, width=640, height=480, fovy_deg=60.0, codec="jpeg")
        for i, (name, eye) in enumerate(STREAMS)
    ]
    waits: list[int] = []
    busy: list[float] = []
    while len(waits) < 72 * seconds:
        session.poll()
        if not session.running:
            time.sleep(0.01)
            continue
        state = display.wait()
        begun = time.thread_time()
        if len(waits) % 2 == 0:  # 36 Hz, a little more than the cameras'
            for info, picture in zip(infos, pictures, strict=True):
                display.painter.put(info.name, picture)
                view.add(info, None)
        hud.paint(hud_model(HudInput()))
        display.painter.put("hud", hud.rgba) if hud.version == 1 and not waits else None
        display.show(state, view.quads)
        busy.append(time.thread_time() - begun)
        waits.append(display.t_waited_ns)
    steps_ms = np.diff(waits[72:]) / 1e6
    print(
        f"{1e3 / steps_ms.mean():.1f} Hz over {len(steps_ms)} frames; "
        f"step p50 {np.median(steps_ms):.2f} ms, p99 {np.percentile(steps_ms, 99):.2f} ms; "
        f"client CPU {1e3 * np.median(busy):.2f} ms a frame"
    )


if __name__ == "__main__":
    raise SystemExit(main())
