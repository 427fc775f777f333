"""The pure parts of the gateway, one by one."""

from __future__ import annotations

import ssl
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.errors import NeutralPoseError
from calibration.operator import capture_neutral
from calibration.store import ProfileStore
from retarget import load_rig
from retarget.frames import pose_to_matrix
from teleop.effects import View
from teleop.gateway.auth import bearer_token, origin_allowed, token_matches
from teleop.gateway.claim import RESUME_NS, Claim
from teleop.gateway.labels import PendingLabels
from teleop.gateway.meters import LatencyMeter, RateMeter
from teleop.gateway.neutral import Neutral
from teleop.gateway.scene import SceneView, is_simulated
from teleop.gateway.status import Picture, Seen, build_status, prompt
from teleop.gateway.tls import host_names, make_certificates
from teleop.protocol import empty_frame
from teleop.samples import Motion, Recording, RobotStatus, command_dtype

VIEW = View(Motion.IDLE, Recording.IDLE, (False, False), (0, 0), 0, True, False, 0)
S = 1_000_000_000


# --- claim --------------------------------------------------------------------------------------


def test_the_claim_waits_for_its_lost_holder_and_no_longer() -> None:
    claim = Claim()
    assert claim.take("a", "A")
    assert not claim.take("b", "B")
    assert not claim.lose("b", 0)
    assert claim.lose("a", 0)
    assert not claim.expire(RESUME_NS)
    assert not claim.take("b", "B")
    assert claim.take("a", "A")
    assert not claim.expire(10 * RESUME_NS)
    claim.lose("a", 0)
    assert claim.expire(RESUME_NS + 1)
    assert claim.take("b", "B")
    assert not claim.release("a")
    assert claim.release("b")


# --- auth ---------------------------------------------------------------------------------------


def test_tokens_and_origins() -> None:
    assert token_matches("t", "t")
    assert not token_matches("t", "u")
    assert not token_matches("", "")
    assert bearer_token("Bearer abc") == "abc"
    assert bearer_token("Basic abc") == bearer_token(None) == ""
    assert origin_allowed(None, "host:1")
    assert origin_allowed("https://host:1", "HOST:1")
    for other in ("null", "https://host", "https://host:2", "https://host:1.evil", "ws://host:1"):
        assert not origin_allowed(other, "host:1")


# --- labels -------------------------------------------------------------------------------------


def test_labels_that_wait_go_to_the_last_take_when_the_next_begins() -> None:
    labels = PendingLabels()
    labels.stopped()
    assert labels.put({"op": "discard"}) == []
    assert labels.flush() == [{"op": "discard", "id": ""}]
    assert labels.flush() == []
    assert labels.reported({"state": "idle", "last": {"id": "a"}}) == []


def test_a_label_waits_for_the_id_of_its_own_take() -> None:
    labels = PendingLabels()
    labels.reported({"state": "idle", "last": {"id": "old"}})
    labels.stopped()
    assert labels.put({"op": "label"}) == []
    assert labels.reported({"state": "recording", "last": None}) == []
    assert labels.reported({"state": "idle", "last": {"id": "old"}}) == []
    assert labels.reported({"state": "idle", "last": {"id": "new"}}) == [
        {"op": "label", "id": "new"}
    ]
    assert labels.reported({"state": "idle", "last": {"id": "new"}}) == []
    assert labels.put({"op": "discard"}) == [{"op": "discard", "id": "new"}]


# --- meters -------------------------------------------------------------------------------------


