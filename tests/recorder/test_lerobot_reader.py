"""The real LeRobot package reads what the export wrote.

`TELECAP_LEROBOT_PYTHON` names an interpreter that has `lerobot` (several GB with torch, hence not a
dependency of the tests).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from recorder.export.lerobot import export_lerobot
from tests.recorder.export_episodes import Recipe, joints_at, picture_times, record
from tests.recorder.test_export_lerobot import HEAD, WRIST, expected_grid

pytestmark = pytest.mark.lerobot
SCRIPT = Path(__file__).with_name("lerobot_reader_script.py")


@pytest.fixture(scope="module")
def interpreter() -> str:
    python = os.environ.get("TELECAP_LEROBOT_PYTHON")
    if not python:
        pytest.skip("TELECAP_LEROBOT_PYTHON is not set: no interpreter with lerobot")
    return python


def read(interpreter: str, root: Path, rows: list[int], home: Path) -> dict:
    command = [interpreter, str(SCRIPT), str(root), *map(str, rows)]
    environment = {
        "PATH": os.environ["PATH"],
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(home),
        "HOME": str(home),
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("size_limit_mb", [None, 0], ids=["one file", "a file an episode"])
def test_lerobot_reads_every_sampled_row_with_its_own_picture(
    interpreter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size_limit_mb: int | None
) -> None:
    if size_limit_mb is not None:
        monkeypatch.setattr("recorder.export.tables.VIDEO_FILES_SIZE_MB", size_limit_mb)
        monkeypatch.setattr("recorder.export.tables.DATA_FILES_SIZE_MB", size_limit_mb)
    recipes = [
        Recipe(seconds=2.0, task="pick"),
        Recipe(seconds=1.2, task="place", first_number=500, lost_pictures=(10, 11, 12, 13, 14)),
        Recipe(seconds=1.6, task="pick", first_number=900),
    ]
    episodes = [record(tmp_path / "ds", recipe) for recipe in recipes]
    out = tmp_path / "out"
    report = export_lerobot(episodes, out, action="measured")
    if size_limit_mb == 0:  # which lerobot does not allow to be written down
        info = json.loads((out / "meta/info.json").read_text())
        info |= {"data_files_size_in_mb": 1, "video_files_size_in_mb": 1}
        (out / "meta/info.json").write_text(json.dumps(info))
    n_files = 1 if size_limit_mb is None else len(recipes)
    assert len(list((out / "data").rglob("*.parquet"))) == n_files
    assert len(list((out / "videos" / HEAD).rglob("*.mp4"))) == n_files
    grids = [expected_grid(recipe)[:-1] for recipe in recipes]  # measured: the last has no next
    first = np.cumsum([0, *map(len, grids)])
    rng = np.random.default_rng(0)
    rows = [
        int(first[k] + i)
        for k, grid in enumerate(grids)
        for i in sorted({0, 1, len(grid) - 1, *rng.integers(0, len(grid), 12).tolist()})
    ]
    result = read(interpreter, out, rows, tmp_path / "home")

    assert result["length"] == report.frames == first[-1]
    assert result["episodes"] == 3
    assert result["robot_type"] == "testbot"
    assert result["stats"][HEAD] == [3, 1, 1]
    invalid = 0
    for row in result["rows"]:
        k = int(np.searchsorted(first, row["row"], side="right") - 1)
        i, recipe = row["row"] - first[k], recipes[k]
        t = grids[k][i]
        assert (row["episode"], row["frame"], row["task"]) == (k, i, recipe.task)
        assert {HEAD, WRIST, "observation.state", "action", "timestamp"} <= set(row["keys"])
        np.testing.assert_allclose(row["state"], joints_at(np.array([t]))[0], atol=1e-6)
        for camera, key in enumerate((HEAD, WRIST)):
            t_ns = picture_times(recipe, camera)
            lost = recipe.lost_pictures if camera == 0 else ()
            arrived = [n for n in range(len(t_ns)) if n not in lost]
            nearest = min(arrived, key=lambda n: abs(t_ns[n] - t))
            assert row["numbers"][key] == recipe.first_number + nearest
        invalid += not row["valid"]
    assert report.invalid_rows > 0
    assert invalid <= report.invalid_rows
    assert result["window"]["action"] == [2, 5]
    assert result["window"]["numbers"] == [row["numbers"][HEAD] for row in result["rows"][:2]]
