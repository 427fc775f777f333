"""Reader of one camera: random access to its pictures, whatever their codec."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from recorder import layout
from recorder.errors import CorruptEpisodeError
from recorder.h264 import Decoder, is_key
from recorder.numeric import Stream
from recorder.pictures import MEDIA_TYPES, decode_still, group_of, picture_dtype
from recorder.schema import DEPTH, H264, JPEG, CameraSpec
from recorder.shard import PARTIAL, grouped, records_in, scan
from recorder.shardreader import ShardReader

Array = np.ndarray[Any, Any]
_SHOWN_QUALITY = 85
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601."""


class CameraStream:
    """The pictures of one camera and their times.

    May be shared between threads; pickles as its path.

    Attributes:
        name: Name of the camera.
        spec: Size, rate and codec.
        media_type: Media type of `encoded`.
    """

    def __init__(self, root: Path, spec: CameraSpec, rows: int, chunk_rows: int) -> None:
        self.name = spec.name
        self.spec = spec
        self.rate_hz = spec.rate_hz
        self.attributes = spec.attributes
        self.media_type = MEDIA_TYPES[spec.codec]
        self.times = Stream(root, spec.times_spec(), rows, chunk_rows)
        self._group = group_of(spec.codec)
        self._image = _open(root, spec, rows)
        self._playback = _Playback()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_playback": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_playback": _Playback()}

    def __len__(self) -> int:
        return len(self.times)

    def between(self, first_ns: int, last_ns: int) -> CameraStream:
        """The same camera with only its pictures within these times."""
        found = copy.copy(self)
        found.times = self.times.between(first_ns, last_ns)
        return found

    def __getitem__(self, i: int) -> Array:
        """Picture `i`: `(height, width, 3)` uint8 RGB, or depth `(height, width)` uint16.

        H.264 pictures in ascending order cost one decode each, others those since the key picture.

        Raises:
            IndexError: There are not as many.
            CorruptEpisodeError: What is stored cannot be decoded.
        """
        row = self._row(i)
        try:
            if self.spec.codec == H264:
                return self._playback.decode(self._records, row, grey=False)
            return decode_still(self._image.chunk(row), self.spec)
        except ValueError as error:
            raise self._corrupt(row, error) from error

    def encoded(self, i: int) -> bytes:
        """Picture `i` as the bytes that were recorded; an H.264 one may need those before it."""
        row = self._row(i)
        if self._group == 1:
            return self._image.chunk(row)
        records = self._records(row)
        if row not in records:
            raise self._corrupt(row, ValueError("its chunk does not hold it"))
        return records[row]

    def jpeg(self, i: int) -> bytes:
        """Picture `i` to be shown; of depth a grey picture in which near is bright."""
        if self.spec.codec == JPEG:
            return self.encoded(i)
        picture = self[i]
        if self.is_depth:
            data = simplejpeg.encode_jpeg(
                shown_depth(picture)[:, :, None], _SHOWN_QUALITY, "GRAY", "Gray"
            )
        else:
            data = simplejpeg.encode_jpeg(picture, _SHOWN_QUALITY, "RGB", "420")
        return bytes(data)

    def grey(self, i: int, divisor: int = 1) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Luma of picture `i`, made smaller by a divisor of 1, 2, 4 or 8; of depth as `jpeg`."""
        row = self._row(i)
        try:
            if self.spec.codec == JPEG:
                least = (self.spec.height // divisor, self.spec.width // divisor)
                found: Array = simplejpeg.decode_jpeg(
                    self._image.chunk(row), "GRAY", True, True, *least, min_factor=1
                )
                return found[:, :, 0]
            if self.spec.codec == H264:
                luma = self._playback.decode(self._records, row, grey=True)
            else:
                picture = self[i]
                luma = shown_depth(picture) if self.is_depth else (picture @ _LUMA).astype(np.uint8)
        except ValueError as error:
            raise self._corrupt(row, error) from error
        height, width = (n // divisor * divisor for n in luma.shape)
        blocks = luma[:height, :width].reshape(height // divisor, divisor, -1, divisor)
        means: Array = blocks.mean(axis=(1, 3)).astype(np.uint8)
        return means

    @property
    def is_depth(self) -> bool:
        """Whether pictures are distances, in `attributes["depth_unit_m"]`."""
        return self.spec.codec == DEPTH

    @property
    def sizes(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Encoded bytes of each picture, `(pictures,)`."""
        begin, n = self.times.first_row, len(self)
        if self._group == 1:
            return self._image.sizes()[begin : begin + n]
        found = np.zeros(n, dtype=np.int64)
        for first in range(begin - begin % self._group, begin + n, self._group):
            for row, payload in self._records(first).items():
                if begin <= row < begin + n:
                    found[row - begin] = len(payload)
        return found

    @property
    def t_ns(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Host time of each exposure [ns]."""
        return self.times["t_ns"]

    @property
    def t_device_ns(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Time of each exposure on the camera's clock [ns]."""
        return self.times["t_device_ns"]

    @property
    def t_receive_ns(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Arrival of each picture at the host [ns]."""
        return self.times["t_receive_ns"]

    @property
    def seq(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """Number the camera gave each picture."""
        return self.times["seq"]

    def _row(self, i: int) -> int:
        n = len(self)
        if not -n <= i < n:
            raise IndexError(f"picture {i} of camera {self.name!r}, which has {n}")
        return self.times.first_row + i % n

    def _records(self, row: int) -> dict[int, bytes]:
        """Encoded pictures of the chunk that holds `row`, from the key picture it starts from."""
        return dict(records_in(self._image.chunk(row // self._group)))

    def _corrupt(self, row: int, error: Exception) -> CorruptEpisodeError:
        return CorruptEpisodeError(f"picture {row} of camera {self.name!r}: {error}")


class _Playback:
    """Decodes H.264 pictures by row; remembers where it is, so that the next one costs one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decoder = Decoder()
        self._next = -1

    def decode(self, records_of: Any, row: int, *, grey: bool) -> Array:
        """The picture of `row`.

        Args:
            records_of: From a row to the encoded pictures of its chunk.
            row: Which one.
            grey: Only its luma.
        """
        with self._lock:
            records: dict[int, bytes] = records_of(row)
            if self._next != row:
                keys = (r for r in records if r <= row and is_key(records[r]))
                key = max(keys, default=min(records))
                if not key < self._next <= row:
                    self._decoder, self._next = Decoder(), key
            try:
                for k in range(self._next, row):
                    self._decoder.skip(records[k])
                payload = records[row]
                decode = self._decoder.decode_grey if grey else self._decoder.decode
                picture = decode(payload)
            except KeyError as error:
                self._next = -1
                raise ValueError(f"row {error} is not in its chunk") from error
            except ValueError:
                self._next = -1
                raise
            self._next = row + 1
            return picture


def shown_depth(depth: Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A depth picture as grey: near is bright, nothing measured is black.

    Args:
        depth: `(height, width)` uint16.
    """
    measured = depth > 0
    if not measured.any():
        return np.zeros(depth.shape, np.uint8)
    near, far = np.percentile(depth[measured], [1, 99])
    level = 255.0 - 215.0 * np.clip((depth - near) / max(far - near, 1.0), 0.0, 1.0)
    return np.where(measured, level, 0.0).astype(np.uint8)


def _open(root: Path, spec: CameraSpec, rows: int) -> ShardReader:
    path = layout.shard_path(root, f"{spec.group}/image", 1 + picture_dtype(spec).ndim)
    n_chunks = layout.slots(rows, group_of(spec.codec))
    partial = path.with_name(path.name + PARTIAL)
    if path.exists() or not partial.exists():
        return ShardReader(path, n_chunks)
    found = scan(partial)
    places = found.places[:rows]
    if group_of(spec.codec) > 1 and rows:
        with partial.open("rb") as file:
            keys = [i for i, r in enumerate(found.records[:rows]) if is_key(r.payload(file))]
        places = grouped(places, keys, group_of(spec.codec))
    return ShardReader(partial, n_chunks, places)
