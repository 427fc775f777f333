"""What a replay reads from an episode, and how it makes recorded hands mean recorded targets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder import Dataset, StreamSpec
from retarget.clutch import Clutch
from retarget.frames import distance, exp3
from teleop.hmd.recorded import (
    Followed,
    NothingToReplayError,
    followed,
    hand_for,
    operator_frames,
)
from teleop.hmd.shown import SQUEEZED, hold, stand_in
from teleop.protocol import empty_frame
from teleop.recording import operator_channels, split_operator
from teleop.samples import OPERATOR_FRAME, SESSION_STATE, Button, target_dtype
from tests.teleop.hands import hand_joints, hands_frame

MS = 1_000_000
VECTORS = st.tuples(*[st.floats(-1.0, 1.0)] * 3).map(np.array)


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = exp3(draw(VECTORS) * 1.8), draw(VECTORS)
    return T


@settings(max_examples=150, deadline=None)
@given(
    hand=matrices(),
    stage=matrices(),
    want=matrices(),
    tip=matrices(),
    scale=st.floats(0.5, 2.0),
)
def test_a_clutch_closed_there_turns_the_recorded_hand_into_the_recorded_target(
    hand: np.ndarray, stage: np.ndarray, want: np.ndarray, tip: np.ndarray, scale: float
) -> None:
    closing = hand_for(hand, stage, scale, want, tip)
    clutch = Clutch(scale)
    clutch.engage(stage @ closing, tip)
    assert max(distance(clutch.target(stage @ hand), want)) < 1e-6


def test_a_clutch_that_closes_on_the_recorded_target_closes_on_the_recorded_hand() -> None:
    hand, tip = np.eye(4), np.eye(4)
    hand[:3, 3], tip[:3, :3] = [0.2, 1.0, -0.4], exp3(np.array([0.3, 0.2, 0.1]))
    np.testing.assert_allclose(hand_for(hand, np.eye(4), 1.3, tip, tip), hand, atol=1e-12)


def recorded(tmp_path: Path, engaged: slice, targets: list[tuple[int, bool]]) -> np.ndarray:
    """Arms that followed in 10 frames of 10 ms; targets are (frame, valid) of the left arm."""
    frames = np.repeat(np.array([empty_frame()], OPERATOR_FRAME), 10)
    frames["seq"], frames["presence"] = np.arange(1, 11), 7
    frames["t_receive_ns"] = frames["t_ns"] = frames["t_device_ns"] = np.arange(1, 11) * 10 * MS
    session = np.zeros(10, SESSION_STATE)
    session["t_ns"] = frames["t_receive_ns"] - MS
    session["engaged"][engaged, 0], session["reach_scale"] = True, 1.2
    rows = np.zeros(len(targets), target_dtype())
    rows["t_ns"] = [frames["t_receive_ns"][i] + 3 * MS for i, _ in targets]
    rows["operator_seq"] = [i + 1 for i, _ in targets]
    rows["valid"][:, 0] = [valid for _, valid in targets]
    rows["T_robot_left_wrist"][:, 0] = [i for i, _ in targets]
    channels = [
        *operator_channels(),
        StreamSpec("session", SESSION_STATE, 0.0),
        StreamSpec("target", target_dtype(), 0.0),
    ]
    writer = Dataset.open(tmp_path, create=True).begin(
        channels, [], attributes={}, wall_time=datetime(2026, 1, 1, tzinfo=UTC)
    )
    for name, part in split_operator(frames):
        writer.append(name, part)
    writer.append("session", session)
    if len(rows):
        writer.append("target", rows)
    episode = writer.finish()
    found = followed(episode, operator_frames(episode))
    for i, valid in targets:
        assert np.isnan(found.target[i, 0]).any() == (not valid)
        assert not valid or found.target[i, 0, 0] == i
    assert (found.reach_scale == 1.2).all()
    return found.arm[:, 0]


def test_an_arm_follows_from_its_first_target_not_from_the_sessions_word(tmp_path: Path) -> None:
    arm = recorded(tmp_path, slice(2, 8), [(i, True) for i in range(4, 8)])
    np.testing.assert_array_equal(np.flatnonzero(arm), [4, 5, 6, 7])


def test_a_frame_that_control_skipped_is_followed_as_the_one_before(tmp_path: Path) -> None:
    arm = recorded(tmp_path, slice(2, 8), [(i, True) for i in (2, 3, 5, 7)])
    np.testing.assert_array_equal(np.flatnonzero(arm), range(2, 8))


def test_without_targets_the_session_says_which_arms_followed(tmp_path: Path) -> None:
    np.testing.assert_array_equal(np.flatnonzero(recorded(tmp_path, slice(2, 8), [])), range(2, 8))


def test_a_replay_keeps_to_a_trim_and_to_a_part(tmp_path: Path) -> None:
    recorded(tmp_path, slice(2, 8), [])
    dataset = Dataset.open(tmp_path)
    (row,) = dataset.episodes()
    whole = operator_frames(dataset[row.id])
    offset_s = (10 * MS - dataset[row.id].start_ns) / 1e9  # of the first frame
    dataset.trim(row.id, offset_s + 0.035, offset_s + 0.065)
    np.testing.assert_array_equal(operator_frames(dataset[row.id])["seq"], [5, 6, 7])
    np.testing.assert_array_equal(operator_frames(dataset[row.id]), whole[4:7])
    dataset.undo(dataset.history()[-1].id)
    first, second = dataset.split(row.id, [offset_s + 0.045])
    parts = [operator_frames(dataset[name])["seq"].tolist() for name in (first, second)]
    assert parts == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]]
    dataset.trim(first, 0.0, 0.0005)
    with pytest.raises(NothingToReplayError, match="the trim leaves"):
        operator_frames(dataset[first])


def test_an_absolute_hand_means_its_target_once_the_offset_has_faded() -> None:
    n, arm = 400, np.zeros((400, 2), dtype=np.bool_)
    arm[10:350, 0] = arm[10:60, 1] = True
    targets = np.where(arm[:, :, None], np.zeros((n, 2, 7)), np.nan)
    stage, scale = np.zeros((n, 7)), np.ones(n)
    t_ns = np.arange(n) * 10 * MS
    for absolute, left, right in ((False, 10, 10), (True, 110, 59)):
        mode = np.full(n, absolute)
        found = Followed(arm, targets, np.zeros((n, 2)), stage, scale, mode)
        assert found.meaning(10, 0, t_ns) == left
        assert found.meaning(10, 1, t_ns) == right  # let go before: the last there is


@pytest.mark.parametrize("squeeze", [0.0, 0.4, 0.9, 1.0])
def test_a_deadman_is_held_or_not_and_keeps_a_value_that_agrees(squeeze: float) -> None:
    for held in (False, True):
        block = empty_frame()["left_controller"]
        block["squeeze"] = squeeze
        block["buttons"] = int(Button.SQUEEZE | Button.PRIMARY | Button.TRIGGER)
        hold(block, held)
        if held:
            assert block["squeeze"] == pytest.approx(max(squeeze, SQUEEZED))
        else:
            assert block["squeeze"] == 0.0
        kept = Button.TRIGGER | (Button.SQUEEZE if held else Button(0))
        assert block["buttons"] == int(kept)


def test_a_bare_hand_gets_a_controller_in_its_palm_and_keeps_its_joints() -> None:
    joints = hand_joints("right", index_m=0.015)
    frame = hands_frame(5, None, joints)
    stand_in(frame, "right")
    stand_in(frame, "left")
    assert frame["presence"] == 1 | 16 | 4
    np.testing.assert_allclose(frame["right_controller"]["grip"], joints[0])
    assert frame["right_controller"]["trigger"] == pytest.approx(1.0)
    np.testing.assert_array_equal(frame["right_hand"]["joints"], joints)
