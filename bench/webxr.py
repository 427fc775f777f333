"""Poses a second that the headset page sends with both hands while it plays the head cameras.

usage: python -m bench.webxr [--seconds 20] [--codec h264]

The real system (`openarm`, two head cameras of 640 × 480 at 30 Hz) and Chromium with an emulated
headset (iwer), whose display runs at 60 Hz.
"""

from __future__ import annotations

import argparse

import numpy as np
from playwright.sync_api import Page, sync_playwright

from bench.video import system
from teleop.bus import Bus
from teleop.protocol import HEAD_BIT, LEFT_HAND_BIT, RIGHT_HAND_BIT
from teleop.samples import OPERATOR_FRAME
from teleop.supervisor import Supervisor
from teleop.system import page_urls
from tests.browser.conftest import CHROMIUM, CHROMIUM_ARGS, INSTALL_IWER, IWER

SETTLE_S = 3.0
BARE_HANDS = HEAD_BIT | LEFT_HAND_BIT | RIGHT_HAND_BIT
# Binary is a frame of the operator, text an answer to a picture or another message.
COUNT_SENT = """
window.sent = { poses: 0, pictures: {} };
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
    if (typeof data !== "string") window.sent.poses += 1;
    else if (data.includes('"video_ack"')) {
        const { stream } = JSON.parse(data);
        window.sent.pictures[stream] = (window.sent.pictures[stream] ?? 0) + 1;
    }
    return send.call(this, data);
};
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--codec", default="jpeg", choices=("jpeg", "h264"), help="of the cameras")
    args = parser.parse_args()
    with system("127.0.0.1", args.codec) as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGS)
        page = browser.new_page(viewport={"width": 640, "height": 400})
        enter_with_bare_hands(page, running)
        print(measure(page, running, args.seconds))
        browser.close()
    return 0


def enter_with_bare_hands(page: Page, running: Supervisor) -> None:
    page.add_init_script(path=IWER)
    page.add_init_script(script=INSTALL_IWER + COUNT_SENT)
    page.goto(page_urls(running.url, running.config.token)["headset"])
    page.locator("#enter:enabled").wait_for()
    page.evaluate("document.querySelector('#enter').click()")
    page.locator("body[data-session=running]").wait_for()
    page.evaluate("window.xrDevice.primaryInputMode = 'hand'")
    page.wait_for_timeout(1e3 * SETTLE_S)


def measure(page: Page, running: Supervisor, seconds: float) -> str:
    """What reached the gateway, and what the page showed, in this time."""
    bus = Bus(running.config.instance)
    poses = bus.subscriber("operator/frame", OPERATOR_FRAME, depth=int(200 * seconds))
    poses.drain()
    before = page.evaluate("window.sent")
    page.wait_for_timeout(1e3 * seconds)
    after = page.evaluate("window.sent")
    rows = np.array([message.data for message in poses.drain()])
    steps_ms = np.diff(rows["t_receive_ns"]) / 1e6
    missing = int((np.diff(rows["seq"].astype(np.int64)) - 1).sum())
    bare = int((rows["presence"] == BARE_HANDS).sum())
    pictures = ", ".join(
        f"{name} {(shown - before['pictures'].get(name, 0)) / seconds:.1f}"
        for name, shown in sorted(after["pictures"].items())
    )
    return (
        f"{1e3 / steps_ms.mean():.1f} poses/s at the gateway, step p50 {np.median(steps_ms):.2f} "
        f"ms, p99 {np.percentile(steps_ms, 99):.2f} ms; of {len(rows)} poses {bare} with both "
        f"hands, {missing} missing (the page sent {after['poses'] - before['poses']}); "
        f"pictures/s decoded: {pictures}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
