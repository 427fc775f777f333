"""The connection to the server, in a thread of its own, made again for as long as it takes.

The frame loop never waits for the network: it offers rows, of which the newest wins, and looks at a
snapshot of what the server last said.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Literal, Self

import numpy as np

from teleop.hmd.client import Client, ClientError, ConnectionRefusedByServerError
from teleop.hmd.counts import LinkCount
from teleop.hmd.openxr.clocks import device_clock_ns
from teleop.protocol import (
    ClaimGranted,
    ClaimRefused,
    Haptics,
    Notice,
    ServerMessage,
    Status,
    StreamInfo,
    VideoAck,
    VideoPicture,
    Welcome,
)

log = logging.getLogger(__name__)

RETRY_S = 1.0
RECLAIM_S = 2.0
"""While another operator has the robot, it is asked for again this often."""
KEPT_NOTICES = 8
FINAL_CODES = (4401, 4403, 4406)
"""Wrong token, origin or protocol: asking again does not help."""
Phase = Literal["connecting", "open", "waiting", "refused", "closed"]


@dataclass(frozen=True)
class Said:
    """What the server last said; replaced whole, so that any thread may read it.

    Attributes:
        phase: Of the connection.
        reason: Why there is none.
        has_claim: This client operates the robot.
        holder: Who operates it instead; None when nobody was in the way.
        streams: Of the newest welcome, by id.
        status: The newest.
        status_ns: Device clock when it came; 0 before the first.
        notices: Newest last, with the device clock of each.
    """

    phase: Phase = "connecting"
    reason: str = ""
    has_claim: bool = False
    holder: str | None = None
    streams: dict[int, StreamInfo] = field(default_factory=dict)
    status: Status | None = None
    status_ns: int = 0
    notices: tuple[tuple[int, Notice], ...] = ()


class Link:
    """Sends rows and tells what comes back; a context manager.

    Args:
        url: Address of the server, `http(s)://HOST:PORT`.
        token: Bearer token of the run.
        device: Free text shown as the holder of the claim.
        video: Names of the streams wanted.
        tls: For https addresses with a private certificate authority.
        on_picture: Called in the link's thread with every picture.
        on_haptics: The same with every wish to vibrate.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        device: str,
        video: tuple[str, ...] = (),
        tls: ssl.SSLContext | None = None,
        on_picture: Callable[[VideoPicture, StreamInfo], None] = lambda *_: None,
        on_haptics: Callable[[Haptics], None] = lambda _: None,
    ) -> None:
        self._where = (url, token)
        self._device, self._video, self._tls = device, video, tls
        self._on_picture, self._on_haptics = on_picture, on_haptics
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._wake = asyncio.Event()
        self._row: np.void | None = None
        self._acks: list[VideoAck] = []
        self._shown: dict[str, tuple[int, int]] = {}
        self._stopping = False
        self.said = Said()
        self.refusal: ClientError | None = None
        """Why there will never be a connection."""
        self.count = LinkCount()
        self.replaced = 0
        """Rows that a newer one replaced before they were sent."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping = True
        self._post(self._wake.set)
        self._thread.join(5.0)

    def offer(self, row: np.void) -> None:
        """Send a row as soon as can be; it is not read again by the caller."""
        self._post(lambda: self._take(row))

    def acknowledge(self, stream: str, seq: int, key: bool = False) -> None:
        """Tell that a picture was decoded, now; with `key`, that the next must be a key picture."""
        shown_seq, t_shown_ns = self._shown.get(stream, (None, 0))
        ack = VideoAck(
            stream=stream,
            seq=seq,
            t_device_ns=device_clock_ns(),
            key=key,
            shown_seq=shown_seq,
            t_shown_ns=t_shown_ns,
        )
        self._post(lambda: self._take_ack(ack))

    def was_shown(self, stream: str, seq: int, t_shown_ns: int) -> None:
        """Tell, with the next answer, that a picture is seen at this time of the device clock."""
        self._shown[stream] = (seq, t_shown_ns)

    def _post(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: refused for good
            self._loop.call_soon_threadsafe(work)

    # ------------------------------------------------------------ in the thread
    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._stay_connected())
        finally:
            self._loop.close()

    def _take(self, row: np.void) -> None:
        self.replaced += self._row is not None
        self._row = row
        self._wake.set()

    def _take_ack(self, ack: VideoAck) -> None:
        self._acks.append(ack)
        self._wake.set()

    async def _stay_connected(self) -> None:
        while not self._stopping:
            self.said = replace(self.said, phase="connecting")
            try:
                await self._serve()
            except ConnectionRefusedByServerError as error:
                log.error("%s", error)
                self.said = replace(
                    self.said, phase="refused", reason=error.reason, has_claim=False
                )
                if error.code in FINAL_CODES:
                    self.refusal = error
                    return
            except (ClientError, TimeoutError) as error:
                log.warning("%s", error)
                self.said = replace(self.said, phase="waiting", reason=str(error), has_claim=False)
            if not self._stopping:
                await asyncio.sleep(RETRY_S)
        self.said = replace(self.said, phase="closed", has_claim=False)

    async def _serve(self) -> None:
        """One connection, until it cannot be resumed."""
        url, token = self._where
        client = Client(
            url,
            token,
            kind="openxr",
            device=self._device,
            video=self._video,
            codecs=("jpeg", "h264"),
            turns=True,
            tls=self._tls,
            clock_ns=device_clock_ns,
            listener=self._hear,
        )
        client.count = self.count
        async with client:
            asked_s = 0.0
            while not self._stopping:
                self._notice_phase(client)
                if not client.has_claim and time.monotonic() - asked_s > RECLAIM_S:
                    asked_s = time.monotonic()
                    await self._claim(client)
                await self._pump(client)

    async def _claim(self, client: Client) -> None:
        try:
            await client.claim(timeout_s=1.0)
        except ConnectionRefusedByServerError:
            raise
        except (ClientError, TimeoutError) as error:
            log.info("%s", error)

    def _notice_phase(self, client: Client) -> None:
        phase: Phase = "open" if client.connected else "waiting"
        if phase != self.said.phase:
            reason = "" if phase == "open" else "the connection was interrupted"
            self.said = replace(self.said, phase=phase, reason=reason)
        has_claim = client.connected and client.has_claim
        if has_claim != self.said.has_claim:
            self.said = replace(self.said, has_claim=has_claim)

    async def _pump(self, client: Client) -> None:
        """Send what waits; come back within a tenth of a second."""
        try:
            await asyncio.wait_for(self._wake.wait(), 0.1)
        except TimeoutError:
            client.check()
            return
        self._wake.clear()
        row, self._row = self._row, None
        acks, self._acks = self._acks, []
        for ack in acks:
            await client.acknowledge(ack)
        if row is not None:
            await client.send_frame(row)

    def _hear(self, message: ServerMessage | VideoPicture) -> None:
        said = self.said
        if isinstance(message, VideoPicture):
            stream = said.streams.get(message.stream_id)
            if stream is not None:
                self._on_picture(message, stream)
        elif isinstance(message, Haptics):
            self._on_haptics(message)
        elif isinstance(message, Status):
            self.said = replace(said, status=message, status_ns=device_clock_ns())
        elif isinstance(message, Notice):
            notices = (*said.notices, (device_clock_ns(), message))[-KEPT_NOTICES:]
            self.said = replace(said, notices=notices)
        elif isinstance(message, Welcome):
            streams = {stream.id: stream for stream in message.streams}
            self.said = replace(said, streams=streams, phase="open", reason="")
        elif isinstance(message, ClaimRefused):
            self.said = replace(said, has_claim=False, holder=message.holder)
        elif isinstance(message, ClaimGranted):
            self.said = replace(said, has_claim=True, holder=None)
