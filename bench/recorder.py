"""What recording costs: this writer beside Zarr's own and HDF5 as ALOHA writes it.

usage: python -m bench.recorder [--seconds 20]

Three cameras of 640 × 480 at 30 Hz, as JPEG or H.264 bytes already (the camera process encodes;
what that costs is told last), joints at 500 Hz and poses at 90 Hz, paced in real time, one process
for each writer, one after the other.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np

from bench import takes
from recorder.schema import H264, JPEG

TICK_S = 0.01
HEADING = """| writer | CPU of a core % | picture written p50 / p99 / max ms | memory most, growth MB | end of take s | MB | files |
|---|---|---|---|---|---|---|"""  # noqa: E501


class Writer(Protocol):
    """One way to record."""

    def rows(self, name: str, rows: np.ndarray) -> None: ...
    def picture(self, camera: str, k: int, t_ns: int) -> None: ...
    def finish(self) -> None: ...
    def settle(self) -> None: ...


class Ours:
    """`recorder.EpisodeWriter`, with a sync every 100 ms as the recorder process does."""

    def __init__(self, folder: Path, codec: str = JPEG) -> None:
        from recorder import Dataset

        dataset = Dataset.open(folder, create=True)
        self._payloads = takes.payloads(codec)
        takes.frames.cache_clear()  # a writer of encoded bytes has no pixels
        self._writer = dataset.begin(takes.STREAMS, takes.cameras(codec), {})
        self._synced = time.monotonic()

    def rows(self, name: str, rows: np.ndarray) -> None:
        self._writer.append(name, rows)
        if time.monotonic() - self._synced > 0.1:
            self._synced = time.monotonic()
            self._writer.sync()

    def picture(self, camera: str, k: int, t_ns: int) -> None:
        payload = self._payloads[k % takes.DISTINCT]
        self._writer.append_picture(camera, payload, t_ns, t_ns, t_ns, k)

    def finish(self) -> None:
        self._writer.finish()

    def settle(self) -> None:
        self._writer.wait_settled()


class ZarrPython:
    """zarr-python: one chunk a picture with this project's JPEG codec, appended."""

    def __init__(self, folder: Path) -> None:
        import zarr

        from recorder.codecs import JpegCodec

        self._group = zarr.create_group(folder / "take.zarr")
        shape = (0, takes.HEIGHT, takes.WIDTH, 3)
        self._pictures = {
            name: self._group.create_array(
                name, shape=shape, chunks=(1, *shape[1:]), dtype="uint8",
                serializer=JpegCodec(level=90), compressors=None,
            )
            for name in takes.NAMES
        }  # fmt: skip
        self._rows = {
            spec.name: self._group.create_array(
                spec.name, shape=(0, spec.dtype.itemsize), chunks=(500, spec.dtype.itemsize),
                dtype="uint8",
            )
            for spec in takes.STREAMS
        }  # fmt: skip

    def rows(self, name: str, rows: np.ndarray) -> None:
        self._rows[name].append(rows.view(np.uint8).reshape(len(rows), -1))

    def picture(self, camera: str, k: int, t_ns: int) -> None:
        self._pictures[camera].append(takes.frames()[k % takes.DISTINCT][None])

    def finish(self) -> None:
        return

    def settle(self) -> None:
        return


class Aloha:
    """HDF5 as ALOHA: everything in memory, raw pictures written at the end."""

    def __init__(self, folder: Path) -> None:
        import h5py

        self._file = h5py.File(folder / "take.hdf5", "w", rdcc_nbytes=2 * 1024**2)
        self._pictures: dict[str, list[np.ndarray]] = {name: [] for name in takes.NAMES}
        self._rows: dict[str, list[np.ndarray]] = {spec.name: [] for spec in takes.STREAMS}

    def rows(self, name: str, rows: np.ndarray) -> None:
        self._rows[name].append(rows)

    def picture(self, camera: str, k: int, t_ns: int) -> None:
        self._pictures[camera].append(takes.frames()[k % takes.DISTINCT].copy())

    def finish(self) -> None:
        for name, frames in self._pictures.items():
            shape = (len(frames), takes.HEIGHT, takes.WIDTH, 3)
            data = self._file.create_dataset(
                f"observations/images/{name}", shape, "uint8", chunks=(1, *shape[1:])
            )
            for k, frame in enumerate(frames):
                data[k] = frame
        for name, rows in self._rows.items():
            self._file.create_dataset(name, data=np.concatenate(rows))
        self._file.close()

    def settle(self) -> None:
        return