def test_rates_follow_counts_and_survive_a_restarted_publisher() -> None:
    meter = RateMeter()
    for k in range(31):
        meter.update({"x": 10 * k}, k * S // 10)
    assert meter.rates["x"] == pytest.approx(100.0)
    meter.update({"x": 5}, 4 * S)
    meter.update({"x": 105}, 5 * S)
    assert meter.rates["x"] == pytest.approx(100.0)
    meter.update({}, 20 * S)
    assert meter.rates["x"] == 0.0


def test_latency_counts_first_uses_only() -> None:
    rows = np.zeros(3, command_dtype(1, 0))
    rows["t_operator_receive_ns"] = 1_000_000
    rows["t_ns"] = (3_000_000, 9_000_000, 5_000_000)
    rows["first_use"] = (True, False, True)
    meter = LatencyMeter()
    assert meter.median_ms is None
    meter.add(rows)
    assert meter.median_ms == 3.0


# --- status -------------------------------------------------------------------------------------


@pytest.mark.parametrize("motion", list(Motion))
@pytest.mark.parametrize("recording", list(Recording))
def test_there_is_always_one_prompt(motion: Motion, recording: Recording) -> None:
    assert prompt(replace(VIEW, motion=motion, recording=recording)).endswith((".", "?"))


def test_status_says_what_is_wrong() -> None:
    picture = Picture(
        replace(VIEW, motion=Motion.ENGAGED, engaged=(True, False)),
        recorder={"state": "idle", "drops": 3, "last": {"error": "disk full", "op": "start"}},
        health={"control": 0, "robot": 9 * S},
        robot_status=RobotStatus.FAULT,
        residual_m=(0.3, 0.3),
    )
    status = build_status(picture, 10 * S)
    text = " ".join(status.notices)
    for word in ("control", "fault", "left hand", "disk full"):
        assert word in text
    assert "right hand" not in text
    assert status.drops == 3
    assert status.last_take is None


def test_tracking_words() -> None:
    words = Seen(100, head_ns=950, left_ns=800).words(1000)
    assert (words.head, words.left, words.right) == ("ok", "lost", "absent")


# --- calibration at engage ----------------------------------------------------------------------


def standing() -> np.void:
    frame = empty_frame()
    frame["presence"], frame["head_flags"] = 7, 15
    frame["head"][:3] = (0.3, 1.6, 0.1)
    for side, x in (("left", 0.1), ("right", 0.5)):
        frame[f"{side}_controller"]["flags"] = 15
        frame[f"{side}_controller"]["grip"][:3] = (x, 1.3, -0.2)
    return frame


def test_neutral_is_identity_until_captured_then_puts_the_head_over_the_origin() -> None:
    neutral = Neutral(0.6)
    assert neutral.T_robot_stage.tolist() == [0, 0, 0, 0, 0, 0, 1]
    neutral.capture(standing())
    T_robot_stage = pose_to_matrix(neutral.T_robot_stage)
    assert T_robot_stage @ [0.3, 1.6, 0.1, 1.0] == pytest.approx([0, 0, 1.6, 1])
    assert 0.5 <= neutral.reach_scale <= 2.0


def test_looking_at_the_floor_is_no_neutral_pose() -> None:
    frame = standing()
    frame["head"][3:] = (-np.sin(np.pi / 4), 0, 0, np.cos(np.pi / 4))
    with pytest.raises(NeutralPoseError):
        Neutral(0.6).capture(frame)


def test_a_measured_reach_is_kept_over_runs(tmp_path: Path) -> None:
    store = ProfileStore(tmp_path)
    head = pose_to_matrix([0, 1.6, 0, 0, 0, 0, 1])
    guessed = capture_neutral(head, None, None, 0.6, name="ana")
    store.save(replace(guessed, operator_reach_m=0.5, reach_source="hands"))
    neutral = Neutral(0.6, "ana", store)
    neutral.capture(standing())
    assert neutral.reach_scale == pytest.approx(1.2)
    assert store.history("ana") == [1, 2]


# --- scene --------------------------------------------------------------------------------------


def test_the_scene_shows_objects_and_tips_where_the_rig_has_them() -> None:
    rig = load_rig("openarm")
    assert is_simulated(rig)
    scene = SceneView(rig)
    row = np.zeros(1, scene.dtype)[0]
    row["qpos"] = rig.compile(scene=True).key("home").qpos
    row["t_ns"] = 5
    poses = scene.poses(row)
    assert poses["t_ns"] == 5
    assert set(poses["objects"]) == {"cube", "tray"}
    assert poses["objects"]["cube"][:2] == pytest.approx([0.41, -0.18])
    for tip, T_robot_tip in rig.forward(rig.q_home).items():
        assert poses["tips"][tip][:3] == pytest.approx(T_robot_tip[:3, 3], abs=1e-6)


# --- certificates -------------------------------------------------------------------------------


def test_certificates_are_private_trusted_and_of_one_authority(tmp_path: Path) -> None:
    first = make_certificates(tmp_path, host_names())
    authority = first.authority.read_bytes()
    again = make_certificates(tmp_path, [*host_names(), "robot.local"])
    assert again.authority.read_bytes() == authority
    for key in (first.key, tmp_path / "ca.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(again.chain, again.key)
    client = ssl.create_default_context(cafile=str(again.authority))
    assert "localhost" in host_names()
    assert _handshake(server, client, "robot.local")


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bool:
    """A TLS handshake in memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=name)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[str] = set()
    for _ in range(10):
        for who, end in (("near", near), ("far", far)):
            try:
                end.do_handshake()
                done.add(who)
            except ssl.SSLWantReadError:
                continue
    return done == {"near", "far"}
