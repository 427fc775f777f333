"""Takes to record and to read in benchmarks: textured, noisy pictures and dense numbers."""

from __future__ import annotations

import functools

import numpy as np
import simplejpeg

from recorder import CameraSpec, StreamSpec
from recorder.h264 import Encoder
from recorder.schema import H264

WIDTH, HEIGHT, CAMERA_HZ = 640, 480, 30
STATE_HZ, POSE_HZ, JOINTS = 500, 90, 20
NAMES = ("front", "left", "right")
DISTINCT = 60
STATE = np.dtype(
    [
        ("t_ns", np.int64),
        ("position", np.float64, (JOINTS,)),
        ("velocity", np.float64, (JOINTS,)),
        ("effort", np.float64, (JOINTS,)),
    ]
)
POSES = np.dtype([("t_ns", np.int64), ("pose", np.float64, (3, 7))])
STREAMS = [StreamSpec("state", STATE, float(STATE_HZ)), StreamSpec("poses", POSES, float(POSE_HZ))]


@functools.cache
def frames() -> list[np.ndarray]:
    """`DISTINCT` pictures of a textured scene that drifts, with a sensor's noise."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (HEIGHT // 8, 2 * WIDTH // 8, 3))
    scene = np.kron(coarse, np.ones((8, 8, 1)))
    kernel = np.ones(9) / 9
    for axis in (0, 1):
        scene = np.apply_along_axis(lambda v: np.convolve(v, kernel, "same"), axis, scene)
    found = []
    for k in range(DISTINCT):
        view = scene[:, 4 * k : 4 * k + WIDTH]
        noisy = view + rng.normal(0, 2.5, view.shape)
        found.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return found


@functools.cache
def jpegs() -> list[bytes]:
    """The same, encoded as a camera process does."""
    return [simplejpeg.encode_jpeg(f, quality=90, colorsubsampling="420") for f in frames()]


@functools.cache
def h264s() -> list[bytes]:
    """The same as H.264, a key picture every ten, as a camera process encodes; may be repeated."""
    encoder = Encoder(WIDTH, HEIGHT, CAMERA_HZ, 10, crf=20, profile="baseline")
    return [encoder.encode(frame, k % 10 == 0)[1] for k, frame in enumerate(frames())]


def payloads(codec: str) -> list[bytes]:
    """Encoded pictures in a codec of the recorder."""
    return h264s() if codec == H264 else jpegs()


def cameras(codec: str) -> list[CameraSpec]:
    """The cameras, recorded in a codec."""
    return [CameraSpec(name, WIDTH, HEIGHT, float(CAMERA_HZ), codec) for name in NAMES]


def state_rows(first: int, count: int, begin_ns: int) -> np.ndarray:
    """Joint rows of a smooth motion."""
    rows = np.zeros(count, STATE)
    k = np.arange(first, first + count)
    rows["t_ns"] = begin_ns + k * 1_000_000_000 // STATE_HZ
    phase = k[:, None] / STATE_HZ + np.arange(JOINTS)
    rows["position"], rows["velocity"] = np.sin(phase), np.cos(phase)
    rows["effort"] = np.random.default_rng(first).normal(0, 0.1, (count, JOINTS))
    return rows


def pose_rows(first: int, count: int, begin_ns: int) -> np.ndarray:
    """Operator poses."""
    rows = np.zeros(count, POSES)
    k = np.arange(first, first + count)
    rows["t_ns"] = begin_ns + k * 1_000_000_000 // POSE_HZ
    rows["pose"][..., 6] = 1.0
    rows["pose"][..., 0] = np.sin(k / POSE_HZ)[:, None]
    return rows
