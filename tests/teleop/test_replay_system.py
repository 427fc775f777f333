"""A replay ends where its original did, whatever interrupted that: the real five processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recorder import Dataset, Episode
from retarget.frames import distance, pose_to_matrix
from teleop.hmd.replay import ReplayOperator
from teleop.intents import Intent, IntentArgs
from teleop.samples import Button
from teleop.supervisor import Supervisor
from teleop.system import new_config
from tests.teleop.driver import Driver

pytestmark = pytest.mark.system

NEAR_M, NEAR_RAD = 2e-3, 0.01


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Supervisor]:
    config = new_config(dataset=str(tmp_path / "dataset"), port=0, task="test", render="cpu")
    with Supervisor(config) as running:
        running.start()
        yield running


async def interrupted_take(driver: Driver) -> None:
    """Reach out, then record: a hold, a doff and an e-stop, each followed by a resume elsewhere."""
    await driver.engage()
    await driver.move("right", (0.05, 0.03, -0.05), 0.6)
    await driver.start_take()
    await driver.move("right", (0.05, 0.10, -0.05), 0.6)
    # Let go in the middle of a motion, and hold again in the middle of another.
    moving = asyncio.create_task(driver.move("right", (-0.10, 0.02, 0.02), 0.8))
    await asyncio.sleep(0.3)
    driver.squeeze = dict.fromkeys(driver.squeeze, False)
    await moving
    moving = asyncio.create_task(driver.move("right", (-0.10, 0.08, -0.06), 0.8))
    await asyncio.sleep(0.1)
    await driver.engage()
    await moving
    # The headset comes off and goes on again.
    driver.sending = False
    await asyncio.sleep(0.4)
    driver.offset["right"] = np.array([0.0, 0.0, 0.0])
    driver.sending = True
    await driver.engage()
    await driver.move("right", (0.0, 0.06, -0.03), 0.5)
    # An emergency stop and its reset.
    await driver.client.event(Intent.ESTOP)
    await driver.client.wait_for_status(lambda s: s.motion == "estop", "the stop", 5)
    driver.squeeze = dict.fromkeys(driver.squeeze, False)
    await asyncio.sleep(0.2)
    await driver.client.event(Intent.ESTOP_RESET)
    await driver.client.wait_for_status(lambda s: s.motion == "hold", "the reset", 5)
    await driver.engage()
    await driver.move("right", (0.04, 0.02, -0.03), 0.5)
    await asyncio.sleep(0.3)
    await driver.press("right", Button.PRIMARY)
    await driver.client.event(Intent.SAVE, IntentArgs(outcome="success"))
    await driver.client.wait_for_status(lambda s: s.recording == "idle", "the label", 5)


def last_targets(episode: Episode) -> dict[str, np.ndarray]:
    """Last `T_robot_tip` asked for of each arm."""
    rows = episode.stream("target").rows()
    found = {}
    for k, side in enumerate(("left", "right")):
        row = rows[rows["valid"][:, k]][-1]
        found[side] = pose_to_matrix(row[f"T_robot_{side}_wrist"])
    return found


async def test_a_replay_ends_where_the_interrupted_original_did(system: Supervisor) -> None:
    url, token = system.url, system.config.token
    async with Driver(url, token) as driver:
        await interrupted_take(driver)
        await driver.client.release()
    original = await saved(system, 1)
    result = await ReplayOperator(original, url, token).perform()
    copy = await saved(system, 2)

    assert result["given_up"] == 0
    assert result["engages"] >= 8  # both arms, four times
    want, got = last_targets(original), last_targets(copy)
    for side in want:
        metres, radians = distance(want[side], got[side])
        assert (metres < NEAR_M, radians < NEAR_RAD) == (True, True), (side, metres, radians)
    joints = [e.stream("state")["position"][-1] for e in (original, copy)]
    np.testing.assert_allclose(joints[1], joints[0], atol=0.02)


async def saved(system: Supervisor, n: int) -> Episode:
    """The newest episode, once there are n."""
    for _ in range(200):
        system.watch()
        dataset = Dataset.open(Path(system.config.dataset), repair=False)
        rows = dataset.episodes()
        if len(rows) == n:
            return dataset[rows[-1].id]
        await asyncio.sleep(0.05)
    raise AssertionError(f"{n} episodes were expected")
