from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retarget import OneEuro, OneEuroConfig
from retarget.frames import exp3, matrix_to_quat
from retarget.poses import rotation_vector

MS = 1_000_000
TICK = 14 * MS


def pose(x=0.0, quat=(0, 0, 0, 1)):
    return np.array([x, 1.2, -0.3, *quat], float)


def test_one_euro_passes_the_first_pose_and_a_still_hand_unchanged():
    euro = OneEuro()
    for k in range(20):
        assert np.allclose(euro.filter(pose(0.3), k * TICK), pose(0.3), atol=1e-12)


def test_one_euro_calms_jitter_and_follows_motion():
    rng = np.random.default_rng(0)
    euro, still, noisy = OneEuro(), [], []
    for k in range(400):
        x = 0.001 * rng.normal()
        noisy.append(x)
        still.append(euro.filter(pose(x), k * TICK)[0])
    assert np.std(still[100:]) < 0.5 * np.std(noisy)
    euro.reset()
    lag = [0.5 * k * 0.014 - euro.filter(pose(0.5 * k * 0.014), k * TICK)[0] for k in range(100)]
    assert abs(lag[-1]) < 0.02


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.1, 1))
def test_one_euro_does_not_care_about_the_quaternion_sign(a, b, c):
    quat = np.array([a, b, 0.1, c]) / np.linalg.norm([a, b, 0.1, c])
    one, other = OneEuro(), OneEuro()
    one.filter(pose(), 0)
    other.filter(pose(), 0)
    x, y = one.filter(pose(0, quat), TICK), other.filter(pose(0, -quat), TICK)
    assert np.array_equal(x, y)


def test_one_euro_refuses_senseless_settings():
    with pytest.raises(ValueError, match="cut-offs"):
        OneEuroConfig(min_cutoff_hz=0)


@given(
    st.floats(0.05, 2.0),
    st.floats(0.5, 10.0),
    st.floats(1.0, 80.0),
    st.sampled_from([72, 120, 200]),
)
def test_the_lag_of_a_steady_hand_is_what_the_formula_says(speed, cutoff, beta, rate_hz):
    config = OneEuroConfig(min_cutoff_hz=cutoff, beta=beta)
    euro = OneEuro(config)
    for k in range(4 * rate_hz):
        t_ns = k * 1_000_000_000 // rate_hz
        x = euro.filter(pose(speed * t_ns * 1e-9), t_ns)[0]
    lag_s = t_ns * 1e-9 - x / speed
    assert lag_s == pytest.approx(config.lag_s(speed), rel=1e-3)
    assert euro.lag_s == pytest.approx(lag_s, rel=1e-3)
    assert speed * lag_s <= 1 / (2 * np.pi * beta)


@given(st.floats(0.1, 6.0))
def test_the_lag_of_a_steady_turn_is_what_the_formula_says(speed):
    euro = OneEuro()
    for k in range(300):
        quat = matrix_to_quat(exp3([0, speed * k * 0.01, 0]))
        turned = euro.filter(pose(0, quat), k * 10 * MS)
    behind = rotation_vector(tuple(quat))[1] - rotation_vector(tuple(turned[3:]))[1]
    behind = (behind + np.pi) % (2 * np.pi) - np.pi
    assert behind / speed == pytest.approx(euro.config.rotation_lag_s(speed), rel=1e-2)
