"""The operator socket over a real connection: who gets in, who is thrown out, and what moves."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed

from teleop.protocol import decode_video
from teleop.samples import Button, Motion, Recording, Tracking
from tests.teleop.gateway_rig import Rig, headset, serving


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with serving(tmp_path / "dataset") as served:
        yield served


def motion(rig: Rig) -> Motion:
    return rig.hub.session.view().motion


async def test_hello_is_answered_by_rig_streams_and_limits(rig: Rig) -> None:
    async with headset(rig) as hmd:
        welcome = await hmd.hello()
        assert welcome["rig"]["joint_names"] == ["a", "b"]
        assert welcome["streams"][0]["name"] == "head_left"
        assert welcome["limits"]["max_message_bytes"] == 65536
        assert (await hmd.hear("status"))["motion"] == "idle"


async def test_wrong_token_is_refused(rig: Rig) -> None:
    async with headset(rig) as hmd:
        await hmd.say("hello", client="webxr", token="guess")
        code, reason = await hmd.closed()
        assert code == 4401
        assert "token" in reason


async def test_wrong_subprotocol_is_refused_with_a_reason(rig: Rig) -> None:
    async with headset(rig, subprotocol="telecap.v9") as hmd:
        code, reason = await hmd.closed()
        assert code == 4406
        assert "telecap.v1" in reason


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_page_of_another_origin_is_refused(rig: Rig, origin: str) -> None:
    async with headset(rig, additional_headers={"Origin": origin}) as hmd:
        assert (await hmd.closed())[0] == 4403


async def test_our_own_page_is_let_in(rig: Rig) -> None:
    async with headset(rig, additional_headers={"Origin": rig.url}) as hmd:
        await hmd.hello()


async def test_the_second_operator_is_refused_until_the_first_releases(rig: Rig) -> None:
    async with headset(rig) as first, headset(rig) as second:
        await first.hello(device="one")
        await second.hello(device="two")
        await first.say("claim")
        await first.hear("claim_granted")
        await second.say("claim")
        refused = await second.hear("claim_granted", "claim_refused")
        assert (refused["type"], refused["holder"]) == ("claim_refused", "one")
        await first.say("release")
        await first.until(operator={"connected": False, "name": "", "device": ""})
        await second.say("claim")
        await second.hear("claim_granted")


async def test_a_watcher_cannot_claim(rig: Rig) -> None:
    async with headset(rig) as hmd:
        await hmd.hello(role="watcher")
        await hmd.say("claim")
        await hmd.hear("claim_refused")


async def test_only_the_holders_tracking_reaches_the_bus(rig: Rig) -> None:
    async with headset(rig) as first, headset(rig) as second:
        await first.hello()
        await second.hello()
        await first.say("claim")
        await first.hear("claim_granted")
        await second.hold(0.1, squeeze=(True, True))
        await first.hold(0.05)
        await first.hear("status")
        assert 0 < len(rig.sent("operator/frame")) <= 5
        assert sorted(client.ignored for client in rig.hub.clients) == [0, 10]


async def test_state_precedes_each_frame_and_engages_before_it(rig: Rig) -> None:
    async with headset(rig) as hmd:
        await hmd.hello()
        await hmd.say("claim")
        await hmd.hold(0.05)
        await hmd.hold(0.1, squeeze=(True, False))
        await hmd.until(motion="engaged", engaged=[True, False])
    topics = [(name, data) for name, data in rig.log if name in ("operator/frame", "session/state")]
    for (before, _), (name, _) in pairwise(topics):
        assert name != "operator/frame" or before == "session/state"
    engaged = [data for name, data in topics if name == "session/state" and data["engaged"][0]]
    assert engaged[0]["engage_count"].tolist() == [1, 0]
    assert not np.array_equal(engaged[0]["T_robot_stage"], [0, 0, 0, 0, 0, 0, 1])


async def test_a_nan_pose_neither_engages_nor_moves(rig: Rig) -> None:
    async with headset(rig) as hmd:
        await hmd.hello()
        await hmd.say("claim")
        await hmd.hold(0.05)
        nan = (np.nan,) * 7
        await hmd.hold(0.2, squeeze=(True, True), grip=nan)
        await hmd.hear("status")
        assert rig.hub.session.view().engaged == (False, False)
        frame = rig.sent("operator/frame")[-1]
        assert frame["left_controller"]["flags"] & Tracking.VALID == 0
        (client,) = rig.hub.clients
        assert client.connection.counters.invalid_poses >= 20


async def test_tracking_that_stops_holds_and_a_resumed_session_keeps_claim_and_take(
    rig: Rig,
) -> None:
    async with headset(rig) as hmd:
        await hmd.hello(device="quest")
        await hmd.say("claim")
        await hmd.hold(0.05)
        await hmd.hold(0.05, squeeze=(True, True))
        await hmd.say("event", name="record_start")
        await hmd.until(recording="recording", motion="engaged")
        rig.recorder = {"state": "recording", "take": 1, "last": None}
        session_id = hmd.session_id
        hmd.socket.transport.abort()
    while motion(rig) is not Motion.HOLD:
        await asyncio.sleep(0.01)
    assert rig.hub.session.view().recording is Recording.RECORDING
    async with headset(rig) as other, headset(rig) as back:
        await other.hello(device="thief")
        await other.say("claim")
        assert (await other.hear("claim_refused"))["holder"] == "quest"
        welcome = await back.hello(device="quest", resume=session_id)
        assert welcome["session_id"] == session_id
        await back.hear("claim_granted")
        await back.hold(0.1, squeeze=(True, True))
        assert motion(rig) is Motion.HOLD  # still pressed from before: no fresh press
        await back.hold(0.05)
        await back.hold(0.05, squeeze=(True, True))
        await back.until(motion="engaged", recording="recording")
    kinds = [kind for kind, _ in rig.sent("event")]
    assert kinds.count("operator_lost") >= 1
    assert "operator_resumed" in kinds
    starts = [c for c in rig.sent("recorder/command") if c["op"] == "start"]
    assert len(starts) == 1


async def test_a_resumed_session_replaces_its_half_dead_connection(rig: Rig) -> None:
    async with headset(rig) as old, headset(rig) as new:
        await old.hello()
        await old.say("claim")
        await old.hear("claim_granted")
        await new.hello(resume=old.session_id)
        await new.hear("claim_granted")
        assert (await old.closed())[0] == 4409
        await new.until(operator={"connected": True, "name": "", "device": "test"})


async def test_a_stranger_cannot_resume(rig: Rig) -> None:
    async with headset(rig) as first, headset(rig) as second:
        await first.hello()
        await first.say("claim")
        await first.hear("claim_granted")
        welcome = await second.hello(resume="guess")
        assert welcome["session_id"] not in ("guess", first.session_id)
        await second.say("claim")
        await second.hear("claim_refused")


async def test_the_claim_is_free_again_when_its_holder_stays_away(rig: Rig) -> None:
    async with headset(rig) as first:
        await first.hello()
        await first.say("claim")
        await first.hear("claim_granted")
    while rig.hub.claim.lost_ns is None:
        await asyncio.sleep(0.01)
    rig.hub.claim.lost_ns -= 6_000_000_000
    async with headset(rig) as second:
        await second.hello()
        await second.hear("status")
        await second.say("claim")
        await second.hear("claim_granted")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 4400),
        ('{"type":"nonsense"}', 4400),
        (b"\x01", 4400),
        (b"\x02" + bytes(15), 4400),
        ("x" * 70_000, 4413),
        (bytes(70_000), 4413),
    ],
)
async def test_malformed_and_oversized_messages_close_their_connection_only(
    rig: Rig, message: str | bytes, code: int
) -> None:
    async with headset(rig) as good, headset(rig) as bad:
        await good.hello()
        await bad.hello()
        await bad.socket.send(message)
        assert (await bad.closed())[0] == code
        await good.say("claim")
        await good.hear("claim_granted")


async def test_a_flood_closes_and_the_arms_hold(rig: Rig) -> None:
    async with headset(rig) as hmd:
        await hmd.hello()
        await hmd.say("claim")
        await hmd.hold(0.05)
        await hmd.hold(0.05, squeeze=(True, True))
        await hmd.until(motion="engaged")
        with contextlib.suppress(ConnectionClosed):
            for _ in range(5000):
                await hmd.track(squeeze=(True, True))
        assert (await hmd.closed())[0] == 4429
    while rig.hub.clients:
        await asyncio.sleep(0.01)
    assert motion(rig) is Motion.HOLD


async def test_estop_on_the_controller_and_from_a_watcher(rig: Rig) -> None:
    async with headset(rig) as hmd, headset(rig) as watcher:
        await hmd.hello()
        await watcher.hello(role="watcher", client="console")
        await hmd.say("claim")
        await hmd.hold(0.05)
        await hmd.track(left_buttons=int(Button.SECONDARY))
        await hmd.until(motion="estop")
        haptics = [m for m in hmd.heard if m["type"] == "haptics"]
        assert {m["side"] for m in haptics} == {"left", "right"}
        await hmd.hold(0.05)
        await watcher.say("event", name="estop_reset")
        await hmd.until(motion="hold")
        await watcher.say("event", name="estop")
        await hmd.until(motion="estop")


async def test_a_stranger_may_stop_but_not_start(rig: Rig) -> None:
    async with headset(rig) as hmd:
        await hmd.hello(role="watcher", client="webxr")
        await hmd.say("event", name="record_start")
        assert "only the operator" in (await hmd.hear("notice"))["text"]
        await hmd.say("event", name="estop")
        await hmd.until(motion="estop")


async def test_a_take_is_started_stopped_and_labelled_once_its_id_is_known(rig: Rig) -> None:
    async with headset(rig) as hmd:
        await hmd.hello()
        await hmd.say("claim")
        await hmd.hold(0.15)
        await hmd.say("event", name="record_start")
        await hmd.until(recording="recording")
        rig.recorder = {"state": "recording", "take": 1, "last": None}
        await hmd.say("event", name="record_stop")
        await hmd.until(recording="review", review=True)
        await hmd.say("event", name="save", args={"outcome": "success"})
        await hmd.until(recording="idle")
        assert [c["op"] for c in rig.sent("recorder/command")] == ["start", "stop"]
        last = {"id": "e1", "verdict": "pass", "reasons": []}
        rig.recorder = {"state": "idle", "last": last}
        await hmd.until(last_take=last)
    start, stop, label = rig.sent("recorder/command")
    assert (start["take"], start["task"]) == (1, "wave")
    assert start["attributes"]["client"]["device"] == "test"
    assert stop["attributes"]["clock"]["samples"] >= 3
    assert (label["op"], label["id"], label["outcome"]) == ("label", "e1", "success")


async def test_a_picture_reaches_those_who_asked_for_it(rig: Rig) -> None:
    async with headset(rig) as eye, headset(rig) as blind:
        await eye.hello(video=["*"])
        await blind.hello(video=["wrist"])
        rig.show(41)
        picture = decode_video(await eye.hear_picture())
        assert (picture.stream_id, picture.seq, picture.t_capture_ns) == (0, 41, 41_000)
        assert picture.payload == b"jpeg"
        assert picture.key
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await blind.hear_picture()


async def test_device_time_is_mapped_to_the_host_clock(rig: Rig) -> None:
    async with headset(rig) as hmd:
        await hmd.hello()
        await hmd.say("claim")
        for _ in range(6):
            await hmd.hear("ping")
        before_ns = time.monotonic_ns()
        await hmd.track()
        while not rig.sent("operator/frame"):
            await asyncio.sleep(0.005)
        frame = rig.sent("operator/frame")[-1]
        assert before_ns - 50_000_000 < frame["t_ns"] <= frame["t_receive_ns"] + 50_000_000


async def test_stopping_tells_every_client(rig: Rig) -> None:
    async with headset(rig) as hmd:
        await hmd.hello()
        rig.hub.stop()
        code, reason = await hmd.closed()
        assert code == 4410
        assert "stopping" in reason
