"""From journals to a Zarr hierarchy: the last steps of an episode, after a take or after a crash.

`seal` writes indices, names and metadata, and last the root `zarr.json` whose `state` says that the
episode is whole. `settle` makes all of it durable and only then removes the journal; until then a
power failure costs nothing, because a repair seals again from the journal.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recorder import layout
from recorder.journal import Event
from recorder.schema import EVENTS, JOURNAL, SETTLED, CameraSpec, StreamSpec
from recorder.shard import ShardWriter, encode_rows, encode_text

_SYNC_THREADS = 8
"""Syncs that run together share commits of the file system."""


@dataclass(frozen=True, slots=True)
class SealedGroup:
    """One stream or camera, ready to seal.

    Attributes:
        name: Group path.
        rows: True number of rows.
        shards: Each shard with the chunks its index shall hold.
        span_ns: First and last `t_ns`, or None when empty.
    """

    name: str
    rows: int
    shards: Sequence[tuple[ShardWriter, int]]
    span_ns: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed episode that is not settled yet.

    Attributes:
        attributes: Its final attributes.
        fds: Open files to sync and close.
    """

    attributes: dict[str, Any]
    fds: list[int]


def seal(
    root: Path,
    streams: Sequence[StreamSpec],
    cameras: Sequence[CameraSpec],
    groups: Sequence[SealedGroup],
    events: Sequence[Event],
    attributes: Mapping[str, Any],
) -> Sealed:
    """Turn the journals of an episode into a complete one.

    Raises:
        OSError: The disk refused, or is gone; everything is still there for a later repair.
    """
    root.stat()  # nothing is made anew where a disk was
    shards = [pair for group in groups for pair in group.shards]
    shards += _event_shards(root, events)
    rows = {group.name: group.rows for group in groups} | {EVENTS: len(events)}
    nodes = layout.nodes(streams, cameras, rows)
    for shard, n_chunks in shards:
        shard.seal(n_chunks)
    fds = [layout.write_node(root, path, node) for path, node in nodes.items()]
    for shard, n_chunks in shards:
        shard.publish(n_chunks)
    fds += [shard.fd for shard, _ in shards if shard.fd >= 0]
    final = {**attributes, "rows": rows, **_span(groups)}
    layout.write_root(root, final, nodes)
    return Sealed(final, fds)


def settle(root: Path, fds: Sequence[int]) -> None:
    """Sync and close the files of a sealed episode, then remove its journal.

    Raises:
        OSError: The disk refused; the journal stays and a repair seals again.
    """
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        list(pool.map(_sync_and_close, fds))
    layout.sync_directory(root)
    if (root / JOURNAL).exists():
        (root / JOURNAL).rename(root / SETTLED)
    shutil.rmtree(root / SETTLED, ignore_errors=True)


def _sync_and_close(fd: int) -> None:
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)


def _event_shards(root: Path, events: Sequence[Event]) -> list[tuple[ShardWriter, int]]:
    stamps = np.array([e.t_ns for e in events], dtype="<i8")
    columns = {
        "t_ns": encode_rows(stamps, len(events)) if events else b"",
        "kind": encode_text([e.kind for e in events]),
        "data": encode_text([json.dumps(dict(e.data)) for e in events]),
    }
    shards = []
    for name, payload in columns.items():
        shard = ShardWriter(layout.shard_path(root, f"{EVENTS}/{name}", 1))
        shard.resume(())
        if events:
            shard.append(payload, len(events))
        shards.append((shard, shard.n_records))
    return shards


def _span(groups: Sequence[SealedGroup]) -> dict[str, Any]:
    spans = [group.span_ns for group in groups if group.span_ns is not None]
    if not spans:
        return {"start_ns": 0, "end_ns": 0, "duration_s": 0.0}
    start, end = min(s[0] for s in spans), max(s[1] for s in spans)
    return {"start_ns": start, "end_ns": end, "duration_s": (end - start) / 1e9}
