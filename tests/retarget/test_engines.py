"""The compiled engine answers as the numpy one does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retarget import CollisionConfig, Retargeter, RetargeterConfig, Targets
from retarget.compiled import CompiledEngine
from retarget.frames import exp3, log3
from retarget.kernels.box_qp import box_qp
from retarget.kernels.rotations import exp3 as write_exp3
from retarget.kernels.rotations import log3 as write_log3
from retarget.reference import ReferenceEngine
from retarget.retargeter import NO_NUMBA, default_engine
from retarget.rigfile import find_rig, read_rig
from retarget.sources import missing_packages
from tests.retarget.conftest import cached_rig
from tests.retarget.helpers import random_pose, random_q
from tests.retarget.motion import demo_motion

HUMANOID = not missing_packages(read_rig(find_rig("g1-dex3")))
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
RATE = 200.0


def both(rig):
    """Without repulsion, which `test_repulsion` compares: here many ticks are wanted."""
    config, dt = RetargeterConfig(collision=CollisionConfig("off")), 1.0 / RATE
    engines = CompiledEngine(rig, dt, config), ReferenceEngine(rig, dt, config)
    return [Retargeter(rig, RATE, config, engine) for engine in engines]


def assert_same(a, b, atol):
    assert np.allclose(a.q, b.q, rtol=0, atol=atol)
    assert np.allclose(a.dq, b.dq, rtol=0, atol=atol * RATE)
    assert np.allclose(a.grippers, b.grippers, rtol=0, atol=1e-12)
    assert a.residuals.keys() == b.residuals.keys()
    for tip, values in a.residuals.items():
        assert np.allclose(values, b.residuals[tip], rtol=0, atol=max(10 * atol, 1e-8))


@pytest.mark.parametrize("hold", [1, 3])
def test_engines_agree_over_a_whole_demonstration(openarm, hold):
    one, other = both(openarm)
    for k, pair in enumerate(demo_motion(openarm.forward(openarm.q_home), RATE, 1.5)):
        if k % hold == 0:
            targets = Targets(*pair, grippers={"left": 0.5, "right": (k % 100) / 100})
        a, b = one.step(targets), other.step(targets)
        assert_same(a, b, 1e-9)
        assert a.status == b.status


@few
@given(seed=seeds)
def test_engines_agree_on_any_single_tick(seed):
    """From the same start: over many ticks out of reach, rounding may pick another branch."""
    rng = np.random.default_rng(seed)
    for name in ("openarm", *(("g1-dex3",) if HUMANOID else ())):
        rig = cached_rig(name)
        one, other = both(rig)
        for _ in range(15):
            q = random_q(rig, rng)
            far = rng.choice([0.001, 0.02, 0.3, 5.0])
            given_tips = [tip for tip in rig.tips if rng.random() < 0.7]
            tips = rig.forward(q)
            asked = {f"T_robot_{t}": random_pose(rng, tips[t][:3, 3], far) for t in given_tips}
            targets = Targets(**asked, weights={"left_wrist": 0.5}, grippers={"left": rng.random()})
            for r in (one, other):
                r.reset(q)
                solution = [r.step(targets), r.revise(targets), r.step_joints(rig.q_home, speed=1)]
                r.seen = solution
            for a, b in zip(one.seen, other.seen, strict=True):
                assert_same(a, b, 1e-8)
                assert a.status == b.status


def work_space(n):
    integers = [np.empty(n, dtype=np.intp) for _ in range(3)]
    return np.empty((n, n)), np.empty(n), *integers, np.empty(n)


@settings(deadline=None)
@given(seeds)
def test_compiled_box_qp_satisfies_the_optimality_conditions(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 18))
    A = rng.normal(size=(6, n))
    H, g = A.T @ A + 10.0 ** rng.uniform(-6, 0) * np.eye(n), rng.normal(size=n)
    low, high = -rng.uniform(0, 1, n), rng.uniform(0, 1, n)
    fixed = rng.random(n) < 0.1
    low[fixed] = high[fixed]
    x = np.empty(n)
    box_qp(np.tril(H), g, low, high, x, work_space(n))
    assert (x >= low).all()
    assert (x <= high).all()
    slope = H @ x + g
    assert np.allclose(slope[(x > low) & (x < high)], 0.0, rtol=0, atol=1e-7)
    assert (slope[(x == low) & (low < high)] >= -1e-7).all()
    assert (slope[(x == high) & (low < high)] <= 1e-7).all()


@settings(deadline=None)
@given(seeds, st.sampled_from([0.0, 1e-12, 1e-6, 1e-3, 1.0, 3.0, np.pi - 1e-3, np.pi - 1e-7]))
def test_compiled_rotations_are_those_of_pinocchio(seed, angle):
    way = np.random.default_rng(seed).normal(size=3)
    w = angle * way / np.linalg.norm(way)
    R, back = np.empty((3, 3)), np.empty(3)
    write_exp3(w, R)
    assert np.allclose(R, exp3(w), rtol=0, atol=1e-14)
    write_log3(R, back)
    assert np.allclose(back, w, rtol=0, atol=1e-9)
    assert np.allclose(back, log3(R), rtol=0, atol=1e-6)


def test_numba_can_be_left_out(openarm, monkeypatch):
    monkeypatch.delenv(NO_NUMBA, raising=False)
    assert isinstance(default_engine(openarm, 0.005, RetargeterConfig()), CompiledEngine)
    monkeypatch.setenv(NO_NUMBA, "1")
    assert isinstance(default_engine(openarm, 0.005, RetargeterConfig()), ReferenceEngine)
