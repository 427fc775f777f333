"""Poses, buttons, hands and losses through a real OpenXR runtime without graphics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from teleop.hmd.openxr.clocks import device_clock_ns
from teleop.hmd.openxr.headless import headless_session, stream, wait_until_running
from teleop.hmd.openxr.sampling import Sampler
from teleop.protocol import (
    HEAD_BIT,
    LEFT_CONTROLLER_BIT,
    LEFT_HAND_BIT,
    RIGHT_CONTROLLER_BIT,
    RIGHT_HAND_BIT,
)
from teleop.samples import Button, Source, Tracking
from tests.openxr.monado import Controller, Devices, Monado

GOOD = int(Tracking.VALID | Tracking.TRACKED)
HALF = float(np.sqrt(0.5))


@pytest.fixture
def sampler(runtime: Monado) -> Iterator[Sampler]:
    runtime.put(Devices())
    with headless_session() as (_, session, sampler):
        wait_until_running(session)
        yield sampler


def read_until(sampler: Sampler, wanted: Callable[[np.void], bool]) -> np.void:
    """The first row that is as wanted: the runtime takes a moment to hear of a change."""
    deadline = time.monotonic() + 10.0
    while True:
        row = sampler.frame()
        if wanted(row):
            return row
        assert time.monotonic() < deadline, f"presence {row['presence']}: {row}"
        time.sleep(0.002)


def test_poses_are_those_of_the_devices(runtime: Monado, sampler: Sampler) -> None:
    right = Controller((0.31, 1.02, -0.44), (0.0, HALF, 0.0, HALF))
    left = Controller((-0.27, 1.21, -0.35), (HALF, 0.0, 0.0, HALF))
    runtime.put(Devices((0.1, 1.71, 0.05), (0.0, 0.0, HALF, HALF), left, right))
    row = read_until(sampler, lambda row: abs(row["right_controller"]["grip"][0] - 0.31) < 1e-6)
    assert row["head"] == pytest.approx([0.1, 1.71, 0.05, 0.0, 0.0, HALF, HALF], abs=1e-6)
    for name, sent in (("left_controller", left), ("right_controller", right)):
        assert row[name]["grip"] == pytest.approx([*sent.position, *sent.quat_xyzw], abs=1e-6)
        assert int(row[name]["flags"]) == GOOD
    assert row["source"] == Source.OPENXR


def test_controls_arrive_as_the_protocol_names_them(runtime: Monado, sampler: Sampler) -> None:
    runtime.change("right", trigger=0.75, squeeze=1.0, stick=(0.25, -0.5), a=True)
    row = read_until(sampler, lambda row: int(row["right_controller"]["buttons"]) != 0)
    block = row["right_controller"]
    assert block["trigger"] == pytest.approx(0.75)
    assert block["thumbstick"] == pytest.approx([0.25, -0.5])
    assert block["squeeze"] > 0.5
    expected = Button.TRIGGER | Button.SQUEEZE | Button.PRIMARY
    assert Button(int(block["buttons"])) == expected
    assert not row["left_controller"]["buttons"]
    runtime.change("right", a=False, b=True, stick_click=True)
    wanted = int(expected & ~Button.PRIMARY | Button.SECONDARY | Button.THUMBSTICK)
    read_until(sampler, lambda row: int(row["right_controller"]["buttons"]) == wanted)


def test_bare_hands_have_26_joints_with_radii_that_curl(runtime: Monado, sampler: Sampler) -> None:
    both = LEFT_HAND_BIT | RIGHT_HAND_BIT
    row = read_until(sampler, lambda row: int(row["presence"]) & both == both)
    hand = row["right_hand"].copy()
    assert int(hand["flags"]) == GOOD
    assert hand["joints"][1, :3] == pytest.approx(runtime.devices.right.position, abs=1e-6)
    assert (hand["radius"] > 0).all()
    assert np.linalg.norm(hand["joints"][:, 3:], axis=1) == pytest.approx(np.ones(26), abs=1e-5)
    runtime.change("right", curl=(1.0,) * 5)
    bent = read_until(
        sampler,
        lambda row: np.abs(row["right_hand"]["joints"][10] - hand["joints"][10]).max() > 0.01,
    )["right_hand"]

    def reach(joints: np.ndarray) -> float:
        return float(np.linalg.norm(joints[10, :3] - joints[1, :3]))

    assert reach(bent["joints"]) < reach(hand["joints"])


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_lost_controller_is_absent_and_a_lost_hand_too_each_alone(
    runtime: Monado, sampler: Sampler, side: str
) -> None:
    controller = LEFT_CONTROLLER_BIT if side == "left" else RIGHT_CONTROLLER_BIT
    hand = LEFT_HAND_BIT if side == "left" else RIGHT_HAND_BIT
    everything = 31
    read_until(sampler, lambda row: int(row["presence"]) == everything)
    runtime.change(side, active=False)
    read_until(sampler, lambda row: int(row["presence"]) == everything - controller)
    runtime.change(side, active=True, hand=False)
    read_until(sampler, lambda row: int(row["presence"]) == everything - hand)
    runtime.change(side, hand=True)
    read_until(sampler, lambda row: int(row["presence"]) == everything)


def test_after_recentring_a_held_deadman_must_be_pressed_anew(
    runtime: Monado, sampler: Sampler
) -> None:
    runtime.change("right", squeeze=1.0)
    read_until(sampler, lambda row: row["right_controller"]["squeeze"] > 0.5)
    sampler._session.recentred += 1
    row = sampler.frame()
    assert row["right_controller"]["squeeze"] == 0.0
    assert not int(row["right_controller"]["buttons"]) & Button.SQUEEZE
    assert not int(row["presence"]) & (LEFT_HAND_BIT | RIGHT_HAND_BIT)
    assert sampler.frame()["right_controller"]["squeeze"] == 0.0
    runtime.change("right", squeeze=0.0)
    read_until(sampler, lambda row: not sampler._deadman._must_let_go[1])
    runtime.change("right", squeeze=1.0)
    read_until(sampler, lambda row: row["right_controller"]["squeeze"] > 0.5)


def test_without_focus_or_head_only_the_head_is_told(runtime: Monado, sampler: Sampler) -> None:
    read_until(sampler, lambda row: int(row["presence"]) == 31)
    sampler._session.worn = False
    row = sampler.frame()
    assert int(row["presence"]) == HEAD_BIT
    assert row["head_flags"] == 0


def test_the_clock_of_the_poses_is_the_device_clock(sampler: Sampler) -> None:
    for _ in range(20):
        before = device_clock_ns()
        time_xr, t_ns = sampler.clock.now()
        row = sampler.frame()
        assert before <= t_ns <= int(row["t_device_ns"]) <= device_clock_ns()
        assert sampler.clock.to_device(time_xr) == t_ns


def test_controllers_vibrate_and_say_what_they_are(runtime: Monado, sampler: Sampler) -> None:
    read_until(sampler, lambda row: int(row["presence"]) == 31)
    sampler.inputs.vibrate(0, 0.5, 20_000_000)
    sampler.inputs.vibrate(1, 2.0, 0)  # clipped, and as short as can be
    assert sampler.inputs.profiles() == ("/interaction_profiles/valve/index_controller",) * 2


def test_a_stream_has_its_rate_and_rising_numbers_and_times(
    runtime: Monado, sampler: Sampler
) -> None:
    rows: list[np.void] = []
    stream(sampler._session, sampler, 200.0, rows.append, lambda: len(rows) >= 100)
    assert (np.diff([int(row["seq"]) for row in rows]) == 1).all()
    steps_ms = np.diff([int(row["t_device_ns"]) for row in rows]) / 1e6
    assert (steps_ms > 0).all()
    assert np.median(steps_ms) == pytest.approx(5.0, rel=0.1)
