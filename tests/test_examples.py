"""The examples run as their headers say, on a tiny take made the way the system makes one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from recorder import CameraSpec, Dataset, Episode
from retarget import Rig, load_rig
from retarget.frames import matrix_to_pose
from teleop.control import ControlConfig, ControlCore, Outputs
from teleop.protocol import HEAD_BIT, RIGHT_CONTROLLER_BIT, empty_frame
from teleop.recording import operator_channels, rig_channels, split_operator
from teleop.samples import SESSION_STATE, Motion, Recording, Tracking, robot_state_dtype
from teleop.supervisor import Supervisor
from teleop.system import new_config

EXAMPLES = Path(__file__).parents[1] / "examples"
RATE_HZ, TICKS = 200, 160
T0_NS = 10_000_000_000
GOOD = int(Tracking.VALID | Tracking.TRACKED)


def run(example: str, *args: object) -> str:
    """Output of an example that must succeed."""
    command = [sys.executable, str(EXAMPLES / example), *map(str, args)]
    here = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=here
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def operator_frame(tick: int, t_ns: int) -> np.void:
    """A person whose right hand rests for a moment, then moves up and forward."""
    frame = empty_frame()
    frame["seq"], frame["t_device_ns"] = tick + 1, t_ns
    frame["t_ns"] = frame["t_receive_ns"] = t_ns
    frame["presence"], frame["head_flags"] = HEAD_BIT | RIGHT_CONTROLLER_BIT, GOOD
    along = 0.05 * np.sin(np.pi * max(tick - 40, 0) / TICKS)
    controller = frame["right_controller"]
    controller["flags"], controller["squeeze"] = GOOD, 1.0
    controller["grip"] = [0.2, 1.1 + along, -0.4 - along, 0.0, 0.0, 0.0, 1.0]
    return frame


def session_row(t_ns: int) -> np.void:
    row = np.zeros(1, SESSION_STATE)[0]
    row["t_ns"], row["motion"], row["recording"] = t_ns, Motion.ENGAGED, Recording.RECORDING
    row["engaged"], row["engage_count"] = (False, True), (0, 1)
    row["T_robot_stage"] = matrix_to_pose(np.eye(4))
    row["reach_scale"] = 1.0
    return row


def state_row(rig: Rig, t_ns: int, position: np.ndarray) -> np.void:
    row = np.zeros(1, robot_state_dtype(len(rig.joint_names), len(rig.gripper_names)))[0]
    row["t_ns"] = row["t_device_ns"] = t_ns
    row["position"], row["gripper"], row["gripper_command"] = position, 1.0, 1.0
    return row


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """0.8 s of the real control law following a hand, recorded with the real channels."""
    rig = load_rig("openarm")
    core = ControlCore(rig, ControlConfig(rate_hz=RATE_HZ))
    dataset = Dataset.open(tmp_path_factory.mktemp("examples") / "dataset", create=True)
    specs = [c.spec for c in rig_channels(rig)] + operator_channels()
    attributes = {"rig": rig.name, "model_hash": rig.model_hash, "task": "reach", "take": 1}
    writer = dataset.begin(specs, [CameraSpec("head_left", 64, 48)], attributes)
    position = rig.q_home
    for tick in range(TICKS):
        t_ns = T0_NS + tick * 1_000_000_000 // RATE_HZ
        frame, session = operator_frame(tick, t_ns), session_row(t_ns)
        state = state_row(rig, t_ns, position)
        outputs = core.tick(session, frame, state, t_ns, tick)
        assert isinstance(outputs, Outputs)
        position = outputs.command["position"].copy()
        rows = {
            "state": state,
            "session": session,
            "target": outputs.target,
            "solution": outputs.solution,
            "command/requested": outputs.command,
            "command/sent": outputs.command,
        }
        for name, row in rows.items():
            writer.append(name, np.atleast_1d(np.asarray(row)))
        for name, part in split_operator(np.array([frame])):
            writer.append(name, part)
        if tick % 7 == 0:
            picture = np.full((48, 64, 3), tick, np.uint8)
            stamps = {"t_ns": t_ns, "t_device_ns": t_ns, "t_receive_ns": t_ns + 5_000_000}
            jpeg = simplejpeg.encode_jpeg(picture)
            writer.append_picture("head_left", jpeg, **stamps, seq=tick // 7)
    writer.event(T0_NS, "start", {"take": 1})
    return writer.finish({"outcome": "success"}).path


def test_reading_shows_every_stream_and_gives_the_recorded_picture(
    episode: Path, tmp_path: Path
) -> None:
    shown = run("01_read_episode.py", episode, "--picture", tmp_path / "first.jpg")
    opened = Episode(episode)
    assert all(name in shown for name in (*opened.streams, *opened.cameras))
    assert (tmp_path / "first.jpg").read_bytes() == opened.camera("head_left").encoded(0)


def test_aligned_samples_hold_joints_action_and_picture(episode: Path) -> None:
    shown = run("02_align_and_iterate.py", episode, "--fps", 30, "--limit", 2)
    assert "100.0% valid" in shown
    assert "0: (16,) -> (16,), {'head_left': (48, 64, 3)}" in shown


def test_the_retargeter_repeats_the_recorded_solution(episode: Path) -> None:
    shown = run("03_retarget_offline.py", episode)
    assert "same model as recorded: yes" in shown
    assert float(shown.split("largest difference ")[1].split()[0]) < 1e-9
    moved = np.ptp(Episode(episode).stream("solution")["position"], axis=0)
    assert moved.max() > 0.05, "the arm must have moved for this to mean anything"


def test_a_made_up_leader_is_refused_from_afar_then_followed() -> None:
    shown = run("05_leader_arms.py", "--seconds", 2)
    assert "refused: the leader is too far" in shown
    assert 0.1 < float(shown.split("caught up after ")[1].split()[0]) < 1.5
    assert float(shown.split(" mrad rms")[0].split()[-1]) < 10


@pytest.mark.system
def test_a_third_party_client_moves_the_arm(tmp_path: Path) -> None:
    config = new_config(dataset=str(tmp_path / "dataset"), port=0, render="cpu")
    with Supervisor(config) as system:
        system.start()
        shown = run("04_drive_by_socket.py", system.url, config.token, "--seconds", 3)
    assert int(shown.split("followed ")[1].split("%")[0]) > 50, json.dumps(shown)
