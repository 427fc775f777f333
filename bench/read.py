"""Random training samples a second: this reader beside zarr-python and HDF5.

usage: python -m bench.read [--seconds 30] [--samples 300]

A sample is one picture of each of three cameras (640 × 480) and the next 50 joint rows of a 30 Hz
grid, at a random instant; one core, warm cache. zarr-python reads the very files this project
wrote, LeRobot an export of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench import takes
from recorder import Dataset, Episode, Window
from recorder.export.lerobot import export_lerobot
from recorder.schema import H264, JPEG

ACTIONS = 50
HEADING = """| reader | samples/s | pictures/s | MB on disk |
|---|---|---|---|"""
Read = Callable[[int], object]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of the take")
    parser.add_argument("--samples", type=int, default=300)
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        episode = record(Path(folder) / "jpeg", args.seconds, JPEG)
        video = record(Path(folder) / "h264", args.seconds, H264)
        readers: dict[str, Callable[[], tuple[Read, float]]] = {
            "telecap, `Windows`": lambda: ours(episode),
            "telecap, `Windows`, H.264": lambda: ours(video),
            "zarr-python, the same files": lambda: zarr_python(episode),
            "h5py, raw pictures": lambda: hdf5(Path(folder), episode),
        }
        peer = os.environ.get("TELECAP_LEROBOT_PYTHON")
        print(HEADING)
        for name, make in readers.items():
            try:
                read, size_mb = make()
            except ImportError as error:
                print(f"not measured: {name}: {error}")
                continue
            rate = measure(read, len(episode.camera("front")), args.samples)
            print(f"| {name} | {rate:.0f} | {3 * rate:.0f} | {size_mb:.0f} |")
        if peer:
            print(lerobot(peer, Path(folder) / "lerobot", episode, args.samples))
        else:
            print("not measured: LeRobot: set TELECAP_LEROBOT_PYTHON to a Python that has it")
    return 0


def lerobot(python: str, folder: Path, episode: Episode, samples: int) -> str:
    """The same take exported to LeRobot, read by LeRobot in an interpreter that has it."""
    export_lerobot([episode], folder, fps=takes.CAMERA_HZ, action="measured")
    script = Path(__file__).with_name("lerobot_script.py")
    command = [python, str(script), str(folder), str(samples), str(ACTIONS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"not measured: LeRobot: {done.stderr.strip().splitlines()[-1]}"
    found = json.loads(done.stdout.splitlines()[-1])
    name = f"LeRobot {found['version']}, {found['backend']}"
    rate, mb = found["rate"], size_mb(folder)
    return f"| {name} | {rate:.0f} | {3 * rate:.0f} | {mb:.0f} |"


def record(folder: Path, seconds: float, codec: str) -> Episode:
    """A take, written by this project."""
    writer = Dataset.open(folder, create=True).begin(
        takes.STREAMS, takes.cameras(codec), {"task": "bench"}
    )
    begin_ns = 1_000_000_000
    writer.append("state", takes.state_rows(0, int(seconds * takes.STATE_HZ), begin_ns))
    writer.append("poses", takes.pose_rows(0, int(seconds * takes.POSE_HZ), begin_ns))
    for k in range(int(seconds * takes.CAMERA_HZ)):
        t_ns = begin_ns + k * 1_000_000_000 // takes.CAMERA_HZ
        for camera in takes.NAMES:
            payload = takes.payloads(codec)[k % takes.DISTINCT]
            writer.append_picture(camera, payload, t_ns, t_ns, t_ns, k)
    episode = writer.finish()
    writer.wait_settled()
    return episode


def measure(read: Read, n: int, samples: int) -> float:
    """Samples a second, at random instants, after a few to warm up."""
    order = np.random.default_rng(0).integers(0, n - ACTIONS - 1, samples + 20)
    for k in order[:20]:
        read(int(k))
    begun = time.process_time()
    for k in order[20:]:
        read(int(k))
    return samples / (time.process_time() - begun)


def ours(episode: Episode) -> tuple[Read, float]:
    """Pictures and rows through `Windows`."""
    windows = {name: Window(f"cameras/{name}") for name in takes.NAMES}
    windows["action"] = Window("state", "position", offsets=range(1, ACTIONS + 1))
    samples = Dataset.open(episode.path.parent.parent).windows(float(takes.CAMERA_HZ), windows)
    return samples.__getitem__, size_mb(episode.path)


def zarr_python(episode: Episode) -> tuple[Read, float]:
    """The same arrays opened by zarr-python; rows are those of the state's own rate."""
    import zarr

    group = zarr.open_group(episode.path, mode="r")
    pictures = [group[f"cameras/{name}/image"] for name in takes.NAMES]
    position = group["state/position"]
    step = takes.STATE_HZ // takes.CAMERA_HZ

    def read(k: int) -> object:
        rows = position[k * step : (k + ACTIONS) * step]  # type: ignore[index]
        return [array[k] for array in pictures], rows[::step]  # type: ignore[index]

    return read, size_mb(episode.path)


def hdf5(folder: Path, episode: Episode) -> tuple[Read, float]:
    """Raw pictures, one chunk each, as ALOHA stores them."""
    import h5py

    path = folder / "take.hdf5"
    n = len(episode.camera("front"))
    with h5py.File(path, "w") as file:
        for name in takes.NAMES:
            shape = (n, takes.HEIGHT, takes.WIDTH, 3)
            data = file.create_dataset(name, shape, "uint8", chunks=(1, *shape[1:]))
            for k in range(n):
                data[k] = takes.frames()[k % takes.DISTINCT]
        file.create_dataset("action", data=np.zeros((n, takes.JOINTS)))
    file = h5py.File(path, "r")

    def read(k: int) -> object:
        return [file[name][k] for name in takes.NAMES], file["action"][k : k + ACTIONS]

    return read, path.stat().st_size / 1e6


def size_mb(path: Path) -> float:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    raise SystemExit(main())
