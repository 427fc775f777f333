"""A `telecap.v1` client on asyncio: the socket around `teleop.protocol.client`.

Used by the synthetic operator, the replay and the native headset client. It imports no robot
mathematics, so it also runs where there is no Pinocchio (Windows).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import msgspec
import numpy as np
from websockets.asyncio.client import ClientConnection as Socket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from teleop.errors import TeleopError
from teleop.hmd.counts import LinkCount, VideoCount
from teleop.intents import Intent, IntentArgs
from teleop.protocol import (
    SUBPROTOCOL,
    ClaimGranted,
    ClaimRefused,
    Event,
    Hello,
    ServerMessage,
    Status,
    VideoAck,
    VideoPicture,
    Welcome,
)
from teleop.protocol.client import ClientConnection
from teleop.protocol.messages import ClientKind, Role

logger = logging.getLogger(__name__)

RESUME_WITHIN_S = 5.0
"""The server keeps a claim this long for a client that comes back."""
_RETRY_S = (0.05, 0.1, 0.2, 0.4, 0.8)
_FINAL_CODES = frozenset({4400, 4401, 4403, 4406, 4408, 4409, 4410, 4413})
"""Close codes that will not get better by connecting again."""
_MAX_VIDEO_BYTES = 8 * 1024 * 1024

Listener = Callable[[ServerMessage | VideoPicture], None]


class ClientError(TeleopError):
    """Base of what a headset client raises."""


class ConnectionRefusedByServerError(ClientError):
    """The server closed with a reason that connecting again does not change.

    Attributes:
        code: WebSocket close code.
        reason: The server's words.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the server refused the connection ({code}): {reason or 'no reason'}")
        self.code = code
        self.reason = reason


class ConnectionLostError(ClientError):
    """The server could not be reached again in time."""


class ClaimRefusedError(ClientError):
    """Another client operates the robot."""


def websocket_url(url: str) -> str:
    """`ws(s)://…/ws` of a server's http(s) or ws(s) address.

    Raises:
        ClientError: Another scheme, or no host.
    """
    parts = urlsplit(url if "//" in url else f"http://{url}")
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if parts.scheme not in schemes or not parts.netloc:
        raise ClientError(f"{url!r} is not an address; expected http(s)://HOST:PORT")
    path = parts.path.rstrip("/").removesuffix("/ws") + "/ws"
    return urlunsplit((schemes[parts.scheme], parts.netloc, path, "", ""))


