from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retarget import Hampel, HampelConfig
from retarget.frames import exp3, matrix_to_quat

MS = 1_000_000
seeds = st.integers(0, 2**32 - 1)


def noisy_motion(seed, n, rate_hz, peak_m_s=2.0, max_hz=20.0):
    """(n, 7) of a hand that speeds up, stops and turns back within 40 m/s², with tracker noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / rate_hz
    hz = rng.uniform(0.3, min(max_hz, 40.0 / (2 * np.pi * peak_m_s) / np.sqrt(3)))
    way = peak_m_s / (2 * np.pi * hz) / np.sqrt(3)
    p = way * np.sin(2 * np.pi * hz * t[:, None] + rng.uniform(0, 6, 3))
    turn = 0.6 * np.sin(2 * np.pi * min(hz, 2.0) * t[:, None] + rng.uniform(0, 6, 3))
    quats = [matrix_to_quat(exp3(w) @ exp3(rng.normal(0, 0.0017, 3))) for w in turn]
    return np.hstack([p + rng.normal(0, 3e-4, p.shape), quats])


@given(seeds, st.sampled_from([72, 90, 120]), st.floats(0.3, 3.0))
@settings(max_examples=40, deadline=None)
def test_every_sample_of_a_real_hand_passes_at_once(seed, rate_hz, peak_m_s):
    hampel = Hampel()
    for k, pose in enumerate(noisy_motion(seed, 150, rate_hz, peak_m_s)):
        assert hampel.passes(pose, k * 1_000_000_000 // rate_hz)


@given(seeds, st.integers(1, 3), st.floats(0.045, 0.2), st.booleans())
@settings(max_examples=40, deadline=None)
def test_short_teleports_never_pass_and_what_follows_does(seed, length, size, rotate):
    rng, hampel = np.random.default_rng(seed), Hampel()
    poses = noisy_motion(seed, 80, 90, 1.0)
    begin = int(rng.integers(20, 60))
    aside = poses.copy()
    if rotate:
        turn = exp3(np.array([size * 10, 0, 0]))
        aside[:, 3:] = [_after(turn, quat) for quat in poses[:, 3:]]
    else:
        way = rng.normal(size=3)
        aside[:, :3] += size * way / np.linalg.norm(way)
    thrown = range(begin, begin + length)
    passed = [
        hampel.passes((aside if k in thrown else poses)[k], k * 1_000_000_000 // 90)
        for k in range(len(poses))
    ]
    assert not any(passed[k] for k in thrown)
    assert all(passed[:begin])
    assert all(passed[begin + length :])


def _after(R, quat):
    from retarget.frames import quat_to_matrix

    return matrix_to_quat(R @ quat_to_matrix(quat))


@given(seeds, st.floats(0.05, 0.1))
@settings(max_examples=30, deadline=None)
def test_a_shift_that_stays_is_believed_after_half_the_window(seed, shift):
    hampel = Hampel(HampelConfig(window=7))
    poses = noisy_motion(seed, 60, 90, 0.3, max_hz=1.0)
    poses[40:, 0] += shift
    passed = [hampel.passes(pose, k * 1_000_000_000 // 90) for k, pose in enumerate(poses)]
    assert not any(passed[40:43])
    assert all(passed[46:])


def test_after_a_gap_nothing_is_known_and_the_next_sample_passes():
    hampel = Hampel()
    assert hampel.passes([0, 0, 0, 0, 0, 0, 1], 0)
    assert hampel.passes([1, 0, 0, 0, 0, 0, 1], 101 * MS)


def test_senseless_settings_are_refused():
    with pytest.raises(ValueError, match="window"):
        HampelConfig(window=2)
