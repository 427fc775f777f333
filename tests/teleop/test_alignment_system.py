"""An absolute clutch in the real system: markers lead the hands, closing does not jump."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from teleop.hmd.api import Api
from teleop.protocol import Status
from teleop.samples import SIDES
from teleop.supervisor import Supervisor
from teleop.system import new_config
from tests.teleop.driver import REST, Driver

pytestmark = pytest.mark.system

MISSED_M = 0.03
"""Within the gate, so that there is an offset to fade."""


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Supervisor]:
    config = new_config(dataset=str(tmp_path / "dataset"), port=0, task="test", render="cpu")
    with Supervisor(config) as running:
        running.start()
        yield running


def tip(status: Status | None, side: str) -> np.ndarray:
    assert status is not None
    return np.array(status.tips[f"{side}_wrist"][:3])


async def test_hands_are_led_to_the_tips_and_then_say_where_the_tips_are(
    system: Supervisor,
) -> None:
    api = Api(system.url, system.config.token)
    async with Driver(system.url, system.config.token) as driver:
        client = driver.client
        await api.post("/api/clutch", {"mode": "absolute"})
        await asyncio.sleep(0.3)
        driver.squeeze = dict.fromkeys(SIDES, True)
        await client.wait_for_status(lambda s: len(s.alignment) == 2, "the markers", 5)
        await asyncio.sleep(2.5)  # longer than a relative press may wait
        waiting = client.status
        assert waiting is not None
        assert (waiting.motion, waiting.engaged) == ("aligning", (False, False))
        assert all(a.direction and a.distance_m > 0.05 for a in waiting.alignment)
        assert any(a.direction in n for a in waiting.alignment for n in waiting.notices)

        ghosts = {a.side: np.array(a.ghost[:3]) for a in waiting.alignment}
        before = tip(waiting, "right")
        for side in SIDES:
            goal = ghosts[side] - np.array(REST[side]) + [0.0, MISSED_M, 0.0]
            await driver.move(side, tuple(goal), 0.5)
        await client.wait_for_status(lambda s: s.engaged == (True, True), "both arms", 5)
        assert np.linalg.norm(tip(client.status, "right") - before) < 0.01

        await asyncio.sleep(1.5)  # the offset has faded: the tip is where the hand says
        assert client.status is not None
        risen = tip(client.status, "right") - before
        scale = client.status.reach_scale
        np.testing.assert_allclose(risen, [0.0, 0.0, MISSED_M * scale], atol=3e-3)
        await driver.move("right", tuple(driver.offset["right"] + [0.0, 0.0, -0.04]), 0.5)
        if client.status.engaged != (True, True):
            # A starved computer let go on the way: an absolute clutch ends where the hand is.
            await driver.engage()
        await asyncio.sleep(1.5)
        risen = tip(client.status, "right") - before
        np.testing.assert_allclose(risen, [0.04 * scale, 0.0, MISSED_M * scale], atol=3e-3)
