"""Episodes with known contents: joints are functions of time, pictures carry their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from recorder import CameraSpec, Dataset, Episode, StreamSpec

T0_NS = 5_000_000_000_123
MS = 1_000_000
JOINTS = ("left_joint1", "left_joint2", "right_joint1")
GRIPPERS = ("left", "right")
WIDTH, HEIGHT, BLOCK = 64, 48, 16
STATE = np.dtype([("t_ns", "<i8"), ("position", "<f8", (3,)), ("gripper", "<f8", (2,))])
COMMAND = np.dtype(
    [("t_ns", "<i8"), ("tick", "<u8"), ("position", "<f8", (3,)), ("gripper", "<f8", (2,))]
)
SESSION = np.dtype([("t_ns", "<i8"), ("recording", "u1")])


def joints_at(t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Measured joints and openings, linear in time, so linear interpolation is exact."""
    t = (np.asarray(t_ns) - T0_NS)[:, None] / 1e9
    return np.array([0.1, -0.2, 0.3, 0.0, 1.0]) + t * np.array([0.5, -0.4, 0.3, 0.1, -0.1])


def picture(number: int, shade: int = 0) -> NDArray[np.uint8]:
    """A picture of 12 blocks, dark or white: the bits of its number; `shade` tints dark ones."""
    rows = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rows[..., 2] = shade
    for bit in range(12):
        y, x = divmod(bit, 4)
        if number >> bit & 1:
            rows[y * BLOCK : (y + 1) * BLOCK, x * BLOCK : (x + 1) * BLOCK] = 255
    return rows


def number_in(rgb: NDArray[np.uint8]) -> int:
    """The number a picture carries."""
    number = 0
    for bit in range(12):
        y, x = divmod(bit, 4)
        block = rgb[y * BLOCK + 4 : (y + 1) * BLOCK - 4, x * BLOCK + 4 : (x + 1) * BLOCK - 4]
        number |= int(block[..., 0].mean() > 128) << bit
    return number


@dataclass(frozen=True)
class Recipe:
    """What to record."""

    seconds: float = 1.0
    task: str = "pick the cube"
    cameras: Sequence[str] = ("head_left", "wrist_right")
    size: tuple[int, int] = (WIDTH, HEIGHT)
    camera_hz: float = 30.0
    joints: Sequence[str] = JOINTS
    lost_pictures: Sequence[int] = ()
    """Pictures of the first camera that never arrived."""
    nan_states: Sequence[int] = ()
    pauses_ms: Sequence[tuple[int, int]] = ()
    """Pauses told by events."""
    session_pauses_ms: Sequence[tuple[int, int]] = ()
    """Pauses told by the session stream."""
    named: bool = True
    """Whether the streams name their joints."""
    without: Sequence[str] = field(default_factory=tuple)
    """Streams that get no rows."""
    first_number: int = 0


def record(root: Path, recipe: Recipe) -> Episode:
    """Record one episode into the dataset at `root`."""
    dataset = Dataset.open(root, create=True)
    names = {"position": {"names": list(recipe.joints)}, "gripper": {"names": list(GRIPPERS)}}
    names = names if recipe.named else {}
    streams = [
        StreamSpec("state", STATE, 500.0, names),
        StreamSpec("command/requested", COMMAND, 0.0, names),
        StreamSpec("command/sent", COMMAND, 0.0, names),
        StreamSpec("session", SESSION, 0.0),
    ]
    width, height = recipe.size
    cameras = [CameraSpec(name, width, height, recipe.camera_hz) for name in recipe.cameras]
    writer = dataset.begin(streams, cameras, {"task": recipe.task, "rig": "testbot"})
    for name, rows in _streams(recipe).items():
        if name not in recipe.without:
            writer.append(name, rows)
    for k, name in enumerate(recipe.cameras):
        _pictures(writer, recipe, name, k)
    for start, end in recipe.pauses_ms:
        writer.event(T0_NS + start * MS, "pause", {})
        writer.event(T0_NS + end * MS, "resume", {})
    writer.finish({"outcome": "success"})
    return dataset[writer.id]


def picture_times(recipe: Recipe, camera: int) -> NDArray[np.int64]:
    """Times of all pictures of a camera: each a little later than the one before, with jitter."""
    n = int(recipe.seconds * recipe.camera_hz)
    jitter = np.random.default_rng(camera).integers(-2 * MS, 2 * MS, n)
    return T0_NS + 7 * MS * camera + np.arange(n) * round(1e9 / recipe.camera_hz) + jitter


def command_times(recipe: Recipe) -> NDArray[np.int64]:
    return T0_NS - 3 * MS + np.arange(int(recipe.seconds * 200)) * 5 * MS


def _pictures(writer, recipe: Recipe, name: str, camera: int) -> None:
    width, height = recipe.size
    lost = recipe.lost_pictures if camera == 0 else ()
    for i, t_ns in enumerate(picture_times(recipe, camera).tolist()):
        if i in lost:
            continue
        rgb = picture(i + recipe.first_number, shade=60 * camera)
        rgb = np.ascontiguousarray(np.resize(rgb, (height, width, 3)))
        data = simplejpeg.encode_jpeg(rgb, 90, "RGB", "420")
        writer.append_picture(name, data, t_ns=t_ns, t_device_ns=0, t_receive_ns=t_ns, seq=i)


def _streams(recipe: Recipe) -> dict[str, NDArray[np.void]]:
    n = int(recipe.seconds * 500)
    state = np.zeros(n, STATE)
    state["t_ns"] = T0_NS + np.arange(n) * 2 * MS
    values = joints_at(state["t_ns"])
    state["position"], state["gripper"] = values[:, :3], values[:, 3:]
    state["position"][list(recipe.nan_states)] = np.nan
    sent = np.zeros(len(command_times(recipe)), COMMAND)
    sent["t_ns"] = command_times(recipe)
    sent["position"] = np.arange(len(sent))[:, None] + np.array([0.0, 0.25, 0.5])
    requested = sent.copy()
    requested["position"] += 1000.0
    requested["gripper"] = 0.5
    session = np.zeros(int(recipe.seconds * 50), SESSION)
    session["t_ns"] = T0_NS + np.arange(len(session)) * 20 * MS
    session["recording"] = 2
    for start, end in recipe.session_pauses_ms:
        inside = (session["t_ns"] >= T0_NS + start * MS) & (session["t_ns"] < T0_NS + end * MS)
        session["recording"][inside] = 3
    return {
        "state": state,
        "command/requested": requested,
        "command/sent": sent,
        "session": session,
    }
