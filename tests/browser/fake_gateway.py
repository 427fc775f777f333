"""A small stand-in for the gateway: the real pages, real `telecap.v1` bytes, invented status.

It runs uvicorn in a thread, keeps what the pages sent, and lets a test change the status or break
the link.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import simplejpeg
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

import teleop
from recorder import Dataset
from recorder.catalog import EpisodeRow
from teleop import protocol
from teleop.gateway.pictures import Offer
from teleop.gateway.playback import Playback
from teleop.gateway.tls import Certificates
from teleop.gateway.transcode import Transcoder
from teleop.gateway.videolevel import H264

TOKEN = "right-token"
PACKAGE = Path(teleop.__file__).parent
STREAMS = (
    protocol.StreamInfo(
        id=0, name="head_left", eye="left", width=640, height=480, fovy_deg=60.0, codec="jpeg"
    ),
    protocol.StreamInfo(
        id=1, name="head_right", eye="right", width=640, height=480, fovy_deg=60.0, codec="jpeg"
    ),
    protocol.StreamInfo(
        id=2, name="wrist_left", eye="", width=320, height=240, fovy_deg=58.0, codec="jpeg"
    ),
    protocol.StreamInfo(
        id=3, name="wrist_right", eye="", width=320, height=240, fovy_deg=58.0, codec="jpeg"
    ),
    protocol.StreamInfo(
        id=4, name="ceiling", eye="", width=640, height=480, fovy_deg=45.0, codec="jpeg"
    ),
)
RIG = protocol.RigInfo(
    name="openarm",
    joint_names=("left_joint1", "right_joint1"),
    gripper_names=("left", "right"),
    tips={"left_wrist": "left_tcp", "right_wrist": "right_tcp"},
)
STATUS = protocol.Status(
    motion="idle",
    engaged=(False, False),
    recording="idle",
    take=0,
    countdown_s=0.0,
    recording_s=0.0,
    task="Put the cube on the tray",
    prompt="Hold a grip to move that arm.",
    review=False,
    operator=protocol.OperatorInfo(),
    calibrated=True,
    reach_scale=0.9,
    latency_ms=protocol.Latency(pose_to_command=0.8, link_rtt=2.4),
    tracking=protocol.TrackingInfo(head="ok", left="ok", right="ok"),
    rates={"operator/frame": 72.0, "robot/state": 500.0, "camera/head_left": 30.0},
    drops=0,
    notices=(),
    last_take=None,
)
EPISODES = [
    EpisodeRow(
        id=f"2026-11-22T20-15-0{take}Z_01",
        path=Path(f"episodes/{take}"),
        task=STATUS.task,
        take=take,
        wall_time=f"2026-11-22T20:15:0{take}+00:00",
        outcome=outcome,
        quality=quality,
        duration_s=8.0 + take,
    )
    for take, outcome, quality in [
        (1, "success", "pass"),
        (2, "failure", "warn"),
        (3, None, "fail"),
    ]
]


def row_dict(row: EpisodeRow) -> dict[str, Any]:
    return {**dataclasses.asdict(row), "path": str(row.path)}


@lru_cache(maxsize=512)
def checkered_picture(stream: protocol.StreamInfo, phase: int) -> bytes:
    """JPEG with a checkered floor, the stream's own colour and a bar that moves."""
    rows, columns = np.mgrid[0 : stream.height, 0 : stream.width]
    image = np.empty((stream.height, stream.width, 3), np.uint8)
    image[...] = [(70, 90, 120), (70, 90, 120), (40, 110, 80), (120, 90, 50), (90, 90, 90)][
        stream.id
    ]
    checker = ((rows // 40 + columns // 40) % 2 == 0) & (rows > stream.height // 2)
    image[checker] += 60
    shift = -6 if stream.eye == "right" else 6
    bar = abs(columns - (stream.width // 2 + shift + phase - 30)) < 20
    image[bar & (abs(rows - stream.height // 2) < 60)] = (220, 60, 40)
    return cast(bytes, simplejpeg.encode_jpeg(image, quality=80))


class FakeGateway:
    """Serves both pages on a free port of the loopback interface."""

    def __init__(
        self, certificates: Certificates | None = None, dataset: Path | None = None
    ) -> None:
        self.dataset = dataset
        self.scheme = "http" if certificates is None else "https"
        self.status = STATUS
        self.frames: list[tuple[float, Any]] = []
        self.messages: list[protocol.ClientMessage] = []
        self.calls: list[tuple[str, str, Any]] = []
        self.acks: dict[str, int] = {}
        self.shown: dict[str, tuple[protocol.VideoAck, int]] = {}
        self.codes: set[str] = set()
        self.accepting = True
        self.holder: str | None = None
        self.pictures_per_s = 15
        self.h264 = False
        """Send H.264, beginning in the middle: with pictures nobody can decode."""
        self.turn: tuple[float, float, float, float] | None = None
        self.keys_asked = 0
        self._transcoders: dict[int, Transcoder] = {}
        self._sockets: set[WebSocket] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        config = uvicorn.Config(
            self._application(),
            log_level="error",
            ws="websockets-sansio",
            lifespan="off",
            ssl_certfile=None if certificates is None else certificates.chain,
            ssl_keyfile=None if certificates is None else certificates.key,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="fake-gateway", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.wait_until(lambda: self._server.started)

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)
        self._listener.close()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            runner.run(self._server.serve([self._listener]))

    def page(self, path: str, token: str = TOKEN, host: str = "localhost") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}#token={token}"

    @staticmethod
    def wait_until(condition: Callable[[], object], timeout_s: float = 15.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("the condition was not met in time")
            time.sleep(0.02)

    def set_status(self, **changes: Any) -> None:
        """Replace fields of the status; every page gets it within 0.1 s."""
        self.status = msgspec.structs.replace(self.status, **changes)

    def send(self, message: protocol.ServerMessage) -> None:
        """Send one message to every page."""
        text = protocol.encode_message(message)
        self._in_loop(lambda: asyncio.gather(*(s.send_text(text) for s in self._sockets)))

    def drop_links(self, code: int = 1012) -> None:
        """Close every socket, as a restarting server does."""
        self._in_loop(lambda: asyncio.gather(*(s.close(code) for s in list(self._sockets))))

    def _in_loop(self, make: Callable[[], Any]) -> None:
        async def run() -> None:
            await make()

        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(run(), self._loop).result(5)

    def received(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.messages if isinstance(message, kind)]

    # --- HTTP ---------------------------------------------------------------------------------

    def _application(self) -> Starlette:
        def html(path: str) -> Callable[[Request], Response]:
            return lambda _: FileResponse(PACKAGE / path, headers={"Cache-Control": "no-store"})

        return Starlette(
            routes=[
                Route("/", html("console/index.html")),
                Route("/xr", html("hmd/page/index.html")),
                Mount("/static/console", StaticFiles(directory=PACKAGE / "console")),
                Mount("/static/xr", StaticFiles(directory=PACKAGE / "hmd" / "page")),
                *(Playback(self.dataset).routes(lambda h: h) if self.dataset else ()),
                Route("/api/{path:path}", self._api, methods=["GET", "POST"]),
                WebSocketRoute("/ws", self._operator),
            ]
        )

    async def _api(self, request: Request) -> Response:
        if request.url.path == "/api/pairing/redeem":
            code = (await request.json())["code"]
            if code.replace("-", "") not in self.codes:
                return JSONResponse({"error": "this code is wrong or used"}, status_code=403)
            self.codes.discard(code.replace("-", ""))
            return JSONResponse({"token": TOKEN})
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": "wrong token"}, status_code=401)
        path = request.url.path
        body = await request.json() if request.method == "POST" else None
        if path == "/api/episodes" and self.dataset is not None:
            listed = Dataset.open(self.dataset, repair=False).episodes()
            return JSONResponse({"episodes": [row_dict(row) for row in listed]})
        if request.method == "POST":
            self.calls.append((request.method, path, body))
        answers: dict[str, Any] = {
            "/api/episodes": {"episodes": [row_dict(row) for row in reversed(EPISODES)]},
            "/api/rig": {**msgspec.to_builtins(RIG), "simulated": True},
            "/api/status": msgspec.to_builtins(self.status),
        }
        return JSONResponse(answers.get(path, {"ok": True}))

    # --- WebSocket ----------------------------------------------------------------------------

    async def _operator(self, ws: WebSocket) -> None:
        if not self.accepting:
            await ws.close(1013)
            return
        await ws.accept(subprotocol=protocol.SUBPROTOCOL)
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            hello = protocol.decode_client_message(await ws.receive_text())
            assert isinstance(hello, protocol.Hello)
            self.messages.append(hello)
            if hello.token != TOKEN:
                await ws.close(protocol.CloseCode.BAD_TOKEN)
                return
            await self._serve(ws, hello)

    async def _serve(self, ws: WebSocket, hello: protocol.Hello) -> None:
        await ws.send_text(protocol.encode_message(self._welcome(hello)))
        self._sockets.add(ws)
        tasks = [asyncio.create_task(self._send_status(ws))]
        tasks += [
            asyncio.create_task(self._send_video(ws, stream))
            for stream in STREAMS
            if stream.name in hello.video or "*" in hello.video
        ]
        try:
            while True:
                await self._receive(ws)
        finally:
            self._sockets.discard(ws)
            for task in tasks:
                task.cancel()

    @staticmethod
    def _welcome(hello: protocol.Hello) -> protocol.Welcome:
        return protocol.Welcome(
            session_id=hello.resume or f"session-{time.monotonic_ns()}",
            role=hello.role,
            rig=RIG,
            streams=STREAMS,
            control_rate_hz=200,
            server_time_ns=time.monotonic_ns(),
            limits=protocol.LimitsInfo(max_message_bytes=65536, max_messages_per_s=600),
        )

    async def _receive(self, ws: WebSocket) -> None:
        event = await ws.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1005))
        if event.get("bytes") is not None:
            now_ns = time.monotonic_ns()
            self.frames.append((now_ns / 1e9, protocol.decode_tracking(event["bytes"], now_ns)))
            return
        message = protocol.decode_client_message(event["text"])
        answer = self._answer(message)
        if answer is not None:
            await ws.send_text(protocol.encode_message(answer))

    def _answer(self, message: protocol.ClientMessage) -> protocol.ServerMessage | None:
        match message:
            case protocol.ClientPing():
                return protocol.ServerPong(
                    id=message.id,
                    t_device_ns=message.t_device_ns,
                    t_server_ns=time.monotonic_ns(),
                )
            case protocol.VideoAck():
                self.acks[message.stream] = self.acks.get(message.stream, 0) + 1
                if message.shown_seq is not None:
                    self.shown[message.stream] = (message, time.monotonic_ns())
                if message.key:
                    self.keys_asked += 1
                    for transcoder in self._transcoders.values():
                        for stream in STREAMS:
                            transcoder.ask_key(stream.id)
                return None
            case protocol.Claim():
                self.messages.append(message)
                if self.holder is not None:
                    return protocol.ClaimRefused(reason="taken", holder=self.holder)
                return protocol.ClaimGranted()
            case _:
                self.messages.append(message)
                return None

    async def _send_status(self, ws: WebSocket) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            for ping_id in range(1_000_000_000):
                await ws.send_text(protocol.encode_message(self.status))
                if ping_id % 5 == 0:
                    await ws.send_text(protocol.encode_message(protocol.ServerPing(id=ping_id)))
                await asyncio.sleep(0.1)

    async def _send_video(self, ws: WebSocket, stream: protocol.StreamInfo) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            for seq in range(1_000_000_000):
                picture = protocol.VideoPicture(
                    codec=protocol.Codec.JPEG,
                    stream_id=stream.id,
                    key=True,
                    seq=seq,
                    t_capture_ns=time.monotonic_ns(),
                    payload=checkered_picture(stream, seq % 60),
                    turn_xyzw=self.turn,
                )
                if not self.h264:
                    await ws.send_bytes(protocol.encode_video(picture))
                else:
                    coded = self._transcoders.setdefault(stream.id, Transcoder()).encode(
                        Offer(picture), H264[1]
                    )
                    if seq:
                        await ws.send_bytes(protocol.encode_video(coded))
                await asyncio.sleep(1 / self.pictures_per_s)
