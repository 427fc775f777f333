"""H.264 as Annex B access units, one a picture: what they are, how they are made and decoded.

Pictures are in the order they were taken (no B slices), key pictures are IDR pictures that carry
their parameter sets, so that decoding can begin at any of them.
"""

from __future__ import annotations

import fractions
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

Picture = np.ndarray[Any, np.dtype[np.uint8]]

_DELTA, _IDR, _SPS, _PPS = 1, 5, 7, 8
"""`nal_unit_type`, ITU-T H.264 table 7-1."""
_START = b"\0\0\1"


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """What the headers of one encoded picture say.

    Attributes:
        key: An IDR picture: decoding can begin here.
        bidirectional: It holds a B slice, which refers to a later picture.
        parameters: Its parameter sets (SPS and PPS NAL units), as they are; empty without.
        complete: It has both an SPS and a PPS.
    """

    key: bool
    bidirectional: bool
    parameters: bytes
    complete: bool


def read_access_unit(payload: bytes) -> AccessUnit:
    """Read the headers up to the first slice.

    Raises:
        ValueError: There is no slice in it.
    """
    parameters: list[bytes] = []
    kinds: set[int] = set()
    for kind, start, end in nal_units(payload):
        if kind in (_SPS, _PPS):
            parameters.append(b"\0" + _START + payload[start:end])
            kinds.add(kind)
        elif kind in (_DELTA, _IDR):
            slice_type = _slice_type(payload[start + 1 : start + 1 + 16])
            complete = kinds == {_SPS, _PPS}
            return AccessUnit(kind == _IDR, slice_type == 1, b"".join(parameters), complete)
    raise ValueError("no slice of an H.264 picture in it")


def is_key(payload: bytes) -> bool:
    """Whether decoding can begin with this picture.

    Raises:
        ValueError: It is no H.264 picture.
    """
    return read_access_unit(payload).key


def nal_units(payload: bytes) -> Iterator[tuple[int, int, int]]:
    """Type, first and past-the-end byte of each NAL unit behind a start code."""
    at = payload.find(_START)
    while at >= 0:
        start = at + len(_START)
        at = payload.find(_START, start)
        end = len(payload) if at < 0 else at
        if end > start:
            yield payload[start] & 0x1F, start, end


def _slice_type(header: bytes) -> int:
    """`slice_type` modulo 5 of a slice header: 0 P, 1 B, 2 I (ITU-T H.264 table 7-6)."""
    bits = int.from_bytes(header, "big") if header else 0
    width = 8 * len(header)
    values, at = [], 0
    for _ in range(2):  # first_mb_in_slice, slice_type; both Exp-Golomb, 9.1
        zeros = 0
        while at < width and not bits >> (width - 1 - at) & 1:
            zeros, at = zeros + 1, at + 1
        end = at + zeros + 1
        if end > width:
            raise ValueError("the header of an H.264 slice is cut off")
        values.append((bits >> (width - end) & ((1 << (zeros + 1)) - 1)) - 1)
        at = end
    return values[1] % 5


class Encoder:
    """One stream of pictures as H.264, one access unit a picture, without delay.

    Args:
        width: [px], even.
        height: [px], even.
        rate_hz: Pictures per second.
        key_every: Pictures from one key picture to the next.
        crf: x264 constant rate factor; lower is better and larger. None when `kbit_s` is given.
        kbit_s: Bit rate, kept over a fifth of a second, so that no key picture stalls a slow link.
        preset: x264 preset.
        profile: H.264 profile.

    Raises:
        ValueError: A side is odd, which 4:2:0 cannot hold.
    """

    def __init__(
        self,
        width: int,
        height: int,
        rate_hz: float,
        key_every: int,
        *,
        crf: int | None = None,
        kbit_s: int | None = None,
        preset: str = "ultrafast",
        profile: str = "high",
    ) -> None:
        check_even(width, height)
        context: Any = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        rate = fractions.Fraction(rate_hz).limit_denominator(1000)
        context.framerate, context.time_base = rate, 1 / rate
        context.gop_size = key_every
        context.thread_count = 1
        options: dict[str, str] = {"preset": preset, "tune": "zerolatency", "profile": profile}
        params: dict[str, int] = {"repeat-headers": 1, "annexb": 1, "open-gop": 0, "bframes": 0}
        if kbit_s is not None:
            context.bit_rate = 1000 * kbit_s
            params |= {"vbv-maxrate": kbit_s, "vbv-bufsize": max(1, kbit_s // 5)}
        elif crf is not None:
            options["crf"] = str(crf)
        options["forced-idr"] = "1"
        options["x264-params"] = _joined(params)
        context.options = options
        self._context = context
        self._pts = 0

    def encode(self, rgb: Picture, key: bool = False) -> tuple[bool, bytes]:
        """Whether it became a key picture, and its bytes.

        Args:
            rgb: (height, width, 3) uint8.
            key: It must be one.
        """
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        frame.pts = self._pts
        self._pts += 1
        frame.pict_type = PictureType.I if key else PictureType.NONE
        packets = self._context.encode(frame)
        return any(p.is_keyframe for p in packets), b"".join(bytes(p) for p in packets)


class Decoder:
    """Decodes access units in order, one picture each, at once."""

    def __init__(self) -> None:
        context: Any = av.CodecContext.create("h264", "r")
        context.thread_count = 1
        context.flags |= av.codec.context.Flags.low_delay
        self._context = context

    def decode(self, payload: bytes) -> Picture:
        """The picture, `(height, width, 3)` uint8 RGB.

        Raises:
            ValueError: It cannot be decoded, or not without the pictures after it.
        """
        picture: Any = self._frame(payload).to_ndarray(format="rgb24")
        return np.asarray(picture, np.uint8)

    def decode_grey(self, payload: bytes) -> Picture:
        """Luma of the picture, `(height, width)` uint8; raises as `decode`."""
        picture: Any = self._frame(payload).to_ndarray(format="gray")
        return np.asarray(picture, np.uint8)

    def skip(self, payload: bytes) -> None:
        """Decode a picture that others build on but nobody looks at; raises as `decode`."""
        self._frame(payload)

    def _frame(self, payload: bytes) -> av.VideoFrame:
        try:
            frames = self._context.decode(av.Packet(payload))
        except av.error.FFmpegError as error:
            raise ValueError(f"not decodable as H.264: {error}") from error
        if len(frames) != 1:
            raise ValueError(f"one H.264 picture in, {len(frames)} out: pictures are reordered")
        frame: av.VideoFrame = frames[0]
        return frame


def check_even(width: int, height: int) -> None:
    """Refuse a size whose chroma cannot be halved.

    Raises:
        ValueError: Naming the size.
    """
    if width % 2 or height % 2:
        raise ValueError(f"H.264 needs even sides, got {width}x{height}")


def _joined(params: Mapping[str, int]) -> str:
    return ":".join(f"{key}={value}" for key, value in params.items())
