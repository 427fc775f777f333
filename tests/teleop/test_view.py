"""A recording for the Rerun viewer holds every part of a take; checked by Rerun's own tools."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from recorder import Dataset, StreamSpec
from teleop.bodyshapes import BodyShapes
from teleop.cli import main
from teleop.config import CameraConfig
from teleop.liveview import session_config
from teleop.samples import robot_state_dtype, row_sizes
from teleop.supervisor import Supervisor
from teleop.system import new_config
from teleop.view import Viewer, ViewError, import_rerun
from tests.retarget.conftest import cached_rig
from tests.teleop.viewtake import record_view_take


@pytest.fixture
def episode(tmp_path: Path) -> Path:
    return record_view_take(tmp_path)


def rerun_tool(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rerun", "rrd", *arguments],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_every_part_of_a_take_is_in_the_recording(episode: Path, tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    file = tmp_path / "take.rrd"
    with pytest.raises(SystemExit) as ended:
        main(["view", str(episode), "--save", str(file)])
    assert ended.value.code == 0
    assert "without error" in rerun_tool("verify", str(file))
    listed = rerun_tool("print", "-vv", str(file))
    joint = cached_rig("openarm").joint_names[0]
    for path in (
        "/cameras/front",
        f"/joints/measured/{joint}",
        f"/joints/requested/{joint}",
        "/robot/measured",
        "/robot/requested",
        "/robot/model/openarm_left_link4",
        "/scene/cube",
        "/targets/left_wrist",
        "/events",
    ):
        assert path in listed, path


def test_without_the_viewer_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ViewError, match=r"telecap\[view\]"):
        import_rerun()
    assert importlib.util.find_spec("teleop.view") is not None


def test_a_real_robots_fingers_are_placed_by_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: list[np.ndarray] = []
    poses = BodyShapes.poses
    monkeypatch.setattr(
        BodyShapes, "poses", lambda self, qpos: placed.append(qpos.copy()) or poses(self, qpos)
    )
    rerun = pytest.importorskip("rerun")
    rig = cached_rig("g1-dex3")
    names = {"position": {"names": list(rig.joint_names)}}
    state = robot_state_dtype(*row_sizes(rig))
    writer = Dataset.open(tmp_path / "data", create=True).begin(
        [StreamSpec("state", state, 100.0, names)], [], {"rig": "g1-dex3"}
    )
    rows = np.zeros(100, state)
    rows["t_ns"] = 10**9 + np.arange(100) * 10**7
    rows["position"], rows["finger"] = rig.q_home, rig.fingers_home
    rows["finger"][50:, 0] += 0.3
    writer.append("state", rows)
    episode = writer.finish()
    recording = rerun.RecordingStream("test")
    recording.save(str(tmp_path / "take.rrd"))
    assert "bodies" in list(Viewer(episode, recording).send())
    recording.flush()
    del recording
    listed = rerun_tool("print", "-vv", str(tmp_path / "take.rrd"))
    assert "/robot/model/left_hand" in listed
    bent = np.abs(placed[-1] - placed[0])
    assert np.flatnonzero(bent > 1e-9).size == 1 and bent.max() == pytest.approx(0.3)


@pytest.mark.system
def test_a_running_session_is_shown_live(tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    config = new_config(
        rig="openarm",
        dataset=str(tmp_path / "dataset"),
        port=0,
        render="cpu",
        cameras=(
            CameraConfig(name="head_left", width=160, height=120, rate_hz=15, codec="h264"),
            CameraConfig(name="wrist_left", width=160, height=120, rate_hz=15),
            CameraConfig(name="ceiling", width=160, height=120, rate_hz=10, codec="depth"),
        ),
    )
    file = tmp_path / "live.rrd"
    with Supervisor(config) as running:
        running.start()
        viewer = subprocess.Popen(
            [sys.executable, "-m", "teleop.cli", "view", config.run_dir, "--save", str(file)],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(6.0)
        viewer.send_signal(signal.SIGINT)
        _, said = viewer.communicate(timeout=20)
        assert viewer.returncode == 0, said
    text = rerun_tool("print", "-vv", str(file))
    for part in (
        "/cameras/head_left", "/cameras/wrist_left", "/cameras/ceiling", "/robot/measured",
        f"/joints/measured/{cached_rig('openarm').joint_names[0]}", "DepthImage", "EncodedImage",
    ):  # fmt: skip
        assert part in text, part


def test_what_is_no_session_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ViewError, match="is no session"):
        session_config(tmp_path)
