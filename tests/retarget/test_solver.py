from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retarget.governor import Governor, GovernorConfig
from retarget.kinematics import Kinematics
from retarget.solver import BoxQp, linearise, self_motion
from retarget.tasks import FrameTask
from tests.retarget.helpers import finite_difference, random_q

seeds = st.integers(0, 2**32 - 1)
DT = 0.005


def by_enumeration(H, g, low, high):
    """The minimiser over every choice of joints at a bound."""
    best, cost = None, np.inf
    n = len(g)
    for choice in itertools.product((-1, 0, 1), repeat=n):
        fixed = np.array(choice)
        x = np.where(fixed < 0, low, high)
        free = fixed == 0
        if free.any():
            rhs = -(g + H[:, ~free] @ x[~free])[free]
            x[free] = np.linalg.solve(H[np.ix_(free, free)], rhs)
        if (x >= low - 1e-12).all() and (x <= high + 1e-12).all():
            value = 0.5 * x @ H @ x + g @ x
            if value < cost:
                best, cost = x, value
    return best


@given(seeds)
def test_box_qp_finds_the_minimum_inside_the_box(seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(4, 4))
    H, g = A.T @ A + 0.05 * np.eye(4), rng.normal(size=4)
    low, high = -rng.uniform(0, 1, 4), rng.uniform(0, 1, 4)
    x = BoxQp().solve(H, g, low, high)
    assert (x >= low).all()
    assert (x <= high).all()
    assert np.allclose(x, by_enumeration(H, g, low, high), atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_self_motion_leaves_the_tips_where_they_are(openarm, seed):
    rng = np.random.default_rng(seed)
    kinematics = Kinematics(openarm.model, dict(openarm.tips))
    q = 0.7 * openarm.q_posture + 0.3 * random_q(openarm, rng)
    kinematics.update(q)
    J = linearise([FrameTask("left_wrist"), FrameTask("right_wrist")], kinematics).J
    drift = self_motion(J, rng.normal(size=14))

    def tips(x):
        poses = openarm.forward(x)
        return np.concatenate([poses[tip][:3, 3] for tip in openarm.tips])

    assert np.linalg.norm(drift) > 0.1
    assert np.linalg.norm(finite_difference(tips, q) @ drift) < 1e-3 * np.linalg.norm(drift)


@given(seeds, st.floats(0.001, 1.0))
def test_governed_tip_reaches_a_fixed_target_without_passing_it(seed, distance):
    rng = np.random.default_rng(seed)
    config = GovernorConfig()
    governor = Governor(config, DT)
    way = rng.normal(size=3)
    target = np.eye(4)
    target[:3, 3] = distance * way / np.linalg.norm(way)
    position, last, before = np.zeros(3), np.zeros(6), None
    for _ in range(400):
        now = governor.observe(before, target)
        error = np.concatenate([target[:3, 3] - position, np.zeros(3)])
        motion = governor.lead(error, last, before, now)
        change = np.linalg.norm(motion[:3] - last[:3])
        assert change <= config.acceleration * DT**2 * (1 + 1e-9)
        position, last, before = position + motion[:3], motion, now
        assert position @ target[:3, 3] <= distance**2 * (1 + 1e-9) + 1e-12
    assert np.allclose(position, target[:3, 3], atol=1e-9)


def test_governor_passes_smooth_motion_on_unchanged():
    governor = Governor(GovernorConfig(), DT)
    target, position, last, before = np.eye(4), np.zeros(3), np.zeros(6), None
    for k in range(400):
        target = np.eye(4)
        target[0, 3] = 0.2 * (1 - np.cos(2.5 * k * DT))
        now = governor.observe(before, target)
        error = np.concatenate([target[:3, 3] - position, np.zeros(3)])
        motion = governor.lead(error, last, before, now)
        assert np.array_equal(motion, error)
        position, last, before = position + motion[:3], motion, now
