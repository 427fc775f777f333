from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retarget import LeaderConfig, LeaderGripper, LeaderJoint, LeaderMapping, Status
from retarget.errors import LeaderConfigError, LeaderStartError, TargetError, TickError
from retarget.leader import CAUGHT_UP_RAD
from retarget.leaderfile import one_to_one

RATE_HZ = 200
DT = 1 / RATE_HZ
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=15, deadline=None)
GRIPPERS = {side: LeaderGripper(f"{side}_trigger", 0.0, 1.2) for side in ("left", "right")}


def random_config(rig, rng):
    """A leader whose joints turn and begin anywhere, in another order than the rig's."""
    names = rng.permutation(rig.joint_names)
    joints = tuple(
        LeaderJoint(
            f"leader_{k}", name, int(rng.choice([1, -1])), rng.uniform(-3, 3), rng.uniform(0.5, 2)
        )
        for k, name in enumerate(names)
    )
    return LeaderConfig(joints, GRIPPERS)


def reading_of(config, rig, q, triggers=(0.0, 0.0)):
    """What a leader reads that is in the posture of the follower's `q`."""
    at = dict(zip(rig.joint_names, q, strict=True))
    joints = [(at[j.follower] - j.offset) / (j.sign * j.scale) for j in config.joints]
    return np.array([*joints, *triggers])


def start(rig, config, q=None, openings=(1.0, 1.0)):
    mapping = LeaderMapping(rig, config, RATE_HZ)
    mapping.reset(rig.q_home if q is None else q, openings)
    return mapping


def inside(rig, rng, around, spread):
    return np.clip(around + rng.uniform(-spread, spread, len(around)), rig.lower, rig.upper)


# ---------------------------------------------------------------------- motion
@given(seeds)
@few
def test_engaging_in_the_same_posture_moves_nothing(openarm, seed):
    rng = np.random.default_rng(seed)
    config, q = random_config(openarm, rng), rng.uniform(openarm.lower, openarm.upper)
    mapping = start(openarm, config, q, (0.3, 0.7))
    reading = reading_of(config, openarm, q)
    mapping.engage(reading)
    for _ in range(10):
        solution = mapping.step(reading)
        assert np.abs(solution.q - q).max() < 1e-9
        assert np.allclose(solution.grippers, (0.3, 0.7)), "the triggers have not moved"
    assert solution.status == Status.JOINTS
    assert mapping.caught_up


@given(seeds)
@few
def test_the_follower_catches_up_softly_and_then_moves_one_to_one(openarm, seed):
    rng = np.random.default_rng(seed)
    config = random_config(openarm, rng)
    mapping = start(openarm, config)
    goal = inside(openarm, rng, openarm.q_home, 0.6)
    mapping.engage(reading_of(config, openarm, goal))
    speeds = []
    for _ in range(400):
        solution = mapping.step(reading_of(config, openarm, goal))
        speeds.append(np.abs(solution.dq) / openarm.velocity_limit)
    assert mapping.caught_up
    assert np.max(speeds) <= config.approach + 1e-6
    assert np.abs(solution.q - goal).max() < 1e-9
    for k in range(200):  # a leader within the limits
        now = np.clip(goal + 0.1 * np.sin(3 * k * DT) ** 2, openarm.lower, openarm.upper)
        solution = mapping.step(reading_of(config, openarm, now))
        assert np.abs(solution.q - now).max() < 1e-9


def spoilt(reading, rng):
    kind = rng.integers(5)
    if kind == 0:
        return None
    if kind == 1:
        return np.full_like(reading, np.nan)
    bad = reading.copy()
    bad[rng.integers(len(bad))] = rng.choice([np.nan, np.inf, -50.0, 50.0])
    return bad if kind < 4 else reading + rng.normal(0, 1.0, len(reading))


@given(seeds)
@few
def test_no_reading_makes_a_joint_leave_the_limits(openarm, seed):
    rng = np.random.default_rng(seed)
    config = random_config(openarm, rng)
    mapping = start(openarm, config)
    before, step = openarm.q_home, np.zeros(len(openarm.q_home))
    goal, frozen = openarm.q_home, False
    mapping.engage(reading_of(config, openarm, goal))
    for _ in range(250):
        frozen ^= rng.random() < 0.05
        if not frozen:
            goal = inside(openarm, rng, goal, 0.03)
        reading = reading_of(config, openarm, goal, rng.uniform(0, 1.2, 2))
        solution = mapping.step(spoilt(reading, rng) if rng.random() < 0.2 else reading)
        q, limit = solution.q, openarm.velocity_limit * DT
        assert (np.abs(q - before) <= limit + 1e-12).all()
        assert (np.abs(q - before - step) <= openarm.acceleration_limit * DT**2 + 1e-9).all()
        assert (q >= openarm.lower - 1e-12).all()
        assert (q <= openarm.upper + 1e-12).all()
        assert ((solution.grippers >= 0) & (solution.grippers <= 1)).all()
        before, step = q.copy(), q - before


