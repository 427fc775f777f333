from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retarget import PosePredictor, PredictionConfig, Retargeter, Targets
from retarget.frames import matrix_to_pose, pose_to_matrix
from tests.retarget.helpers import random_pose
from tests.retarget.motion import demo_motion

MS = 1_000_000


def at_x(x):
    return np.array([x, 0, 0, 0, 0, 0, 1.0])


@given(st.integers(0, 2**32 - 1))
def test_the_first_sample_and_a_still_hand_pass_unchanged(seed):
    T = matrix_to_pose(random_pose(np.random.default_rng(seed), 0, 1))
    predictor = PosePredictor()
    for k in range(8):
        predictor.update(T, k * 14 * MS)
        assert np.allclose(predictor.at(k * 14 * MS + 5 * MS), T, atol=1e-12)


def test_a_steady_hand_is_followed_without_lag():
    predictor = PosePredictor()
    for k in range(60):
        predictor.update(at_x(0.5 * k * 0.014), k * 14 * MS)
    t_ns = 59 * 14 * MS + 10 * MS
    assert predictor.at(t_ns)[0] == pytest.approx(0.5 * t_ns * 1e-9, abs=1e-4)


@given(st.integers(0, 2**32 - 1))
def test_a_sample_moves_nothing_at_its_own_time(seed):
    rng = np.random.default_rng(seed)
    predictor, T = PosePredictor(), matrix_to_pose(random_pose(rng, 0, 1))
    predictor.update(T, 0)
    for k in range(1, 10):
        t_ns = k * 14 * MS
        before = predictor.at(t_ns)
        T = T.copy()
        T[:3] += rng.uniform(-0.02, 0.02, 3)
        predictor.update(T, t_ns)
        assert np.allclose(predictor.at(t_ns), before, atol=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(0, 30))
def test_neither_pose_nor_speed_jumps_where_a_sample_is_taken(seed, ahead_ms):
    rng = np.random.default_rng(seed)
    predictor, lead_s = PosePredictor(), ahead_ms * 1e-3
    pose = matrix_to_pose(random_pose(rng, 0, 1))
    predictor.update(pose, 0)
    for k in range(1, 10):
        t_ns, shown_ns = k * 14 * MS, k * 14 * MS + ahead_ms * MS
        before = [predictor.at(shown_ns + d, lead_s) for d in (0, MS // 10)]
        pose = pose + np.r_[rng.uniform(-0.02, 0.02, 3), rng.uniform(-0.02, 0.02, 4)]
        predictor.update(pose, t_ns, shown_ns, lead_s)
        after = [predictor.at(shown_ns + d, lead_s) for d in (0, MS // 10)]
        assert np.allclose(after[0], before[0], atol=1e-9)
        assert np.allclose(after[1], before[1], atol=4e-4), "0.1 ms on, by far less than a step"


def test_what_is_predicted_on_purpose_is_no_silence():
    predictor = PosePredictor()
    for k in range(60):
        predictor.update(at_x(0.5 * k * 0.014), k * 14 * MS)
    last = 59 * 14 * MS
    assert predictor.at(last + 60 * MS, lead_s=0.05)[0] == pytest.approx(
        0.5 * (last + 60 * MS) * 1e-9, abs=1e-3
    )
    assert predictor.at(last + 60 * MS)[0] < 0.5 * (last + 50 * MS) * 1e-9


def test_times_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="above 0"):
        PredictionConfig(blend_s=0)


def test_a_lost_hand_comes_to_rest_nearby():
    predictor = PosePredictor()
    for k in range(10):
        predictor.update(at_x(0.014 * k), k * 14 * MS)
    last = 9 * 14 * MS
    rest = predictor.at(last + 1000 * MS)
    assert np.array_equal(rest, predictor.at(last + 2000 * MS))
    assert rest[0] - 0.126 < 0.06


def test_old_samples_are_ignored_and_a_gap_starts_afresh():
    predictor = PosePredictor()
    predictor.update(at_x(0), 0)
    predictor.update(at_x(0.01), 14 * MS)
    predictor.update(at_x(9.0), 10 * MS)
    assert predictor.at(14 * MS)[0] < 0.02
    predictor.update(at_x(3.0), 500 * MS)
    assert predictor.at(900 * MS)[0] == pytest.approx(3.0), "nothing of the old velocity is left"
    shown = [predictor.at(t * MS)[0] for t in range(500, 900)]
    assert np.abs(np.diff(shown)).max() < 0.08, "it goes there, it does not jump"


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
                predictor.update(matrix_to_pose(T), int(t_sample) * MS)
            sample += 1
        s = r.step(Targets(*(pose_to_matrix(p.at(t_ms * MS)) for p in (left, right))))
        speeds.append(s.dq)
        tip = openarm.forward(s.q)["right_wrist"][:3, 3]
        errors.append(np.linalg.norm(tip - motion[t_ms][1][:3, 3]))
    assert np.percentile(errors, 95) < 2.5e-3
    acceleration = np.diff(speeds, axis=0) * 200
    assert np.sqrt((acceleration**2).mean()) < 2.0
    assert np.abs(acceleration).max() < 15.0
