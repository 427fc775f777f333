"""Binary video message, server to client: layout in `teleop/protocol.md`."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from teleop.errors import ProtocolError
from teleop.protocol.codes import CloseCode

VIDEO_TYPE = 0x02
_HEADER = struct.Struct("<BBBBIq")
_TURN = struct.Struct("<4f")
_KEY, _TURNED = 1, 2


class Codec(IntEnum):
    """How a picture is encoded."""

    JPEG = 1
    H264 = 2
    """Annex B, one access unit a message."""


@dataclass(frozen=True, slots=True)
class VideoPicture:
    """One encoded picture.

    Attributes:
        stream_id: Index of the stream in `welcome.streams`.
        codec: How `payload` is encoded.
        key: Decodable without any earlier picture.
        seq: Counts up by one per captured picture of this stream; a gap is a picture not sent.
        t_capture_ns: Host clock [ns] of the exposure.
        payload: The encoded picture.
        turn_xyzw: Quaternion by which the camera had turned from where it looks at home, in STAGE;
            None when it had not, or when the client did not ask.
    """

    stream_id: int
    codec: Codec
    key: bool
    seq: int
    t_capture_ns: int
    payload: bytes
    turn_xyzw: tuple[float, float, float, float] | None = None


def encode_video(picture: VideoPicture) -> bytes:
    """Message of one picture."""
    turn = picture.turn_xyzw
    header = _HEADER.pack(
        VIDEO_TYPE,
        picture.codec,
        picture.stream_id,
        (_KEY if picture.key else 0) | (_TURNED if turn is not None else 0),
        picture.seq & 0xFFFFFFFF,
        picture.t_capture_ns,
    )
    return header + (b"" if turn is None else _TURN.pack(*turn)) + picture.payload


def decode_video(data: bytes) -> VideoPicture:
    """Picture of one message.

    Raises:
        ProtocolError: 4400 when type, codec or flags are unknown or the payload is missing.
    """
    if len(data) <= _HEADER.size:
        raise ProtocolError(
            CloseCode.MALFORMED, f"video message has {len(data)} bytes, at least 17 are needed"
        )
    kind, codec, stream_id, flags, seq, t_capture_ns = _HEADER.unpack_from(data)
    if kind != VIDEO_TYPE or codec not in tuple(Codec) or flags & ~(_KEY | _TURNED):
        raise ProtocolError(
            CloseCode.MALFORMED,
            f"video message with type 0x{kind:02x}, codec {codec}, flags 0x{flags:02x}; expected "
            f"type 0x02, codec {[int(c) for c in Codec]}, flags 0 to 3",
        )
    begin, turn = _HEADER.size, None
    if flags & _TURNED:
        if len(data) <= begin + _TURN.size:
            raise ProtocolError(
                CloseCode.MALFORMED, f"turned video message has {len(data)} bytes, 33 are needed"
            )
        x, y, z, w = _TURN.unpack_from(data, begin)
        begin, turn = begin + _TURN.size, (x, y, z, w)
    return VideoPicture(
        stream_id, Codec(codec), bool(flags & _KEY), seq, t_capture_ns, data[begin:], turn
    )
