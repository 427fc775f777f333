"""Training samples: windows around instants of a fixed-rate grid, read straight from episodes.

Nothing is copied or converted beforehand. A sample decodes just the pictures it shows and slices
the rows it needs; where a window reaches beyond its episode, into a pause, or over a gap, it
repeats the nearest row and says so.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recorder.align import Aligned, Method, Policy, align
from recorder.catalog import EpisodeRow
from recorder.checks import pauses
from recorder.episode import Episode
from recorder.errors import RecorderError, UnknownStreamError
from recorder.location import as_path
from recorder.schema import CAMERAS

Array = np.ndarray[Any, Any]
PAD = "_is_pad"
KEPT_EPISODES = 64
"""Aligned episodes a process keeps."""


@dataclass(frozen=True, slots=True)
class Window:
    """One input or output of a sample.

    Attributes:
        source: A stream, or `cameras/NAME`.
        field: Field of the stream; left out for a camera.
        offsets: Rows relative to the instant, in periods of the grid: `(0,)`, `(-1, 0)`,
            `range(50)`.
        method: How rows are brought to the grid; None takes `previous` for pictures and `linear`
            for numbers (others as `nearest`).
        max_gap_ns: See `Policy`.
    """

    source: str
    field: str = ""
    offsets: Sequence[int] = (0,)
    method: Method | None = None
    max_gap_ns: int | None = None

    @property
    def is_camera(self) -> bool:
        """Whether it shows pictures."""
        return self.source.startswith(f"{CAMERAS}/")

    def policy(self) -> Policy:
        """How its source is aligned."""
        method = self.method or ("previous" if self.is_camera else "linear")
        fields = () if self.is_camera else (self.field,)
        return Policy(method, self.max_gap_ns, fields)


class Windows:
    """Samples by number: `len(windows)`, `windows[i]`.

    A sample holds for each key an array `(len(offsets), …)`: pictures `(n, height, width, 3)`
    uint8, rows of a field `(n, *shape)` in its type; and `KEY_is_pad`, `(n,)`, where a row is not
    what the offset asked for. `episode` and `t_ns` say where it is from.

    Safe to share with worker processes, forked or spawned: what is kept open is each process's own.

    Args:
        episodes: Paths, or rows of `Dataset.episodes()`.
        fps: Rate of the grid [Hz].
        windows: Key -> window.

    Raises:
        RecorderError: There is no window, or two windows bring one source to the grid differently.
        UnknownStreamError: An episode lacks a source or a field.
    """

    def __init__(
        self,
        episodes: Iterable[Path | str | EpisodeRow],
        fps: float,
        windows: Mapping[str, Window],
    ) -> None:
        if not windows:
            raise RecorderError("no window: name at least one input")
        self.fps = fps
        self.windows = dict(windows)
        self.paths = [as_path(e.path if isinstance(e, EpisodeRow) else e) for e in episodes]
        self._policies = _policies(self.windows)
        self._kept: OrderedDict[int, _Open] = OrderedDict()
        usable = [np.flatnonzero(self._open(k).usable) for k in range(len(self.paths))]
        self._episode = np.repeat(np.arange(len(usable)), [len(rows) for rows in usable])
        self._row = np.concatenate(usable) if usable else np.zeros(0, np.int64)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": OrderedDict()}

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, i: int) -> dict[str, Any]:
        """Sample `i`; raises IndexError beyond the last."""
        if not -len(self) <= i < len(self):
            raise IndexError(f"sample {i} of {len(self)}")
        number, row = int(self._episode[i]), int(self._row[i])
        opened = self._open(number)
        sample: dict[str, Any] = {
            "episode": opened.episode.id,
            "t_ns": int(opened.aligned.t_ns[row]),
        }
        for key, window in self.windows.items():
            wanted = row + np.asarray(window.offsets, dtype=np.int64)
            inside = np.clip(wanted, *opened.stretch(row))
            valid = opened.aligned.valid[window.source][inside]
            sample[key] = opened.read(window, inside)
            sample[key + PAD] = (inside != wanted) | ~valid
        return sample

    def _open(self, number: int) -> _Open:
        kept = self._kept.get(number)
        if kept is None:
            kept = self._kept[number] = _Open(self.paths[number], self.fps, self._policies)
            if len(self._kept) > KEPT_EPISODES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return kept


class _Open:
    """One episode on the grid."""

    def __init__(self, path: Path, fps: float, policies: Mapping[str, Policy]) -> None:
        self.episode = Episode(path)
        for name, policy in policies.items():
            for field in policy.fields:
                if field not in self.episode.stream(name):
                    known = self.episode.stream(name).fields
                    raise UnknownStreamError("field", f"{name}/{field}", known)
        self.aligned: Aligned = align(self.episode, fps, policies)
        self._cameras = {
            name: self.episode.camera(name.partition("/")[2])
            for name in policies
            if name.startswith(f"{CAMERAS}/")
        }

        self._paused = np.zeros(len(self.aligned), dtype=np.bool_)
        for first_ns, last_ns in pauses(self.episode.events, self.episode.end_ns):
            t_ns = self.aligned.t_ns
            self._paused |= (t_ns >= first_ns) & (t_ns <= last_ns)
        self._breaks = np.flatnonzero(self._paused)

    @property
    def usable(self) -> Array:
        """Instants that may be the middle of a sample, `(n,)`.

        Every source is near enough, and the take was not paused.
        """
        return np.asarray(self.aligned.all_valid & ~self._paused)

    def stretch(self, row: int) -> tuple[int, int]:
        """First and last row around one that no pause separates from it."""
        after = int(np.searchsorted(self._breaks, row))
        first = int(self._breaks[after - 1]) + 1 if after else 0
        last = int(self._breaks[after]) - 1 if after < len(self._breaks) else len(self.aligned) - 1
        return first, last

    def read(self, window: Window, rows: Array) -> Array:
        """Pictures or values of these rows of the grid."""
        if not window.is_camera:
            return np.asarray(self.aligned.values[window.source][window.field][rows])
        camera, index = self._cameras[window.source], self.aligned.index[window.source][rows]
        decoded = {int(i): camera[int(i)] for i in np.unique(index)}
        return np.stack([decoded[int(i)] for i in index])


def _policies(windows: Mapping[str, Window]) -> dict[str, Policy]:
    """One policy a source, with the fields of all its windows."""
    found: dict[str, Policy] = {}
    for key, window in windows.items():
        if not window.is_camera and not window.field:
            raise RecorderError(f"window {key!r} of stream {window.source!r} names no field")
        policy = window.policy()
        before = found.get(window.source)
        if before is not None:
            if (before.method, before.max_gap_ns) != (policy.method, policy.max_gap_ns):
                raise RecorderError(f"windows of {window.source!r} differ in method or gap")
            policy = Policy(
                before.method,
                before.max_gap_ns,
                tuple(dict.fromkeys(before.fields + policy.fields)),
            )
        found[window.source] = policy
    return found
