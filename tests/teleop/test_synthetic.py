"""Laws of the synthetic person: the body alone, then the whole operator against a small host."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from calibration import capture_neutral
from retarget import Clutch
from retarget.frames import exp3, matrix_to_pose, pose_to_matrix
from teleop.hmd import synthetic
from teleop.hmd.body import BodyNoise, ClutchInverse, SyntheticBody
from teleop.hmd.client import ClientError
from teleop.hmd.synthetic import SyntheticOperator, TakeResult
from teleop.hmd.task import TaskPlan
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
    encode_message,
    encode_tracking,
)
from teleop.samples import SIDES, Button, Source, Tracking

QUIET = BodyNoise(
    tremor_m=0.0,
    tremor_rad=0.0,
    tracker_m=0.0,
    tracker_rad=0.0,
    dropouts_per_s=0.0,
    losses_per_s=0.0,
)
EYES = {side: np.eye(4) for side in SIDES}
vectors = st.tuples(*[st.floats(-1.5, 1.5)] * 3)


def pose(p: tuple[float, ...], w: tuple[float, ...]) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = exp3(w), p
    return T


@given(rest=st.tuples(vectors, vectors), tip=st.tuples(vectors, vectors),
       goal=st.tuples(vectors, vectors), scale=st.floats(0.5, 2.0))  # fmt: skip
def test_the_inverse_clutch_puts_the_tip_where_it_is_wanted(
    rest: tuple, tip: tuple, goal: tuple, scale: float
) -> None:
    head = pose((0.3, 1.6, -0.2), (0.0, 0.0, 0.0))
    T_robot_stage = capture_neutral(head, None, None, 0.7).T_robot_stage
    inverse, clutch = ClutchInverse(pose(*rest)), Clutch(scale)
    inverse.engage(pose(*tip), scale)
    clutch.engage(T_robot_stage @ pose(*rest), pose(*tip))
    reached = clutch.target(T_robot_stage @ inverse.hand(pose(*goal)))
    np.testing.assert_allclose(reached, pose(*goal), atol=1e-9)


def test_engaging_again_moves_no_hand() -> None:
    inverse = ClutchInverse(pose((0.2, 1.1, -0.4), (0.1, 0.2, 0.3)))
    inverse.engage(np.eye(4), 1.0)
    moved = inverse.hand(pose((0.1, 0.0, 0.2), (0.3, 0.0, 0.0)))
    inverse.release()
    np.testing.assert_array_equal(inverse.hand(np.eye(4)), moved)
    inverse.engage(pose((5.0, 0.0, 0.0), (0.0, 0.0, 1.0)), 0.7)
    again = inverse.hand(pose((5.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    np.testing.assert_allclose(again, moved, atol=1e-12)


def rows(body: SyntheticBody, n: int) -> list[np.void | None]:
    return [body.frame(k / 90, k * 11_111_111, EYES) for k in range(n)]


def test_the_same_seed_gives_the_same_person() -> None:
    def stream(seed: int) -> list[bytes]:
        return [
            b"" if r is None else encode_tracking(r) for r in rows(SyntheticBody(seed=seed), 50)
        ]

    assert stream(3) == stream(3)
    assert stream(3) != stream(4)


def test_what_it_sends_is_a_valid_message_marked_synthetic() -> None:
    row = rows(SyntheticBody(noise=QUIET), 1)[0]
    assert row is not None
    assert row["source"] == Source.SYNTHETIC
    received = decode_tracking(encode_tracking(row), 0)
    np.testing.assert_allclose(received["head"], row["head"], atol=1e-6)
    assert received["right_controller"]["flags"] == int(Tracking.VALID | Tracking.TRACKED)


def test_a_quiet_neutral_person_calibrates_to_the_known_map() -> None:
    row = rows(SyntheticBody(noise=QUIET), 1)[0]
    assert row is not None
    profile = capture_neutral(pose_to_matrix(row["head"]), None, None, 0.7)
    np.testing.assert_allclose(profile.T_robot_stage[:3, :3] @ [0, 0, -1], [1, 0, 0], atol=1e-9)


def test_tremor_and_tracker_noise_have_the_stated_size() -> None:
    noise = BodyNoise(dropouts_per_s=0.0, losses_per_s=0.0)
    grips = np.array(
        [r["right_controller"]["grip"] for r in rows(SyntheticBody(noise=noise), 2700) if r]
    )
    spread = grips[:, :3].std(axis=0)
    expected = np.hypot(noise.tremor_m, noise.tracker_m)
    np.testing.assert_allclose(spread, expected, rtol=0.2)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_tracking_drops_out_for_one_to_three_frames(seed: int) -> None:
    noise = BodyNoise(dropouts_per_s=3.0, losses_per_s=0.0)
    flags = [
        r["left_controller"]["flags"] for r in rows(SyntheticBody(seed=seed, noise=noise), 600)
    ]
    lost = "".join("x" if f == 0 else "." for f in flags).strip("x")
    runs = [len(run) for run in lost.split(".") if run]
    assert runs
    assert np.mean(runs) <= 3.0


def test_fingers_become_triggers_and_buttons() -> None:
    body = SyntheticBody(noise=QUIET)
    body.inputs["right"].opening = 0.25
    body.inputs["right"].squeeze = 1.0
    body.inputs["right"].buttons = Button.PRIMARY
    row = rows(body, 1)[0]
    assert row is not None
    block = row["right_controller"]
    assert block["trigger"] == pytest.approx(0.75)
    assert int(block["buttons"]) == Button.PRIMARY | Button.SQUEEZE | Button.TRIGGER


# ------------------------------------------------------------- a small host
CUBE = [0.41, -0.18, 1.03, 0.0, 0.0, 0.0, 1.0]
TRAY = [0.42, 0.21, 1.005, 0.0, 0.0, 0.0, 1.0]


class Host:
    """Believes every press at once; the cube moves by itself if it shall.

    Args:
        cube_ends: Where the cube lies once a take has run.
        let_go_at: Frames into the take at which the arms let go once; 0 never.
    """

    def __init__(self, cube_ends: list[float], let_go_at: int = 0) -> None:
        self.cube_ends, self.let_go_at = cube_ends, let_go_at
        self.recording, self.engaged, self.must_release = "idle", (False, False), False
        self.buttons = dict.fromkeys(SIDES, 0)
        self.frames_in_take, self.looks, self.homes = 0, 0, 0
        self.outcomes: list[str] = []
        self.seeds: list[int | None] = []
        self.url = ""

    def scene(self, _: ServerConnection, request: Request) -> Response | None:
        if request.path != "/api/scene":
            return None
        assert request.headers["Authorization"] == "Bearer secret"
        self.looks += 1
        cube = CUBE if self.recording == "idle" or self.frames_in_take < 30 else self.cube_ends
        tip = np.eye(4)
        tips = {f"{side}_wrist": matrix_to_pose(tip).tolist() for side in SIDES}
        answer = {"t_ns": self.looks, "objects": {"cube": cube, "tray": TRAY}, "tips": tips}
        return Response(200, "OK", Headers(Connection="close"), json.dumps(answer).encode())

    async def handle(self, socket: ServerConnection) -> None:
        try:
            async for data in socket:
                if isinstance(data, bytes):
                    self.frame(decode_tracking(data, 0))
                else:
                    await self.message(socket, data)
                await socket.send(encode_message(self.status()))
        except ConnectionClosed:
            return

    async def message(self, socket: ServerConnection, text: str) -> None:
        message = decode_client_message(text)
        if isinstance(message, Hello):
            rig = RigInfo(name="openarm", joint_names=(), gripper_names=(), tips={})
            limits = LimitsInfo(max_message_bytes=1, max_messages_per_s=1)
            answer = Welcome(
                session_id="s",
                role="operator",
                rig=rig,
                streams=(),
                control_rate_hz=200,
                server_time_ns=0,
                limits=limits,
            )
            await socket.send(encode_message(answer))
        elif isinstance(message, Claim):
            await socket.send(encode_message(ClaimGranted()))
        elif isinstance(message, Event):
            self.seeds.append(message.args.seed)

    def frame(self, row: np.void) -> None:
        for side in SIDES:
            now = int(row[f"{side}_controller"]["buttons"])
            pressed, self.buttons[side] = now & ~self.buttons[side], now
            if side == "right" and pressed & (Button.PRIMARY | Button.SECONDARY):
                self.press(bool(pressed & Button.PRIMARY))
            self.homes += bool(side == "left" and pressed & Button.PRIMARY)
        squeezed = tuple(bool(self.buttons[s] & Button.SQUEEZE) for s in SIDES)
        self.must_release = self.must_release and any(squeezed)
        if self.recording == "recording":
            self.frames_in_take += 1
            if self.frames_in_take == self.let_go_at:
                self.must_release = True
        self.engaged = (False, False) if self.must_release else (squeezed[0], squeezed[1])

    def press(self, primary: bool) -> None:
        if self.recording == "idle" and primary:
            self.recording, self.frames_in_take = "recording", 0
        elif self.recording == "recording" and primary:
            self.recording = "review"
        elif self.recording == "review":
            self.outcomes.append("success" if primary else "failure")
            self.recording = "idle"

    def status(self) -> Status:
        n = len(self.outcomes)
        return Status(
            motion="engaged" if any(self.engaged) else "idle",
            engaged=self.engaged,
            recording=self.recording,
            take=n,
            countdown_s=0.0,
            recording_s=0.0,
            task="",
            prompt="",
            review=self.recording == "review",
            operator=OperatorInfo(),
            calibrated=True,
            reach_scale=1.05,
            latency_ms=Latency(),
            tracking=TrackingInfo(head="ok", left="ok", right="ok"),
            rates={},
            drops=0,
            notices=(),
            last_take=LastTake(id=f"take-{n}", verdict="pass") if n else None,
        )


@asynccontextmanager
async def running(host: Host) -> AsyncIterator[None]:
    async with serve(
        host.handle,
        "127.0.0.1",
        0,
        subprotocols=[SUBPROTOCOL],
        process_request=host.scene,
        compression=None,
    ) as server:
        host.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield


async def perform(
    host: Host, on_progress: Callable[[float, str], None] | None = None
) -> list[TakeResult]:
    operator = SyntheticOperator(host.url, "secret", plan=TaskPlan(pace=0.05), seed=7)
    return await operator.perform(on_progress)


@pytest.fixture(autouse=True)
def short_presses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "PRESS_S", 0.05)
    monkeypatch.setattr(synthetic, "HOLD_S", 0.05)


async def test_a_take_is_performed_judged_and_saved_even_when_the_arms_let_go_once() -> None:
    host = Host(cube_ends=[*TRAY[:2], 1.035, 0.0, 0.0, 0.0, 1.0], let_go_at=40)
    told: list[float] = []
    async with running(host):
        results = await perform(host, lambda share, _: told.append(share))
    assert [r.success for r in results] == [True]
    assert results[0].episode_id == "take-1"
    assert results[0].interruptions == 1
    assert results[0].placing_m == pytest.approx(0.0)
    assert host.outcomes == ["success"]
    assert host.seeds == [7]
    assert host.homes == 1
    assert told == sorted(told)
    assert told[-1] == 1.0


async def test_a_cube_beside_the_tray_is_a_failure() -> None:
    host = Host(cube_ends=CUBE)
    async with running(host):
        results = await perform(host)
    assert [r.success for r in results] == [False]
    assert host.outcomes == ["failure"]


async def test_nobody_there_is_a_clear_error() -> None:
    host = Host(cube_ends=CUBE)
    host.url = "http://127.0.0.1:9"
    with pytest.raises(ClientError, match="no connection"):
        await perform(host)


def test_a_rate_no_headset_has_is_refused() -> None:
    with pytest.raises(ClientError, match="30 to 240"):
        SyntheticOperator("http://h", "t", rate_hz=5)
