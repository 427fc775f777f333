"""The web application: pages, API, operator socket."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from starlette.websockets import WebSocket

from teleop.gateway.api import Api
from teleop.gateway.hub import Hub
from teleop.gateway.socket import serve_socket
from teleop.gateway.tls import fingerprint

HEADERS = {
    "Cache-Control": "no-cache",  # pages and modules of one version belong together
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


class PageFiles(StaticFiles):
    """Package data of a page, always revalidated."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer one request."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def build_app(hub: Hub, api: Api, authority: Path | None = None) -> Starlette:
    """The application.

    Args:
        hub: The hub.
        api: The HTTP API.
        authority: Certificate of the private authority, offered at `/ca.pem`.
    """
    package = files("teleop")
    console = Path(str(package / "console"))
    headset = Path(str(package / "hmd" / "page"))

    async def socket(websocket: WebSocket) -> None:
        await serve_socket(websocket, hub)

    routes: list[BaseRoute] = [
        WebSocketRoute("/ws", socket),
        Route("/", _page(console / "index.html")),
        Route("/xr", _page(headset / "index.html")),
        Route("/healthz", _healthz),
        *api.routes(),
        Mount("/static/console", PageFiles(directory=console)),
        Mount("/static/xr", PageFiles(directory=headset)),
    ]
    if authority is not None:
        routes.append(Route("/ca.pem", _file(authority, "application/x-x509-ca-cert")))
        routes.append(Route("/trust", _trust(headset / "trust.html", authority)))
    return Starlette(routes=routes)


def _page(path: Path) -> Any:
    return _file(path, "text/html")


def _file(path: Path, media_type: str) -> Any:
    async def answer(_: Request) -> Response:
        return FileResponse(path, media_type=media_type, headers=HEADERS)

    return answer


def _trust(page: Path, authority: Path) -> Any:
    """How a headset comes to trust this server."""
    text = page.read_text(encoding="utf-8").replace("FINGERPRINT", fingerprint(authority))

    async def answer(request: Request) -> Response:
        port = str(request.url.port or 443)
        return HTMLResponse(text.replace("PORT", port), headers=HEADERS)

    return answer


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok")
