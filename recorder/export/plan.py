"""Which rows an episode gives: the grid, and the state, action and pictures of each row.

The grid runs at `fps` from the first to the last instant at which joint state and all chosen
cameras exist. Measured joints are interpolated linearly, the action is the last command at or
before the instant (or the next measured state), a picture is the nearest one. A row whose sources
are farther than the tolerance is marked, never moved. Rows inside a pause are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recorder.align import Aligned, Policy, align
from recorder.episode import Episode
from recorder.export.errors import DepthCameraError, MissingCameraError, MissingDataError
from recorder.numeric import Stream
from recorder.schema import CAMERAS

STATE = "state"
SESSION = "session"
PAUSED = 3
"""Value of the session stream's field `recording` while a take is paused."""

Action = Literal["requested", "sent", "measured"]
COMMANDS: Mapping[str, str] = {"requested": "command/requested", "sent": "command/sent"}
_NS = 1_000_000_000
_UNNAMED = {"position": "joint", "gripper": "gripper", "finger": "finger"}
"""Fields of state and action in the order of the columns, and what nameless ones are called."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What all episodes of one dataset must share.

    Attributes:
        joints: Names of the driven joints, order of the columns.
        grippers: Names of the grippers; their openings (1 open) follow the joints.
        fingers: Names of the joints of hands; they come last.
        cameras: Per camera width and height [px].
    """

    joints: tuple[str, ...]
    grippers: tuple[str, ...]
    cameras: tuple[tuple[str, tuple[int, int]], ...]
    fingers: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Names of the columns of state and action."""
        grippers = (n if "gripper" in n else f"{n}_gripper" for n in self.grippers)
        return [*self.joints, *grippers, *self.fingers]


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows without a pause between them; row `first + i` is of `t_ns` plus i periods."""

    first: int
    rows: int
    t_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class EpisodePlan:
    """The rows of one episode.

    Attributes:
        t_ns: Instants on the host clock, `(n,)`; without those inside pauses.
        state: Measured joint positions, gripper openings and fingers, `(n, k)` float32.
        action: Same columns, what the robot was asked to do, `(n, k)` float32.
        pictures: Per camera the index of each row's picture, `(n,)`.
        valid: Whether every source was within the tolerance, `(n,)`.
        time_error_s: Largest distance to a source sample [s], `(n,)` float32.
        paused_rows: Rows left out because they lie inside a pause.
        segments: Stretches between pauses.
    """

    t_ns: NDArray[np.int64]
    state: NDArray[np.float32]
    action: NDArray[np.float32]
    pictures: Mapping[str, NDArray[np.int64]]
    valid: NDArray[np.bool_]
    time_error_s: NDArray[np.float32]
    paused_rows: int
    segments: tuple[Segment, ...]

    def __len__(self) -> int:
        return len(self.t_ns)


def signature(episode: Episode, cameras: Sequence[str] | None) -> Signature:
    """Columns and pictures an episode gives; all its colour cameras if None.

    Raises:
        MissingCameraError: When it has no camera of an asked name.
        DepthCameraError: When an asked camera gives depth.
        MissingDataError: When it has no joint state.
    """
    depth = [name for name in episode.cameras if episode.camera(name).is_depth]
    if cameras is None:
        names = [name for name in episode.cameras if name not in depth]
    else:
        names = list(cameras)
    missing = [name for name in names if name not in episode.cameras]
    if missing:
        raise MissingCameraError(episode.id, missing, episode.cameras)
    if set(names) & set(depth):
        raise DepthCameraError(episode.id, depth)
    state = _stream(episode, STATE)
    specs = [episode.camera(name).spec for name in names]
    return Signature(
        joints=_names(state, "position"),
        grippers=_names(state, "gripper") if "gripper" in state else (),
        cameras=tuple((spec.name, (spec.width, spec.height)) for spec in specs),
        fingers=_names(state, "finger") if "finger" in state else (),
    )


def empty_streams(episode: Episode, shared: Signature, action: Action) -> list[str]:
    """Streams and cameras the export needs and that have no rows.

    Raises:
        MissingDataError: When the episode does not have one at all.
    """
    names = [STATE] if action == "measured" else [STATE, COMMANDS[action]]
    empty = [name for name in names if len(_stream(episode, name)) == 0]
    cameras = (name for name, _ in shared.cameras)
    return empty + [f"{CAMERAS}/{name}" for name in cameras if len(episode.camera(name)) == 0]


def plan_episode(
    episode: Episode, shared: Signature, fps: int, action: Action, max_gap_ns: int
) -> EpisodePlan:
    """Rows of one episode; none when state and cameras never exist together.

    Nothing it needs may be empty (`empty_streams`).

    Raises:
        MissingDataError: When a stream the export needs is missing or has other joints.
    """
    cameras = [name for name, _ in shared.cameras]
    streams = {STATE: Policy("linear", max_gap_ns, _fields(_stream(episode, STATE)))}
    streams |= {f"{CAMERAS}/{name}": Policy("nearest", max_gap_ns) for name in cameras}
    bounds = _common_time(episode, list(streams))
    if action != "measured":
        command = _stream(episode, COMMANDS[action])
        streams[command.name] = Policy("previous", max_gap_ns, _fields(command))
    aligned = align(episode, fps, streams, *bounds)
    state = _columns(aligned, _stream(episode, STATE), shared)
    valid, error_ns = aligned.all_valid, _worst_error(aligned)
    if action == "measured":
        asked, keep = state[1:], slice(0, max(len(state) - 1, 0))
        valid = valid[:-1] & aligned.valid[STATE][1:]
        error_ns = np.maximum(error_ns[:-1], np.abs(aligned.error_ns[STATE][1:]))
    else:
        asked, keep = _columns(aligned, command, shared), slice(None)
    t_ns, state = aligned.t_ns[keep], state[keep]
    finite = np.isfinite(state).all(1) & np.isfinite(asked).all(1)
    running = ~_inside(t_ns, pauses(episode))
    return EpisodePlan(
        t_ns=t_ns[running],
        state=_held(state)[running],
        action=_held(asked)[running],
        pictures={n: aligned.index[f"{CAMERAS}/{n}"][keep][running] for n in cameras},
        valid=(valid & finite)[running],
        time_error_s=(error_ns / _NS).astype(np.float32)[running],
        paused_rows=int((~running).sum()),
        segments=_segments(t_ns, running),
    )


