"""A small third-party operator: it claims the robot and moves the right hand in a circle.

usage: telecap run --token secret          (in another terminal)
       python examples/04_drive_by_socket.py http://127.0.0.1:8765 secret [--seconds 6]

Any device becomes an operator this way: fill one frame with head and hands in STAGE (y up, -z
forward, metres), send it 60 to 120 times a second. Other languages: teleop/protocol.md.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import time

import numpy as np

from teleop.hmd.client import Client, ClientError
from teleop.protocol import HEAD_BIT, LEFT_CONTROLLER_BIT, RIGHT_CONTROLLER_BIT, empty_frame
from teleop.samples import Source, Tracking

RATE_HZ = 90
GOOD = int(Tracking.VALID | Tracking.TRACKED)


def make_frame(seq: int, right_m: tuple[float, float, float], squeeze: float) -> np.void:
    """One OPERATOR_FRAME row: a standing person; the right deadman is `squeeze`, 0 to 1."""
    frame = empty_frame()
    frame["seq"], frame["t_device_ns"] = seq, time.monotonic_ns()
    frame["source"] = Source.UNKNOWN
    frame["presence"] = HEAD_BIT | LEFT_CONTROLLER_BIT | RIGHT_CONTROLLER_BIT
    frame["head_flags"] = GOOD
    frame["head"] = [0.0, 1.62, 0.0, 0.0, 0.0, 0.0, 1.0]
    for side, (x, y, z) in {"left": (-0.2, 1.1, -0.4), "right": right_m}.items():
        controller = frame[f"{side}_controller"]
        controller["flags"] = GOOD
        controller["grip"] = controller["aim"] = [x, y, z, 0.0, 0.0, 0.0, 1.0]
    frame["right_controller"]["squeeze"] = squeeze
    return frame


async def drive(url: str, token: str, seconds: float, radius_m: float) -> float:
    """Move for some seconds; the share of that time in which the arm followed."""
    async with Client(url, token, kind="synthetic", device="example 04") as client:
        await client.claim()
        followed = 0
        n, n_rest = round(seconds * RATE_HZ), RATE_HZ // 2
        start = time.monotonic()
        for i in range(-n_rest, n):
            # Half a second with the grip released: only a fresh press engages.
            angle = max(i - n_rest, 0) / RATE_HZ * math.pi
            x = 0.2 + radius_m * math.sin(angle)
            y = 1.1 + radius_m * (math.cos(angle) - 1.0)
            squeeze = 1.0 if i >= 0 else 0.0
            await client.send_frame(make_frame(i + n_rest + 1, (x, y, -0.4), squeeze))
            followed += bool(client.status and client.status.engaged[1])
            due = start + (i + n_rest + 1) / RATE_HZ
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await client.release()
    return followed / n


def main() -> None:
    """Drive the right arm of a running system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="as `telecap run` printed it, up to the port")
    parser.add_argument("token")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--radius-m", type=float, default=0.05)
    args = parser.parse_args()
    try:
        share = asyncio.run(drive(args.url, args.token, args.seconds, args.radius_m))
    except ClientError as error:
        raise SystemExit(str(error)) from error
    print(f"the right arm followed {share:.0%} of the time")


if __name__ == "__main__":
    main()
