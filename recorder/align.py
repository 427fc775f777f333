"""Fixed-rate alignment: a pure function of recorded times; rows are never re-stamped on disk.

For each instant of the grid and each stream it gives the source row or the interpolated value, how
far away in time the source was, and whether that is near enough to be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from recorder.camera import CameraStream
from recorder.errors import RecorderError
from recorder.numeric import Stream
from recorder.schema import CAMERAS

Array = np.ndarray[Any, Any]
Times = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Method = Literal["previous", "nearest", "linear", "slerp"]
_NS = 1_000_000_000
_DEFAULT_GAP_PERIODS = 3.0


@dataclass(frozen=True, slots=True)
class Policy:
    """How one stream is brought to the grid.

    Attributes:
        method: `previous` (last row at or before the instant), `nearest`, `linear` (float fields;
            others as `nearest`), `slerp` (`linear`, and poses `(…, 7)` by SLERP).
        max_gap_ns: A farther source row makes the value invalid; None takes three nominal periods,
            and any distance for a stream written on change.
        fields: Fields to read; empty reads all but `t_ns`.
    """

    method: Method = "previous"
    max_gap_ns: int | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Streams on one grid of n instants.

    Attributes:
        t_ns: Grid, `(n,)`.
        values: Per stream and field `(n, *shape)`; empty for a camera (`index` tells the picture).
        index: Per stream the source row, `(n,)`: the previous, or else the nearest one.
        valid: Per stream whether the source was near enough, `(n,)`.
        error_ns: Per stream time of the source row minus the instant, `(n,)`; for interpolated
            values that of the nearest row.
    """

    t_ns: Times
    values: Mapping[str, Mapping[str, Array]]
    index: Mapping[str, Times]
    valid: Mapping[str, Mask]
    error_ns: Mapping[str, Times]

    def __len__(self) -> int:
        return len(self.t_ns)

    @property
    def all_valid(self) -> Mask:
        """Instants at which every stream is valid, `(n,)`."""
        whole = np.ones(len(self), dtype=np.bool_)
        for valid in self.valid.values():
            whole &= valid
        return whole


class Streams(Protocol):
    """What has streams and cameras to align: an `Episode`."""

    @property
    def span_ns(self) -> tuple[int, int]:
        """Host time of the part that is used [ns]."""

    def stream(self, name: str) -> Stream:
        """A numeric stream."""

    def camera(self, name: str) -> CameraStream:
        """A camera."""


