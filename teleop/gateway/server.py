"""Listening: the socket, uvicorn, and the file that says where."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from teleop.errors import GatewayError
from teleop.gateway.tls import Certificates

TRANSPORT_MAX_BYTES = 1 << 20
"""Above the protocol's own limit, so that its close code reaches the client; bounds memory."""


class Server(uvicorn.Server):
    """uvicorn that leaves signals to the process it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install nothing."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """A bound TCP socket; port 0 picks a free one.

    Raises:
        GatewayError: The address is not this host's, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        raise GatewayError(
            f"cannot listen on {host}:{port}: {error}; --port 0 picks a free one"
        ) from error
    return bound


def make_server(app: Starlette, certificates: Certificates | None = None) -> Server:
    """Uvicorn for the operator socket: no compression, dead links found within seconds."""
    return Server(
        uvicorn.Config(
            app,
            http="h11",
            # The same latency as uvicorn's older `websockets` mode, which is deprecated.
            ws="websockets-sansio",
            ws_max_size=TRANSPORT_MAX_BYTES,
            ws_per_message_deflate=False,
            ws_ping_interval=5.0,
            ws_ping_timeout=5.0,
            lifespan="off",
            log_config=None,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=1,
            ssl_certfile=None if certificates is None else str(certificates.chain),
            ssl_keyfile=None if certificates is None else str(certificates.key),
        )
    )


def address(bound: socket.socket, host: str, *, tls: bool) -> tuple[str, int]:
    """URL and port to reach a bound socket from this host."""
    port = int(bound.getsockname()[1])
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    if ":" in shown and not shown.startswith("["):
        shown = f"[{shown}]"
    return f"{'https' if tls else 'http'}://{shown}:{port}", port


def announce(run_dir: Path, url: str, port: int) -> None:
    """Write `gateway.json`, whole or not at all."""
    aside = run_dir / ".gateway.json"
    aside.write_text(json.dumps({"url": url, "port": port, "pid": os.getpid()}))
    aside.replace(run_dir / "gateway.json")
