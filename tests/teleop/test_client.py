"""Laws of the socket client, against a small server of its own on the loopback."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from teleop.hmd import client as client_module
from teleop.hmd.client import (
    ClaimRefusedError,
    Client,
    ClientError,
    ConnectionLostError,
    ConnectionRefusedByServerError,
    websocket_url,
)
from teleop.intents import Intent, IntentArgs
from teleop.protocol import (
    SUBPROTOCOL,
    Claim,
    ClaimGranted,
    ClaimRefused,
    ClientMessage,
    Codec,
    Hello,
    Latency,
    LimitsInfo,
    OperatorInfo,
    RigInfo,
    ServerMessage,
    ServerPing,
    Status,
    StreamInfo,
    TrackingInfo,
    VideoPicture,
    Welcome,
    decode_client_message,
    decode_tracking,
    empty_frame,
    encode_message,
    encode_video,
)


def status(recording: str = "idle", engaged: tuple[bool, bool] = (False, False)) -> Status:
    return Status(
        motion="engaged" if any(engaged) else "idle",
        engaged=engaged,
        recording=recording,
        take=0,
        countdown_s=0.0,
        recording_s=0.0,
        task="",
        prompt="",
        review=False,
        operator=OperatorInfo(),
        calibrated=False,
        reach_scale=1.0,
        latency_ms=Latency(),
        tracking=TrackingInfo(),
        rates={},
        drops=0,
        notices=(),
        last_take=None,
    )


def welcome(session_id: str) -> Welcome:
    rig = RigInfo(name="r", joint_names=(), gripper_names=(), tips={})
    stream = StreamInfo(
        id=3, name="head_left", eye="left", width=8, height=8, fovy_deg=60.0, codec="jpeg"
    )
    return Welcome(
        session_id=session_id,
        role="operator",
        rig=rig,
        streams=(stream,),
        control_rate_hz=200,
        server_time_ns=1,
        limits=LimitsInfo(max_message_bytes=65536, max_messages_per_s=600),
    )


class Host:
    """The other end: keeps what it got, answers hello and claim, sends what a test says."""

    def __init__(self) -> None:
        self.messages: list[ClientMessage] = []
        self.frames: list[np.void] = []
        self.sockets: list[ServerConnection] = []
        self.claim_answer: ServerMessage = ClaimGranted()
        self.close_with: tuple[int, str] | None = None
        self.url = ""

    async def handle(self, socket: ServerConnection) -> None:
        if self.close_with is not None:
            await socket.close(*self.close_with)
            return
        self.sockets.append(socket)
        try:
            async for data in socket:
                await self.take(socket, data)
        except ConnectionClosed:
            return

    async def take(self, socket: ServerConnection, data: str | bytes) -> None:
        if isinstance(data, bytes):
            self.frames.append(decode_tracking(data, 0))
            return
        message = decode_client_message(data)
        self.messages.append(message)
        if isinstance(message, Hello):
            await self.say(welcome(f"session-{len(self.sockets)}"))
        elif isinstance(message, Claim):
            await self.say(self.claim_answer)

    async def say(self, message: ServerMessage) -> None:
        await self.sockets[-1].send(encode_message(message))

    def got(self, kind: type[ClientMessage]) -> list[ClientMessage]:
        return [m for m in self.messages if isinstance(m, kind)]


@asynccontextmanager
async def hosting() -> AsyncIterator[Host]:
    host = Host()
    server: Server
    async with serve(
        host.handle, "127.0.0.1", 0, subprotocols=[SUBPROTOCOL], compression=None
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        host.url = f"http://127.0.0.1:{port}"
        yield host


async def until(wanted: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not wanted():
            await asyncio.sleep(0.001)


def make(host: Host, **settings: object) -> Client:
    return Client(host.url, "token", kind="synthetic", device="test", **settings)  # type: ignore[arg-type]


async def test_a_client_says_hello_and_claims() -> None:
    async with hosting() as host, make(host, video=("*",)) as client:
        assert client.welcome is not None
        await client.claim()
        assert client.has_claim
        hello = host.messages[0]
        assert isinstance(hello, Hello)
        assert (hello.token, hello.client, hello.video) == ("token", "synthetic", ("*",))


async def test_a_refused_claim_names_the_holder() -> None:
    async with hosting() as host, make(host) as client:
        host.claim_answer = ClaimRefused(reason="taken", holder="Quest of Ana")
        with pytest.raises(ClaimRefusedError, match="Quest of Ana"):
            await client.claim()


async def test_pings_are_answered_with_the_device_clock() -> None:
    async with hosting() as host, make(host, clock_ns=lambda: 77):
        await host.say(ServerPing(id=5))
        await until(lambda: len(host.messages) > 1)
        pong = host.messages[1]
        assert (pong.id, pong.t_device_ns) == (5, 77)  # type: ignore[union-attr]


async def test_frames_arrive_as_sent() -> None:
    async with hosting() as host, make(host) as client:
        frame = empty_frame()
        frame["presence"], frame["seq"], frame["head_flags"] = 1, 9, 15
        frame["head"][:3] = 0.5, 1.5, -0.25
        assert await client.send_frame(frame)
        await until(lambda: len(host.frames) == 1)
        assert host.frames[0]["seq"] == 9
        np.testing.assert_array_equal(host.frames[0]["head"], frame["head"])
        assert client.count.sent == 1


async def test_events_and_status_travel() -> None:
    async with hosting() as host, make(host) as client:
        await client.event(Intent.SCENE_RESET, IntentArgs(seed=4))
        await until(lambda: len(host.messages) > 1)
        assert host.messages[1].args.seed == 4  # type: ignore[union-attr]
        await host.say(status("recording"))
        got = await client.wait_for_status(lambda s: s.recording == "recording", "it", 5.0)
        assert got.motion == "idle"


async def test_waiting_in_vain_says_for_what_and_what_is() -> None:
    async with hosting() as host, make(host) as client:
        await host.say(status())
        await client.wait_until(lambda: client.status is not None, "a status", 5.0)
        with pytest.raises(TimeoutError, match="for the moon; last status: motion idle"):
            await client.wait_for_status(lambda s: False, "the moon", 0.01)


async def test_pictures_are_counted_with_their_gaps() -> None:
    async with hosting() as host, make(host) as client:
        for seq in (0, 1, 5):
            await host.sockets[-1].send(
                encode_video(VideoPicture(3, Codec.JPEG, True, seq, 0, b"\xff\xd8x"))
            )
        await client.wait_until(lambda: bool(client.count.video), "a picture", 5.0)
        await until(lambda: client.count.video["head_left"].pictures == 3)
        video = client.count.video["head_left"]
        assert (video.skipped, video.bytes) == (3, 9)


async def test_an_interrupted_client_resumes_its_session_and_its_claim() -> None:
    async with hosting() as host, make(host) as client:
        await client.claim()
        await host.sockets[-1].close(1011)
        await until(lambda: client.count.reconnects == 1 and client.has_claim)
        hello = host.got(Hello)[1]
        assert hello.resume == "session-1"  # type: ignore[union-attr]
        assert len(host.got(Claim)) == 2
        assert await client.send_frame(empty_frame())


async def test_frames_without_a_connection_are_dropped_and_counted() -> None:
    async with hosting() as host, make(host) as client:
        await host.sockets[-1].close(1011)
        await until(lambda: not client.connected)
        assert not await client.send_frame(empty_frame())
        assert client.count.unsent == 1


async def test_a_refusal_is_final_and_carries_its_reason() -> None:
    async with hosting() as host:
        host.close_with = (4401, "bad token")
        with pytest.raises(ConnectionRefusedByServerError, match=r"4401.*bad token") as caught:
            async with make(host):
                pass
        assert caught.value.code == 4401


async def test_a_server_that_stops_ends_the_client() -> None:
    async with hosting() as host, make(host) as client:
        await host.sockets[-1].close(4410, "server stopping")
        with pytest.raises(ConnectionRefusedByServerError, match="server stopping"):
            await client.wait_until(lambda: False, "nothing", 5.0)


async def test_no_server_is_a_clear_error() -> None:
    with pytest.raises(ConnectionLostError, match="no connection to ws://127"):
        async with Client("http://127.0.0.1:9", "t", kind="replay"):
            pass


async def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RESUME_WITHIN_S", 0.05)
    async with hosting() as host, make(host) as client:
        host.close_with = (4401, "unused")
        client._url = "ws://127.0.0.1:9/ws"
        await host.sockets[-1].close(1011)
        with pytest.raises(ConnectionLostError, match="did not come back"):
            await client.wait_until(lambda: False, "nothing", 5.0)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:1", "ws://h:1/ws"),
        ("https://h/", "wss://h/ws"),
        ("h:8765", "ws://h:8765/ws"),
        ("ws://h:1/ws", "ws://h:1/ws"),
    ],
)
def test_addresses_become_socket_addresses(url: str, expected: str) -> None:
    assert websocket_url(url) == expected


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(ClientError, match="expected http"):
        websocket_url("ftp://h")


def test_the_client_needs_no_robot_mathematics() -> None:
    """It runs on Windows, where Pinocchio and MuJoCo have no place."""
    code = (
        "import sys, teleop.hmd.client, teleop.hmd.api; "
        "bad = {'pinocchio', 'mujoco', 'retarget', 'recorder', 'calibration', 'zarr'}; "
        "sys.exit(str(bad & set(sys.modules)) if bad & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
