"""Laws of the neutral pose capture."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.errors import NeutralPoseError
from calibration.operator import (
    ARM_TO_GRIP,
    EYE_HEIGHT,
    REACH_SCALE,
    OperatorProfile,
    capture_neutral,
)

angles = st.floats(-math.pi, math.pi)


def turn(axis: int, angle: float) -> np.ndarray:
    """(4, 4) right-handed rotation about a coordinate axis."""
    T = np.eye(4)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    c, s = math.cos(angle), math.sin(angle)
    T[i, i], T[j, j], T[i, j], T[j, i] = c, c, -s, s
    return T


def stage_pose(x: float, y: float, z: float, *turns: np.ndarray) -> np.ndarray:
    T = np.eye(4)
    for rotation in turns:
        T = T @ rotation
    T[:3, 3] = x, y, z
    return T


@given(yaw=angles, pitch=st.floats(-1.0, 1.0), roll=st.floats(-1.0, 1.0), x=st.floats(-3, 3))
def test_facing_direction_becomes_robot_x_whatever_pitch_and_roll(
    yaw: float, pitch: float, roll: float, x: float
) -> None:
    head = stage_pose(x, 1.6, 2.0, turn(1, yaw), turn(0, pitch), turn(2, roll))
    T = capture_neutral(head, None, None, 0.7).T_robot_stage
    facing = turn(1, yaw)[:3, :3] @ [0.0, 0.0, -1.0]
    np.testing.assert_allclose(T[:3, :3] @ facing, [1, 0, 0], atol=1e-9)
    np.testing.assert_allclose(T[:3, :3] @ [0, 1, 0], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose((T @ head)[:3, 3], [0, 0, 1.6], atol=1e-9)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)


@given(yaw=angles, x=st.floats(-2, 2), z=st.floats(-2, 2))
def test_where_the_operator_stands_and_faces_does_not_matter(
    yaw: float, x: float, z: float
) -> None:
    head = stage_pose(0, 1.65, 0)
    hand = stage_pose(0.2, 1.1, -0.4, turn(0, 0.3))
    moved = stage_pose(x, 0, z, turn(1, yaw))
    at_origin = capture_neutral(head, None, hand, 0.7)
    elsewhere = capture_neutral(moved @ head, None, moved @ hand, 0.7)
    np.testing.assert_allclose(
        elsewhere.T_robot_stage @ moved @ hand, at_origin.T_robot_stage @ hand, atol=1e-9
    )
    assert elsewhere.reach_scale == pytest.approx(at_origin.reach_scale)


def test_right_of_the_operator_is_minus_y_of_the_robot() -> None:
    T = capture_neutral(stage_pose(0, 1.6, 0), None, None, 0.7).T_robot_stage
    np.testing.assert_allclose(T[:3, :3] @ [1, 0, 0], [0, -1, 0], atol=1e-12)


@given(stature=st.floats(1.45, 2.0))
def test_reach_scale_is_robot_reach_over_operator_reach(stature: float) -> None:
    profile = capture_neutral(stage_pose(0, EYE_HEIGHT * stature, 0), None, None, 0.7)
    assert profile.reach_source == "stature"
    assert profile.operator_reach_m == pytest.approx(ARM_TO_GRIP * stature)
    assert profile.reach_scale == pytest.approx(0.7 / (ARM_TO_GRIP * stature))


@pytest.mark.parametrize("robot_reach", [0.05, 5.0])
def test_reach_scale_stays_sane(robot_reach: float) -> None:
    profile = capture_neutral(stage_pose(0, 1.6, 0), None, None, robot_reach)
    assert profile.reach_scale in REACH_SCALE


def test_stretched_arms_are_measured() -> None:
    stature = 1.75
    head = stage_pose(0, EYE_HEIGHT * stature, 0)
    hands = [stage_pose(x, 0.818 * stature, -0.70) for x in (-0.129 * stature, 0.129 * stature)]
    profile = capture_neutral(head, hands[0], hands[1], 0.7)
    assert profile.reach_source == "hands"
    assert profile.operator_reach_m == pytest.approx(0.70)


@pytest.mark.parametrize("height", [0.0, 0.9, 1.2, 2.5])
def test_a_head_height_of_no_standing_person_falls_back_to_a_default(height: float) -> None:
    profile = capture_neutral(stage_pose(0, height, 0), None, None, 0.7)
    assert profile.reach_source == "default"


@pytest.mark.parametrize(("pitch", "way"), [(1.4, "up"), (-1.4, "down")])
def test_looking_up_or_down_is_refused_with_advice(pitch: float, way: str) -> None:
    with pytest.raises(NeutralPoseError, match=f"{way}.*look straight ahead"):
        capture_neutral(stage_pose(0, 1.6, 0, turn(0, pitch)), None, None, 0.7)


@pytest.mark.parametrize("bad", [np.full((4, 4), np.nan), np.zeros((4, 4)), np.eye(3)])
def test_an_untracked_pose_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(NeutralPoseError, match="left hand pose is not a finite rigid"):
        capture_neutral(stage_pose(0, 1.6, 0), bad, None, 0.7)


@pytest.mark.parametrize("reach", [0.0, -1.0, math.nan])
def test_a_robot_without_reach_is_refused(reach: float) -> None:
    with pytest.raises(NeutralPoseError, match="reach must be positive"):
        capture_neutral(stage_pose(0, 1.6, 0), None, None, reach)


@given(yaw=angles)
def test_a_profile_survives_its_dictionary(yaw: float) -> None:
    profile = capture_neutral(stage_pose(0, 1.6, 0, turn(1, yaw)), None, None, 0.7, name="ana")
    again = OperatorProfile.from_dict(profile.to_dict())
    np.testing.assert_array_equal(again.T_robot_stage, profile.T_robot_stage)
    assert again.to_dict() == profile.to_dict()


def test_a_profile_cannot_be_changed() -> None:
    profile = capture_neutral(stage_pose(0, 1.6, 0), None, None, 0.7)
    with pytest.raises(ValueError, match="read-only"):
        profile.T_robot_stage[0, 0] = 2.0
