"""Reader of one episode: its streams, cameras, events and attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recorder import edits, layout
from recorder.align import Aligned, Method, Policy, align
from recorder.camera import CameraStream
from recorder.errors import EpisodeNotFoundError, UnfinishedEpisodeError, UnknownStreamError
from recorder.journal import Event
from recorder.location import as_path
from recorder.numeric import Stream, open_shard
from recorder.parts import directory_of, exists
from recorder.schema import CAMERAS, EVENTS, CameraSpec, State, StreamSpec
from recorder.shard import PARTIAL, decode_rows, decode_text, scan


class Episode:
    """One recorded take.

    Args:
        path: Directory of the episode, or its URL in an object store; with `~k` behind its name,
            part `k` of one that is split.
        allow_unfinished: Also open an episode that is still being recorded or was not repaired;
            it then shows only what is in chunks.

    Attributes:
        id: Name of the episode, or of the part.
        path: Directory of the recording.
        attributes: Its attributes, with later labels merged in.

    Raises:
        EpisodeNotFoundError: When there is none at `path`.
        UnfinishedEpisodeError: When it is not whole and that was not asked for.
    """

    def __init__(self, path: Path | str, *, allow_unfinished: bool = False) -> None:
        place = as_path(path)
        self.id = place.name
        self.path = directory_of(place)
        try:
            recorded = layout.read_root(self.path)
        except FileNotFoundError as error:
            raise EpisodeNotFoundError(f"no episode at {self.path}") from error
        self.state: State = recorded["state"]
        if self.state == "recording" and not allow_unfinished:
            raise UnfinishedEpisodeError(
                f"episode {self.id} is still being recorded or needs a repair; "
                "open its dataset, or pass allow_unfinished=True to look at it as it is"
            )
        labels = edits.read_labels(self.path.parent.parent)
        if not exists(self.id, labels):
            raise EpisodeNotFoundError(f"episode {self.path.name} has no part {self.id!r}")
        self.attributes: dict[str, Any] = recorded | labels.get(self.id, {}) | {"id": self.id}
        self._chunk_rows: int = recorded["chunk_rows"]
        self._streams = {s["name"]: StreamSpec.from_json(s) for s in recorded["streams"]}
        self._cameras = {c["name"]: CameraSpec.from_json(c) for c in recorded["cameras"]}
        self._rows: dict[str, int] = recorded.get("rows") or self._rows_on_disk()

    def __repr__(self) -> str:
        return f"Episode({str(self.path)!r}, {self.state}, {self.duration_s:.1f} s)"

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the numeric streams."""
        return tuple(self._streams)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return tuple(self._cameras)

    @property
    def start_ns(self) -> int:
        """Earliest time of any row [ns]."""
        return int(self.attributes.get("start_ns", 0))

    @property
    def end_ns(self) -> int:
        """Latest time of any row [ns]."""
        return int(self.attributes.get("end_ns", 0))

    @property
    def duration_s(self) -> float:
        """Time from the earliest to the latest row [s]."""
        return float(self.attributes.get("duration_s", 0.0))

    @property
    def span_ns(self) -> tuple[int, int]:
        """Host time of the part that views and exports use [ns]: all of it unless trimmed."""
        first, last = self.attributes.get("trim_ns", (self.start_ns, self.end_ns))
        return max(int(first), self.start_ns), min(int(last), self.end_ns)

    @property
    def events(self) -> list[Event]:
        """Everything that was marked during the take, in order of arrival."""
        n = self._rows.get(EVENTS, 0)
        if n == 0:
            return []
        shards = {k: open_shard(self.path, f"{EVENTS}/{k}", 1, 1) for k in ("t_ns", "kind", "data")}
        stamps = decode_rows(shards["t_ns"].chunk(0), np.dtype("<i8"))
        kinds, data = (decode_text(shards[k].chunk(0)) for k in ("kind", "data"))
        return [
            Event(int(t), k, json.loads(d)) for t, k, d in zip(stamps, kinds, data, strict=True)
        ]

    def stream(self, name: str) -> Stream:
        """A numeric stream.

        Raises:
            UnknownStreamError: When the episode has none of this name.
        """
        if name not in self._streams:
            raise UnknownStreamError("stream", name, self._streams)
        return Stream(self.path, self._streams[name], self._rows[name], self._chunk_rows)

    def camera(self, name: str) -> CameraStream:
        """A camera.

        Raises:
            UnknownStreamError: When the episode has none of this name.
        """
        if name not in self._cameras:
            raise UnknownStreamError("camera", name, self._cameras)
        rows = self._rows[f"{CAMERAS}/{name}"]
        return CameraStream(self.path, self._cameras[name], rows, self._chunk_rows)

    def at(
        self,
        fps: float,
        policies: Mapping[str, Policy | Method],
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Aligned:
        """Streams brought to a fixed rate, with masks and the error of each row; see `align`."""
        return align(self, fps, policies, start_ns, end_ns)

    def _rows_on_disk(self) -> dict[str, int]:
        """Rows that every field of a stream has in its chunks, of an unfinished episode."""
        specs = [*self._streams.values(), *(c.times_spec() for c in self._cameras.values())]
        return {
            spec.name: min(
                _rows_in(self.path, f"{spec.name}/{f}", 1 + spec.dtype[f].ndim)
                for f in spec.field_names
                if spec.dtype[f].itemsize
            )
            for spec in specs
        }


def _rows_in(root: Path, array: str, ndim: int) -> int:
    path = layout.shard_path(root, array, ndim)
    partial = path.with_name(path.name + PARTIAL)
    file = path if path.exists() else partial
    return scan(file).rows if file.exists() else 0
