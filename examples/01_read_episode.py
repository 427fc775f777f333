"""Open an episode and look at what it holds: attributes, streams, cameras, events.

usage: python examples/01_read_episode.py EPISODE [--picture out.jpg]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from recorder import Episode


def describe_streams(episode: Episode) -> None:
    """One line a numeric stream; rows are read only where they are asked for."""
    for name in episode.streams:
        stream = episode.stream(name)
        fields = ", ".join(f"{f}{list(stream.dtype[f].shape) or ''}" for f in stream.fields)
        print(f"{name:26} {len(stream):6} rows  {fields}")


def describe_state(episode: Episode) -> None:
    """Joint names and units travel with the data, times are host nanoseconds."""
    state = episode.stream("state")
    if not len(state):
        return
    names = state.fields["position"].get("names", ())
    seconds = (state.t_ns - state.t_ns[0]) / 1e9
    moved = np.ptp(state["position"], axis=0)  # read-only array, kept in memory once read
    widest = int(np.argmax(moved))
    label = names[widest] if names else f"joint {widest}"
    print(f"state covers {seconds[-1]:.2f} s; {label} moved most: {moved[widest]:.3f} rad")
    print(f"rows 10 to 12 of position alone: {state.read('position', 10, 12).shape}")


def describe_cameras(episode: Episode, picture: Path | None) -> None:
    """Pictures are decoded one at a time; `encoded` gives the recorded JPEG bytes as they are."""
    for name in episode.cameras:
        camera = episode.camera(name)
        if not len(camera):
            print(f"cameras/{name}: no pictures")
            continue
        frame = camera[len(camera) // 2]
        age_ms = np.median(camera.t_receive_ns - camera.t_ns) / 1e6
        print(
            f"cameras/{name}: {len(camera)} pictures {frame.shape}, at hand after {age_ms:.1f} ms"
        )
    if picture is not None:
        first = next(episode.camera(n) for n in episode.cameras if len(episode.camera(n)))
        picture.write_bytes(first.jpeg(0))
        print(f"wrote {picture}")


def main() -> None:
    """Describe one episode."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("episode", type=Path)
    parser.add_argument("--picture", type=Path, help="write the first picture here")
    args = parser.parse_args()

    episode = Episode(args.episode)
    about = episode.attributes  # with labels that were given later
    print(f"{episode.id}: {episode.state}, {episode.duration_s:.2f} s")
    print(f"task {about.get('task')!r}, rig {about.get('rig')!r}, outcome {about.get('outcome')!r}")
    describe_streams(episode)
    describe_state(episode)
    describe_cameras(episode, args.picture)
    for event in episode.events[:10]:
        print(f"{(event.t_ns - episode.start_ns) / 1e9:8.3f} s  {event.kind}  {dict(event.data)}")


if __name__ == "__main__":
    main()
