"""A plan in the running system: the take gets its task, and a success moves the plan on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder import Dataset
from teleop.samples import Button
from teleop.supervisor import Supervisor
from teleop.system import new_config
from tests.teleop.driver import Driver

pytestmark = pytest.mark.system
PLAN = """
[[tasks]]
instruction = "pick up the cube"
variations = ["left", "right"]
"""


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Supervisor]:
    (tmp_path / "plan.toml").write_text(PLAN)
    config = new_config(
        dataset=str(tmp_path / "dataset"),
        port=0,
        plan=str(tmp_path / "plan.toml"),
        render="cpu",
    )
    with Supervisor(config) as running:
        running.start()
        yield running


async def test_a_take_has_the_planned_task_and_a_success_moves_on(system: Supervisor) -> None:
    async with Driver(system.url, system.config.token) as driver:
        await driver.engage()
        status = driver.client.status
        assert status is not None and status.plan is not None
        assert (status.task, status.plan.variation) == ("pick up the cube", "left")
        await driver.start_take()
        await driver.move("right", (0.0, 0.03, 0.0), 1.2)
        await driver.stop_take()
        await asyncio.sleep(1.0)
        assert driver.client.status is not None and driver.client.status.plan is not None
        assert driver.client.status.plan.variation == "left"
        await driver.press("right", Button.PRIMARY)
        await driver.client.wait_for_status(lambda s: s.recording == "idle", "saved", 5)
        await driver.client.wait_for_status(
            lambda s: s.plan is not None and s.plan.variation == "right", "the next variation", 5
        )
        done = driver.client.status.plan
        assert (done.total_done, done.total_wanted) == (1, 2)
    (row,) = Dataset.open(Path(system.config.dataset), repair=False).episodes()
    assert (row.task, row.variation, row.outcome) == ("pick up the cube", "left", "success")
