"""Binary tracking message, client to server: layout in `teleop/protocol.md`."""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from teleop.errors import ProtocolError
from teleop.protocol.codes import CloseCode
from teleop.samples import N_HAND_JOINTS, OPERATOR_FRAME, Source, Tracking

TRACKING_TYPE = 0x01
MAX_POSITION_M = 1e3
"""A position farther than this is nonsense, not motion."""

_HEADER = struct.Struct("<BBHIq")
_POSE = ("<f4", (7,))
_HEAD = np.dtype([("flags", "<u4"), ("pose", *_POSE)])
_CONTROLLER = np.dtype(
    [
        ("flags", "<u4"),
        ("grip", *_POSE),
        ("aim", *_POSE),
        ("trigger", "<f4"),
        ("squeeze", "<f4"),
        ("thumbstick", "<f4", (2,)),
        ("buttons", "<u4"),
    ]
)
_HAND = np.dtype([("flags", "<u4"), ("joints", [("pose", *_POSE), ("radius", "<f4")], (26,))])

HEAD_BIT, LEFT_CONTROLLER_BIT, RIGHT_CONTROLLER_BIT, LEFT_HAND_BIT, RIGHT_HAND_BIT = 1, 2, 4, 8, 16
_BLOCKS = (
    (HEAD_BIT, "head", _HEAD),
    (LEFT_CONTROLLER_BIT, "left_controller", _CONTROLLER),
    (RIGHT_CONTROLLER_BIT, "right_controller", _CONTROLLER),
    (LEFT_HAND_BIT, "left_hand", _HAND),
    (RIGHT_HAND_BIT, "right_hand", _HAND),
)
_ALL_BITS = sum(bit for bit, _, _ in _BLOCKS)
_FLAG_BITS = 0x7F
# Plain integers: operators of `IntFlag` members cost a microsecond each, on every message.
_VALID = int(Tracking.VALID)
_VALID_OR_TRACKED = int(Tracking.VALID | Tracking.TRACKED)
_IDENTITY = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
_CONTROLLER_FIELDS = ("grip", "aim", "trigger", "squeeze", "thumbstick", "buttons")

Row = np.void
"""One element of a structured array."""


@lru_cache(maxsize=_ALL_BITS + 1)
def _body_dtype(presence: int) -> np.dtype[np.void]:
    return np.dtype([(name, dtype) for bit, name, dtype in _BLOCKS if presence & bit])


def tracking_size(presence: int) -> int:
    """Length of a tracking message [bytes] that carries the blocks in `presence`."""
    return _HEADER.size + _body_dtype(presence).itemsize


def empty_frame() -> Row:
    """An OPERATOR_FRAME row with nothing present: zero flags, identity poses."""
    frame: Row = np.zeros(1, OPERATOR_FRAME)[0]
    frame["head"] = _IDENTITY
    for side in ("left", "right"):
        frame[f"{side}_controller"]["grip"] = _IDENTITY
        frame[f"{side}_controller"]["aim"] = _IDENTITY
        frame[f"{side}_hand"]["joints"] = _IDENTITY
    return frame


_EMPTY_FRAME_BYTES = empty_frame().tobytes()


def encode_tracking(frame: Any) -> bytes:
    """Message of one OPERATOR_FRAME row: the blocks named in its `presence`.

    Args:
        frame: OPERATOR_FRAME row (`np.void` or a zero-dimensional array). Poses are STAGE, metres,
            quat_xyzw; they are narrowed to float32.
    """
    presence = int(frame["presence"])
    body = np.zeros((), _body_dtype(presence))
    for bit, name, _ in _BLOCKS:
        if presence & bit:
            _pack_block(body[name], name, frame)
    header = _HEADER.pack(
        TRACKING_TYPE, presence, 0, int(frame["seq"]) & 0xFFFFFFFF, int(frame["t_device_ns"])
    )
    return header + body.tobytes()


def _pack_block(block: Any, name: str, frame: Any) -> None:
    if name == "head":
        block["flags"] = frame["head_flags"]
        block["pose"] = frame["head"]
        return
    source = frame[name]
    block["flags"] = source["flags"]
    if name.endswith("controller"):
        for field in _CONTROLLER_FIELDS:
            block[field] = source[field]
    else:
        block["joints"]["pose"] = source["joints"]
        block["joints"]["radius"] = source["radius"]


def unpack_tracking(data: bytes, t_receive_ns: int, source: int = Source.UNKNOWN) -> Row:
    """OPERATOR_FRAME row of one message, values exactly as sent.

    Args:
        data: The whole binary message.
        t_receive_ns: Host `time.monotonic_ns()` at its arrival; also put into `t_ns`, which the
            gateway replaces once it knows the device's clock.
        source: `samples.Source` of the client.

    Raises:
        ProtocolError: 4400 when type, presence, reserved bits or length are wrong.
    """
    presence, seq, t_device_ns = _read_header(data)
    frame: Row = np.frombuffer(bytearray(_EMPTY_FRAME_BYTES), OPERATOR_FRAME)[0]
    frame["seq"] = seq
    frame["t_device_ns"] = t_device_ns
    frame["t_receive_ns"] = frame["t_ns"] = t_receive_ns
    frame["source"] = source
    frame["presence"] = presence
    if presence:
        body = np.frombuffer(data, _body_dtype(presence), 1, _HEADER.size)[0]
        with np.errstate(invalid="ignore"):  # widening a signalling NaN
            for bit, name, _ in _BLOCKS:
                if presence & bit:
                    _unpack_block(body[name], name, frame)
    return frame


