from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retarget import (
    FilterConfig,
    OneEuroConfig,
    PoseFilter,
    Retargeter,
    TargetFilter,
    Targets,
    Verdict,
)
from retarget.filters import SampleClock
from retarget.frames import exp3
from tests.retarget.helpers import random_pose

MS = 1_000_000
DT = 0.005
NOISE_M, NOISE_RAD = 3e-4, np.radians(0.1)
seeds = st.integers(0, 2**32 - 1)


def pose(x):
    return np.array([x, 1.2, -0.3, 0, 0, 0, 1.0])


def lifted(T, z):
    T = T.copy()
    T[2, 3] += z
    return T


# ------------------------------------------------------------------ one pose
@given(seeds, st.integers(1, 2))
@settings(max_examples=30, deadline=None)
def test_a_teleport_of_a_few_samples_leaves_no_trace_in_the_gate_or_the_filter(seed, length):
    rng = np.random.default_rng(seed)
    clean, thrown = PoseFilter(), PoseFilter()
    away = rng.normal(size=3)
    away *= rng.uniform(0.045, 2.0) / np.linalg.norm(away)
    for k in range(60):
        here = pose(0.3 * k * 0.011)
        there = here + np.r_[away, 0, 0, 0, 0] if 30 <= k < 30 + length else here
        clean.update(here, k * 11 * MS)
        thrown.update(there, k * 11 * MS)
        assert np.abs(thrown.at(k * 11 * MS) - clean.at(k * 11 * MS)).max() < 2e-3
    assert thrown.verdict == Verdict.OK


def test_what_is_not_ok_changes_nothing():
    one = PoseFilter()
    one.update(pose(0), 0)
    one.update(pose(0.001), 10 * MS)
    before = one.at(20 * MS)
    for bad, how in (
        (pose(np.nan), {}),
        (np.zeros(7), {}),
        (pose(0.002), {"valid": False}),
        (pose(2.0), {}),
        (pose(0.001), {}),
    ):
        assert one.update(bad, 20 * MS, **how) != Verdict.OK
        assert np.array_equal(one.at(20 * MS), before)


def test_a_hand_that_stops_dead_is_reached():
    one, chain = PoseFilter(), TargetFilter(FilterConfig(), DT)
    T = np.eye(4)
    for k in range(200):
        x = 0.4 * DT * min(k, 60)
        t_ns = round(k * DT * 1e9)
        one.update(pose(x), t_ns, shown_ns=t_ns - 5 * MS)
        T[0, 3] = x
        asked = chain.apply(Targets(T_robot_left_wrist=T.copy())).T_robot_left_wrist
    assert np.abs(one.at(t_ns) - pose(x)).max() < 1e-5
    assert np.abs(asked - T).max() < 1e-5


def test_gate_only_passes_good_poses_unchanged():
    one = PoseFilter(FilterConfig.gate_only())
    for k in range(20):
        one.update(pose(0.001 * k), k * 10 * MS)
        assert np.array_equal(one.at(k * 10 * MS + 5 * MS), pose(0.001 * k))


def test_a_filter_must_have_seen_a_pose():
    one = PoseFilter()
    one.update(pose(np.nan), 0)
    with pytest.raises(ValueError, match="before a sample"):
        one.at(0)


# ------------------------------------------------------------ ticks and samples
@given(st.sampled_from([60, 72, 90, 100, 120, 144, 200]))
def test_samples_seen_in_ticks_are_timed_as_evenly_as_they_were_made(rate_hz):
    clock, tick_ns, made, seen = SampleClock(5 * MS), 5 * MS, [], 0
    for k in range(400):
        newest = k * tick_ns * rate_hz // 1_000_000_000
        if newest != seen or k == 0:
            seen = newest
            made.append(clock.sampled(k * tick_ns))
            assert 0 <= k * tick_ns - made[-1] < tick_ns
    gaps = np.diff(made)[80:] * 1e-9
    assert np.abs(gaps - 1 / rate_hz).max() < 0.35e-3


def noisy(T, rng):
    T = T.copy()
    T[:3, 3] += rng.normal(0, NOISE_M, 3)
    T[:3, :3] = exp3(rng.normal(0, NOISE_RAD, 3)) @ T[:3, :3]
    return T


def follow(rig, path, rate_hz, filters, seed=0):
    """Joints (n, nq) of a retargeter shown `path(t)` with tracker noise, held between samples."""
    rng, retargeter = np.random.default_rng(seed), Retargeter(rig, 1 / DT)
    chain = None if filters is None else TargetFilter(filters, DT)
    joints, shown, targets = [], -1, Targets()
    for k in range(800):
        sample = int(k * DT * rate_hz + 1e-9)
        if sample != shown:
            shown = sample
            poses = {tip: noisy(T, rng) for tip, T in path(sample / rate_hz).items()}
            targets = Targets(**{f"T_robot_{tip}": T for tip, T in poses.items()})
        asked = targets if chain is None else chain.apply(targets)
        joints.append(retargeter.step(asked).q.copy())
    return np.array(joints)


def jerk_rms(joints):
    return np.sqrt((np.diff(joints[100:], 3, axis=0) ** 2).mean()) / DT**3


def waving(rig, speed_m_s):
    """Hands of a rig that swing 12 cm up and down with this peak speed."""
    home = rig.forward(rig.q_home)
    rate = speed_m_s / 0.06
    return lambda t: {tip: lifted(T, 0.06 * np.sin(rate * t)) for tip, T in home.items()}