@given(seeds)
@example(4077)  # a joint that is as good as there
@few
def test_letting_go_brakes_and_engaging_again_does_not_jump(openarm, seed):
    rng = np.random.default_rng(seed)
    config = random_config(openarm, rng)
    mapping = start(openarm, config)
    mapping.engage(reading_of(config, openarm, openarm.q_home))
    for k in range(60):
        moving = np.clip(openarm.q_home + 0.8 * k * DT, openarm.lower, openarm.upper)
        mapping.step(reading_of(config, openarm, moving))
    mapping.release()
    assert not mapping.following
    for _ in range(60):
        rested = mapping.step(None)
    assert np.array_equal(rested.dq, np.zeros(len(rested.q)))
    elsewhere = reading_of(config, openarm, inside(openarm, rng, rested.q, 0.5))
    mapping.engage(elsewhere)
    again = mapping.step(elsewhere)
    soft = config.approach * openarm.acceleration_limit * DT**2
    moved = np.abs(again.q - rested.q)
    apart = mapping.apart(elsewhere)
    there = [abs(apart[name]) < 1e-9 for name in openarm.joint_names]  # it was as good as there
    assert ((moved <= soft + 1e-9) | (there & (moved <= CAUGHT_UP_RAD))).all()


def test_joints_that_are_not_led_rest(openarm):
    left = openarm.limbs["left"]
    config = LeaderConfig(one_to_one(left))
    mapping = start(openarm, config)
    reading = np.array([openarm.q_home[openarm.joint_names.index(n)] for n in left])
    mapping.engage(reading)
    for _ in range(100):
        reading = reading + 0.3 * DT
        solution = mapping.step(reading)
    moved = np.abs(solution.q - openarm.q_home)
    for name, way in zip(openarm.joint_names, moved, strict=True):
        assert (way > 0.05) == (name in left)


def test_a_trigger_takes_its_gripper_over_once_it_moves(openarm):
    config = LeaderConfig(one_to_one(openarm.joint_names), GRIPPERS)
    mapping = start(openarm, config, openings=(0.0, 0.0))
    open_handle = reading_of(config, openarm, openarm.q_home, (0.0, 0.0))
    mapping.engage(open_handle)
    for _ in range(100):
        held = mapping.step(open_handle)
    assert np.allclose(held.grippers, 0.0), "engaging drops nothing"
    half = reading_of(config, openarm, openarm.q_home, (0.6, 0.0))
    for _ in range(200):
        solution = mapping.step(half)
    assert np.allclose(solution.grippers, (0.5, 0.0), atol=1e-9)


# ----------------------------------------------------------------- start check
def test_a_leader_too_far_away_is_refused_joint_by_joint(openarm):
    config = LeaderConfig(one_to_one(openarm.joint_names))
    mapping = start(openarm, config)
    q = openarm.q_home.copy()
    q[3], q[9] = q[3] - 1.0, q[9] + 0.9
    with pytest.raises(LeaderStartError) as refused:
        mapping.engage(q)
    assert refused.value.apart == pytest.approx(
        {openarm.joint_names[3]: -1.0, openarm.joint_names[9]: 0.9}
    )
    assert f"{openarm.joint_names[3]} by -1.00 rad" in str(refused.value)
    assert not mapping.following
    with pytest.raises(LeaderStartError, match="nan"):
        mapping.engage(np.full(len(q), np.nan))


def test_what_is_not_known_is_refused(openarm):
    config = LeaderConfig(one_to_one(openarm.joint_names))
    mapping = LeaderMapping(openarm, config)
    with pytest.raises(TickError, match="reset"):
        mapping.step(None)
    mapping.reset(openarm.q_home, (1, 1))
    with pytest.raises(TargetError, match="14 values"):
        mapping.engage(np.zeros(3))
    with pytest.raises(TargetError, match="does not read"):
        mapping.reading({"nothing": 1.0})
    named = dict(zip(config.channels, openarm.q_home, strict=True))
    assert np.array_equal(mapping.reading(named), openarm.q_home)


# --------------------------------------------------------------------- errors
def joint(leader, follower):
    return LeaderJoint(leader, follower)


def test_wrong_joints_are_named(openarm):
    names = openarm.joint_names
    every = one_to_one(names)
    for joints, word in (
        (every[:-1], names[-1]),
        ((*every, joint("x", "elbow_7")), "elbow_7"),
        ((*every, joint("x", names[0])), names[0]),
        ((*every[:-1], joint(names[0], names[-1])), names[0]),
        ((), "at least one"),
        ((*every[:-1], LeaderJoint("l", names[-1], scale=0.0)), "scales"),
    ):
        with pytest.raises(LeaderConfigError, match=word):
            LeaderMapping(openarm, LeaderConfig(joints))
    with pytest.raises(LeaderConfigError, match="grippers"):
        LeaderMapping(openarm, LeaderConfig(every, {"third": GRIPPERS["left"]}))


TOML = """
[leader]
start_rad = 0.5
[[leader.joints]]
leader = "l1"
follower = "j1"
sign = -1
offset = 1.57
[leader.grippers.left]
leader = "trigger"
open = 0.0
closed = 1.0
"""


def test_a_leader_is_read_from_toml(tmp_path: Path):
    path = tmp_path / "leader.toml"
    path.write_text(TOML)
    config = LeaderConfig.load(path)
    assert config.joints == (LeaderJoint("l1", "j1", -1, 1.57),)
    assert config.channels == ("l1", "trigger")
    assert config.start_rad == 0.5
    for wrong, word in (
        (TOML.replace("sign = -1", "sign = 2"), "sign"),
        (TOML.replace("offset", "ofset"), "ofset"),
        (TOML.replace("closed = 1.0", "closed = 0.0"), "open equals closed"),
        (TOML.replace("start_rad = 0.5", "start_rad = 0"), "start_rad"),
        ("[other]\n", r"no section \[leader\]"),
        ("not toml", "leader.toml"),
    ):
        path.write_text(wrong)
        with pytest.raises(LeaderConfigError, match=word):
            LeaderConfig.load(path)
    with pytest.raises(LeaderConfigError, match=r"none\.toml"):
        LeaderConfig.load(tmp_path / "none.toml")
