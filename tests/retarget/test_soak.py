"""A short soak over every rig that is installed; `python -m bench.soak` runs long ones."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from bench.soak import EPISODE, RATES_HZ, installed_rigs, run_episode, soak, violations
from retarget import Retargeter
from tests.retarget.conftest import cached_rig

STEPS = 20_000


def test_no_limit_is_broken_in_a_soak_over_every_rig():
    rigs = installed_rigs()
    assert len(rigs) * len(RATES_HZ) * EPISODE <= STEPS, "some rigs were not reached"
    tally = soak(rigs, STEPS, seed=0)
    assert tally.steps == STEPS
    assert not tally.failures, "\n".join(tally.failures[:5])


def test_an_episode_is_repeated_by_its_seed_alone():
    rig = cached_rig("openarm")
    used, fresh = Retargeter(rig), Retargeter(rig)
    run_episode(rig, used, 1, 50)
    assert run_episode(rig, used, 2, 50) == run_episode(rig, fresh, 2, 50)
    assert np.array_equal(used.q, fresh.q)


def test_the_checks_notice_every_kind_of_violation():
    rig, dt = cached_rig("openarm"), 0.005
    n = len(rig.joint_names)
    grippers = np.ones(len(rig.gripper_names))

    def broken(step, opening=1.0, dq=None):
        q, last = rig.upper.copy(), np.zeros(n)
        dq_now = np.full(n, step / dt if dq is None else dq)
        answer = SimpleNamespace(q=q + step, dq=dq_now, grippers=grippers * opening)
        return " ".join(violations(rig, dt, (q, last), answer, grippers))

    assert broken(0.0) == ""
    assert broken(np.nan) == "not finite"
    for word in ("velocity", "acceleration", "position"):
        assert word in broken(1.0)
    assert "dq" in broken(0.0, dq=1.0)
    assert "gripper speed" in broken(0.0, opening=0.0)
    assert "gripper opening" in broken(0.0, opening=-1.0)