WRITERS: dict[str, Callable[[Path], Writer]] = {
    "telecap": Ours,
    "telecap, H.264": lambda folder: Ours(folder, H264),
    "zarr-python, JPEG chunks": ZarrPython,
    "h5py, as ALOHA": Aloha,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--writer", choices=WRITERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.writer:
        print(json.dumps(measure(args.writer, args.seconds)))
        return 0
    print(HEADING)
    for name in WRITERS:
        command = [sys.executable, "-m", "bench.recorder", "--seconds", str(args.seconds)]
        done = subprocess.run(
            [*command, "--writer", name], capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(f"not measured: {name}: {done.stderr.strip().splitlines()[-1]}")
            continue
        print(row(name, json.loads(done.stdout.splitlines()[-1])))
    print(encoding())
    return 0


def encoding() -> str:
    """What a camera process pays for a picture."""
    frames, costs = takes.frames(), []
    for make in (takes.jpegs, takes.h264s):
        begun = time.process_time()
        nbytes = sum(map(len, make.__wrapped__()))
        ms = 1e3 * (time.process_time() - begun) / len(frames)
        costs.append(f"{ms:.2f} ms and {nbytes / len(frames) / 1e3:.0f} kB")
    return "Encoding a picture takes {} as JPEG, {} as H.264.".format(*costs)


def row(name: str, found: dict[str, float]) -> str:
    return (
        f"| {name} | {found['cpu']:.1f} | {found['p50']:.2f} / {found['p99']:.2f} / "
        f"{found['max']:.1f} | {found['most']:.0f}, {found['grown']:.0f} | "
        f"{found['end']:.3f} | {found['mb']:.0f} | {found['files']:.0f} |"
    )


def measure(name: str, seconds: float) -> dict[str, float]:
    """Record in real time; costs."""
    takes.jpegs()
    folder = Path(tempfile.mkdtemp(prefix="bench-recorder"))
    try:
        writer = WRITERS[name](folder)
        begin_peak()
        before_mb, cpu_s = peak_mb(), time.process_time()
        written_ms = record(writer, seconds)
        cpu = 100 * (time.process_time() - cpu_s) / seconds
        most_mb = peak_mb()
        begun = time.monotonic()
        writer.finish()
        end_s = time.monotonic() - begun
        writer.settle()
        files = [file for file in folder.rglob("*") if file.is_file()]
        return {
            "cpu": cpu,
            "p50": float(np.median(written_ms)),
            "p99": float(np.percentile(written_ms, 99)),
            "max": float(np.max(written_ms)),
            "most": most_mb,
            "grown": most_mb - before_mb,
            "end": end_s,
            "mb": sum(file.stat().st_size for file in files) / 1e6,
            "files": len(files),
        }
    finally:
        shutil.rmtree(folder)


def record(writer: Writer, seconds: float) -> list[float]:
    """Feed a writer at the true rates; how long each picture took [ms]."""
    takes.jpegs()  # made before the clock runs
    begin_ns = time.monotonic_ns()
    done = {"state": 0, "poses": 0, "pictures": 0}
    written_ms = []
    while (at_s := (time.monotonic_ns() - begin_ns) / 1e9) < seconds:
        for name, rate_hz, make in (
            ("state", takes.STATE_HZ, takes.state_rows),
            ("poses", takes.POSE_HZ, takes.pose_rows),
        ):
            due = int(at_s * rate_hz)
            if due > done[name]:
                writer.rows(name, make(done[name], due - done[name], begin_ns))
                done[name] = due
        while done["pictures"] < int(at_s * takes.CAMERA_HZ):
            for camera in takes.NAMES:
                begun = time.monotonic_ns()
                writer.picture(camera, done["pictures"], begin_ns + int(at_s * 1e9))
                written_ms.append((time.monotonic_ns() - begun) / 1e6)
            done["pictures"] += 1
        time.sleep(TICK_S)
    return written_ms


def begin_peak() -> None:
    """Forget how large this process was: the pictures of the benchmark are made by then."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Largest resident memory since `begin_peak`, libraries and interpreter included."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1e3


if __name__ == "__main__":
    raise SystemExit(main())
