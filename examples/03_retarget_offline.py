"""Re-run the retargeter on the recorded targets and compare with the recorded solution.

usage: python examples/03_retarget_offline.py EPISODE [--rig RIG] [--rate-hz 200]

The same calls give the same numbers, so with the recorded rig only what the recording cannot tell
remains: the arms' motion before the first row used. With another rig file (other limits, another
posture) the difference is what that rig would have done. Going home is not a target and is skipped.
`telecap replay EPISODE --retarget` makes everything again, from the operator on, bit for bit.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from recorder import Episode
from recorder.numeric import Stream
from retarget import Retargeter, Rig, Targets, load_rig
from retarget.frames import pose_to_matrix

AT_REST_RAD_S = 0.02
"""A retargeter starts at rest; a start from a row slower than this is forgotten quickly."""
JOINTS = 4
"""`Status.JOINTS` in the field `status`: a joint-space motion, made without targets."""


def first_row(solution: Stream) -> int:
    """The first tick after the arms were nearly at rest, or the second row when they never were."""
    speed = np.abs(solution["velocity"]).max(axis=1)
    slow = (speed[:-1] < AT_REST_RAD_S) & (solution["revision"][1:] == 0)
    return int(slow.argmax()) + 1


def targets_of(rows: np.ndarray, row: int) -> Targets:
    """What was asked of the retargeter in one row of the stream `target`."""
    valid, gripper = rows["valid"][row], rows["gripper"][row]
    tips = ("left_wrist", "right_wrist", "head")
    poses = [
        pose_to_matrix(rows[f"T_robot_{tip}"][row]) if valid[i] else None
        for i, tip in enumerate(tips)
    ]
    sides = zip(("left", "right"), gripper.tolist(), strict=True)
    openings = {side: opening for side, opening in sides if not np.isnan(opening)}
    return Targets(*poses, grippers=openings)


def retarget(episode: Episode, rig: Rig, rate_hz: float) -> tuple[int, np.ndarray]:
    """First row used, and joint positions of every row from there on, `(n, joints)`."""
    target, solution = episode.stream("target").rows(), episode.stream("solution")
    first = first_row(solution)
    retargeter = Retargeter(rig, rate_hz)
    openings = episode.stream("command/requested")["gripper"][first - 1]
    retargeter.reset(solution["position"][first - 1], openings)
    q = np.zeros((len(target) - first, len(rig.joint_names)))
    for i, row in enumerate(range(first, len(target))):
        if solution["status"][row] == JOINTS:
            q[i] = solution["position"][row]
            retargeter.reset(q[i])
            continue
        # Revision 0 is a tick of the grid; later ones made the same tick again with a newer pose.
        answer = retargeter.step if target["revision"][row] == 0 else retargeter.revise
        q[i] = answer(targets_of(target, row)).q
    return first, q


def main() -> None:
    """Retarget one episode and print how far the answers are apart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("episode", type=Path)
    parser.add_argument("--rig", default="", help="rig name or file; the recorded one by default")
    parser.add_argument("--rate-hz", type=float, default=200.0)
    args = parser.parse_args()

    episode = Episode(args.episode)
    rig = load_rig(args.rig or str(episode.attributes["rig"]))
    began = time.perf_counter()
    first, q = retarget(episode, rig, args.rate_hz)
    each_us = (time.perf_counter() - began) / max(len(q), 1) * 1e6
    apart = np.abs(q - episode.stream("solution")["position"][first:])
    settled = apart[int(args.rate_hz) :] if len(apart) > args.rate_hz else apart
    same = rig.model_hash == episode.attributes["model_hash"]
    print(f"{len(q)} rows from row {first}, {each_us:.0f} µs each, rig {rig.name}")
    print(f"same model as recorded: {'yes' if same else 'no'}")
    print(f"largest difference {apart.max():.2g} rad, {settled.max():.2g} rad after the first rows")
    print(f"mean difference {apart.mean():.2g} rad")


if __name__ == "__main__":
    main()
