"""The binary layouts of `telecap.v1`, against the document and against themselves."""

from __future__ import annotations

import re
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop.errors import ProtocolError
from teleop.protocol import (
    Codec,
    VideoPicture,
    clear_unusable,
    decode_tracking,
    decode_video,
    empty_frame,
    encode_tracking,
    encode_video,
    tracking_size,
    unpack_tracking,
)
from teleop.samples import Tracking

GOOD = int(Tracking.VALID | Tracking.TRACKED)


def hex_example(kind: str) -> bytes:
    text = (files("teleop") / "protocol.md").read_text()
    match = re.search(rf"```hex {kind}\n(.*?)```", text, re.DOTALL)
    assert match is not None
    return bytes.fromhex(match.group(1))


def frame_with(presence: int = 7, seed: int = 0) -> np.void:
    rng = np.random.default_rng(seed)

    def pose(*shape: int) -> np.ndarray:
        poses = rng.normal(size=(*shape, 7)).astype(np.float32)
        poses[..., 3:] /= np.linalg.norm(poses[..., 3:], axis=-1, keepdims=True)
        return poses

    frame = empty_frame()
    frame["presence"] = presence
    frame["seq"], frame["t_device_ns"] = 12, -5
    if presence & 1:
        frame["head_flags"], frame["head"] = GOOD, pose()
    for side, bit in (("left", 2), ("right", 4)):
        if presence & bit:
            controller = frame[f"{side}_controller"]
            controller["flags"], controller["buttons"] = GOOD, rng.integers(64)
            controller["grip"], controller["aim"] = pose(), pose()
            controller["trigger"], controller["squeeze"] = rng.random(2)
            controller["thumbstick"] = rng.random(2) * 2 - 1
        if presence & bit << 2:
            hand = frame[f"{side}_hand"]
            hand["flags"], hand["joints"] = GOOD, pose(26)
            hand["radius"] = rng.random(26)
    return frame


def test_documented_tracking_example_decodes_to_what_it_says() -> None:
    frame = decode_tracking(hex_example("tracking"), 77)
    assert (frame["seq"], frame["t_device_ns"], frame["t_ns"]) == (258, 1_000_000_000, 77)
    assert frame["presence"] == 1
    assert frame["head_flags"] == GOOD
    assert frame["head"].tolist() == [0.25, 1.5, -0.5, 0, 0, 0, 1]
    assert encode_tracking(frame) == hex_example("tracking")


def test_documented_video_example_decodes_to_what_it_says() -> None:
    picture = VideoPicture(1, Codec.JPEG, True, 3, 2_000_000_000, b"\xff\xd8")
    assert decode_video(hex_example("video")) == picture
    assert encode_video(picture) == hex_example("video")


def test_documented_block_sizes() -> None:
    assert [tracking_size(bit) - tracking_size(0) for bit in (1, 2, 4, 8, 16)] == [
        32,
        80,
        80,
        836,
        836,
    ]


@given(presence=st.integers(0, 31), seed=st.integers(0, 2**32 - 1))
def test_decoding_is_the_inverse_of_encoding(presence: int, seed: int) -> None:
    frame = frame_with(presence, seed)
    data = encode_tracking(frame)
    assert len(data) == tracking_size(presence)
    back = decode_tracking(data, 99, source=2)
    frame["t_receive_ns"] = frame["t_ns"] = 99
    frame["source"] = 2
    assert back == frame
    assert encode_tracking(back) == data


@given(
    stream_id=st.integers(0, 255),
    codec=st.sampled_from(list(Codec)),
    key=st.booleans(),
    seq=st.integers(0, 2**32 - 1),
    t_ns=st.integers(-(2**63), 2**63 - 1),
    payload=st.binary(min_size=1),
)
def test_video_round_trip(
    stream_id: int, codec: Codec, key: bool, seq: int, t_ns: int, payload: bytes
) -> None:
    picture = VideoPicture(stream_id, codec, key, seq, t_ns, payload)
    assert decode_video(encode_video(picture)) == picture


@given(presence=st.integers(0, 31), cut=st.integers(-40, 40).filter(bool))
def test_any_other_length_is_malformed(presence: int, cut: int) -> None:
    data = encode_tracking(frame_with(presence))
    wrong = data[:cut] if cut < 0 else data + bytes(cut)
    with pytest.raises(ProtocolError) as caught:
        decode_tracking(wrong, 0)
    assert caught.value.code == 4400


@pytest.mark.parametrize(("offset", "value"), [(0, 2), (0, 0), (1, 32), (2, 1), (3, 1)])
def test_unknown_type_presence_or_reserved_bits_are_malformed(offset: int, value: int) -> None:
    data = bytearray(encode_tracking(frame_with(1)))
    data[offset] = value
    with pytest.raises(ProtocolError):
        decode_tracking(bytes(data), 0)


@pytest.mark.parametrize(
    "pose",
    [
        [np.nan, 0, 0, 0, 0, 0, 1],
        [0, np.inf, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, np.nan, 0, 1],
        [0, 0, -1001, 0, 0, 0, 1],
        [0, 0, 0, 1e30, 0, 0, 1],
    ],
)
@pytest.mark.parametrize("part", ["head", "left_controller", "right_hand"])
def test_an_unusable_pose_loses_its_flags_and_keeps_its_numbers(
    part: str, pose: list[float]
) -> None:
    frame = frame_with(31)
    if part == "head":
        frame["head"] = pose
    elif part == "left_controller":
        frame[part]["grip"] = pose
    else:
        frame[part]["joints"][9] = pose
    received = unpack_tracking(encode_tracking(frame), 0)
    raw = received.tobytes()
    assert clear_unusable(received) == 1
    flags = received["head_flags"] if part == "head" else received[part]["flags"]
    assert flags & Tracking.VALID == 0
    assert flags & Tracking.TRACKED == 0
    different = [a != b for a, b in zip(raw, received.tobytes(), strict=True)]
    assert sum(different) == 1  # the flags byte alone
    assert clear_unusable(received) == 0


def test_bits_above_the_known_flags_are_ignored() -> None:
    data = bytearray(encode_tracking(frame_with(1)))
    data[16:20] = (0xFFFFFF00 | GOOD).to_bytes(4, "little")
    assert decode_tracking(bytes(data), 0)["head_flags"] == GOOD


@pytest.mark.parametrize("field", ["trigger", "squeeze"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_axis_that_is_no_number_invalidates_its_controller(field: str, value: float) -> None:
    frame = frame_with(2)
    frame["left_controller"][field] = value
    back = decode_tracking(encode_tracking(frame), 0)
    assert back["left_controller"][field] == 0.0
    assert back["left_controller"]["flags"] & Tracking.VALID == 0


def test_axes_beyond_their_range_are_clipped() -> None:
    frame = frame_with(4)
    controller = frame["right_controller"]
    controller["trigger"], controller["squeeze"], controller["thumbstick"] = 1.5, -0.5, (2, -3)
    back = decode_tracking(encode_tracking(frame), 0)["right_controller"]
    assert (back["trigger"], back["squeeze"]) == (1.0, 0.0)
    assert back["thumbstick"].tolist() == [1.0, -1.0]
    assert back["flags"] == GOOD


@given(data=st.binary(max_size=64))
def test_arbitrary_bytes_are_never_a_picture_by_accident(data: bytes) -> None:
    try:
        picture = decode_video(data)
    except ProtocolError:
        return
    assert encode_video(picture) == data
