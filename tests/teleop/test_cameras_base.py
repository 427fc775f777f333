"""Pictures on the bus, and which cameras a run captures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retarget.rig import RigCamera
from teleop.cameras.base import (
    CameraError,
    Codec,
    Picture,
    camera_plan,
    find_cameras,
    message_bytes,
)
from teleop.config import CameraConfig, RunConfig
from teleop.samples import CAMERA_HEADER

times = st.integers(-(2**63), 2**63 - 1)


@given(
    st.builds(
        Picture,
        name=st.just("head_left"),
        width=st.integers(0, 2**32 - 1),
        height=st.integers(0, 2**32 - 1),
        t_ns=times,
        t_device_ns=times,
        t_receive_ns=times,
        payload=st.binary(max_size=64),
        seq=st.integers(0, 2**64 - 1),
        codec=st.sampled_from(Codec),
        key=st.booleans(),
    )
)
def test_unpack_of_pack_is_the_picture(picture: Picture) -> None:
    message = picture.pack()
    assert len(message) == CAMERA_HEADER.itemsize + len(picture.payload)
    again = Picture.unpack("head_left", message)
    assert again.pack() == message
    assert (again.name, again.seq, again.t_ns) == (picture.name, picture.seq, picture.t_ns)
    assert (again.codec, again.key, again.payload) == (picture.codec, picture.key, picture.payload)


def test_short_messages_are_refused() -> None:
    with pytest.raises(CameraError, match=r"'wrist_left'.*3 bytes"):
        Picture.unpack("wrist_left", b"abc")


def test_unknown_codecs_are_refused() -> None:
    message = bytearray(Picture("x", 1, 1, 0, 0, 0, b"").pack())
    message[CAMERA_HEADER.fields["codec"][1]] = 99  # type: ignore[index]
    with pytest.raises(CameraError, match="codec 99"):
        Picture.unpack("x", bytes(message))


def test_unknown_group_lists_what_is_installed() -> None:
    with pytest.raises(CameraError, match=r"'kinect'.*mujoco"):
        find_cameras("kinect")


def rig(*names: str) -> Any:
    return SimpleNamespace(
        sections={},
        cameras=[RigCamera(n, n, 960, 600, "", 60.0) for n in names],
    )


def config(**settings: Any) -> RunConfig:
    return RunConfig(instance="t", run_dir="unused", render="cpu", **settings)


def test_plan_takes_the_rigs_cameras_but_not_the_ceilings() -> None:
    plan = camera_plan(rig("head_left", "wrist_right", "ceiling"), config())
    assert [(c.name, c.width, c.height) for c in plan] == [
        ("head_left", 320, 200),
        ("wrist_right", 320, 200),
    ]


def test_plan_is_what_the_configuration_asks() -> None:
    asked = (CameraConfig(name="ceiling", width=64, height=48, rate_hz=5),)
    assert camera_plan(rig("head_left", "ceiling"), config(cameras=asked)) == asked


def test_a_rig_without_cameras_has_an_empty_plan() -> None:
    assert camera_plan(rig(), config()) == ()


def test_message_bound_holds_the_header_and_noise() -> None:
    camera = CameraConfig(name="x", width=320, height=240)
    assert message_bytes(camera) > CAMERA_HEADER.itemsize + 1.2 * 320 * 240


def test_only_rendered_pictures_follow_the_render_profile() -> None:
    devices = rig("front")
    devices.sections = {"camera_group": {"name": "devices"}}
    (camera,) = camera_plan(devices, config())
    assert (camera.width, camera.height) == (960, 600)


def test_the_codec_is_the_rigs_unless_the_run_asks_for_another() -> None:
    devices = rig()
    devices.cameras = [
        RigCamera("a", "a", 960, 600, "", 60.0, codec="png"),
        RigCamera("b", "b", 960, 600, "", 60.0, codec="depth", depth_unit_m=0.0005),
    ]
    of_rig, asked = camera_plan(devices, config()), camera_plan(devices, config(codec="h264"))
    assert [c.codec for c in of_rig] == ["png", "depth"]
    assert [c.codec for c in asked] == ["h264", "depth"], "depth is no colour"
    assert asked[1].depth_unit_m == 0.0005


def test_a_camera_that_cannot_have_its_codec_is_refused() -> None:
    odd = (CameraConfig(name="x", width=63, height=48, codec="h264"),)
    with pytest.raises(CameraError, match="even sides, got 63x48"):
        camera_plan(rig(), config(cameras=odd))
    with pytest.raises(CameraError, match="codec 'av1'; there are"):
        camera_plan(rig(), config(cameras=(CameraConfig(name="x", codec="av1"),)))
