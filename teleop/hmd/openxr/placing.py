"""Where pictures, panels and markers hang: pure geometry, (4, 4) matrices on column vectors.

Everything is in STAGE (y up, -z forward), metres. A placed quad spans -1..1 in x and y.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from teleop.hmd.openxr.panels import WristPanels
from teleop.protocol import AlignmentInfo, StreamInfo
from teleop.samples import SIDES

Matrix = npt.NDArray[np.float64]

PICTURE_M = 2.0
"""Far enough for relaxed eyes, near enough to stay inside any far plane."""
HUD_M = 1.5
HUD_WIDTH_RAD = 0.98
BONE_M = 0.008
"""Half width of a drawn limb."""
FRAME_M = 0.004
"""Frame around a wrist picture, which may be as dark as what it covers."""
POINTED_M, CURSOR_M = 0.01, 0.008
"""The same of a panel that is pointed at, and half the size of the point."""
NEAR_M, FAR_M = 0.05, 100.0


@dataclass(frozen=True, eq=False)
class Quad:
    """One textured quad.

    Attributes:
        texture: Name of the stream, of the HUD, or of a plain colour.
        T_stage_quad: (4, 4) including its half size.
    """

    texture: str
    T_stage_quad: Matrix


@dataclass(frozen=True, eq=False)
class Eye:
    """One view of a frame.

    Attributes:
        name: `left` or `right`.
        pose: (7,) in STAGE.
        tangents: Of the field of view: left, right, up, down; left and down negative.
    """

    name: str
    pose: npt.NDArray[np.float64]
    tangents: tuple[float, float, float, float]

    @property
    def clip(self) -> Matrix:
        """T_clip_stage, (4, 4): projection times view."""
        return projection(self.tangents) @ np.linalg.inv(rigid(self.pose))


def rigid(pose: Any) -> Matrix:
    """(4, 4) of a pose `[px, py, pz, qx, qy, qz, qw]`."""
    x, y, z, w = np.asarray(pose[3:], float) / np.linalg.norm(pose[3:])
    T = np.eye(4)
    T[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    T[:3, 3] = pose[:3]
    return T


def projection(tangents: tuple[float, float, float, float]) -> Matrix:
    """Clip from eye space of an asymmetric field of view (OpenGL, depth -1 to 1)."""
    left, right, up, down = tangents
    P = np.zeros((4, 4))
    P[0, 0], P[0, 2] = 2 / (right - left), (right + left) / (right - left)
    P[1, 1], P[1, 2] = 2 / (up - down), (up + down) / (up - down)
    P[2, 2], P[2, 3] = -(FAR_M + NEAR_M) / (FAR_M - NEAR_M), -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
    P[3, 2] = -1.0
    return P


def placed(x: float, y: float, z: float, half_width: float, half_height: float) -> Matrix:
    """(4, 4) that puts a unit quad there, at this half size."""
    T = np.diag([half_width, half_height, 1.0, 1.0])
    T[:3, 3] = x, y, z
    return T


def heading(pose: Any) -> npt.NDArray[np.float64]:
    """Quaternion xyzw of the turn of a pose about the vertical."""
    y, w = float(pose[4]), float(pose[6])
    norm = math.hypot(y, w) or 1.0
    return np.array([0.0, y / norm, 0.0, w / norm])


def multiply(a: Sequence[float], b: Any) -> npt.NDArray[np.float64]:
    """Product of two quaternions xyzw: first `b`, then `a`."""
    ax, ay, az, aw = (float(value) for value in a)
    bx, by, bz, bw = (float(value) for value in b)
    return np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )


def angular(stream: StreamInfo) -> Matrix:
    """Ahead, at the size that fills the angle the camera saw."""
    half = PICTURE_M * math.tan(math.radians(stream.fovy_deg or 60.0) / 2)
    return placed(0.0, 0.0, -PICTURE_M, half * stream.width / stream.height, half)


def head_stream(streams: Sequence[StreamInfo], eye: str) -> StreamInfo | None:
    """The stream an eye is shown: its own, else another eye's, else any that is no wrist's."""
    heads = [stream for stream in streams if not stream.name.startswith("wrist")]
    for wanted in ((eye,), ("left", "right")):
        for stream in heads:
            if stream.eye in wanted:
                return stream
    return heads[0] if heads else None


def picture_quad(stream: StreamInfo, eye: Eye, head: Any, quat_xyzw: Any) -> Quad:
    """The robot's view in the direction it was taken in.

    A stereo pair is placed around each eye, a single picture around the head: distant things then
    have no disparity beyond what the robot's own cameras saw.

    Args:
        stream: What it is of.
        eye: Which is drawn.
        head: (7,) pose of the head.
        quat_xyzw: Direction of the camera.
    """
    origin = eye.pose[:3] if stream.eye else head[:3]
    return Quad(stream.name, rigid([*origin, *quat_xyzw]) @ angular(stream))


def wrist_quads(streams: Sequence[StreamInfo], head: Any, panels: WristPanels) -> list[Quad]:
    """Wrist pictures where their panels hang, fixed to the head, each on a frame.

    Where one is pointed at, its frame says so, and so does a point.
    """
    quads: list[Quad] = []
    front = rigid(head)
    for side in SIDES:
        stream = next((s for s in streams if s.name == f"wrist_{side}"), None)
        place = panels.place(side)
        if stream is None or place is None:
            continue
        x, y = HUD_M * math.tan(place.right), -HUD_M * math.tan(place.down)
        half = HUD_M * math.tan(place.width / 2)
        tall = half * stream.height / stream.width
        pointed = panels.pointed == side
        edge = POINTED_M if pointed else FRAME_M
        frame = placed(x, y, -HUD_M, half + edge, tall + edge)
        quads.append(Quad("pointed" if pointed else "frame", front @ frame))
        quads.append(Quad(stream.name, front @ placed(x, y, -HUD_M, half, tall)))
    if panels.cursor is not None:
        x, y = (HUD_M * value for value in panels.cursor)
        quads.append(Quad("pointed", front @ placed(x, y, -HUD_M, CURSOR_M, CURSOR_M)))
    return quads


def hud_quad(head: Any, aspect: float) -> Quad:
    """The HUD, fixed to the head; `aspect` is its width over its height."""
    half = HUD_M * math.tan(HUD_WIDTH_RAD / 2)
    return Quad("hud", rigid(head) @ placed(0.0, 0.0, -HUD_M, half, half / aspect))


_LYING = rigid([0, 0, 0, -math.sqrt(0.5), 0, 0, math.sqrt(0.5)])
_SIDEWAYS = rigid([0, 0, 0, 0, math.sqrt(0.5), 0, math.sqrt(0.5)])
_DART = (
    _LYING @ placed(0.0, 0.03, 0.0, 0.008, 0.07),
    _SIDEWAYS @ placed(-0.02, 0.02, 0.0, 0.02, 0.02),
    placed(0.0, 0.0, -0.1, 0.03, 0.006),
)
"""Shaft along -z, fin up behind it, bar across its front."""


def alignment_quads(alignment: Sequence[AlignmentInfo], hands: dict[str, Any]) -> list[Quad]:
    """Darts where hands are, and where an absolute clutch wants them.

    Args:
        alignment: Of the status.
        hands: Side -> (7,) grip or palm.
    """
    quads = []
    for wanted in alignment:
        kind = "far" if wanted.direction else "near"
        poses = [(kind, wanted.ghost)]
        if wanted.side in hands:
            poses.append(("hand", hands[wanted.side]))
        for texture, pose in poses:
            quads += [Quad(texture, rigid(pose) @ part) for part in _DART]
    return quads


def target_quads(targets: Mapping[str, Sequence[float]]) -> list[Quad]:
    """Darts where tips are commanded to be, poses in STAGE."""
    return [Quad("near", rigid(pose) @ part) for pose in targets.values() for part in _DART]


def skeleton_quads(limbs: Mapping[str, Sequence[Sequence[float]]]) -> list[Quad]:
    """The robot's limbs as crossed strips from point to point.

    Args:
        limbs: Points along each limb in STAGE [m].
    """
    quads = []
    for points in limbs.values():
        for start, end in pairwise(np.asarray(points, float).reshape(-1, 3)):
            quads += [Quad("bone", T) for T in _bone(start, end)]
    return quads


def _bone(start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]) -> list[Matrix]:
    """Two strips along a line, at right angles; none where the points are one."""
    along = (end - start) / 2
    length = float(np.linalg.norm(along))
    if length < 1e-4:
        return []
    axis = np.eye(3)[int(np.argmin(np.abs(along)))]
    across = np.cross(along, axis)
    across /= np.linalg.norm(across)
    strips = []
    for side in (across, np.cross(along / length, across)):
        T = np.eye(4)
        T[:3, 0], T[:3, 1], T[:3, 3] = BONE_M * side, along, (start + end) / 2
        T[:3, 2] = np.cross(side, along / length)
        strips.append(T)
    return strips
