"""Zarr v3 metadata of an episode: one group, one group per stream, one array per field.

Each array is a single `sharding_indexed` shard. While recording all arrays are empty and the root's
`state` says so; the lengths are written when they are known, and the root last, so an unfinished
take is never mistaken for a whole one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recorder.errors import CorruptEpisodeError
from recorder.pictures import group_of, picture_dtype
from recorder.schema import CHUNK_ROWS, DEPTH, EVENTS, JPEG, CameraSpec, StreamSpec

METADATA = "zarr.json"
Node = dict[str, Any]


def shard_path(root: Path, array: str, ndim: int) -> Path:
    """Path of the only shard of an array of `ndim` dimensions."""
    return root.joinpath(array, "c", *["0"] * ndim)


def slots(rows: int, chunk_rows: int) -> int:
    """Number of chunks that hold `rows` rows."""
    return -(-rows // chunk_rows)


def group_node(attributes: Mapping[str, Any]) -> Node:
    """Metadata of a group."""
    return {"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}


def numeric_node(
    dtype: np.dtype[Any], rows: int, attributes: Mapping[str, Any], chunk_rows: int = CHUNK_ROWS
) -> Node:
    """Metadata of one numeric field: `bytes` + `zstd` + `crc32c`, which every reader opens."""
    shape = dtype.shape
    codecs = _plain_codecs(dtype)
    inner = [chunk_rows, *(max(n, 1) for n in shape)]
    fill = False if dtype.base.kind == "b" else 0
    return _array(dtype.base.name, [rows, *shape], inner, codecs, fill, attributes)


def picture_node(camera: CameraSpec, rows: int) -> Node:
    """Metadata of the pictures of one camera."""
    dtype = picture_dtype(camera)
    configuration: dict[str, Any] = {}
    if camera.codec == JPEG:
        configuration = {"level": camera.quality, "subsampling": camera.subsampling}
    codecs: list[Node] = [{"name": camera.codec, "configuration": configuration}]
    if camera.codec == DEPTH:
        codecs = _plain_codecs(dtype)
    inner = [group_of(camera.codec), *dtype.shape]
    unit = {"unit": "depth" if camera.codec == DEPTH else "rgb"}
    return _array(dtype.base.name, [rows, *dtype.shape], inner, codecs, 0, unit)


def text_node(rows: int) -> Node:
    """Metadata of a text column: all rows in one `vlen-utf8` chunk."""
    codecs: list[Node] = [
        {"name": "vlen-utf8"},
        {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
        {"name": "crc32c"},
    ]
    return _array("string", [rows], [max(rows, 1)], codecs, "", {})


def nodes(
    streams: Sequence[StreamSpec], cameras: Sequence[CameraSpec], rows: Mapping[str, int]
) -> dict[str, Node]:
    """All groups and arrays below the root, by path; `rows` is keyed by group path."""
    found: dict[str, Node] = {}
    for spec in streams:
        found[spec.name] = group_node({"rate_hz": spec.rate_hz, **spec.attributes})
        found |= _fields(spec, rows[spec.name])
    for camera in cameras:
        group = camera.group
        found[group] = group_node({"rate_hz": camera.rate_hz, **camera.attributes})
        found |= _fields(camera.times_spec(), rows[group])
        found[f"{group}/image"] = picture_node(camera, rows[group])
    n_events = rows[EVENTS]
    found[EVENTS] = group_node({})
    stamps = np.dtype(np.int64)
    found[f"{EVENTS}/t_ns"] = numeric_node(stamps, n_events, {"unit": "ns"}, max(n_events, 1))
    found[f"{EVENTS}/kind"] = text_node(n_events)
    found[f"{EVENTS}/data"] = text_node(n_events)
    return _parents(found) | found


def write_nodes(root: Path, found: Mapping[str, Node]) -> None:
    """Write one `zarr.json` per node, not synced."""
    for path, node in found.items():
        os.close(write_node(root, path, node))


def write_node(root: Path, path: str, node: Node) -> int:
    """Write the `zarr.json` of one node in place; returns the open file, to be synced and closed.

    In place, because creating a hundred files at the end of a take costs more than all the rest.
    """
    data = json.dumps(node).encode()
    file = root / path / METADATA
    file.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(fd, data, 0)
        if os.fstat(fd).st_size > len(data):
            os.ftruncate(fd, len(data))
    except OSError:
        os.close(fd)
        raise
    return fd


def write_root(root: Path, attributes: Mapping[str, Any], found: Mapping[str, Node] | None) -> None:
    """Replace the root metadata durably: the one write that changes the state of an episode."""
    node = group_node(attributes)
    if found is not None:
        node["consolidated_metadata"] = {
            "kind": "inline",
            "must_understand": False,
            "metadata": dict(found),
        }
    replace_durably(root / METADATA, json.dumps(node).encode())


def read_root(root: Path) -> dict[str, Any]:
    """Attributes of the episode in `root`.

    Raises:
        FileNotFoundError: When there is none.
        CorruptEpisodeError: What lies there are not the attributes of an episode.
    """
    file = root / METADATA
    try:
        attributes = json.loads(file.read_bytes())["attributes"]
        found: dict[str, Any] = {**attributes, "state": attributes["state"]}
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptEpisodeError(f"{file} does not describe an episode: {error!r}") from error
    return found


def replace_durably(path: Path, data: bytes) -> None:
    """Write `data` beside `path`, sync, rename over it, sync the directory."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames and new names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _fields(spec: StreamSpec, rows: int) -> dict[str, Node]:
    return {
        f"{spec.name}/{name}": numeric_node(spec.dtype[name], rows, spec.fields.get(name, {}))
        for name in spec.field_names
    }


def _plain_codecs(dtype: np.dtype[Any]) -> list[Node]:
    endian = {} if dtype.base.itemsize == 1 else {"configuration": {"endian": "little"}}
    return [
        {"name": "bytes", **endian},
        {"name": "zstd", "configuration": {"level": 1, "checksum": False}},
        {"name": "crc32c"},
    ]


def _parents(paths: Iterable[str]) -> dict[str, Node]:
    """Empty groups for every path prefix (`operator` of `operator/head`)."""
    prefixes = {p.rsplit("/", k)[0] for p in paths for k in range(1, p.count("/") + 1)}
    return {prefix: group_node({}) for prefix in sorted(prefixes)}


def _array(
    data_type: str,
    shape: list[int],
    inner: list[int],
    codecs: list[dict[str, Any]],
    fill: object,
    attributes: Mapping[str, Any],
) -> Node:
    outer = [max(slots(shape[0], inner[0]), 1) * inner[0], *inner[1:]]
    index_codecs = [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "crc32c"},
    ]
    sharding = {
        "chunk_shape": inner,
        "codecs": codecs,
        "index_codecs": index_codecs,
        "index_location": "end",
    }
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": data_type,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": outer}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "attributes": dict(attributes),
    }