@pytest.mark.parametrize("rate_hz", [72, 120])
@pytest.mark.parametrize("speed_m_s", [0.0, 0.25, 0.5])
def test_the_default_chain_takes_three_quarters_of_the_jerk(openarm, rate_hz, speed_m_s):
    path = waving(openarm, speed_m_s)
    raw, calm = (follow(openarm, path, rate_hz, f) for f in (None, FilterConfig()))
    assert jerk_rms(calm) < 0.25 * jerk_rms(raw)


# ------------------------------------------------------------------- targets
def test_the_same_targets_give_the_same_answers_after_a_reset(openarm):
    chain, path, answers = TargetFilter(FilterConfig(), DT), waving(openarm, 0.5), []
    for _ in range(2):
        rng = np.random.default_rng(1)
        for k in range(60):
            poses = {tip: noisy(T, rng) for tip, T in path(k * DT).items()}
            asked = Targets(**{f"T_robot_{tip}": T for tip, T in poses.items()})
            answers.append(chain.apply(asked).T_robot_left_wrist)
        chain.reset()
    assert np.array_equal(answers[:60], answers[60:])


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_still_target_passes_unchanged_from_the_first_tick(seed):
    T = random_pose(np.random.default_rng(seed), 0, 1)
    chain = TargetFilter(FilterConfig(), DT)
    for _ in range(40):
        asked = chain.apply(Targets(T_robot_left_wrist=T))
        assert np.allclose(asked.T_robot_left_wrist, T, atol=1e-12)
        assert asked.T_robot_right_wrist is None


def test_only_poses_are_changed():
    chain = TargetFilter(FilterConfig(), DT)
    asked = Targets(
        T_robot_head=np.eye(4),
        elbows={"left": np.ones(3)},
        grippers={"left": 0.3},
        base_velocity=np.ones(3),
        weights={"head": 2.0},
        validity={"left_elbow": False},
    )
    answer = chain.apply(asked)
    for name in ("elbows", "grippers", "weights", "validity"):
        assert getattr(answer, name).keys() == getattr(asked, name).keys()
        for key, value in getattr(asked, name).items():
            assert np.array_equal(getattr(answer, name)[key], value)
    assert np.array_equal(answer.base_velocity, asked.base_velocity)


def test_what_is_not_a_pose_is_bridged_for_a_moment_and_then_shown_as_it_is():
    chain, T = TargetFilter(FilterConfig(), DT), np.eye(4)
    for k in range(60):
        T = lifted(np.eye(4), 0.3 * k * DT)
        last = chain.apply(Targets(T_robot_left_wrist=T)).T_robot_left_wrist
    bad = Targets(T_robot_left_wrist=np.full((4, 4), np.nan))
    bridged = [chain.apply(bad).T_robot_left_wrist for _ in range(20)]
    heights = [last[2, 3], *(T[2, 3] for T in bridged)]
    assert np.isfinite(heights).all()
    assert (np.diff(heights) >= -1e-6).all()
    assert heights[-1] - heights[0] < 0.3 * 0.06
    assert np.isnan(chain.apply(bad).T_robot_left_wrist).all()


def test_a_target_that_moves_elsewhere_for_good_is_believed():
    chain = TargetFilter(FilterConfig(), DT)
    far = lifted(np.eye(4), 1.0)
    for k in range(40):
        chain.apply(Targets(T_robot_head=lifted(np.eye(4), 1e-4 * k)))
    for k in range(60):
        answer = chain.apply(Targets(T_robot_head=lifted(far, 1e-4 * k)))
    assert answer.T_robot_head[2, 3] > 1.0


def spoilt(T, rng):
    """A pose as a tracker may give it on a bad day."""
    kind = rng.integers(6)
    if kind == 0:
        return np.full((4, 4), np.nan)
    if kind == 1:
        return np.zeros((4, 4))
    if kind == 2:
        return lifted(T, rng.normal(0, 0.5))
    if kind == 3:
        return random_pose(rng, T[:3, 3], 0.3)
    return None if kind == 4 else T * 1.5


@given(seeds, st.sampled_from([FilterConfig(), replace(FilterConfig(), predict_s=0.03)]))
@settings(max_examples=15, deadline=None)
def test_whatever_is_asked_joints_move_by_no_more_than_velocity_times_dt(openarm, seed, filters):
    rng, chain = np.random.default_rng(seed), TargetFilter(filters, DT)
    retargeter, path = Retargeter(openarm, 1 / DT), waving(openarm, 0.5)
    before, asked, frozen = retargeter.q, None, False
    for k in range(150):
        frozen ^= rng.random() < 0.1
        if not frozen or asked is None:
            asked = path(k * DT)["left_wrist"]
        T = spoilt(asked, rng) if rng.random() < 0.2 else asked
        answer = chain.apply(Targets(T_robot_left_wrist=T))
        q = retargeter.step(answer).q
        assert (np.abs(q - before) <= openarm.velocity_limit * DT + 1e-12).all()
        before = q.copy()


def test_less_beta_means_more_lag_and_less_noise():
    lags, noises = [], []
    for beta in (80, 20, 5):
        config = FilterConfig(smoothing=OneEuroConfig(beta=beta))
        moving, still, rng = PoseFilter(config), PoseFilter(config), np.random.default_rng(0)
        seen = []
        for k in range(300):
            moving.update(pose(0.25 * k * 0.01), k * 10 * MS)
            still.update(pose(NOISE_M * rng.normal()), k * 10 * MS)
            seen.append(still.at(k * 10 * MS)[0])
        lags.append(0.25 * 2.99 - moving.at(2990 * MS)[0])
        noises.append(np.std(seen[100:]))
    assert lags == sorted(lags)
    assert noises == sorted(noises, reverse=True)
