"""The native client's parts that need no runtime: what is told, what is seen, where, from where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from teleop.commands.hmd import AddressError, split_address, tls_context
from teleop.hmd.hudmodel import AMBER, HudInput, clock_text, hud_model
from teleop.hmd.openxr.bindings import BOOLEANS, FLOATS, PROFILES, STICK
from teleop.hmd.openxr.hudimage import HudImage
from teleop.hmd.openxr.panels import WristPanels
from teleop.hmd.openxr.placing import (
    BONE_M,
    Eye,
    angular,
    head_stream,
    heading,
    picture_quad,
    rigid,
    skeleton_quads,
    target_quads,
    wrist_quads,
)
from teleop.hmd.openxr.sampling import FreshDeadman
from teleop.protocol import (
    RIGHT_CONTROLLER_BIT,
    RIGHT_HAND_BIT,
    Notice,
    Status,
    StreamInfo,
    empty_frame,
)
from teleop.protocol.messages import GestureInfo, LastTake, Latency, OperatorInfo, TrackingInfo
from teleop.samples import Button

BLOCKED = (
    "pinocchio",
    "mujoco",
    "zarr",
    "numba",
    "iceoryx2",
    "retarget",
    "recorder",
    "calibration",
)
TANGENTS = (-0.9, 0.7, 0.8, -0.8)


def stream(name: str, eye: str = "", fovy_deg: float = 60.0) -> StreamInfo:
    return StreamInfo(
        id=0, name=name, eye=eye, width=640, height=480, fovy_deg=fovy_deg, codec="jpeg"
    )


def turned(yaw_rad: float, position: tuple[float, float, float] = (0.0, 1.6, 0.0)) -> np.ndarray:
    return np.array([*position, 0.0, np.sin(yaw_rad / 2), 0.0, np.cos(yaw_rad / 2)])


# ------------------------------------------------------------------ command


@pytest.mark.parametrize("command", [["hmd", "--help"], ["run"]])
def test_the_client_starts_without_the_robot_side(command: list[str]) -> None:
    program = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {BLOCKED}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import teleop.cli as cli\n"
        "cli.has_robot_side = lambda: False\n"
        f"cli.main({command!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    if command == ["run"]:
        assert done.returncode == 2
        assert "Linux" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert "OpenXR" in done.stdout


@pytest.mark.parametrize(
    ("address", "url", "token"),
    [
        ("http://127.0.0.1:8765", "http://127.0.0.1:8765", ""),
        ("http://10.0.0.5:8765/xr#token=abc", "http://10.0.0.5:8765", "abc"),
        ("https://robot.local:8765/#token=a-b_c", "https://robot.local:8765", "a-b_c"),
        ("robot:8765", "http://robot:8765", ""),
    ],
)
def test_an_address_is_taken_as_it_is_printed(address: str, url: str, token: str) -> None:
    assert split_address(address) == (url, token)


@pytest.mark.parametrize("address", ["ftp://robot", "http://", "file:///etc/passwd"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(AddressError, match="expected http"):
        split_address(address)


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nonsense")
    with pytest.raises(AddressError, match=r"ca\.pem"):
        tls_context("https://robot", tmp_path / "ca.pem")
    assert tls_context("http://robot", None) is None


# ------------------------------------------------------------------ controls


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.path.split("/")[-1])
def test_every_controller_has_a_deadman_and_no_control_twice(profile) -> None:
    pairs = profile.paths()
    names = {*FLOATS, *BOOLEANS, STICK, "grip", "aim", "haptic"}
    assert {name for name, _ in pairs} <= names
    for side in ("left", "right"):
        own = [(name, path) for name, path in pairs if f"/hand/{side}/" in path]
        assert "squeeze" in {name for name, _ in own}
        paths = [path for _, path in own]
        assert len(paths) == len(set(paths))


def test_after_a_jump_of_the_space_hands_count_only_when_newly_engaged() -> None:
    deadman = FreshDeadman()
    deadman.moved(1_000)

    def row(t_ns: int, squeeze: float) -> np.void:
        frame = empty_frame()
        frame["t_device_ns"], frame["presence"] = t_ns, RIGHT_CONTROLLER_BIT | RIGHT_HAND_BIT
        frame["right_controller"]["squeeze"] = squeeze
        frame["right_controller"]["buttons"] = int(Button.SQUEEZE | Button.PRIMARY)
        deadman.apply(frame)
        return frame

    held = row(2_000, 0.9)
    assert held["right_controller"]["squeeze"] == 0.0
    assert int(held["right_controller"]["buttons"]) == Button.PRIMARY
    assert int(held["presence"]) == RIGHT_CONTROLLER_BIT
    row(3_000, 0.05)
    again = row(600_000_000, 0.9)
    assert again["right_controller"]["squeeze"] == pytest.approx(0.9)
    assert int(again["presence"]) == RIGHT_CONTROLLER_BIT | RIGHT_HAND_BIT


# ------------------------------------------------------------------ places


def seen(eye: Eye, point: np.ndarray) -> np.ndarray:
    clip = eye.clip @ np.append(point, 1.0)
    assert clip[3] > 0, "in front of the eye"
    return clip[:3] / clip[3]


def test_a_direction_is_seen_at_its_tangent() -> None:
    eye = Eye("left", turned(0.3, (0.1, 1.6, 0.2)), TANGENTS)
    for across, along in ((-0.9, 0.8), (0.7, -0.8), (0.0, 0.0)):
        point = rigid(eye.pose) @ np.array([across * 2, along * 2, -2.0, 1.0])
        x, y, depth = seen(eye, point[:3])
        assert x == pytest.approx((across + 0.1) / 0.8)
        assert y == pytest.approx(along / 0.8)
        assert -1.0 < depth < 1.0


def test_a_picture_fills_the_angle_its_camera_saw() -> None:
    quad = angular(stream("head_left", fovy_deg=70.0))
    top = quad @ np.array([0.0, 1.0, 0.0, 1.0])
    assert np.degrees(np.arctan2(top[1], -top[2])) == pytest.approx(35.0)
    right = quad @ np.array([1.0, 0.0, 0.0, 1.0])
    assert right[0] / top[1] == pytest.approx(640 / 480)


def test_turning_the_head_does_not_move_the_robots_view() -> None:
    ahead = heading(turned(0.2))
    places = [
        picture_quad(stream("head_left", "left"), Eye("left", turned(yaw), TANGENTS), None, ahead)
        for yaw in (0.0, 0.5, -1.0)
    ]
    for quad in places[1:]:
        np.testing.assert_allclose(quad.T_stage_quad, places[0].T_stage_quad, atol=1e-12)


def test_each_eye_has_its_own_picture_where_there_is_one() -> None:
    pair = [stream("wrist_left"), stream("head_right", "right"), stream("head_left", "left")]
    assert head_stream(pair, "left") is pair[2]
    assert head_stream(pair, "right") is pair[1]
    assert head_stream([pair[1]], "left") is pair[1]
    single = stream("ceiling")
    assert head_stream([pair[0], single], "left") is single
    assert head_stream([pair[0]], "left") is None


def test_wrist_pictures_stay_low_at_the_sides_of_the_view() -> None:
    for yaw in (0.0, 1.3):
        head = turned(yaw)
        quads = wrist_quads([stream("wrist_left"), stream("wrist_right")], head, WristPanels())
        assert [quad.texture for quad in quads] == ["frame", "wrist_left", "frame", "wrist_right"]
        for sign, quad in zip((-1, 1), quads[1::2], strict=True):
            local = np.linalg.inv(rigid(head)) @ quad.T_stage_quad[:, 3]
            assert np.sign(local[0]) == sign
            assert local[1] < 0 and local[2] < 0


# ------------------------------------------------------------------ words


def known(status: Status | None, **changes: object) -> HudInput:
    return HudInput(status=status, status_age_s=0.1, is_open=True, has_claim=True, **changes)  # type: ignore[arg-type]


def a_status(**changes: object) -> Status:
    values: dict[str, object] = {
        "motion": "engaged", "engaged": (True, False), "recording": "idle", "take": 1,
        "countdown_s": 0.0, "recording_s": 0.0, "task": "", "prompt": "", "review": False,
        "operator": OperatorInfo(), "calibrated": True, "reach_scale": 1.0,
        "latency_ms": Latency(), "tracking": TrackingInfo(), "rates": {}, "drops": 0,
        "notices": (), "last_take": None,
    }  # fmt: skip
    return Status(**{**values, **changes})  # type: ignore[arg-type]


def test_what_matters_most_is_on_the_banner() -> None:
    stopped = a_status(motion="estop")
    assert hud_model(HudInput(status=stopped)).banner.title == "NO CONNECTION"  # type: ignore[union-attr]
    assert hud_model(known(stopped)).banner.title == "E-STOP"  # type: ignore[union-attr]
    old = HudInput(status=a_status(), status_age_s=2.0, is_open=True)
    assert hud_model(old).banner.title == "SERVER SILENT"  # type: ignore[union-attr]
    taken = HudInput(status=a_status(), status_age_s=0.1, is_open=True, holder="Quest")
    banner = hud_model(taken).banner
    assert banner is not None and "Quest" in banner.text
    assert hud_model(known(a_status())).banner is None


def test_a_bad_take_says_why_while_it_waits_for_its_label() -> None:
    last = LastTake(id="x", verdict="fail", reasons=("12 pictures missing", "jerk"))
    model = hud_model(known(a_status(recording="review", review=True, last_take=last)))
    assert model.lines[-1].text == "Check: fail. 12 pictures missing (and 1 more)"
    good = LastTake(id="x", verdict="pass", reasons=())
    assert not hud_model(known(a_status(review=True, last_take=good))).lines


def test_a_held_grip_in_hold_is_told_to_let_go() -> None:
    status = a_status(motion="hold", prompt="Hold a grip to move that arm.")
    assert hud_model(known(status, grip_held=True)).prompt.startswith("Let go")
    assert hud_model(known(status)).prompt == status.prompt
    watching = HudInput(status=status, status_age_s=0.1, is_open=True, holder="")
    assert hud_model(watching).prompt == ""


def test_notices_fade_and_warnings_stay() -> None:
    status = a_status(notices=("left arm at its limit",))
    fresh, old = (0.5, Notice(level="info", text="new")), (9.0, Notice(level="info", text="old"))
    texts = [line.text for line in hud_model(known(status, notices=(old, fresh))).lines]
    assert texts == ["left arm at its limit", "new"]


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "0:00"), (67.9, "1:07"), (-1.0, "0:00")])
def test_times_are_minutes_and_seconds(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


def test_the_hud_is_painted_anew_only_on_change_and_never_brighter_than_its_alpha() -> None:
    hud = HudImage()
    model = hud_model(known(a_status(task="Put the cube into the tray", prompt="Hold a grip.")))
    hud.paint(model)
    hud.paint(hud_model(known(a_status(task="Put the cube into the tray", prompt="Hold a grip."))))
    assert hud.version == 1
    assert (hud.rgba[..., :3] <= hud.rgba[..., 3:]).all()
    assert not hud.rgba[700:, :, 3].any(), "the middle and below are left free"
    hud.paint(hud_model(known(a_status(gesture=GestureInfo(text="hold to save", share=0.4)))))
    assert hud.version == 2


def test_words_too_long_are_made_smaller_then_cut_and_stay_inside_their_panel() -> None:
    hud = HudImage()
    hud.paint(hud_model(known(a_status(notices=("word " * 60,)))))
    amber = (hud.rgba == (*AMBER, 255)).all(axis=-1)
    rows = np.flatnonzero(amber.any(axis=1))
    strip = hud.rgba[rows[0] : rows[-1] + 1]
    assert not strip[:, :190, 3].any() and not strip[:, 1092:, 3].any()


def test_limbs_are_strips_from_point_to_point() -> None:
    points = [[0.0, 1.0, -0.3], [0.0, 1.0, -0.3], [0.2, 1.1, -0.5]]
    quads = skeleton_quads({"left": points})
    assert len(quads) == 2, "two strips a bone, none for points that are one"
    for quad in quads:
        ends = [quad.T_stage_quad @ np.array([0.0, y, 0.0, 1.0]) for y in (-1.0, 1.0)]
        np.testing.assert_allclose([end[:3] for end in ends], points[1:], atol=1e-12)
        assert np.linalg.norm(quad.T_stage_quad[:3, 0]) == pytest.approx(BONE_M)
    assert quads[0].T_stage_quad[:3, 0] @ quads[1].T_stage_quad[:3, 0] == pytest.approx(0.0)


def test_targets_are_darts_at_their_poses() -> None:
    quads = target_quads({"left_wrist": [0.1, 1.0, -0.4, 0.0, 0.0, 0.0, 1.0]})
    assert len(quads) == 3
    centres = np.array([quad.T_stage_quad[:3, 3] for quad in quads])
    assert np.linalg.norm(centres - [0.1, 1.0, -0.4], axis=1).max() < 0.15


def test_wrist_pictures_hang_where_they_are_wanted_or_nowhere() -> None:
    streams = [stream("wrist_left"), stream("wrist_right")]
    heights = {}
    for place in ("low", "high", "side"):
        quads = wrist_quads(streams, turned(0.0, (0.0, 0.0, 0.0)), WristPanels(place))
        heights[place] = quads[1].T_stage_quad[1, 3]
    assert heights["low"] < heights["side"] < heights["high"]
    assert wrist_quads(streams, turned(0.0), WristPanels("off")) == []
