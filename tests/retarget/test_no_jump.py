"""On every rig, whatever targets do: the next command is within velocity × dt of the last."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retarget import Retargeter, Targets
from tests.retarget.helpers import random_pose

RATE_HZ = 200.0
few = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32 - 1)


def zero_quaternion(T, rng):
    """What a converter makes of (0, 0, 0, 0): no rotation at all."""
    bad = T.copy()
    bad[:3, :3] = 0.0
    return bad


def not_a_number(T, rng):
    bad = T.copy()
    bad[rng.integers(3), rng.integers(4)] = np.nan
    return bad


def teleport(T, rng):
    return random_pose(rng, T[:3, 3], 3.0)


def lost(T, rng):
    return None


def nearby(T, rng):
    return random_pose(rng, T[:3, 3], 0.1)


KINDS = (zero_quaternion, not_a_number, teleport, lost, nearby)


def asked(poses, **more):
    return Targets(**{f"T_robot_{tip}": T for tip, T in poses.items() if T is not None}, **more)


def follow(rig, r, targets, ticks):
    """Ask for the same thing for some ticks, and check each command against the one before."""
    for _ in range(ticks):
        before = r.q
        after = r.step(targets).q
        assert np.isfinite(after).all()
        assert (np.abs(after - before) <= rig.velocity_limit * r.dt + 1e-12).all()
        assert (after <= np.maximum(rig.upper, before) + 1e-12).all()
        assert (after >= np.minimum(rig.lower, before) - 1e-12).all()
    return r.q


def outside(rig, rng):
    """Some joints up to 6° outside their limits, as a measured posture can be."""
    q = rng.uniform(rig.lower, rig.upper)
    beyond = rng.uniform(0, 0.1, len(q))
    kind = rng.integers(3, size=len(q))
    return np.select([kind == 0, kind == 1], [rig.upper + beyond, rig.lower - beyond], q)


@few
@given(seed=seeds, kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=10))
def test_no_command_jumps_whatever_is_asked(rig, seed, kinds):
    rng = np.random.default_rng(seed)
    r = Retargeter(rig, RATE_HZ)
    r.reset(outside(rig, rng) if rng.random() < 0.5 else rig.q_home)
    for kind in kinds:
        poses = {tip: kind(T, rng) for tip, T in rig.forward(r.q).items()}
        follow(rig, r, asked(poses), int(rng.integers(1, 15)))


@few
@given(seed=seeds)
def test_engaging_again_at_the_arms_own_pose_moves_nothing(rig, seed):
    rng = np.random.default_rng(seed)
    r = Retargeter(rig, RATE_HZ)
    for start in (rng.uniform(rig.lower, rig.upper), outside(rig, rng)):
        r.reset(start)
        for _ in range(3):
            q = follow(rig, r, asked(rig.forward(r.q)), 3)
            assert np.abs(q - start).max() < 1e-9
            follow(rig, r, Targets(), 3)


@pytest.mark.parametrize("kind", [zero_quaternion, not_a_number, lost], ids=lambda k: k.__name__)
def test_what_is_no_pose_brings_the_arm_to_rest(rig, kind):
    rng = np.random.default_rng(4)
    r = Retargeter(rig, RATE_HZ)
    home = rig.forward(rig.q_home)
    follow(rig, r, asked({tip: nearby(T, rng) for tip, T in home.items()}), 20)
    bad = asked({tip: kind(T, rng) for tip, T in home.items()})
    rest = follow(rig, r, bad, 150)
    assert np.array_equal(follow(rig, r, bad, 20), rest)


@few
@given(seed=seeds)
def test_joints_outside_their_limits_only_ever_come_back(rig, seed):
    rng = np.random.default_rng(seed)
    r = Retargeter(rig, RATE_HZ)
    r.reset(outside(rig, rng))
    far = {tip: teleport(T, rng) for tip, T in rig.forward(r.q).items()}
    excess = np.maximum(r.q - rig.upper, rig.lower - r.q).clip(min=0)
    for _ in range(60):
        follow(rig, r, asked(far), 1)
        now = np.maximum(r.q - rig.upper, rig.lower - r.q).clip(min=0)
        assert (now <= excess + 1e-12).all()
        excess = now
