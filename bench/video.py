"""How old the operator's pictures are: from exposure to decoded, on a good and on a bad link.

usage: python -m bench.video [--seconds 120] [--mbit 2 --loss 5] [--codec h264]

The real system (`openarm`, two head cameras of 640 × 480 at 30 Hz) and a client that decodes like
the native headset client. With `--mbit` (needs root) the client sits behind a link of its own: 10 s
good, then throttled for as long again as `--seconds`, then 10 s good.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from bench.lossy_link import OUTER_IP, LossyLink
from retarget import load_rig
from teleop.bus import Bus
from teleop.config import CameraConfig
from teleop.hmd.openxr.clocks import device_clock_ns
from teleop.hmd.openxr.link import Link
from teleop.hmd.openxr.pictures import Decoder
from teleop.protocol import StreamInfo, VideoPicture, empty_frame
from teleop.samples import OPERATOR_FRAME, Button, Tracking, command_dtype, row_sizes
from teleop.supervisor import Supervisor
from teleop.system import new_config

GOOD_S = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--mbit", type=float, default=0.0, help="of the throttled link [Mbit/s]")
    parser.add_argument("--loss", type=float, default=5.0, help="of its packets [%%]")
    parser.add_argument("--codec", default="jpeg", choices=("jpeg", "h264"), help="of the cameras")
    parser.add_argument("--client", nargs=2, metavar=("URL", "TOKEN"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.client:
        return watch(*args.client, args.seconds)
    with system("0.0.0.0" if args.mbit else "127.0.0.1", args.codec) as running:
        if not args.mbit:
            poses = Poses(running)
            begin_s = time.monotonic()
            child = start([], running.url, running.config.token, args.seconds)
            while time.monotonic() - begin_s < args.seconds:
                time.sleep(0.2)
                poses.look()
            pictures = collected(child, begin_s)
            parts = 1 if args.seconds < 300 else 5
            print(HEADING)
            for part in range(parts):
                span = args.seconds / parts
                name = "loopback" if parts == 1 else f"loopback, part {part + 1} of {parts}"
                print(row(name, pictures, 2.0 + part * span, (part + 1) * span))
            print(poses.summary())
            return 0
        with LossyLink() as cable:
            begin_s = time.monotonic()
            url = running.url.replace("127.0.0.1", OUTER_IP)
            whole_s = args.seconds + 2 * GOOD_S
            child = start(list(cable.prefix), url, running.config.token, whole_s)
            time.sleep(GOOD_S)
            bad_s = time.monotonic() - begin_s
            cable.throttle(args.mbit, args.loss / 100)
            time.sleep(args.seconds)
            good_s = time.monotonic() - begin_s
            cable.throttle(float("inf"), 0.0)
            pictures = collected(child, begin_s)
            bad = f"{args.mbit:g} Mbit/s, {args.loss:g} % loss"
            print(HEADING)
            print(row("good", pictures, 2.0, bad_s))
            print(row(f"{bad}, first 2 s", pictures, bad_s, bad_s + 2.0))
            print(row(f"{bad}, after that", pictures, bad_s + 2.0, good_s))
            print(row("good again, first 2 s", pictures, good_s, good_s + 2.0))
            print(row("good again", pictures, good_s + 2.0, good_s + GOOD_S))
    return 0


HEADING = """| link | pictures a second | age ms p50 | p99 | max | kbit/s | H.264 % |
|---|---|---|---|---|---|---|"""


def row(name: str, pictures: list[dict], begin_s: float, end_s: float) -> str:
    """One line of the table: pictures decoded in this part of the run."""
    part = [p for p in pictures if begin_s <= p["t_s"] < end_s]
    ages = [p["age_ms"] for p in part] or [float("nan")]
    seconds = end_s - begin_s
    kbit_s = sum(p["bytes"] for p in part) * 8e-3 / seconds
    h264 = 100 * float(np.mean([p["codec"] == 2 for p in part] or [0]))
    return (
        f"| {name} | {len(part) / seconds:.1f} | {np.median(ages):.1f} | "
        f"{np.percentile(ages, 99):.1f} | {max(ages):.1f} | {kbit_s:.0f} | {h264:.0f} |"
    )


@contextmanager
def system(host: str, codec: str = "jpeg") -> Iterator[Supervisor]:
    """The real system, with two head cameras."""
    cameras = tuple(
        CameraConfig(name=f"head_{side}", width=640, height=480, codec=codec)
        for side in ("left", "right")
    )
    with tempfile.TemporaryDirectory() as folder:
        config = new_config(dataset=f"{folder}/dataset", port=0, host=host, cameras=cameras)
        with Supervisor(config) as running:
            running.start()
            yield running


class Poses:
    """From the moment a pose is of to the command that uses it, while pictures play."""

    def __init__(self, running: Supervisor) -> None:
        rig = load_rig(running.config.rig)
        sizes = row_sizes(rig)
        bus = Bus(running.config.instance)
        self._frames = bus.subscriber("operator/frame", OPERATOR_FRAME, depth=512)
        self._commands = bus.subscriber("command/requested", command_dtype(*sizes), depth=1024)
        self._device_ns: dict[int, int] = {}
        self._ms: list[float] = []

    def look(self) -> None:
        """Take what came since the last time."""
        for message in self._frames.drain():
            row = message.data
            self._device_ns[int(row["t_receive_ns"])] = int(row["t_device_ns"])
        for message in self._commands.drain():
            row = message.data
            known = self._device_ns.get(int(row["t_operator_receive_ns"]))
            if row["first_use"] and known is not None:
                self._ms.append((int(row["t_ns"]) - known) / 1e6)

    def summary(self) -> str:
        if not self._ms:
            return "no pose reached a command"
        p50, p99 = np.percentile(self._ms, [50, 99])
        return (
            f"pose to command meanwhile: {len(self._ms)} poses, p50 {p50:.2f} ms, p99 {p99:.2f} ms"
        )


def start(prefix: list[str], url: str, token: str, seconds: float) -> subprocess.Popen[str]:
    command = [*prefix, sys.executable, "-m", "bench.video", "--seconds", str(seconds)]
    return subprocess.Popen([*command, "--client", url, token], stdout=subprocess.PIPE, text=True)


def collected(child: subprocess.Popen[str], begin_s: float) -> list[dict]:
    output, _ = child.communicate()
    pictures: list[dict] = json.loads(output.splitlines()[-1])
    for picture in pictures:
        picture["t_s"] -= begin_s
    return pictures


def watch(url: str, token: str, seconds: float) -> int:
    """The client: decode, and print when each picture was and how old it was then."""
    seen: dict[tuple[str, int], tuple[VideoPicture, StreamInfo]] = {}
    found: list[dict] = []
    decoder = Decoder()

    def offer(picture: VideoPicture, stream: StreamInfo) -> None:
        seen[stream.name, picture.seq] = (picture, stream)
        decoder.offer(picture, stream)

    def decoded(name: str, seq: int, key: bool) -> None:
        now_ns = device_clock_ns()
        link.acknowledge(name, seq, key)
        picture, _ = seen.pop((name, seq))
        found.append(
            {
                "t_s": now_ns / 1e9,
                "age_ms": (now_ns - picture.t_capture_ns) / 1e6,
                "bytes": len(picture.payload),
                "codec": int(picture.codec),
                "stream": name,
            }
        )

    link = Link(url, token, device="bench", video=("*",), on_picture=offer)
    decoder.on_decoded = decoded
    with link:
        end_s = time.monotonic() + seconds
        seq = 0
        while time.monotonic() < end_s:
            seq += 1
            link.offer(still_operator(seq))
            time.sleep(1 / 90)
    decoder.close()
    print(json.dumps(found))
    return 0


def still_operator(seq: int) -> np.void:
    """A person who stands, and after two seconds holds both grips."""
    row = empty_frame()
    good = int(Tracking.VALID | Tracking.TRACKED)
    row["seq"], row["t_device_ns"], row["presence"] = seq, device_clock_ns(), 7
    row["head_flags"] = good
    row["head"] = [0.0, 1.6, 0.0, 0.0, 0.0, 0.0, 1.0]
    for side, x in (("left", -0.2), ("right", 0.2)):
        block = row[f"{side}_controller"]
        block["flags"] = good
        block["grip"] = block["aim"] = [x, 1.1, -0.3, 0.0, 0.0, 0.0, 1.0]
        if seq > 180:
            block["squeeze"], block["buttons"] = 1.0, int(Button.SQUEEZE)
    return row


if __name__ == "__main__":
    raise SystemExit(main())
