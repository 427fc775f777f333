"""The operator socket: the shell around one `ServerConnection`.

One task reads and hands each message to the hub at once; one writes what waits in the outbox. A
client that does not read only ever delays its own writer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from teleop.gateway.auth import origin_allowed
from teleop.gateway.client import Client
from teleop.gateway.hub import Hub
from teleop.gateway.outbox import Encode
from teleop.protocol import SUBPROTOCOL, CloseCode, ServerConnection, encode_video

log = logging.getLogger(__name__)
CLOSE_TIMEOUT_S = 1.0
VIDEO_RETRY_S = 0.1
"""How soon pictures held back for want of acknowledgements are looked at again."""


async def serve_socket(websocket: WebSocket, hub: Hub) -> None:
    """Serve one WebSocket from its handshake to its end."""
    offered: list[str] = websocket.scope.get("subprotocols", [])
    accepted = SUBPROTOCOL if SUBPROTOCOL in offered else (offered[0] if offered else None)
    # Accepted even when refused: a browser shows the close code and reason only then.
    await websocket.accept(subprotocol=accepted)
    wake = asyncio.Event()
    connection = ServerConnection(time.monotonic_ns(), hub.serving.limits)
    client = Client(connection, wake.set)
    hub.add(client)
    if accepted != SUBPROTOCOL:
        client.refuse(
            CloseCode.WRONG_SUBPROTOCOL, f"subprotocol {SUBPROTOCOL} expected, {offered} offered"
        )
    elif not origin_allowed(websocket.headers.get("origin"), websocket.headers.get("host")):
        client.refuse(
            CloseCode.ORIGIN_REFUSED, f"pages of {websocket.headers.get('origin')} are refused"
        )
    writer = asyncio.create_task(_write(websocket, client, wake), name="socket-writer")
    try:
        await _read(websocket, client, hub)
    finally:
        # First of all: from here on the arms hold.
        hub.remove(client, time.monotonic_ns())
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer


async def _read(websocket: WebSocket, client: Client, hub: Hub) -> None:
    connection = client.connection
    while True:
        try:
            message = await websocket.receive()
        except RuntimeError:  # closed by our own writer
            return
        if message["type"] == "websocket.disconnect":
            return
        now_ns = time.monotonic_ns()
        text = message.get("text")
        if text is not None:
            connection.receive_text(text, now_ns)
        else:
            connection.receive_bytes(message["bytes"], now_ns)
        hub.process(client, now_ns)


async def _write(websocket: WebSocket, client: Client, wake: asyncio.Event) -> None:
    try:
        while True:
            message = client.outbox.take(time.monotonic_ns())
            if isinstance(message, str):
                await websocket.send_text(message)
            elif isinstance(message, Encode):
                await websocket.send_bytes(await _encoded(client, message))
            elif message is not None:
                await websocket.send_bytes(message)
            elif client.connection.close_code is not None:
                await _close(websocket, client)
                return
            else:
                # Not `wait_for`: before Python 3.12 it loses a cancellation that meets a result.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(VIDEO_RETRY_S):
                        await wake.wait()
                wake.clear()
            if client.outbox.overflowed:
                log.warning("a client does not read its messages; it is cut off")
                await _close(websocket, client)
                return
    except (WebSocketDisconnect, RuntimeError) as error:
        log.debug("the socket closed while writing: %s", error)


async def _encoded(client: Client, wanted: Encode) -> bytes:
    """Aside, so that poses go on being read; one picture of a client at a time."""
    encode = client.transcoder.encode
    picture = await asyncio.to_thread(encode, wanted.offer, wanted.level, wanted.fresh)
    return encode_video(picture)


async def _close(websocket: WebSocket, client: Client) -> None:
    if websocket.application_state is not WebSocketState.CONNECTED:
        return
    code = client.connection.close_code or CloseCode.TOO_MANY
    reason = client.connection.close_reason or "messages left unread"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await websocket.close(code, reason)
