from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retarget.frames import (
    distance,
    exp3,
    interpolate,
    inverse,
    log3,
    matrix_to_pose,
    pose_to_matrix,
    quat_to_matrix,
    stage_to_robot,
)

number = st.floats(-1, 1)
vector = st.tuples(number, number, number).map(np.array)


def near_pi(v):
    norm = np.linalg.norm(v)
    return v / norm * (np.pi - 1e-6) if norm > 1e-3 else v


rotation_vector = st.one_of(vector, vector.map(lambda v: v * 1e-9), vector.map(near_pi))


def transform(p, w):
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = exp3(w), p
    return T


def test_stage_axes_become_robot_axes():
    R = stage_to_robot()[:3, :3]
    right, up, forward = np.eye(3)[0], np.eye(3)[1], -np.eye(3)[2]
    assert np.array_equal(R @ forward, [1, 0, 0])
    assert np.array_equal(R @ right, [0, -1, 0])
    assert np.array_equal(R @ up, [0, 0, 1])
    assert np.linalg.det(R) == 1


@given(vector, rotation_vector)
def test_pose_round_trip(p, w):
    T = transform(p, w)
    assert np.allclose(pose_to_matrix(matrix_to_pose(T)), T, atol=1e-12)


@given(vector, rotation_vector)
def test_opposite_quaternions_are_the_same_rotation(p, w):
    pose = matrix_to_pose(transform(p, w))
    opposite = pose.copy()
    opposite[3:] *= -1
    assert np.array_equal(pose_to_matrix(pose), pose_to_matrix(opposite))


@given(rotation_vector)
def test_exp_undoes_log(w):
    assert np.allclose(exp3(log3(exp3(w))), exp3(w), atol=1e-9)


@given(vector, rotation_vector)
def test_inverse_cancels(p, w):
    T = transform(p, w)
    assert np.allclose(inverse(T) @ T, np.eye(4), atol=1e-12)


@given(vector, vector, vector, st.floats(0, 1))
def test_interpolation_stays_on_the_way(p, w, p1, u):
    a, b = transform(p, w), transform(p1, -w)
    d, angle = distance(a, b)
    du, angle_u = distance(a, interpolate(a, b, u))
    assert du == pytest.approx(u * d, abs=1e-9)
    assert angle_u == pytest.approx(u * angle, abs=1e-6)


@pytest.mark.parametrize("quat", [[0, 0, 0, 0], [np.nan, 0, 0, 1], [np.inf, 0, 0, 1]])
def test_a_quaternion_that_is_none_is_refused(quat):
    with pytest.raises(ValueError, match="quaternion"):
        quat_to_matrix(quat)


def resident_kb() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def test_conversions_of_every_tick_keep_no_memory():
    T = transform(np.array([0.1, 0.2, 0.3]), np.array([0.3, -0.2, 0.5]))

    def convert(times: int) -> None:
        for _ in range(times):
            interpolate(T, pose_to_matrix(matrix_to_pose(T)), 0.5)

    convert(2000)
    before_kb = resident_kb()
    convert(40_000)  # 50 bytes a call would be 2 MB here, and a gigabyte in a day
    assert resident_kb() - before_kb < 500
