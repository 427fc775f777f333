"""Bring all streams of an episode to one rate and iterate over training samples.

usage: python examples/02_align_and_iterate.py EPISODE [--fps 30] [--max-gap-ms 50] [--limit 5]

Nothing is re-stamped on disk: alignment happens here, and says for each row how far away in time
its sources were. Rows whose sources are too far, and rows inside a pause, are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recorder import Aligned, Episode, Policy, align
from recorder.checks import pauses


@dataclass(frozen=True)
class Sample:
    """One training sample.

    Attributes:
        t_ns: Instant on the host clock [ns].
        observation: Measured joints and grippers, interpolated, `(k,)`.
        action: Joints and grippers asked for at or before the instant, `(k,)`.
        pictures: Nearest picture of each camera, `(height, width, 3)` uint8.
    """

    t_ns: int
    observation: np.ndarray
    action: np.ndarray
    pictures: dict[str, np.ndarray]


def align_for_training(episode: Episode, fps: float, max_gap_ms: float) -> Aligned:
    """State by linear interpolation, the last command, the nearest pictures."""
    gap_ns = int(max_gap_ms * 1e6)
    fields = ("position", "gripper")
    policies = {
        "state": Policy("linear", gap_ns, fields),
        "command/requested": Policy("previous", gap_ns, fields),
    }
    used = [name for name in episode.cameras if len(episode.camera(name))]
    policies |= {f"cameras/{name}": Policy("nearest", gap_ns) for name in used}
    return align(episode, fps, policies)


def samples(episode: Episode, aligned: Aligned) -> Iterator[Sample]:
    """Valid rows outside pauses, pictures decoded as they are needed."""
    keep = aligned.all_valid
    for start_ns, end_ns in pauses(episode.events, episode.end_ns):
        keep &= ~((aligned.t_ns >= start_ns) & (aligned.t_ns < end_ns))
    cameras = {n: episode.camera(n) for n in episode.cameras if f"cameras/{n}" in aligned.index}
    state, command = aligned.values["state"], aligned.values["command/requested"]
    for i in np.flatnonzero(keep):
        yield Sample(
            t_ns=int(aligned.t_ns[i]),
            observation=np.concatenate([state["position"][i], state["gripper"][i]]),
            action=np.concatenate([command["position"][i], command["gripper"][i]]),
            pictures={n: c[int(aligned.index[f"cameras/{n}"][i])] for n, c in cameras.items()},
        )


def main() -> None:
    """Align one episode and print its first samples."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("episode", type=Path)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--max-gap-ms", type=float, default=50.0)
    parser.add_argument("--limit", type=int, default=5, help="samples to print")
    args = parser.parse_args()

    episode = Episode(args.episode)
    aligned = align_for_training(episode, args.fps, args.max_gap_ms)
    print(f"{len(aligned)} rows at {args.fps:g} Hz, {aligned.all_valid.mean():.1%} valid")
    for name, error_ns in aligned.error_ns.items():
        print(f"  {name:20} at most {np.abs(error_ns).max() / 1e6:.1f} ms from its row")
    for number, sample in zip(range(args.limit), samples(episode, aligned), strict=False):
        shapes = {name: picture.shape for name, picture in sample.pictures.items()}
        print(f"{number}: {sample.observation.shape} -> {sample.action.shape}, {shapes}")


if __name__ == "__main__":
    main()
