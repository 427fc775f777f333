"""`telecap view` in the real viewer's window, on software Vulkan: what a person sees of a take."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from teleop.cli import main
from tests.openxr.conftest import PREFIX_ONLY
from tests.teleop.viewtake import record_view_take


def test_the_viewer_shows_robot_scene_and_pictures(
    runtime_files: Path, screen: str, tmp_path: Path
) -> None:
    rerun_cli = pytest.importorskip("rerun_cli")
    with pytest.raises(SystemExit):
        main(["view", str(record_view_take(tmp_path)), "--save", str(tmp_path / "take.rrd")])
    environment = {k: v for k, v in os.environ.items() if k not in PREFIX_ONLY}
    environment |= {"DISPLAY": screen, "CI": "1", "HOME": str(tmp_path)}
    done = subprocess.run(
        [
            str(runtime_files / "run"),
            str(Path(rerun_cli.__file__).with_name("rerun")),
            str(tmp_path / "take.rrd"),
            *("--renderer", "vulkan", "--window-size", "1200x760"),
            *("--screenshot-to", str(tmp_path / "seen.png")),
        ],
        env=environment, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert (tmp_path / "seen.png").is_file(), done.stderr[-2000:]
    seen = np.asarray(Image.open(tmp_path / "seen.png").convert("RGB")).astype(int)
    height, width, _ = seen.shape
    robot = seen[: 6 * height // 10, : width // 2]
    cube = (robot[..., 0] > 150) & (robot[..., 1] < 130) & (robot[..., 2] < 60)
    assert 50 < cube.sum() < 20_000, "the cube lies on the table, seen from outside"
    table = (robot.min(axis=2) > 200).sum()
    assert table > 3_000
