"""Laws of the replay: what a device sent goes out again, as it was, when it was."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from recorder import Dataset, Episode
from teleop.hmd.recorded import (
    MAX_GAP_NS,
    NothingToReplayError,
    operator_frames,
    spacing_ns,
)
from teleop.hmd.replay import ReplayOperator
from teleop.protocol import (
    SUBPROTOCOL,
    Claim,
    ClaimGranted,
    Event,
    Hello,
    LastTake,
    Latency,
    LimitsInfo,
    OperatorInfo,
    RigInfo,
    Status,
    TrackingInfo,
    Welcome,
    decode_client_message,
    decode_tracking,
    empty_frame,
    encode_message,
)
from teleop.recording import operator_channels, split_operator
from teleop.samples import OPERATOR_FRAME, SIDES, Button

FIELDS = ("seq", "t_device_ns", "t_receive_ns", "presence", "head", "head_flags")


def make_frames(n: int = 40) -> np.ndarray:
    """An invented stream: squeezed throughout, A pressed at both ends, the right hand late."""
    rng = np.random.default_rng(1)
    frames = np.repeat(np.array([empty_frame()], OPERATOR_FRAME), n)
    for k, frame in enumerate(frames):
        frame["seq"], frame["t_device_ns"] = k, k * 10_000_000
        frame["t_receive_ns"] = frame["t_ns"] = 7_000_000_000 + k * 10_000_000
        frame["presence"] = 1 | 2 | (4 if k >= 3 else 0)
        frame["head_flags"], frame["head"][:3] = 15, rng.normal(size=3)
        for side in SIDES:
            block = frame[f"{side}_controller"]
            block["flags"], block["squeeze"], block["trigger"] = 15, 1.0, k / n
            block["grip"][:3] = rng.normal(size=3)
            block["buttons"] = int(Button.SQUEEZE)
        if k in (0, n - 1):
            frame["right_controller"]["buttons"] |= int(Button.PRIMARY)
    frames["right_controller"][:3] = empty_frame()["right_controller"]
    return frames


def record(path: Path, frames: np.ndarray) -> Episode:
    dataset = Dataset.open(path, create=True)
    writer = dataset.begin(
        operator_channels(), [], attributes={}, wall_time=datetime(2026, 1, 1, tzinfo=UTC)
    )
    for name, rows in split_operator(frames):
        writer.append(name, rows)
    return writer.finish({"outcome": "success"})


def test_frames_come_back_as_they_were_received(tmp_path: Path) -> None:
    frames = make_frames()
    again = operator_frames(record(tmp_path, frames))
    for field in (*FIELDS, "left_controller", "right_controller"):
        np.testing.assert_array_equal(again[field], frames[field])


def test_an_episode_without_an_operator_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(NothingToReplayError, match="operator/head"):
        operator_frames(record(tmp_path, make_frames(0)))


def test_spacing_is_the_devices_but_without_long_silences() -> None:
    frames = make_frames(4)
    frames["t_device_ns"] = [5, 15, 15 + 10 * MAX_GAP_NS, 3]  # a lost link, then a new clock
    np.testing.assert_array_equal(spacing_ns(frames), [0, 10, 10 + MAX_GAP_NS, 10 + MAX_GAP_NS])


class Host:
    """A server that believes everything at once."""

    def __init__(self) -> None:
        self.frames: list[np.void] = []
        self.events: list[Event] = []
        self.engaged, self.armed = (False, False), False
        self.recording = "idle"

    async def handle(self, socket: ServerConnection) -> None:
        try:
            async for data in socket:
                if isinstance(data, bytes):
                    self.take(decode_tracking(data, 0))
                else:
                    await self.message(socket, data)
                await socket.send(encode_message(self.status()))
        except ConnectionClosed:
            return

    def take(self, frame: np.void) -> None:
        self.frames.append(frame)
        squeezed = tuple(bool(frame[f"{s}_controller"]["squeeze"] > 0.7) for s in SIDES)
        self.armed = self.armed or not any(squeezed)
        self.engaged = (squeezed[0], squeezed[1]) if self.armed else (False, False)

    async def message(self, socket: ServerConnection, text: str) -> None:
        message = decode_client_message(text)
        if isinstance(message, Hello):
            welcome = Welcome(
                session_id="s",
                role="operator",
                rig=RigInfo(name="r", joint_names=(), gripper_names=(), tips={}),
                streams=(),
                control_rate_hz=200,
                server_time_ns=0,
                limits=LimitsInfo(max_message_bytes=1, max_messages_per_s=1),
            )
            await socket.send(encode_message(welcome))
        elif isinstance(message, Claim):
            await socket.send(encode_message(ClaimGranted()))
        elif isinstance(message, Event):
            self.events.append(message)
            states = {"record_start": "recording", "record_stop": "review", "save": "idle"}
            self.recording = states.get(message.name.value, self.recording)

    def status(self) -> Status:
        saved = any(e.name.value == "save" for e in self.events)
        return Status(
            motion="idle",
            engaged=self.engaged,
            recording=self.recording,
            take=0,
            countdown_s=0.0,
            recording_s=0.0,
            task="",
            prompt="",
            review=self.recording == "review",
            operator=OperatorInfo(),
            calibrated=True,
            reach_scale=1.0,
            latency_ms=Latency(),
            tracking=TrackingInfo(),
            rates={},
            drops=0,
            notices=(),
            last_take=LastTake(id="copy", verdict="") if saved else None,
        )


async def test_a_replay_engages_records_and_sends_every_frame_once(tmp_path: Path) -> None:
    frames, host = make_frames(), Host()
    frames["right_controller"][:3]["flags"] = 15
    frames["right_controller"][:3]["squeeze"] = 1.0
    frames["presence"] |= 4
    episode = record(tmp_path, frames)
    async with serve(
        host.handle, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL], compression=None
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        result = await ReplayOperator(episode, f"http://127.0.0.1:{port}", "t").perform()
    assert (result["episode_id"], result["frames"]) == ("copy", len(frames))
    assert result["source_id"] == episode.id
    names = [e.name.value for e in host.events]
    assert names == ["home", "record_start", "record_stop", "save"]
    assert host.events[-1].args.outcome == "success"

    sent = np.array(host.frames)
    assert (np.diff(sent["seq"].astype(np.int64)) > 0).all()
    assert (sent["source"] == 0).all()  # the kind travels in hello, not in every message
    pressed = sent["right_controller"]["buttons"] & int(Button.PRIMARY)
    assert not pressed.any()
    # Somewhere in what was sent lie all frames of the original, in order, values untouched.
    triggers = sent["left_controller"]["trigger"]
    last = len(frames) - 1
    start = int(np.flatnonzero(triggers > 0)[0]) - 1
    played = sent[start : start + last + 1]
    np.testing.assert_allclose(played["head"], frames["head"], atol=1e-6)
    np.testing.assert_allclose(
        played["left_controller"]["trigger"], frames["left_controller"]["trigger"], atol=1e-6
    )
    np.testing.assert_array_equal(np.diff(played["t_device_ns"]), 10_000_000)
