from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder import Dataset
from recorder.export.errors import (
    ExportError,
    MissingCameraError,
    MixedEpisodesError,
    NoEpisodesError,
    OutputExistsError,
    PictureSizeError,
)
from recorder.export.lerobot import export_lerobot
from recorder.export.plan import plan_episode, signature
from tests.recorder.export_episodes import (
    MS,
    T0_NS,
    Recipe,
    command_times,
    joints_at,
    number_in,
    picture_times,
    record,
)

HEAD = "observation.images.head_left"
WRIST = "observation.images.wrist_right"


def rows_of(out: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(out / "data")
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


def episodes_of(out: Path) -> list[dict]:
    return pq.read_table(out / "meta/episodes").to_pylist()


def info_of(out: Path) -> dict:
    return json.loads((out / "meta/info.json").read_text())


def numbers_in_video(path: Path) -> dict[float, int]:
    """Number read in each picture of a video, by its presentation time [s]."""
    with av.open(str(path)) as container:
        return {
            round(frame.time, 6): number_in(frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        }


def video_path(out: Path, key: str, row: dict) -> Path:
    return out / info_of(out)["video_path"].format(
        video_key=key,
        chunk_index=row[f"videos/{key}/chunk_index"],
        file_index=row[f"videos/{key}/file_index"],
    )


def expected_grid(recipe: Recipe, fps: int = 30) -> np.ndarray:
    """First to last instant of state and cameras, worked out apart from the exporter."""
    times = [picture_times(recipe, k) for k in range(len(recipe.cameras))]
    first = max([T0_NS, *(t.min() for t in times)])
    last = min([T0_NS + (int(recipe.seconds * 500) - 1) * 2 * MS, *(t.max() for t in times)])
    grid = []
    while first + len(grid) * 1_000_000_000 // fps <= last:
        grid.append(first + len(grid) * 1_000_000_000 // fps)
    return np.array(grid)


def test_layout_is_that_of_lerobot_v3(tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = export_lerobot([record(tmp_path / "ds", Recipe())], out)
    files = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert files == [
        "data/chunk-000/file-000.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
        "meta/info.json",
        "meta/stats.json",
        "meta/tasks.parquet",
        "meta/telecap.json",
        f"videos/{HEAD}/chunk-000/file-000.mp4",
        f"videos/{WRIST}/chunk-000/file-000.mp4",
    ]
    info = info_of(out)
    assert info["codebase_version"] == "v3.0"
    assert info["fps"] == 30
    assert info["robot_type"] == "testbot"
    assert info["total_frames"] == report.frames == len(rows_of(out)["index"])
    assert info["features"]["action"]["names"] == [
        "left_joint1",
        "left_joint2",
        "right_joint1",
        "left_gripper",
        "right_gripper",
    ]
    data_columns = {k for k, f in info["features"].items() if f["dtype"] != "video"}
    assert data_columns == set(rows_of(out))


def test_row_count_is_that_of_the_common_time(tmp_path: Path) -> None:
    recipe = Recipe(seconds=1.3)
    report = export_lerobot([record(tmp_path / "ds", recipe)], tmp_path / "out")
    assert report.frames == len(expected_grid(recipe))
    assert report.invalid_rows == 0


def times_s(rows: dict[str, np.ndarray]) -> np.ndarray:
    """When each row was, after T0 [s]: the first joint moves at 0.5 rad/s from 0.1 rad."""
    return (rows["observation.state"][:, 0] - 0.1) / 0.5


def test_only_what_a_trim_leaves_is_exported(tmp_path: Path) -> None:
    episode = record(tmp_path / "ds", Recipe())
    dataset = Dataset.open(tmp_path / "ds")
    dataset.trim(episode.id, 0.25, 0.7)
    begin_ns, end_ns = dataset[episode.id].span_ns
    assert end_ns - begin_ns == 450 * MS
    report = export_lerobot([dataset[episode.id]], tmp_path / "out")
    assert report.frames == 14  # of 30 Hz in 0.45 s, both ends included
    begin_s = (begin_ns - T0_NS) / 1e9
    expected = begin_s + np.arange(14) / 30
    np.testing.assert_allclose(times_s(rows_of(tmp_path / "out")), expected, atol=1e-6)


def test_parts_are_exported_as_episodes_that_share_no_row(tmp_path: Path) -> None:
    episode = record(tmp_path / "ds", Recipe(seconds=2.0))
    dataset = Dataset.open(tmp_path / "ds")
    whole = export_lerobot([dataset[episode.id]], tmp_path / "whole").frames
    names = dataset.split(episode.id, [0.5, 1.2])
    dataset.label(names[1], task="place")
    report = export_lerobot([dataset[name] for name in names], tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    at_s = times_s(rows)
    assert (np.diff(at_s) > 0).all()
    assert report.frames == len(at_s)
    assert abs(report.frames - whole) <= 2, "each part has a grid of its own"
    for k, name in enumerate(names):
        begin_s, end_s = ((t - T0_NS) / 1e9 for t in dataset[name].span_ns)
        own = at_s[rows["episode_index"] == k]
        assert begin_s - 1e-6 <= own.min() and own.max() <= end_s + 1e-6
    assert [row["tasks"] for row in episodes_of(tmp_path / "out")] == [
        ["pick the cube"], ["place"], ["pick the cube"]
    ]  # fmt: skip


def test_state_is_interpolated_at_the_row(tmp_path: Path) -> None:
    recipe = Recipe()
    export_lerobot([record(tmp_path / "ds", recipe)], tmp_path / "out")
    state = rows_of(tmp_path / "out")["observation.state"]
    np.testing.assert_allclose(state, joints_at(expected_grid(recipe)), atol=1e-6)


@pytest.mark.parametrize(("action", "offset"), [("requested", 1000.0), ("sent", 0.0)])
def test_action_is_the_last_command_at_or_before_the_row(
    tmp_path: Path, action: str, offset: float
) -> None:
    recipe = Recipe()
    export_lerobot([record(tmp_path / "ds", recipe)], tmp_path / "out", action=action)
    commands = command_times(recipe)
    previous = [int((commands <= t).sum()) - 1 for t in expected_grid(recipe)]
    got = rows_of(tmp_path / "out")["action"]
    np.testing.assert_array_equal(got[:, 0], np.array(previous) + offset)
    np.testing.assert_array_equal(got[:, 3], 0.5 if action == "requested" else 0.0)


def test_measured_action_is_the_state_of_the_next_row(tmp_path: Path) -> None:
    recipe = Recipe(without=("command/requested", "command/sent"))
    report = export_lerobot([record(tmp_path / "ds", recipe)], tmp_path / "out", action="measured")
    grid, rows = expected_grid(recipe), rows_of(tmp_path / "out")
    assert report.frames == len(grid) - 1  # the last row has no next one
    np.testing.assert_array_equal(rows["action"][:-1], rows["observation.state"][1:])
    np.testing.assert_allclose(rows["action"], joints_at(grid[1:]), atol=1e-6)


def test_every_row_shows_the_nearest_picture(tmp_path: Path) -> None:
    recipe, out = Recipe(seconds=2.0, lost_pictures=(20, 41)), tmp_path / "out"
    export_lerobot([record(tmp_path / "ds", recipe)], out)
    row = episodes_of(out)[0]
    for k, key in enumerate((HEAD, WRIST)):
        t_ns = picture_times(recipe, k)
        arrived = [i for i in range(len(t_ns)) if k or i not in recipe.lost_pictures]
        wanted = [min(arrived, key=lambda i: abs(t_ns[i] - t)) for t in expected_grid(recipe)]
        shown = numbers_in_video(video_path(out, key, row))
        assert list(shown.values()) == wanted
        np.testing.assert_allclose(list(shown), np.arange(len(wanted)) / 30, atol=1e-6)


def test_rows_far_from_their_sources_are_marked_and_stay(tmp_path: Path) -> None:
    recipe, out = Recipe(seconds=2.0, lost_pictures=tuple(range(20, 30))), tmp_path / "out"
    report = export_lerobot([record(tmp_path / "ds", recipe)], out, max_gap_ms=50)
    grid, rows = expected_grid(recipe), rows_of(out)
    arrived = np.delete(picture_times(recipe, 0), recipe.lost_pictures)
    head_ns = np.abs(grid[:, None] - arrived).min(1)
    np.testing.assert_array_equal(rows["valid"], head_ns <= 50 * MS)
    assert 0 < report.invalid_rows == int((head_ns > 50 * MS).sum())
    assert report.frames == len(grid)
    error = rows["time_error_s"]
    assert np.all(error >= head_ns / 1e9 - 1e-7)
    assert report.per_episode[0].max_time_error_s == pytest.approx(head_ns.max() / 1e9, abs=1e-6)
    np.testing.assert_allclose(rows["timestamp"], np.arange(len(grid)) / 30, atol=1e-6)


def test_values_that_are_not_finite_are_marked_and_held(tmp_path: Path) -> None:
    recipe, out = Recipe(nan_states=(*range(8), *range(240, 270))), tmp_path / "out"
    report = export_lerobot([record(tmp_path / "ds", recipe)], out)
    rows = rows_of(out)
    assert report.invalid_rows == int((~rows["valid"]).sum()) > 0
    assert np.isfinite(rows["observation.state"]).all()
    stats = json.loads((out / "meta/stats.json").read_text())
    assert np.isfinite(stats["observation.state"]["mean"]).all()


@pytest.mark.parametrize("told_by", ["pauses_ms", "session_pauses_ms"])
def test_rows_inside_a_pause_are_left_out_and_counted(tmp_path: Path, told_by: str) -> None:
    recipe, out = Recipe(seconds=2.0, **{told_by: ((500, 900), (1200, 1300))}), tmp_path / "out"
    report = export_lerobot([record(tmp_path / "ds", recipe)], out)
    grid = expected_grid(recipe)
    at_ms = (grid - T0_NS) / MS
    paused = ((at_ms >= 500) & (at_ms < 900)) | ((at_ms >= 1200) & (at_ms < 1300))
    rows = rows_of(out)
    assert report.paused_rows == paused.sum()
    assert report.frames == (~paused).sum()
    np.testing.assert_allclose(rows["observation.state"], joints_at(grid[~paused]), atol=1e-6)
    np.testing.assert_allclose(rows["timestamp"], np.arange(report.frames) / 30, atol=1e-6)
    source = json.loads((out / "meta/telecap.json").read_text())["episodes"][0]
    times = [
        s["t_ns"] + i * 1_000_000_000 // 30 for s in source["segments"] for i in range(s["rows"])
    ]
    np.testing.assert_allclose(times, grid[~paused], atol=2)  # rounding of the grid, in ns


def test_several_episodes_follow_one_another_and_start_on_key_frames(tmp_path: Path) -> None:
    out = tmp_path / "out"
    recipes = [
        Recipe(seconds=0.9, task="pick"),
        Recipe(seconds=1.3, task="place", first_number=500),
        Recipe(seconds=0.7, task="pick", first_number=900),
    ]
    export_lerobot([record(tmp_path / "ds", r) for r in recipes], out)
    episodes, rows = episodes_of(out), rows_of(out)
    np.testing.assert_array_equal(rows["index"], np.arange(len(rows["index"])))
    assert [e["tasks"] for e in episodes] == [["pick"], ["place"], ["pick"]]
    keys = key_times(video_path(out, HEAD, episodes[0]))
    shown = numbers_in_video(video_path(out, HEAD, episodes[0]))
    for k, (row, recipe) in enumerate(zip(episodes, recipes, strict=True)):
        inside = slice(row["dataset_from_index"], row["dataset_to_index"])
        assert (rows["episode_index"][inside] == k).all()
        np.testing.assert_array_equal(rows["frame_index"][inside], np.arange(row["length"]))
        assert row["length"] == len(expected_grid(recipe))
        start = row[f"videos/{HEAD}/from_timestamp"]
        assert round(start, 6) in keys
        t_ns = picture_times(recipe, 0)
        for frame, t in enumerate(expected_grid(recipe)):
            wanted = recipe.first_number + int(np.abs(t_ns - t).argmin())
            assert shown[round(start + frame / 30, 6)] == wanted
    tasks = pq.read_table(out / "meta/tasks.parquet").to_pylist()
    assert tasks == [{"task_index": 0, "task": "pick"}, {"task_index": 1, "task": "place"}]
    assert set(rows["task_index"].tolist()) == {0, 1}


def key_times(path: Path) -> set[float]:
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    return {round(float(p.pts * p.time_base), 6) for p in packets if p.is_keyframe}


def test_slow_cameras_repeat_pictures(tmp_path: Path) -> None:
    recipe, out = Recipe(camera_hz=10.0, seconds=2.0), tmp_path / "out"
    export_lerobot([record(tmp_path / "ds", recipe)], out, max_gap_ms=60)
    t_ns = picture_times(recipe, 0)
    wanted = [int(np.abs(t_ns - t).argmin()) for t in expected_grid(recipe)]
    shown = numbers_in_video(video_path(out, HEAD, episodes_of(out)[0]))
    assert list(shown.values()) == wanted


def test_statistics_are_those_of_the_rows(tmp_path: Path) -> None:
    out = tmp_path / "out"
    recipes = [Recipe(), Recipe(seconds=0.5)]
    export_lerobot([record(tmp_path / "ds", r) for r in recipes], out)
    stats = json.loads((out / "meta/stats.json").read_text())
    state = rows_of(out)["observation.state"]
    np.testing.assert_allclose(stats["observation.state"]["mean"], state.mean(0), atol=1e-6)
    np.testing.assert_allclose(stats["observation.state"]["std"], state.std(0), atol=1e-6)
    q90 = np.quantile(state, 0.9, axis=0)
    np.testing.assert_allclose(stats["observation.state"]["q90"], q90, atol=1e-6)
    assert stats["observation.state"]["count"] == [len(state)]
    assert np.shape(stats[HEAD]["mean"]) == (3, 1, 1)
    assert stats[HEAD]["max"][0][0][0] > 0.95
    assert stats[HEAD]["min"][0][0][0] < 0.05
    first = episodes_of(out)[0]
    np.testing.assert_allclose(
        first["stats/observation.state/max"], state[: first["length"]].max(0), atol=1e-6
    )


def test_chosen_cameras_only(tmp_path: Path) -> None:
    episode, out = record(tmp_path / "ds", Recipe()), tmp_path / "out"
    export_lerobot([episode], out, cameras=["wrist_right"])
    assert [p.name for p in (out / "videos").iterdir()] == [WRIST]
    export_lerobot([episode], tmp_path / "none", cameras=[])
    assert info_of(tmp_path / "none")["video_path"] is None


def test_missing_camera_names_those_that_exist(tmp_path: Path) -> None:
    episode = record(tmp_path / "ds", Recipe())
    with pytest.raises(MissingCameraError, match=r"no camera \['ceiling'\]; it has .*head_left"):
        export_lerobot([episode], tmp_path / "out", cameras=["ceiling"])
    assert not (tmp_path / "out").exists()


def test_discarded_episodes_are_left_out_unless_asked(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path / "ds", create=True)
    first, second = (record(tmp_path / "ds", Recipe(seconds=0.5)) for _ in range(2))
    dataset.discard(second.id)
    episodes = [dataset[first.id], dataset[second.id]]
    report = export_lerobot(episodes, tmp_path / "out")
    assert [e.id for e in report.per_episode] == [first.id]
    assert report.skipped == (f"{second.id}: discarded",)
    both = export_lerobot(episodes, tmp_path / "both", include_discarded=True)
    assert both.episodes == 2


def test_no_episode_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoEpisodesError, match="none were given"):
        export_lerobot([], tmp_path / "out")
    empty = record(tmp_path / "ds", Recipe(without=("command/requested",)))
    with pytest.raises(NoEpisodesError, match=r"no rows in .*command/requested"):
        export_lerobot([empty], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_episodes_of_different_robots_do_not_mix(tmp_path: Path) -> None:
    one = record(tmp_path / "ds", Recipe(seconds=0.5))
    other = record(tmp_path / "ds", Recipe(seconds=0.5, joints=("a", "b", "c")))
    with pytest.raises(MixedEpisodesError, match="joints differ"):
        export_lerobot([one, other], tmp_path / "out")


def test_unnamed_joints_get_numbers(tmp_path: Path) -> None:
    export_lerobot([record(tmp_path / "ds", Recipe(seconds=0.3, named=False))], tmp_path / "out")
    names = info_of(tmp_path / "out")["features"]["action"]["names"]
    assert names == ["joint_0", "joint_1", "joint_2", "gripper_0", "gripper_1"]


def test_odd_pictures_are_refused(tmp_path: Path) -> None:
    episode = record(tmp_path / "ds", Recipe(seconds=0.3, size=(63, 48)))
    with pytest.raises(PictureSizeError, match="63x48"):
        export_lerobot([episode], tmp_path / "out")


def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    episode, out = record(tmp_path / "ds", Recipe(seconds=0.3)), tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    for force in (False, True):
        with pytest.raises(OutputExistsError):
            export_lerobot([episode], out, force=force)
    assert (out / "thesis.tex").read_text() == "years of work"


def test_an_earlier_export_is_replaced_only_when_forced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_lerobot([record(tmp_path / "ds", Recipe(seconds=0.3))], out)
    longer = record(tmp_path / "ds", Recipe(seconds=0.6))
    with pytest.raises(OutputExistsError, match="force"):
        export_lerobot([longer], out)
    report = export_lerobot([longer], out, force=True)
    assert info_of(out)["total_frames"] == report.frames
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ds", "out"]


def test_a_killed_export_does_not_hinder_the_next(tmp_path: Path) -> None:
    (tmp_path / "out.partial" / "data").mkdir(parents=True)
    export_lerobot([record(tmp_path / "ds", Recipe(seconds=0.3))], tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ds", "out"]


def test_export_is_deterministic(tmp_path: Path) -> None:
    episode = record(tmp_path / "ds", Recipe(seconds=0.5))
    for name in ("a", "b"):
        export_lerobot([episode], tmp_path / name)
    for file in (p for p in (tmp_path / "a").rglob("*") if p.is_file()):
        twin = tmp_path / "b" / file.relative_to(tmp_path / "a")
        assert file.read_bytes() == twin.read_bytes(), file.name


def test_progress_never_goes_back(tmp_path: Path) -> None:
    episodes = [record(tmp_path / "ds", Recipe(seconds=0.4)) for _ in range(3)]
    shares: list[float] = []
    export_lerobot(episodes, tmp_path / "out", progress=lambda share, _: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_rates_must_be_positive(tmp_path: Path) -> None:
    episode = record(tmp_path / "ds", Recipe(seconds=0.3))
    with pytest.raises(ExportError, match="positive"):
        export_lerobot([episode], tmp_path / "out", fps=0)


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(
    fps=st.integers(1, 60), gap_ms=st.integers(1, 100), action=st.sampled_from(["sent", "measured"])
)
def test_rows_marked_valid_are_within_the_tolerance(
    episode_with_holes, fps: int, gap_ms: int, action: str
) -> None:
    shared = signature(episode_with_holes, None)
    plan = plan_episode(episode_with_holes, shared, fps, action, gap_ms * MS)
    assert np.all(plan.time_error_s[plan.valid] <= gap_ms / 1000 + 1e-6)
    periods = np.diff(plan.t_ns)
    assert np.all(np.abs(periods - 1e9 / fps) <= 1)
    assert all(len(index) == len(plan) for index in plan.pictures.values())


@pytest.fixture(scope="module")
def episode_with_holes(tmp_path_factory):
    recipe = Recipe(seconds=2.0, lost_pictures=(3, 4, 5, 30, 31), nan_states=(400,))
    return record(tmp_path_factory.mktemp("holes"), recipe)