class Client:
    """One connection to a telecap server that survives short interruptions.

    Use as an async context manager; inside, the welcome has been received.

    Args:
        url: Address of the server, `http(s)://HOST:PORT`.
        token: Bearer token of the run.
        kind: What this client is.
        device: Free text shown as the holder of the claim.
        role: `operator` or `watcher`.
        video: Names of the streams wanted, `("*",)` for all.
        codecs: What the listener can decode: `jpeg`, `h264`.
        turns: Pictures shall say how their camera had turned.
        tls: For https addresses with a private certificate authority.
        clock_ns: Device clock.
        listener: Called with every message and picture, in the order received.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        kind: ClientKind,
        device: str = "",
        role: Role = "operator",
        video: tuple[str, ...] = (),
        codecs: tuple[str, ...] = ("jpeg",),
        turns: bool = False,
        tls: ssl.SSLContext | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        listener: Listener | None = None,
    ) -> None:
        self._url = websocket_url(url)
        self._tls = tls
        self._hello = Hello(
            client=kind, token=token, role=role, device=device, video=video, codecs=codecs,
            turns=turns,
        )  # fmt: skip
        self._clock_ns = clock_ns
        self._listener = listener
        self._connection = ClientConnection(self._hello)
        self._socket: Socket | None = None
        self._runner: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()
        self._refusal: ClaimRefused | None = None
        self._failure: ClientError | None = None
        self._claimed = False
        self.count = LinkCount()

    async def __aenter__(self) -> Self:
        await self._open()
        self._runner = asyncio.create_task(self._run(), name="telecap-client")
        await self.wait_until(lambda: self.welcome is not None, "a welcome", 10.0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    @property
    def welcome(self) -> Welcome | None:
        """What the server said of itself."""
        return self._connection.welcome

    @property
    def status(self) -> Status | None:
        """The newest status."""
        return self._connection.status

    @property
    def connected(self) -> bool:
        """Whether there is a welcomed connection right now."""
        return self._socket is not None and self.welcome is not None

    @property
    def has_claim(self) -> bool:
        """Whether this client operates the robot."""
        return self._connection.has_claim

    async def claim(self, timeout_s: float = 5.0) -> None:
        """Become the operator; asked again by itself after a reconnect.

        Raises:
            ClaimRefusedError: Another client is.
            TimeoutError: No answer.
        """
        self._refusal = None
        self._connection.claim()
        await self._flush()
        answered = lambda: self.has_claim or self._refusal is not None  # noqa: E731
        await self.wait_until(answered, "an answer to the claim", timeout_s)
        if self._refusal is not None:
            raise ClaimRefusedError(
                f"the robot is operated by {self._refusal.holder!r}: {self._refusal.reason}"
            )
        self._claimed = True

    async def release(self) -> None:
        """Give the robot back."""
        self._claimed = False
        self._connection.release()
        await self._flush()

    async def send_frame(self, frame: np.void) -> bool:
        """Send one OPERATOR_FRAME row; False, and counted, while there is no connection.

        Raises:
            ClientError: The connection ended for good.
        """
        self._raise_failure()
        if not self.connected:
            self.count.unsent += 1
            return False
        self._connection.send_tracking(frame)
        await self._flush()
        self.count.sent += 1
        return True

    async def event(self, name: Intent, args: IntentArgs | None = None) -> None:
        """Send a session intent."""
        self._connection.send(Event(name=name, args=args or IntentArgs()))
        await self._flush()

    async def acknowledge(self, ack: VideoAck) -> None:
        """Tell that a picture was decoded."""
        self._connection.send(ack)
        await self._flush()

    def check(self) -> None:
        """Raise ClientError when the connection ended for good."""
        self._raise_failure()

    async def wait_for_status(
        self, wanted: Callable[[Status], bool], what: str, timeout_s: float
    ) -> Status:
        """The first status from now on that is as wanted.

        Raises:
            TimeoutError: It did not come in time; says what was waited for and the last status.
            ClientError: The connection ended for good.
        """
        await self.wait_until(
            lambda: self.status is not None and wanted(self.status), what, timeout_s
        )
        if self.status is None:
            raise ClientError("no status")
        return self.status

    async def wait_until(self, wanted: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Return when `wanted()` holds; looked at after every message. Raises as the above."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: self._failure is not None or wanted())
        except TimeoutError:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}; {self._summary()}") from None
        self._raise_failure()

    def _summary(self) -> str:
        s = self.status
        if s is None:
            return "no status was received"
        return f"last status: motion {s.motion}, engaged {s.engaged}, recording {s.recording}"

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _open(self) -> None:
        """Connect and say hello, resuming the last session if there was one."""
        welcome = self._connection.welcome
        hello = self._hello
        if welcome is not None:
            hello = msgspec.structs.replace(hello, resume=welcome.session_id)
        try:
            socket = await connect(
                self._url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                ssl=self._tls,
                compression=None,
                max_size=_MAX_VIDEO_BYTES,
                max_queue=4,  # pictures pile up in the kernel, not here
                ping_interval=None,  # the application's pings do it
                close_timeout=1.0,
            )
        except (InvalidHandshake, OSError, TimeoutError) as error:
            raise ConnectionLostError(f"no connection to {self._url}: {error}") from error
        self._connection = ClientConnection(hello)
        self._socket = socket
        await self._flush()

    async def _run(self) -> None:
        """Receive until closed; connect again after an interruption."""
        while True:
            try:
                await self._receive()
            except TeleopError as error:
                await self._fail(ClientError(f"the server broke the protocol: {error}"))
                return
            socket, self._socket = self._socket, None
            code = socket.close_code if socket is not None else None
            reason = (socket.close_reason if socket is not None else "") or ""
            if code in _FINAL_CODES:
                said = self._connection.error
                words = said.reason if said is not None else reason
                await self._fail(ConnectionRefusedByServerError(int(code or 0), words))
                return
            logger.warning("connection lost (%s %s); connecting again", code, reason)
            if not await self._reopen():
                return

    async def _receive(self) -> None:
        socket = self._socket
        if socket is None:
            return
        try:
            async for data in socket:
                if isinstance(data, str):
                    self._connection.receive_text(data, self._clock_ns())
                    await self._flush()  # pongs go out before anything else is looked at
                else:
                    self._connection.receive_bytes(data)
                await self._deliver()
        except ConnectionClosed:
            return

    async def _deliver(self) -> None:
        for event in self._connection.events_received():
            if isinstance(event, VideoPicture):
                self._count_picture(event)
            elif isinstance(event, ClaimRefused):
                self._refusal = event
            elif isinstance(event, ClaimGranted):
                self._refusal = None
            if self._listener is not None:
                self._listener(event)
        async with self._changed:
            self._changed.notify_all()

    def _count_picture(self, picture: VideoPicture) -> None:
        welcome = self.welcome
        names = {s.id: s.name for s in welcome.streams} if welcome is not None else {}
        name = names.get(picture.stream_id, f"stream {picture.stream_id}")
        self.count.video.setdefault(name, VideoCount()).add(picture)

    async def _reopen(self) -> bool:
        started = time.monotonic()
        attempt = 0
        while time.monotonic() - started < RESUME_WITHIN_S:
            await asyncio.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
            attempt += 1
            try:
                await self._open()
            except ConnectionLostError:
                continue
            self.count.reconnects += 1
            if self._claimed:
                self._connection.claim()
                await self._flush()
            return True
        await self._fail(
            ConnectionLostError(f"{self._url} did not come back within {RESUME_WITHIN_S:g} s")
        )
        return False

    async def _fail(self, failure: ClientError) -> None:
        self._failure = failure
        async with self._changed:
            self._changed.notify_all()

    async def _flush(self) -> None:
        """Put what is queued on the socket; a break is noticed by the receiving side."""
        socket = self._socket
        for data in self._connection.data_to_send():
            if socket is None:
                return
            try:
                await socket.send(data)
            except ConnectionClosed:
                return
