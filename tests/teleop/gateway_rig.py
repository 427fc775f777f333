"""A gateway without processes: real sockets, a clock that runs, publishers that remember."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from teleop.bindings import Bindings
from teleop.gateway.api import Api
from teleop.gateway.app import build_app
from teleop.gateway.hub import Hub
from teleop.gateway.neutral import Neutral
from teleop.gateway.orders import Orders
from teleop.gateway.server import bind, make_server
from teleop.gateway.serving import Serving
from teleop.gateway.taskdesk import TaskDesk
from teleop.gateway.topics import Heard, Outputs
from teleop.protocol import RigInfo, StreamInfo, empty_frame, encode_tracking
from teleop.samples import CAMERA_HEADER, Button, robot_state_dtype
from teleop.session import Session

TOKEN = "secret-token"
Q_HOME = np.array([0.0, 0.5])
STREAM = StreamInfo(
    id=0, name="head_left", eye="left", width=64, height=48, fovy_deg=60.0, codec="jpeg"
)
WAIT_S = 5.0


@dataclass
class Kept:
    """A publisher that remembers."""

    name: str
    log: list[tuple[str, Any]]

    def send(self, data: Any, /) -> None:
        kept = json.loads(data) if isinstance(data, bytes) else data.copy()
        self.log.append((self.name, kept))


@dataclass
class Rig:
    """Hub, what it published, and where it listens."""

    hub: Hub
    log: list[tuple[str, Any]]
    url: str = ""
    recorder: dict[str, Any] = field(default_factory=lambda: {"state": "idle", "last": None})
    robot_alive: bool = True

    def sent(self, topic: str) -> list[Any]:
        return [data for name, data in self.log if name == topic]

    def hear(self) -> None:
        """What robot and recorder publish all the time."""
        now_ns = time.monotonic_ns()
        row = np.zeros(1, robot_state_dtype(2, 0))[0]
        row["position"] = Q_HOME + 0.3
        robot = row if self.robot_alive else None
        self.hub.hear(Heard(robot=robot, recorder=self.recorder), now_ns)

    def show(self, seq: int, payload: bytes = b"jpeg") -> None:
        header = np.zeros(1, CAMERA_HEADER)
        header["seq"], header["t_ns"], header["codec"] = seq, seq * 1000, 1
        message = header.tobytes() + payload
        self.hub.hear(Heard(pictures=[("head_left", message, None)]), time.monotonic_ns())

    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws"


def make_rig(dataset: Path) -> Rig:
    log: list[tuple[str, Any]] = []
    outputs = Outputs(
        operator_frame=Kept("operator/frame", log),
        session_state=Kept("session/state", log),
        recorder_command=Kept("recorder/command", log),
        robot_request=Kept("robot/request", log),
        event=lambda kind, data: log.append(("event", (kind, data))),
    )
    neutral = Neutral(0.6)
    serving = Serving(
        token=TOKEN,
        rig=RigInfo(name="two", joint_names=("a", "b"), gripper_names=(), tips={}),
        q_home=Q_HOME,
        streams=(STREAM,),
    )
    session = Session(time.monotonic_ns())
    hub = Hub(
        serving,
        outputs,
        session,
        neutral,
        Bindings.from_rig(),
        Orders(outputs, neutral, TaskDesk("wave")),
    )
    return Rig(hub, log)


@contextlib.asynccontextmanager
async def serving(dataset: Path) -> AsyncIterator[Rig]:
    """A gateway on a free loopback port."""
    rig = make_rig(dataset)
    bound = bind("127.0.0.1", 0)
    server = make_server(build_app(rig.hub, Api(rig.hub, dataset, None)))
    rig.url = f"http://127.0.0.1:{bound.getsockname()[1]}"

    async def tick() -> None:
        while True:
            rig.hear()
            rig.hub.tick(time.monotonic_ns())
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(server.serve(sockets=[bound])), asyncio.create_task(tick())]
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield rig
    finally:
        rig.hub.stop()
        await asyncio.sleep(0.02)
        server.should_exit = True
        await tasks[0]
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)


class Headset:
    """A raw client: what is on the wire, nothing more."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seq = 0
        self.session_id = ""
        self.status: dict[str, Any] = {}
        self.heard: list[dict[str, Any]] = []

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def hello(self, **fields: Any) -> dict[str, Any]:
        given = {"client": "synthetic", "token": TOKEN, "device": "test"} | fields
        await self.say("hello", **given)
        welcome = await self.hear("welcome")
        self.session_id = welcome["session_id"]
        return welcome

    async def hear(self, *kinds: str) -> dict[str, Any]:
        """The next message of one of these kinds; pings are answered on the way."""
        async with asyncio.timeout(WAIT_S):
            while True:
                data = await self.socket.recv()
                if isinstance(data, bytes):
                    continue
                message: dict[str, Any] = json.loads(data)
                self.heard.append(message)
                if message["type"] == "ping":
                    await self.say("pong", id=message["id"], t_device_ns=time.monotonic_ns())
                if message["type"] == "status":
                    self.status = message
                if message["type"] in kinds:
                    return message

    async def hear_picture(self) -> bytes:
        async with asyncio.timeout(WAIT_S):
            while True:
                data = await self.socket.recv()
                if isinstance(data, bytes):
                    return data

    async def until(self, **expected: Any) -> dict[str, Any]:
        """The next status that says so."""
        while True:
            status = await self.hear("status")
            if all(status[key] == value for key, value in expected.items()):
                return status

    async def closed(self) -> tuple[int, str]:
        """Close code and reason."""
        async with asyncio.timeout(WAIT_S):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        return self.socket.close_code or 0, self.socket.close_reason or ""

    async def track(self, **changes: Any) -> None:
        await self.socket.send(self.tracking(**changes))

    def tracking(
        self,
        *,
        squeeze: tuple[bool, bool] = (False, False),
        head: Any = (0.0, 1.6, 0.0, 0.0, 0.0, 0.0, 1.0),
        grip: Any = (0.2, 1.2, -0.4, 0.0, 0.0, 0.0, 1.0),
        flags: int = 15,
        left_buttons: int = 0,
    ) -> bytes:
        self.seq += 1
        frame = empty_frame()
        frame["presence"], frame["seq"] = 7, self.seq
        frame["t_device_ns"] = time.monotonic_ns()
        frame["head_flags"], frame["head"] = 15, head
        for index, side in enumerate(("left", "right")):
            controller = frame[f"{side}_controller"]
            controller["flags"], controller["grip"] = flags, grip
            controller["buttons"] = int(Button.SQUEEZE) if squeeze[index] else 0
        frame["left_controller"]["buttons"] |= left_buttons
        return encode_tracking(frame)

    async def hold(self, seconds: float, **changes: Any) -> None:
        """Track at 100 Hz for a while."""
        for _ in range(round(seconds * 100)):
            await self.track(**changes)
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def headset(
    rig: Rig, *, subprotocol: str = "telecap.v1", **options: Any
) -> AsyncIterator[Headset]:
    async with connect(
        rig.ws_url(), subprotocols=[subprotocol], compression=None, **options
    ) as socket:
        yield Headset(socket)
