"""Fingers in the real system: they follow trigger and hand, are recorded, exported, made again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from recorder import Dataset, Episode
from recorder.export.lerobot import export_lerobot
from retarget import Rig
from teleop.differences import compare
from teleop.following import HAND_BITS
from teleop.offline import OfflineTake
from teleop.samples import SIDES, Tracking
from teleop.supervisor import Supervisor
from teleop.system import new_config
from tests.retarget.conftest import cached_rig
from tests.retarget.test_hands import human
from tests.teleop.driver import GOOD, Driver

pytestmark = pytest.mark.system


class HandDriver(Driver):
    """Shows bare hands beside the controllers that hold the deadman, as a replay does."""

    curl: float | None = None

    def frame(self) -> np.void:
        frame = super().frame()
        if self.curl is not None:
            frame["presence"] |= sum(HAND_BITS.values())
            for side in SIDES:
                frame[f"{side}_controller"]["flags"] |= int(Tracking.STAND_IN)
                hand = frame[f"{side}_hand"]
                hand["flags"], hand["joints"][:, 6] = GOOD, 1.0
                hand["joints"][:, :3] = (
                    human(self.curl, side) + frame[f"{side}_controller"]["grip"][:3]
                )
        return frame


@pytest.fixture(scope="module")
def rig() -> Rig:
    return cached_rig("g1-dex3")


@pytest.fixture(scope="module")
def episode(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Episode:
    """A take in which triggers close the hands, then hands are shown and open them again."""
    folder = tmp_path_factory.mktemp("fingers")
    config = new_config(
        rig=rig.name, dataset=str(folder / "dataset"), port=0, task="test", render="cpu"
    )
    with Supervisor(config) as system:
        system.start()
        asyncio.run(perform(system))
    dataset = Dataset.open(folder / "dataset", repair=False)
    (row,) = dataset.episodes()
    return dataset[row.id]


async def perform(system: Supervisor) -> None:
    async with HandDriver(system.url, system.config.token) as driver:
        await driver.engage()
        await driver.start_take()
        driver.trigger = dict.fromkeys(SIDES, 1.0)
        await asyncio.sleep(0.8)
        driver.trigger = dict.fromkeys(SIDES, 0.0)
        await asyncio.sleep(0.3)
        driver.curl = 1.1
        await asyncio.sleep(0.5)
        driver.curl = 0.0
        await asyncio.sleep(0.4)
        driver.curl = None
        await driver.save_take()


def test_measured_fingers_follow_trigger_and_hand(rig: Rig, episode: Episode) -> None:
    state, sent = episode.stream("state"), episode.stream("command/sent")
    assert tuple(state.fields["finger"]["names"]) == rig.finger_names
    closed = np.concatenate([rig.hands[side].q_closed for side in SIDES])
    nearest = np.abs(state["finger"] - closed).max(axis=1).min()
    assert nearest < 0.15, "triggers close the hands"
    asked = set(map(tuple, episode.stream("target")["fingers"].tolist()))
    assert {(1, 1), (2, 2)} <= asked
    limit = np.concatenate([rig.hands[side].velocity_limit for side in SIDES])
    assert (np.abs(sent["finger_velocity"]) <= limit + 1e-9).all()
    assert np.ptp(sent["finger"], axis=0).max() > 0.8


def test_fingers_are_made_again_bit_for_bit(episode: Episode) -> None:
    take = OfflineTake(episode)
    found = compare(episode, take, list(take))
    assert found.identical, found.to_dict()
    assert found.compared > 0.9 * len(episode.stream("command/requested"))


def test_an_export_has_the_fingers_by_name(rig: Rig, episode: Episode, tmp_path: Path) -> None:
    export_lerobot([episode], tmp_path / "out", fps=10, cameras=())
    info = json.loads((tmp_path / "out" / "meta" / "info.json").read_text())
    for feature in ("observation.state", "action"):
        assert tuple(info["features"][feature]["names"]) == rig.joint_names + rig.finger_names
