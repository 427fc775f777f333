"""A robot nobody prepared, from its maker's URDF to a recorded take: docs/bring-your-own.md."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from recorder import Dataset
from retarget import load_rig
from retarget.errors import MissingModelPackageError
from teleop.supervisor import Supervisor
from teleop.system import new_config
from tests.teleop.driver import Driver

pytestmark = pytest.mark.system
VEGA = Path(__file__).parents[2] / "examples" / "rigs" / "vega.toml"


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Supervisor]:
    try:
        load_rig(VEGA)
    except MissingModelPackageError as error:
        pytest.skip(str(error))
    config = new_config(
        rig=str(VEGA), dataset=str(tmp_path / "dataset"), port=0, task="reach", render="cpu"
    )
    with Supervisor(config) as running:
        running.start()
        yield running


async def test_a_robot_brought_along_records_a_take(system: Supervisor) -> None:
    async with Driver(system.url, system.config.token) as driver:
        await asyncio.sleep(0.3)
        await driver.engage()
        await driver.start_take()
        await driver.move("right", (0.0, 0.05, 0.0), 1.0)
        await asyncio.sleep(0.5)
        await driver.save_take()
    dataset = Dataset.open(Path(system.config.dataset), repair=False)
    (row,) = dataset.episodes()
    episode = dataset[row.id]
    assert episode.state == "complete"
    assert episode.attributes["rig"] == "vega"
    assert set(episode.cameras) == {"head_left", "head_right", "wrist_left", "wrist_right"}
    assert all(len(episode.camera(name)) > 10 for name in episode.cameras)
    assert np.ptp(episode.stream("state")["position"], axis=0).max() > 0.03
