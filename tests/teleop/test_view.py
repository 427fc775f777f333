"""A recording for the Rerun viewer holds every part of a take; checked by Rerun's own tools."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from recorder import CameraSpec, Dataset, StreamSpec
from teleop.cli import main
from teleop.view import ViewError, import_rerun
from tests.retarget.conftest import cached_rig

S = 1_000_000_000


@pytest.fixture
def episode(tmp_path: Path) -> Path:
    rig = cached_rig("openarm")
    names = list(rig.joint_names)
    state = np.dtype([("t_ns", np.int64), ("position", np.float64, (len(names),))])
    specs = [
        StreamSpec("state", state, 100.0, {"position": {"names": names}}),
        StreamSpec("command/requested", state, 100.0, {"position": {"names": names}}),
    ]
    dataset = Dataset.open(tmp_path / "data", create=True)
    writer = dataset.begin(specs, [CameraSpec("front", 32, 32, 30.0)], {"rig": "openarm"})
    rows = np.zeros(100, state)
    rows["t_ns"] = S + np.arange(100) * S // 100
    rows["position"] = rig.q_home
    for spec in specs:
        writer.append(spec.name, rows)
    for k in range(30):
        encoded = simplejpeg.encode_jpeg(np.full((32, 32, 3), k, np.uint8))
        writer.append_picture("front", encoded, S + k * S // 30, k, S + k * S // 30, k)
    writer.event(S + S // 2, "pause")
    found = writer.finish()
    writer.wait_settled()
    return found.path


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
        "/events",
    ):
        assert path in listed, path


def test_without_the_viewer_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ViewError, match=r"telecap\[view\]"):
        import_rerun()
    assert importlib.util.find_spec("teleop.view") is not None
