"""The control law with the whole chain of filters: smooth between samples, and never a jump."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retarget import FilterConfig, Rig, load_rig
from teleop.control import ControlConfig, Outputs
from teleop.samples import Motion, Tracking
from tests.teleop.world import MS, SIDES, TICK, World, random_pose, random_start

SAMPLE = 1_000_000_000 // 72
FULL = FilterConfig()
AHEAD = replace(FULL, predict_s=0.02)
seeds = st.integers(0, 2**32 - 1)
slow = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig("openarm")


class Operator:
    """Moves the right hand of a world along z with time, and shows it at 72 Hz."""

    def __init__(self, world: World, latency_ns: int = 0) -> None:
        self.world = world
        self.latency_ns = latency_ns
        self.begin_ns = world.now
        self.at_m = 0.0
        self.sent = 0

    def tick(self, speed_m_s: float) -> Outputs:
        """One slot; with a frame when the tracker has a new sample."""
        world = self.world
        age_ns = world.now + TICK - self.latency_ns - self.begin_ns
        due, self.sent = age_ns // SAMPLE > self.sent, max(age_ns // SAMPLE, self.sent)
        if due:
            t_ns = self.begin_ns + self.sent * SAMPLE
            where_m = speed_m_s * (t_ns - self.begin_ns) * 1e-9
            world.move("right", np.array([0.0, where_m - self.at_m, 0.0]))
            self.at_m = where_m
            world.sample_age_ns = world.now + TICK - t_ns
        return world.tick(frame=due)

    def ticks(self, n: int, speed_m_s: float) -> np.ndarray:
        """Heights of the right target, (n,)."""
        return np.array([self.tick(speed_m_s).target["T_robot_right_wrist"][2] for _ in range(n)])


def engaged(rig: Rig, filters: FilterConfig, seed: int = 1, latency_ns: int = 0) -> World:
    world = World(rig, seed, ControlConfig(filters=filters))
    world.sample_age_ns = latency_ns
    world.ticks(2)
    world.engage(left=False)
    world.ticks(2)
    return world


@given(seed=seeds, ahead=st.booleans())
@slow
def test_engaging_moves_nothing_however_far_ahead_is_predicted(
    rig: Rig, seed: int, ahead: bool
) -> None:
    world = World(rig, seed, ControlConfig(filters=AHEAD if ahead else FULL))
    random_start(world)
    before = world.state["position"].copy()
    world.ticks(2)
    world.engage()
    after = world.ticks(5)
    assert after.target["valid"][:2].all()
    assert np.abs(after.command["position"] - before).max() < 1e-9


@given(seed=seeds)
@slow
def test_engaging_again_while_the_hand_moves_never_moves_the_target(rig: Rig, seed: int) -> None:
    world = engaged(rig, AHEAD, seed)
    operator = Operator(world)
    operator.ticks(60, 0.3)
    world.set_motion(Motion.HOLD)
    rested = world.ticks(80, frame=False).command["position"].copy()
    world.move("right", world.rng.normal(0, 0.2, 3))
    world.ticks(2)
    world.engage(left=False)
    again = world.tick()
    assert again.target["valid"][1]
    assert np.abs(again.command["position"] - rested).max() < 1e-9


def test_between_72_hz_samples_the_target_moves_in_every_tick(rig: Rig) -> None:
    held, carried = (
        np.diff(Operator(engaged(rig, filters)).ticks(200, 0.3)[80:]) / (TICK * 1e-9)
        for filters in (FilterConfig.gate_only(), FULL)
    )
    assert (held == 0).mean() > 0.5, "repeated samples stand still between steps"
    assert carried.min() > 0.25
    assert carried.max() < 0.35


def test_prediction_pays_back_as_much_lag_as_it_is_told(rig: Rig) -> None:
    plain, ahead = (
        Operator(engaged(rig, filters)).ticks(200, 0.3)[-50:] for filters in (FULL, AHEAD)
    )
    assert np.mean(ahead - plain) == pytest.approx(0.3 * 0.02, rel=0.05)


def test_prediction_by_the_measured_latency_makes_the_latency_vanish(rig: Rig) -> None:
    latency = replace(FULL, predict_s=None)
    heights = [
        Operator(engaged(rig, filters, 1, late_ns), late_ns).ticks(300, 0.3)[-50:]
        for filters, late_ns in ((latency, 0), (latency, 30 * MS), (FULL, 30 * MS))
    ]
    near, far, late = map(np.mean, heights)
    assert near - late == pytest.approx(0.3 * 0.03, rel=0.15)
    assert abs(near - far) < 0.3 * 0.003


@pytest.mark.parametrize("silence", ["no frames", "frozen poses", "lost tracking"])
def test_a_stalled_stream_comes_to_rest_nearby(rig: Rig, silence: str) -> None:
    world = engaged(rig, FULL)
    last_m = Operator(world).ticks(150, 0.4)[-1]
    if silence == "lost tracking":
        world.frame["right_controller"]["flags"] = 0
    heights = [
        float(world.tick(frame=silence != "no frames").target["T_robot_right_wrist"][2])
        for _ in range(19)
    ]
    assert abs(heights[-1] - heights[-2]) < 2e-5, "at rest before the stream counts as stale"
    assert 0 <= heights[-1] - last_m < 0.4 * 0.06
    speeds = np.diff([last_m, *heights]) / (TICK * 1e-9)
    assert (np.diff(speeds) < 0.02).all(), "it only ever slows down"


@given(seed=seeds, ahead=st.booleans())
@slow
def test_revising_equals_having_had_the_pose_in_time(rig: Rig, seed: int, ahead: bool) -> None:
    early, late = (engaged(rig, AHEAD if ahead else FULL, seed) for _ in range(2))
    rng = np.random.default_rng(seed)
    for _ in range(30):
        step = rng.normal(0, 0.0003, 3)
        late.tick(frame=False)
        for world in (early, late):
            world.move("right", step)
        assert (revised := late.revise(0)) is not None
        direct = early.tick()
        assert np.allclose(revised.command["position"], direct.command["position"], atol=1e-12)


def test_guessed_poses_are_held_after_a_while_and_said_so(rig: Rig) -> None:
    world = engaged(rig, FULL)
    world.frame["right_controller"]["flags"] = int(Tracking.VALID | Tracking.EMULATED)
    for _ in range(60):
        world.move("right", np.array([0.0, 0.001, 0.0]))
        world.tick()
    held = world.ticks(80).target["T_robot_right_wrist"].copy()
    for _ in range(40):
        world.move("right", np.array([0.0, 0.001, 0.0]))
        outputs = world.tick()
    assert np.array_equal(outputs.target["T_robot_right_wrist"], held)
    assert world.events == [("tracking", {"tip": "right_wrist", "verdict": "emulated"})]
    world.move("right", np.array([0.0, -0.04, 0.0]))
    world.frame["right_controller"]["flags"] = int(Tracking.VALID | Tracking.TRACKED)
    world.tick()
    assert world.events[-1] == ("tracking", {"tip": "right_wrist", "verdict": "ok"})


def test_a_trigger_works_while_the_hand_is_perfectly_still(rig: Rig) -> None:
    world = engaged(rig, FULL)
    world.ticks(60)
    world.frame["right_controller"]["trigger"] = 1.0
    assert world.ticks(100).command["gripper"][1] == pytest.approx(0.0, abs=1e-6)


def test_a_hand_that_is_only_guessed_neither_opens_nor_closes_by_its_pinch(rig: Rig) -> None:
    world = World(rig, 3, ControlConfig(filters=FULL))
    world.frame["presence"], hand = 16, world.frame["right_hand"]
    hand["flags"], hand["joints"][:, 6] = int(Tracking.VALID | Tracking.TRACKED), 1.0
    world.ticks(2)
    world.engage()
    hand["joints"][10, 0] = 0.1
    world.ticks(20)
    hand["joints"][10, 0] = 0.01
    closed = world.ticks(100).command["gripper"][1]
    hand["flags"] = int(Tracking.VALID)
    for k in range(60):
        hand["joints"][:, 0] += 1e-4
        if k == 50:
            hand["joints"][10, 0] += 0.1
        outputs = world.tick()
    assert closed == pytest.approx(0.0, abs=1e-6)
    assert outputs.command["gripper"][1] == closed


def spoil(world: World, device: np.void) -> None:
    """One thing that trackers do, at random."""
    rng, grip = world.rng, device["grip"]
    kind = int(rng.integers(7))
    if kind == 0:
        grip[int(rng.integers(7))] = np.nan
    elif kind == 1:
        grip[3:] = 0.0
    elif kind == 2:
        grip[:3] += rng.normal(0, rng.choice([0.02, 0.2, 2.0]), 3)
    elif kind == 3:
        grip[:] = random_pose(rng)
    elif kind == 4:
        device["flags"] = int(rng.integers(32))
    elif kind == 5:
        grip[:] = -grip  # another quaternion of another place
    else:
        grip[3:] = -grip[3:]


@given(seed=seeds, ahead=st.booleans())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_trackers_do_no_command_exceeds_velocity_times_dt(
    rig: Rig, seed: int, ahead: bool
) -> None:
    """NaN, zero quaternions, teleports, freezes, guesses, dropouts, in any order."""
    world = World(rig, seed, ControlConfig(filters=AHEAD if ahead else FULL))
    world.ticks(2)
    world.engage()
    before = world.tick().command["position"].copy()
    good = {side: world.frame[f"{side}_controller"].copy() for side in SIDES}
    frozen = dropped = False
    for _ in range(120):
        for side in SIDES:
            device = world.frame[f"{side}_controller"]
            if world.rng.random() < 0.1:
                spoil(world, device)
            elif world.rng.random() < 0.3:
                world.frame[f"{side}_controller"] = good[side]
            elif not frozen and np.isfinite(device["grip"]).all() and device["grip"][3:].any():
                world.move(side, world.rng.normal(0, 0.004, 3), world.rng.normal(0, 0.02, 3))
                good[side] = device.copy()
        frozen ^= world.rng.random() < 0.05
        dropped ^= world.rng.random() < 0.05
        outputs = world.tick(frame=not dropped)
        after = outputs.command["position"]
        assert np.isfinite(after).all()
        assert np.isfinite(outputs.target["T_robot_right_wrist"]).all()
        step = np.abs(after - before)
        assert (step <= rig.velocity_limit * TICK * 1e-9 + 1e-12).all()
        before = after.copy()
