"""The few HTTP requests a client makes beside its socket, with nothing but the standard library."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from teleop.hmd.client import ClientError

TIMEOUT_S = 5.0


class ApiError(ClientError):
    """A request was refused or not answered."""


class Api:
    """`/api` of one server.

    Args:
        url: Address of the server, `http(s)://HOST:PORT`.
        token: Bearer token of the run.
        tls: For https addresses with a private certificate authority.
    """

    def __init__(self, url: str, token: str, tls: ssl.SSLContext | None = None) -> None:
        base = url if "//" in url else f"http://{url}"
        if not base.startswith(("http://", "https://")):
            raise ApiError(f"{url!r} is not an address; expected http(s)://HOST:PORT")
        self._base = base.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._tls = tls

    async def get(self, path: str) -> Any:
        """Answer of `GET path`, decoded. Raises ApiError."""
        return await asyncio.to_thread(self._request, "GET", path, None)

    async def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Answer of `POST path` with a JSON body, decoded. Raises ApiError."""
        return await asyncio.to_thread(self._request, "POST", path, json.dumps(body or {}).encode())

    def _request(self, method: str, path: str, body: bytes | None) -> Any:
        request = Request(  # noqa: S310 (the scheme was checked)
            self._base + path, data=body, headers=self._headers, method=method
        )
        try:
            with urlopen(request, timeout=TIMEOUT_S, context=self._tls) as answer:  # noqa: S310
                text = answer.read()
            return json.loads(text) if text else None
        except HTTPError as error:
            words = error.read().decode(errors="replace")[:500]
            raise ApiError(f"{method} {path} was refused: {error.code} {words}") from error
        except (URLError, TimeoutError, ConnectionError) as error:
            raise ApiError(f"{method} {path} got no answer: {error}") from error
        except ValueError as error:
            raise ApiError(f"{method} {path}: the answer is not JSON: {error}") from error
