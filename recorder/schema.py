"""What an episode holds: numeric streams, cameras, and how they are described in JSON.

A stream is a NumPy structured dtype: each field becomes one Zarr array `(rows, *shape)` in the
stream's group. Every stream carries `t_ns`, host monotonic nanoseconds.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recorder.errors import SchemaError

SCHEMA_VERSION = 1
CHUNK_ROWS = 256
"""Rows in one chunk of a numeric stream."""

EVENTS = "events"
CAMERAS = "cameras"
JOURNAL = "journal"
"""Directory of the tail journal, inside the episode, until its shards are on the disk."""
SETTLED = ".settled"
"""The same directory while it is being removed."""
JPEG = "imagecodecs_jpeg"
PNG = "imagecodecs_png"
"""Lossless colour."""
H264 = "telecap_h264"
"""H.264 Annex B, one access unit a picture, no B pictures, parameter sets in every key picture."""
DEPTH = "depth16"
"""Depth as uint16 in a plain Zarr array (`bytes`, `zstd`, `crc32c`), which every reader opens."""
CODECS = (JPEG, PNG, H264, DEPTH)

CAMERA_TIMES = np.dtype(
    [("t_ns", "<i8"), ("t_device_ns", "<i8"), ("t_receive_ns", "<i8"), ("seq", "<u8")]
)
"""What is stored beside each picture."""

State = Literal["recording", "complete", "recovered"]

RESERVED = frozenset(
    {
        "schema_version",
        "id",
        "state",
        "wall_time",
        "chunk_rows",
        "streams",
        "cameras",
        "rows",
        "drops",
        "start_ns",
        "end_ns",
        "duration_s",
        "failed",
        "recovery",
    }
)
"""Attributes of an episode that the recorder itself writes."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A numeric stream.

    Attributes:
        name: Group path inside the episode, may hold slashes (`operator/head`).
        dtype: Structured dtype with an int64 field `t_ns`; stored packed and little-endian.
        rate_hz: Nominal rate; 0 for a stream written on change.
        fields: Per field: `unit`, `frame`, `names`, `quaternion` (order), as known.
        attributes: Anything else worth keeping with the stream (JSON).
    """

    name: str
    dtype: np.dtype[np.void]
    rate_hz: float = 0.0
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name(self.name)
        object.__setattr__(self, "dtype", packed(self.name, self.dtype))
        unknown = sorted(set(self.fields) - set(self.dtype.names or ()))
        if unknown:
            raise SchemaError(
                f"stream {self.name!r} describes unknown fields {unknown}; "
                f"its dtype has {list(self.dtype.names or ())}"
            )

    @property
    def field_names(self) -> tuple[str, ...]:
        """Fields in the order of the dtype."""
        return self.dtype.names or ()

    def to_json(self) -> dict[str, Any]:
        """JSON form, stored in the episode's attributes."""
        return {
            "name": self.name,
            "dtype": [[n, *_describe(self.dtype[n])] for n in self.field_names],
            "rate_hz": self.rate_hz,
            "fields": {k: dict(v) for k, v in self.fields.items()},
            "attributes": dict(self.attributes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StreamSpec:
        """Read what `to_json` wrote."""
        dtype = np.dtype([(n, base, tuple(shape)) for n, base, shape in data["dtype"]])
        return cls(data["name"], dtype, data["rate_hz"], data["fields"], data["attributes"])


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """A camera whose pictures arrive encoded.

    Attributes:
        name: Name below `cameras/`.
        width: Picture width [px].
        height: Picture height [px].
        rate_hz: Nominal pictures per second.
        codec: How pictures are stored: `imagecodecs_jpeg`, `imagecodecs_png`, `telecap_h264` (even
            sides) or `depth16`.
        quality: JPEG quality the pictures are encoded with (used again when Zarr re-encodes).
        subsampling: Chroma subsampling, `420`, `422` or `444`.
        attributes: Anything else worth keeping (eye, intrinsics, …; JSON).
    """

    name: str
    width: int
    height: int
    rate_hz: float = 30.0
    codec: str = JPEG
    quality: int = 90
    subsampling: str = "420"
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SchemaError(f"camera name {self.name!r} must match {_NAME.pattern}")
        if self.codec not in CODECS:
            raise SchemaError(f"camera {self.name!r}: codec {self.codec!r}, expected {CODECS}")
        if self.width < 1 or self.height < 1:
            raise SchemaError(f"camera {self.name!r}: empty picture {self.width}x{self.height}")
        if self.codec == H264 and (self.width % 2 or self.height % 2):
            raise SchemaError(
                f"camera {self.name!r}: H.264 needs even sides, got {self.width}x{self.height}"
            )

    @property
    def group(self) -> str:
        """Group path inside the episode."""
        return f"{CAMERAS}/{self.name}"

    def times_spec(self) -> StreamSpec:
        """The numeric arrays beside the pictures, as a stream."""
        units = {name: {"unit": "ns"} for name in ("t_ns", "t_device_ns", "t_receive_ns")}
        return StreamSpec(self.group, CAMERA_TIMES, self.rate_hz, units)

    def to_json(self) -> dict[str, Any]:
        """JSON form, stored in the episode's attributes."""
        return {
            "name": self.name,
            "width": self.width,
            "height": self.height,
            "rate_hz": self.rate_hz,
            "codec": self.codec,
            "quality": self.quality,
            "subsampling": self.subsampling,
            "attributes": dict(self.attributes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CameraSpec:
        """Read what `to_json` wrote."""
        return cls(**data)


def check_distinct(streams: Sequence[StreamSpec], cameras: Sequence[CameraSpec]) -> None:
    """Refuse streams whose groups or arrays would lie on one another.

    Raises:
        SchemaError: Naming the path that is used twice, or that the recorder keeps for itself.
    """
    kept = [s.name for s in streams if s.name.split("/")[0] in (CAMERAS, EVENTS, JOURNAL)]
    if kept:
        raise SchemaError(f"streams {kept}: these groups are kept for the recorder itself")
    paths = [s.name for s in streams] + [c.group for c in cameras]
    paths += [f"{s.name}/{f}" for s in streams for f in s.field_names]
    twice = sorted({p for p in paths if paths.count(p) > 1})
    if twice:
        raise SchemaError(f"paths used twice in one episode: {twice}")
    arrays = {f"{s.name}/{f}" for s in streams for f in s.field_names}
    for stream in streams:
        inside = [a for a in arrays if stream.name.startswith(a + "/")]
        if inside:
            raise SchemaError(f"stream {stream.name!r} lies inside the array {inside[0]!r}")


def packed(stream: str, dtype: np.dtype[Any]) -> np.dtype[np.void]:
    """`dtype` without padding and little-endian.

    Raises:
        SchemaError: When it is not a flat structured dtype of numbers with an int64 `t_ns`.
    """
    names = dtype.names or ()
    if "t_ns" not in names or dtype["t_ns"] != np.dtype(np.int64):
        raise SchemaError(f"stream {stream!r} needs an int64 field 't_ns'; fields: {list(names)}")
    for name in names:
        _check_name(name)
        base = dtype[name].base
        if base.kind not in "biuf" or base.itemsize > 8:
            raise SchemaError(f"{stream}/{name}: cannot store {base}; expected bool, int or float")
    return np.dtype([(n, *_describe(dtype[n])) for n in names])


def plain_json(value: Any) -> Any:
    """`value` as JSON data: NumPy values become numbers and lists, paths become text.

    Raises:
        SchemaError: When it holds anything else.
    """
    try:
        return json.loads(json.dumps(value, default=_plain))
    except TypeError as error:
        raise SchemaError(f"not JSON: {error}") from error


def new_ulid(now_ms: int | None = None) -> str:
    """A ULID: 48 bits of Unix milliseconds and 80 random bits, Crockford base 32.

    See github.com/ulid/spec.
    """
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    value = (ms << 80) | int.from_bytes(os.urandom(10), "big")
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def episode_name(wall_time: datetime) -> str:
    """Directory name of a new episode: UTC time to the second and a ULID."""
    utc = wall_time.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H-%M-%SZ}_{new_ulid(int(utc.timestamp() * 1000))}"


def _plain(value: object) -> object:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path | datetime):
        return str(value)
    raise TypeError(f"{type(value).__name__} {value!r}")


def _describe(dtype: np.dtype[Any]) -> tuple[str, tuple[int, ...]]:
    return dtype.base.newbyteorder("<").str, dtype.shape


def _check_name(name: str) -> None:
    if not all(_NAME.fullmatch(part) for part in name.split("/")):
        raise SchemaError(f"name {name!r}: each part must match {_NAME.pattern}")
