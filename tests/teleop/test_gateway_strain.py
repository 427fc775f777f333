"""Limits and near collisions are told, in words, for as long as they can be read."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from teleop.gateway.strain import CLOSE_M, LASTING_NS, REMEMBERED_NS, StrainWatch
from teleop.gateway.topics import Heard
from teleop.samples import solution_dtype
from tests.teleop.gateway_rig import make_rig

MS = 1_000_000
NAMES = ("left_elbow", "left_wrist_roll", "right_elbow", "right_wrist_roll", "waist")


def row(*at_limit: int, clearance_m: float = np.nan, bit: int = 1) -> np.void:
    found = np.zeros((), solution_dtype(len(NAMES)))
    found["saturation"][list(at_limit)] = bit
    found["clearance_m"] = clearance_m
    return found


def test_a_joint_that_stays_at_its_limit_is_named_until_it_has_left_it() -> None:
    watch, now_ns = StrainWatch(NAMES), 0
    for now_ns in range(0, 600 * MS, 20 * MS):
        watch.hear(row(1), now_ns)
        assert bool(watch.words(now_ns)) == (now_ns >= LASTING_NS)
    assert watch.words(now_ns) == ["At its limit: left wrist roll."]
    watch.hear(row(), now_ns + 20 * MS)
    assert watch.words(now_ns + REMEMBERED_NS) != []
    assert watch.words(now_ns + REMEMBERED_NS + 1) == []


@pytest.mark.parametrize("bit", [2, 4])
def test_other_limits_and_touches_in_passing_are_no_news(bit: int) -> None:
    watch = StrainWatch(NAMES)
    for k in range(200):
        watch.hear(row(0, bit=bit), k * 20 * MS)
        watch.hear(row(2) if k % 10 < 5 else row(), k * 20 * MS)
        assert watch.words(k * 20 * MS) == []


def test_many_joints_are_counted() -> None:
    watch = StrainWatch(NAMES[:4])
    for now_ns in (0, LASTING_NS):
        watch.hear(row(0, 1, 2, 3, 4), now_ns)
    assert watch.words(LASTING_NS) == [
        "At its limit: left elbow, left wrist roll, right elbow and 2 more."
    ]
    watch.hear(row(4), LASTING_NS + REMEMBERED_NS + 1)
    assert watch.words(LASTING_NS + REMEMBERED_NS + 1) == ["At its limit: joint 5."]


def test_the_least_clearance_is_told_and_forgotten() -> None:
    watch = StrainWatch(NAMES)
    watch.hear(row(clearance_m=np.nan), 0)
    watch.hear(row(clearance_m=CLOSE_M), 0)
    assert watch.words(0) == []
    for k, clearance_m in enumerate((0.009, 0.004, 0.007)):
        watch.hear(row(clearance_m=clearance_m), k * 20 * MS)
    assert watch.words(40 * MS) == ["Parts of the robot are 4 mm from touching."]
    watch.hear(row(clearance_m=-0.003), 60 * MS)
    assert watch.words(60 * MS) == ["Parts of the robot are 0 mm from touching."]
    assert watch.words(60 * MS + REMEMBERED_NS + 1) == []
    watch.hear(row(clearance_m=0.008), 2000 * MS)
    assert watch.words(2000 * MS) == ["Parts of the robot are 8 mm from touching."]


def test_an_operator_whose_arm_follows_is_told(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    solution = np.zeros((), solution_dtype(2))
    solution["saturation"][1], solution["clearance_m"] = 1, 0.002
    begin_ns = time.monotonic_ns()
    for k in range(30):
        rig.hub.hear(Heard(solution=solution), begin_ns + k * 20 * MS)
    now_ns = begin_ns + 600 * MS
    assert rig.hub.status(now_ns).notices == (), "nobody moves it"
    rig.hub.session.motion.sides[0].engaged = True
    told = " ".join(rig.hub.status(now_ns).notices)
    assert "At its limit: b." in told
    assert "2 mm from touching" in told
