"""The comparison with other solvers runs, has every column, and ours holds every limit."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import measure, report
from bench.contender import Limits
from bench.timing import Run, turns
from bench.trajectory import REACH, bimanual
from bench.urdf import write_urdf
from recorder import Dataset
from recorder.schema import H264, JPEG
from retarget.errors import RetargetError
from tests.retarget.conftest import cached_rig

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="module")
def needs_the_robot() -> None:
    try:
        cached_rig("g1-dex3")
    except RetargetError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict:
    out = tmp_path_factory.mktemp("bench") / "result.json"
    command = [sys.executable, "-m", "bench.retarget", "--quick", "--out", str(out)]
    environment = {k: v for k, v in os.environ.items() if k != "TELECAP_PLACO_PYTHON"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n|") >= 3, "no table was printed"
    return json.loads(out.read_text())


def test_every_column_is_there_and_ours_holds_every_limit(result: dict) -> None:
    (comparison,) = result["comparisons"]
    rows = {row["name"]: row for row in comparison["rows"]}
    ours = [row for name, row in rows.items() if name.startswith("telecap")]
    assert ours
    for row in ours:
        for kind in ("position", "velocity", "acceleration"):
            assert row[f"{kind}_violations"] == 0
        assert row["engage_inside_mrad"] < 1e-6
        assert row["engage_outside_mrad"] < 1e-6
        assert row["exceptions"] == row["engage_exceptions"] == 0
        assert row["position_mm_p95"] < 1.0
    assert report.table(comparison["rows"])
    assert result["machine"]["versions"]["numpy"] == np.__version__


def test_peers_that_are_missing_are_named_with_the_reason(result: dict) -> None:
    (comparison,) = result["comparisons"]
    names = {row["name"] for row in comparison["rows"]}
    assert any("TELECAP_PLACO_PYTHON" in reason for reason in comparison["skipped"])
    for peer in ("pink", "mink"):
        installed = importlib.util.find_spec(peer) is not None
        assert (peer in names) == installed
        assert any(r.startswith(peer) for r in comparison["skipped"]) != installed


def test_reachable_targets_are_those_of_a_path_within_the_limits() -> None:
    rig = cached_rig("g1-dex3")
    motion = bimanual(rig, 50.0)
    assert (motion.q >= rig.lower).all()
    assert (motion.q <= rig.upper).all()
    speed = np.abs(np.diff(motion.q, axis=0)) * 50.0
    assert (speed <= rig.velocity_limit).all()
    for k in np.flatnonzero(motion.on_path)[::25]:
        for tip, T in rig.forward(motion.q[k]).items():
            np.testing.assert_allclose(motion.Ts_robot_tip[tip][k], T, atol=1e-12)
    assert not (motion.reachable & ~motion.on_path).any()
    inside = (motion.t_s > REACH[0] + 0.1) & (motion.t_s < REACH[1] - 0.1)
    assert not motion.on_path[inside].any()


def test_the_measures_see_a_path_that_breaks_limits() -> None:
    rig = cached_rig("g1-dex3")
    motion = bimanual(rig, 50.0, 2.0)
    q = motion.q.copy()
    q[60:, 3] = rig.upper[3] + 0.1
    found = measure.limits(Limits.of(rig), motion, q)
    assert found["position_violations"] == 40
    assert found["velocity_violations"] == 1
    assert found["acceleration_violations"] == 2
    assert measure.errors(rig, motion, motion.q)["position_mm_max"] < 1e-6
    assert measure.errors(rig, motion, q)["position_mm_max"] > 1.0


def test_results_replace_only_what_lies_between_the_marks_of_a_document(result: dict) -> None:
    filled = report.put_into(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", result)
    assert filled.startswith("before\n")
    assert filled.endswith("\nafter\n")
    assert "old" not in filled
    assert "| pink" in filled or "pink" in " ".join(result["comparisons"][0]["skipped"])
    assert report.put_into(filled, result) == filled
    with pytest.raises(ValueError, match="begin"):
        report.put_into("no marks", result)


def test_times_are_the_least_of_the_passes() -> None:
    solve_ns = np.array([[5e3, 9e3], [4e3, 7e3], [6e3, 8e3]])
    first = np.array([[True, False], [True, False], [False, True]])
    found = measure.times(Run(np.zeros((2, 1)), np.full((3, 2), 1e3), solve_ns, first))
    assert found["step_us_median"] == pytest.approx(5.5)
    assert found["with_targets_us_median"] == pytest.approx(6.5)
    assert found["step_us_after_others"] == pytest.approx(5.0)


@pytest.mark.parametrize("n", [1, 49, 50, 51, 1440])
def test_every_frame_has_one_turn_and_no_frame_is_first_in_every_pass(n: int) -> None:
    firsts = []
    for number in range(3):
        ranges = turns(n, number)
        assert [k for frames in ranges for k in frames] == list(range(n))
        firsts.append({frames.start for frames in ranges})
    assert set.intersection(*firsts) == {0}


def test_a_urdf_of_a_rig_moves_as_the_rig(tmp_path: Path) -> None:
    import pinocchio as pin

    rig = cached_rig("g1-dex3")
    model = pin.buildModelFromXML(write_urdf(rig))
    data, rng = model.createData(), np.random.default_rng(3)
    for q in rng.uniform(rig.lower, rig.upper, (5, len(rig.joint_names))):
        named = dict(zip(rig.joint_names, q, strict=True))
        pin.framesForwardKinematics(model, data, np.array([named[n] for n in model.names[1:]]))
        for tip, T in rig.forward(q).items():
            found = data.oMf[model.getFrameId(f"tip_{tip}")].homogeneous
            np.testing.assert_allclose(found, T, atol=1e-9)


def test_the_recorder_bench_records_what_it_is_fed(tmp_path: Path) -> None:
    from bench import recorder as bench_recorder
    from bench import takes

    writer = bench_recorder.Ours(tmp_path)
    bench_recorder.record(writer, 1.0)
    writer.finish()
    writer.settle()
    dataset = Dataset.open(tmp_path)
    episode = dataset[dataset.episodes()[0].id]
    for name in takes.NAMES:
        assert 25 <= len(episode.camera(name)) <= 31
    assert 450 <= len(episode.stream("state")) <= 505


@pytest.mark.parametrize("codec", [JPEG, H264])
def test_the_read_bench_reads_the_same_pictures_in_both_ways(tmp_path: Path, codec: str) -> None:
    from bench import read as bench_read

    episode = bench_read.record(tmp_path, 3.0, codec)
    ours, _ = bench_read.ours(episode)
    theirs, _ = bench_read.zarr_python(episode)
    sample = ours(10)
    pictures, actions = theirs(10)
    np.testing.assert_array_equal(sample["front"][0], np.asarray(pictures[0]).reshape(480, 640, 3))
    assert sample["action"].shape == actions.shape == (50, 20)
