from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retarget import PosePredictor, Retargeter, Targets
from tests.retarget.helpers import random_pose
from tests.retarget.motion import demo_motion

MS = 1_000_000


def at_x(x):
    T = np.eye(4)
    T[0, 3] = x
    return T


@given(st.integers(0, 2**32 - 1))
def test_the_first_sample_and_a_still_hand_pass_unchanged(seed):
    T = random_pose(np.random.default_rng(seed), 0, 1)
    predictor = PosePredictor()
    for k in range(8):
        predictor.update(T, k * 14 * MS)
        assert np.allclose(predictor.at(k * 14 * MS + 5 * MS), T, atol=1e-12)


def test_a_steady_hand_is_followed_without_lag():
    predictor = PosePredictor()
    for k in range(40):
        predictor.update(at_x(0.5 * k * 0.014), k * 14 * MS)
    t_ns = 39 * 14 * MS + 10 * MS
    assert predictor.at(t_ns)[0, 3] == pytest.approx(0.5 * t_ns * 1e-9, abs=1e-4)


@given(st.integers(0, 2**32 - 1))
def test_a_sample_never_makes_the_pose_jump(seed):
    rng = np.random.default_rng(seed)
    predictor, T = PosePredictor(), random_pose(rng, 0, 1)
    predictor.update(T, 0)
    for k in range(1, 10):
        t_ns = k * 14 * MS
        before = predictor.at(t_ns)
        T = T.copy()
        T[:3, 3] += rng.uniform(-0.02, 0.02, 3)
        predictor.update(T, t_ns)
        assert np.allclose(predictor.at(t_ns), before, atol=1e-9)


def test_a_lost_hand_comes_to_rest_nearby():
    predictor = PosePredictor()
    for k in range(10):
        predictor.update(at_x(0.014 * k), k * 14 * MS)
    last = 9 * 14 * MS
    rest = predictor.at(last + 1000 * MS)
    assert np.array_equal(rest, predictor.at(last + 2000 * MS))
    assert rest[0, 3] - 0.126 < 0.06


def test_old_samples_are_ignored_and_a_gap_starts_afresh():
    predictor = PosePredictor()
    predictor.update(at_x(0), 0)
    predictor.update(at_x(0.01), 14 * MS)
    predictor.update(at_x(9.0), 10 * MS)
    assert predictor.at(14 * MS)[0, 3] < 0.02
    predictor.update(at_x(3.0), 500 * MS)
    assert predictor.at(520 * MS)[0, 3] == 3.0


def test_prediction_needs_a_sample():
    with pytest.raises(ValueError, match="before update"):
        PosePredictor().at(0)


def test_72_hz_input_drives_the_arm_smoothly(openarm):
    motion = list(demo_motion(openarm.forward(openarm.q_home), 1000.0))[:6000]
    left, right = PosePredictor(), PosePredictor()
    r = Retargeter(openarm)
    speeds, errors, sample = [], [], 0
    for t_ms in range(0, 6000, 5):
        while sample * 1000 / 72 <= t_ms:
            t_sample = sample * 1000 / 72
            for predictor, T in zip((left, right), motion[int(t_sample)], strict=True):
                predictor.update(T, int(t_sample) * MS)
            sample += 1
        s = r.step(Targets(left.at(t_ms * MS), right.at(t_ms * MS)))
        speeds.append(s.dq)
        tip = openarm.forward(s.q)["right_wrist"][:3, 3]
        errors.append(np.linalg.norm(tip - motion[t_ms][1][:3, 3]))
    assert np.percentile(errors, 95) < 2e-3
    acceleration = np.diff(speeds, axis=0) * 200
    assert np.sqrt((acceleration**2).mean()) < 4.0
    assert np.abs(acceleration).max() < 40.0