def align(
    episode: Streams,
    fps: float,
    policies: Mapping[str, Policy | Method],
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Aligned:
    """Bring streams of an episode to a fixed rate.

    Args:
        episode: The episode.
        fps: Instants per second.
        policies: Policy by stream name; a camera is named `cameras/<name>`.
        start_ns: First instant; if None the first, within what a trim leaves, at which all given
            streams have begun.
        end_ns: Last instant at most; if None the last, within that, at which none has ended.

    Raises:
        RecorderError: When a stream to align is empty, or `fps` is not positive.
        UnknownStreamError: When the episode has no such stream.
    """
    chosen = {k: Policy(p) if isinstance(p, str) else p for k, p in policies.items()}
    sources = {name: _source(episode, name) for name in chosen}
    times = {name: _sorted_times(name, source) for name, source in sources.items()}
    begin_ns, stop_ns = episode.span_ns
    first = max(begin_ns, *(t[0] for t, _ in times.values())) if start_ns is None else start_ns
    last = min(stop_ns, *(t[-1] for t, _ in times.values())) if end_ns is None else end_ns
    t_grid_ns = grid(int(first), int(last), fps)
    values, index, valid, error = {}, {}, {}, {}
    for name, policy in chosen.items():
        source, (t_ns, order) = sources[name], times[name]
        rows = select(t_grid_ns, t_ns, policy.method)
        gap = _max_gap_ns(policy, source)
        index[name] = order[rows]
        error[name] = t_ns[rows] - t_grid_ns
        valid[name] = _near_enough(t_grid_ns, t_ns, rows, policy.method, gap)
        values[name] = _values(source, policy, t_grid_ns, t_ns, order, rows)
    return Aligned(t_grid_ns, values, index, valid, error)


def grid(first_ns: int, last_ns: int, fps: float) -> Times:
    """Instants from `first_ns` to at most `last_ns` at `fps`; integers, so the phase holds.

    Raises:
        RecorderError: When `fps` is not positive.
    """
    if not fps > 0:
        raise RecorderError(f"frame rate {fps}, expected a positive one")
    n = int((last_ns - first_ns) * fps // _NS) + 1 if last_ns >= first_ns else 0
    steps: Times = np.floor(np.arange(n) * (_NS / fps)).astype(np.int64)
    return np.asarray(first_ns + steps)


def select(t_grid_ns: Times, t_ns: Times, method: Method) -> Times:
    """Source row for each instant: the last at or before it, or the nearest one.

    Args:
        t_grid_ns: Instants, `(n,)`.
        t_ns: Times of the rows, ascending, not empty.
        method: `previous`, or anything else for nearest.
    """
    previous = _previous(t_grid_ns, t_ns)
    if method == "previous":
        return previous
    following = np.minimum(previous + 1, len(t_ns) - 1)
    closer = np.abs(t_ns[following] - t_grid_ns) < np.abs(t_grid_ns - t_ns[previous])
    nearest: Times = np.where(closer, following, previous)
    return nearest


def slerp(q0_xyzw: Array, q1_xyzw: Array, fraction: Array) -> Array:
    """Spherical interpolation of unit quaternions `(n, …, 4)` at `fraction` `(n, …)`.

    The shorter arc is taken; nearly equal quaternions are interpolated linearly (Shoemake 1985).
    """
    dot = np.sum(q0_xyzw * q1_xyzw, axis=-1, keepdims=True)
    q1 = np.where(dot < 0, -q1_xyzw, q1_xyzw)
    angle = np.arccos(np.clip(np.abs(dot), 0.0, 1.0))
    u = fraction[..., None]
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    w0 = np.where(near, 1.0 - u, np.sin((1.0 - u) * angle) / safe)
    w1 = np.where(near, u, np.sin(u * angle) / safe)
    mixed = w0 * q0_xyzw + w1 * q1
    norm = np.linalg.norm(mixed, axis=-1, keepdims=True)
    unit: Array = np.divide(mixed, norm, out=np.zeros_like(mixed), where=norm > 0)
    return unit


def _previous(t_grid_ns: Times, t_ns: Times) -> Times:
    """Last row at or before each instant; the first row before there is one."""
    rows: Times = np.searchsorted(t_ns, t_grid_ns, side="right").astype(np.int64) - 1
    return np.asarray(np.maximum(rows, 0))


def _source(episode: Streams, name: str) -> Stream | CameraStream:
    group, _, camera = name.partition("/")
    return episode.camera(camera) if group == CAMERAS else episode.stream(name)


def _sorted_times(name: str, source: Stream | CameraStream) -> tuple[Times, Array]:
    """Times in ascending order, and the row each belongs to."""
    if len(source) == 0:
        raise RecorderError(f"cannot align {name!r}: it has no rows")
    order = np.argsort(source.t_ns, kind="stable")
    return source.t_ns[order], order


def _max_gap_ns(policy: Policy, source: Stream | CameraStream) -> int | None:
    if policy.max_gap_ns is not None:
        return policy.max_gap_ns
    return int(_DEFAULT_GAP_PERIODS * _NS / source.rate_hz) if source.rate_hz > 0 else None


def _near_enough(
    t_grid_ns: Times, t_ns: Times, rows: Array, method: Method, gap_ns: int | None
) -> Mask:
    """Whether the source is near enough; interpolation needs both neighbours near each other."""
    after: Mask = np.asarray(t_grid_ns >= t_ns[0])
    before: Mask = np.asarray(t_grid_ns <= t_ns[-1])
    distance: Times = np.abs(t_ns[rows] - t_grid_ns)
    limit = np.iinfo(np.int64).max if gap_ns is None else gap_ns
    near: Mask = np.asarray(distance <= limit)
    if method == "previous":
        return after & near
    if method == "nearest":
        return near
    previous = _previous(t_grid_ns, t_ns)
    following = np.minimum(previous + 1, len(t_ns) - 1)
    narrow: Mask = np.asarray(t_ns[following] - t_ns[previous] <= limit)
    return np.asarray(after & before & (narrow | np.asarray(distance == 0)))


def _values(
    source: Stream | CameraStream,
    policy: Policy,
    t_grid_ns: Times,
    t_ns: Times,
    order: Array,
    rows: Array,
) -> dict[str, Array]:
    if isinstance(source, CameraStream):
        return {}
    names = policy.fields or tuple(f for f in source.fields if f != "t_ns")
    found = {}
    for name in names:
        column = source[name]
        smooth = policy.method in ("linear", "slerp") and column.dtype.kind == "f"
        if not smooth:
            found[name] = column[order[rows]]
            continue
        pose = policy.method == "slerp" and column.shape[-1:] == (7,)
        found[name] = _interpolate(column[order], t_grid_ns, t_ns, pose=pose)
    return found


def _interpolate(column: Array, t_grid_ns: Times, t_ns: Times, *, pose: bool) -> Array:
    """Column `(rows, *shape)` at the instants; held at both ends."""
    previous = _previous(t_grid_ns, t_ns)
    following = np.minimum(previous + 1, len(t_ns) - 1)
    span = np.maximum(t_ns[following] - t_ns[previous], 1)
    u = np.clip((t_grid_ns - t_ns[previous]) / span, 0.0, 1.0)
    u = u.reshape(-1, *[1] * (column.ndim - 1))
    low, high = column[previous], column[following]
    mixed = np.where(u == 0.0, low, low + u * (high - low)).astype(column.dtype)
    if pose:
        fraction = np.broadcast_to(u[..., 0], low.shape[:-1])
        mixed[..., 3:] = slerp(low[..., 3:], high[..., 3:], fraction)
    return mixed