def pauses(episode: Episode) -> list[tuple[int, int]]:
    """Half-open intervals [from, to) in which the take was paused [ns].

    Both the events `pause` and `resume` and the session stream's `recording` state count; a pause
    without an end lasts to the end of the episode.
    """
    marks = [(e.t_ns, e.kind == "pause") for e in episode.events if e.kind in ("pause", "resume")]
    found = _intervals(sorted(marks))
    if SESSION in episode.streams and "recording" in episode.stream(SESSION):
        session = episode.stream(SESSION)
        order = np.argsort(session.t_ns, kind="stable")
        is_paused = session["recording"][order] == PAUSED
        found += _intervals(zip(session.t_ns[order].tolist(), is_paused.tolist(), strict=True))
    return found


def _intervals(marks: Iterable[tuple[int, bool]]) -> list[tuple[int, int]]:
    found, since = [], None
    for t_ns, paused in marks:
        if paused and since is None:
            since = t_ns
        elif not paused and since is not None:
            found.append((since, t_ns))
            since = None
    if since is not None:
        found.append((since, int(np.iinfo(np.int64).max)))
    return found


def _inside(t_ns: NDArray[np.int64], intervals: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    inside = np.zeros(len(t_ns), np.bool_)
    for start, end in intervals:
        inside |= (t_ns >= start) & (t_ns < end)
    return inside


def _segments(t_ns: NDArray[np.int64], running: NDArray[np.bool_]) -> tuple[Segment, ...]:
    """Runs of True in `running`, with their first row in the export."""
    edges = np.flatnonzero(np.diff(running.astype(np.int8), prepend=0, append=0))
    found, first = [], 0
    for start, end in edges.reshape(-1, 2).tolist():
        found.append(Segment(first, end - start, int(t_ns[start])))
        first += end - start
    return tuple(found)


def _common_time(episode: Episode, names: Sequence[str]) -> tuple[int, int]:
    """First and last instant, within what a trim leaves, at which all of the streams exist [ns]."""
    times = [episode.span_ns]
    for name in names:
        group, _, camera = name.partition("/")
        t_ns = episode.camera(camera).t_ns if group == CAMERAS else episode.stream(name).t_ns
        times.append((int(t_ns.min()), int(t_ns.max())))
    return max(first for first, _ in times), min(last for _, last in times)


def _stream(episode: Episode, name: str) -> Stream:
    if name not in episode.streams:
        raise MissingDataError(
            f"episode {episode.id} has no stream {name!r}; it has {list(episode.streams)}"
        )
    stream = episode.stream(name)
    if "position" not in stream:
        raise MissingDataError(
            f"stream {name!r} of episode {episode.id} has no field 'position'; "
            f"it has {list(stream.fields)}"
        )
    return stream


def _fields(stream: Stream) -> tuple[str, ...]:
    return tuple(name for name in _UNNAMED if name in stream)


def _names(stream: Stream, field: str) -> tuple[str, ...]:
    width = int(np.prod(stream.dtype[field].shape, dtype=np.int64))
    names = stream.fields[field].get("names") or [f"{_UNNAMED[field]}_{i}" for i in range(width)]
    return tuple(map(str, names))


def _columns(aligned: Aligned, stream: Stream, shared: Signature) -> NDArray[np.float32]:
    """Joints, gripper openings, then fingers, in the order of the signature, `(n, k)`."""
    values, n = aligned.values[stream.name], len(aligned)
    parts = []
    every = (shared.joints, shared.grippers, shared.fingers)
    for field, wanted in zip(_UNNAMED, every, strict=True):
        if not wanted:
            continue
        existing = _names(stream, field) if field in stream else ()
        if set(existing) != set(wanted):
            raise MissingDataError(
                f"stream {stream.name!r} has {field} of {list(existing)}, expected {list(wanted)}"
            )
        order = [existing.index(name) for name in wanted]
        parts.append(values[field].reshape(n, -1)[:, order])
    return np.concatenate(parts, axis=1).astype(np.float32)


def _worst_error(aligned: Aligned) -> NDArray[np.int64]:
    """Largest distance to a source row over all streams [ns], `(n,)`."""
    worst = np.zeros(len(aligned), np.int64)
    for error in aligned.error_ns.values():
        worst = np.maximum(worst, np.abs(error))
    return worst


def _held(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows with values that are not finite replaced by those of the last finite row.

    Such rows are marked invalid; a NaN would spoil the statistics and any training step.
    """
    finite = np.isfinite(rows).all(1)
    if finite.all():
        return rows
    if not finite.any():
        return np.zeros_like(rows)
    source = np.maximum.accumulate(np.where(finite, np.arange(len(rows)), finite.argmax()))
    return rows[source]