def _read_header(data: bytes) -> tuple[int, int, int]:
    if len(data) < _HEADER.size:
        raise _malformed(f"tracking message has {len(data)} bytes, a header alone has 16")
    kind, presence, reserved, seq, t_device_ns = _HEADER.unpack_from(data)
    if kind != TRACKING_TYPE:
        raise _malformed(f"binary type 0x{kind:02x} from a client; only 0x01 (tracking) is allowed")
    if presence & ~_ALL_BITS or reserved:
        raise _malformed(f"presence 0x{presence:02x}, reserved 0x{reserved:04x}: unknown bits set")
    if len(data) != tracking_size(presence):
        raise _malformed(
            f"tracking message with presence 0x{presence:02x} has {len(data)} bytes, "
            f"expected {tracking_size(presence)}"
        )
    return presence, seq, t_device_ns


def _malformed(reason: str) -> ProtocolError:
    return ProtocolError(CloseCode.MALFORMED, reason)


def _unpack_block(block: Any, name: str, frame: Any) -> None:
    if name == "head":
        frame["head_flags"] = int(block["flags"]) & _FLAG_BITS
        frame["head"] = block["pose"]
    elif name.endswith("controller"):
        frame[name] = block  # same fields in the same order: one structured cast
        frame[name]["flags"] &= _FLAG_BITS
    else:
        target = frame[name]
        target["flags"] = int(block["flags"]) & _FLAG_BITS
        target["joints"] = block["joints"]["pose"]
        target["radius"] = block["joints"]["radius"]


def clear_unusable(frame: Any) -> int:
    """Take the valid and tracked flags from poses that cannot be used; returns how many.

    A pose is unusable when a number is not finite, its quaternion is zero or its position is
    beyond `MAX_POSITION_M`. The numbers of a pose stay as received, so that a recording shows what
    the device sent; axes (trigger, squeeze, thumbstick) are made finite and clipped in place.
    """
    presence = int(frame["presence"])
    cleared = 0
    if presence & HEAD_BIT and int(frame["head_flags"]) & _VALID:
        cleared += _clear_unless(_usable(frame["head"]), frame, "head_flags")
    for bit, name, _ in _BLOCKS[1:]:
        if not presence & bit:
            continue
        block = frame[name]
        usable = _clean_controller(block) if name.endswith("controller") else _hand_usable(block)
        if int(block["flags"]) & _VALID:
            cleared += _clear_unless(usable, block, "flags")
    return cleared


def _clear_unless(usable: bool, holder: Any, field: str) -> int:
    if usable:
        return 0
    holder[field] = int(holder[field]) & ~_VALID_OR_TRACKED
    return 1


def _usable(pose: npt.NDArray[np.float64]) -> bool:
    px, py, pz, qx, qy, qz, qw = pose.tolist()
    # NaN fails every comparison, infinity fails the upper bounds.
    norm2: float = qx * qx + qy * qy + qz * qz + qw * qw
    return bool(
        1e-6 < norm2 < 1e6
        and abs(px) <= MAX_POSITION_M
        and abs(py) <= MAX_POSITION_M
        and abs(pz) <= MAX_POSITION_M
    )


def _clean_controller(block: Any) -> bool:
    """Clip the axes; True when the grip and every axis were usable."""
    axes = (float(block["trigger"]), float(block["squeeze"]), *block["thumbstick"].tolist())
    if 0.0 <= axes[0] <= 1.0 and 0.0 <= axes[1] <= 1.0 and max(map(abs, axes)) <= 1.0:
        return _usable(block["grip"])
    finite = [axis if math.isfinite(axis) else 0.0 for axis in axes]
    block["trigger"] = min(max(finite[0], 0.0), 1.0)
    block["squeeze"] = min(max(finite[1], 0.0), 1.0)
    block["thumbstick"] = [min(max(axis, -1.0), 1.0) for axis in finite[2:]]
    return all(map(math.isfinite, axes)) and _usable(block["grip"])


def _hand_usable(block: Any) -> bool:
    joints = np.asarray(block["joints"]).reshape(N_HAND_JOINTS, 7)
    norm2 = (joints[:, 3:] ** 2).sum(axis=1)
    return bool(
        np.isfinite(joints).all()
        and (np.abs(joints[:, :3]) <= MAX_POSITION_M).all()
        and (norm2 > 1e-6).all()
        and (norm2 < 1e6).all()
        and np.isfinite(block["radius"]).all()
    )


def decode_tracking(data: bytes, t_receive_ns: int, source: int = Source.UNKNOWN) -> Row:
    """`unpack_tracking`, then `clear_unusable`: the row that may go on the bus."""
    frame = unpack_tracking(data, t_receive_ns, source)
    clear_unusable(frame)
    return frame
