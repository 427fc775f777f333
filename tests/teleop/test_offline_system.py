"""A take recorded by the real processes gives the same commands again offline, bit for bit."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from recorder import Dataset, Episode
from retarget import load_rig
from retarget.errors import RetargetError
from teleop.cli import main
from teleop.differences import compare
from teleop.offline import OfflineTake
from teleop.settings_keys import SettingError
from teleop.supervisor import Supervisor
from teleop.system import new_config
from tests.teleop.driver import Driver

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Episode:
    """A take that begins while an arm follows, with a second engage and a lost tracker."""
    folder = tmp_path_factory.mktemp("offline")
    config = new_config(dataset=str(folder / "dataset"), port=0, task="test", render="cpu")
    with Supervisor(config) as system:
        system.start()
        asyncio.run(perform(system))
    dataset = Dataset.open(folder / "dataset", repair=False)
    (row,) = dataset.episodes()
    return dataset[row.id]


async def perform(system: Supervisor) -> None:
    async with Driver(system.url, system.config.token) as driver:
        await driver.engage()
        await driver.move("right", (0.0, 0.04, 0.0), 0.4)
        await driver.start_take()
        await driver.move("right", (0.0, 0.05, -0.03), 0.5)
        await driver.move("left", (0.8, 0.3, -0.5), 1.0)  # beyond reach
        driver.sending = False  # a lost tracker: hold, then a fresh engage
        await driver.client.wait_for_status(lambda s: s.motion == "hold", "a hold", 3)
        driver.sending = True
        await driver.engage()
        await driver.move("right", (0.05, 0.0, 0.0), 0.5)
        await driver.save_take()


def test_the_same_operator_gives_the_same_commands_bit_for_bit(episode: Episode) -> None:
    take = OfflineTake(episode)
    calls = list(take)
    found = compare(episode, take, calls)
    assert take.as_recorded
    assert found.identical, found.to_dict()
    assert (found.gaps, found.missing) == (0, 0)
    assert found.compared > 0.9 * len(episode.stream("command/requested"))
    assert any(call.row["is_revision"] for call in calls), "no revision was made"
    assert episode.stream("solution")["status"].max() >= 2, "nothing was out of reach"
    assert all(apart == {"max": 0.0, "rms": 0.0} for apart in found.joints.values())
    for figures in (found.jerk_rms, found.saturation):
        assert figures["recorded"] == figures["offline"]


def test_solutions_and_targets_are_made_again_as_well(episode: Episode) -> None:
    calls = [c for c in OfflineTake(episode) if c.outputs is not None]
    for name in ("solution", "target"):
        rows = {(r["tick"], r["revision"]): r for r in episode.stream(name).rows()}
        for call in calls:
            assert call.outputs is not None
            again = getattr(call.outputs, name)
            row = rows[again["tick"][()], again["revision"][()]]
            for field in row.dtype.names or ():
                if field not in ("t_ns", "t_solve_ns"):
                    np.testing.assert_array_equal(again[field], row[field], err_msg=field)


def test_other_settings_differ_and_stay_within_the_limits(episode: Episode) -> None:
    take = OfflineTake(
        episode, changes=["filters.smoothing.min_cutoff_hz=0.5", "filters.smoothing.beta=1"]
    )
    calls = list(take)
    found = compare(episode, take, calls)
    assert not take.as_recorded
    assert found.first_different_tick is not None
    assert 0 < found.tips["right_wrist"]["position_mm_max"] < 500
    speeds = np.array([c.outputs.answer.dq for c in calls if c.outputs])
    assert (np.abs(speeds) <= take.rig.velocity_limit + 1e-9).all()
    loose = OfflineTake(episode, changes=["retargeter.wrist_rotation_cost=0.01"])
    assert not loose.as_recorded
    assert compare(episode, loose, list(loose)).first_different_tick is not None
    with pytest.raises(SettingError, match="rate_hz"):
        OfflineTake(episode, changes=["rate_hz=100"])


def test_the_command_line_says_so_and_writes_beside_the_original(
    episode: Episode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.read_bytes() for p in sorted(episode.path.rglob("*")) if p.is_file()}
    new = tmp_path / "again.npz"
    arguments = ["replay", str(episode.path), "--retarget", "--json", "--out", str(new)]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert report["identical"]
    assert len(np.load(new)["position"]) == report["compared"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)  # the file is there now
    assert ended.value.code == 2
    inside = episode.path / "again.npz"
    with pytest.raises(SystemExit) as ended:
        main([*arguments[:-1], str(inside)])
    assert ended.value.code == 2
    assert before == {p: p.read_bytes() for p in sorted(episode.path.rglob("*")) if p.is_file()}


def test_another_robot_follows_the_same_operator(episode: Episode) -> None:
    try:
        rig = load_rig("g1-dex3")
    except RetargetError as error:
        pytest.skip(str(error))
    take = OfflineTake(episode, rig)
    calls = [call for call in take if call.outputs is not None]
    found = compare(episode, take, calls)
    assert not take.same_rig
    assert not found.identical
    assert set(found.tips) == {"left_wrist", "right_wrist"}
    q = np.array([c.outputs.command["position"] for c in calls if c.outputs])
    assert np.ptp(q, axis=0).max() > 0.05, "it did not move"
    assert (q >= rig.lower - 1e-9).all()
    assert (q <= rig.upper + 1e-9).all()


def test_after_a_lost_row_the_run_goes_on_from_the_next_memory(episode: Episode) -> None:
    take = OfflineTake(episode)
    whole = list(take)
    lost = whole[20].row  # before the second memory of the take
    del take._rows._states[int(lost["t_state_ns"]), int(lost["state_seq"])]
    calls = list(take)
    assert take.gaps == 1
    assert 0 < len(calls) < len(whole)
    assert compare(episode, take, calls).identical
