"""Routes for pairing a headset: a code and its picture for the console, a token for a code."""

from __future__ import annotations

import io
import time
from typing import Annotated

import msgspec
import segno
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from teleop.gateway.answers import json_response, problem, read_body
from teleop.gateway.auth import Guard
from teleop.gateway.pairing import VALID_NS, Pairing, TooManyGuessesError


class CodeArgs(msgspec.Struct, frozen=True):
    """Body of `POST /api/pairing/redeem`."""

    code: Annotated[str, msgspec.Meta(max_length=64)]


class PairingApi:
    """Routes of pairing.

    Args:
        pairing: The codes.
        token: What a code is worth.
        base: Address of this server as a headset reaches it.
    """

    def __init__(self, pairing: Pairing, token: str, base: str) -> None:
        self._pairing, self._token, self._base = pairing, token, base

    def routes(self, guarded: Guard) -> list[Route]:
        """What to mount; only `redeem` needs no token."""
        return [
            Route("/api/pairing", guarded(self.create), methods=["POST"]),
            Route("/api/pairing/redeem", self.redeem, methods=["POST"]),
        ]

    async def create(self, _: Request) -> Response:
        """A new code, the address with it, and that as a picture."""
        code = self._pairing.make(time.monotonic_ns())
        url = f"{self._base}/xr#code={code}"
        picture = io.BytesIO()
        segno.make(url).save(
            picture, kind="svg", xmldecl=False, border=4, light="#fff", omitsize=True
        )
        return json_response(
            {
                "code": code,
                "url": url,
                "svg": picture.getvalue().decode(),
                "valid_s": VALID_NS // 1_000_000_000,
            }
        )

    async def redeem(self, request: Request) -> Response:
        """The token, once for each code."""
        args = await read_body(request, CodeArgs)
        if isinstance(args, Response):
            return args
        try:
            good = self._pairing.redeem(args.code, time.monotonic_ns())
        except TooManyGuessesError:
            return problem(429, "too many wrong codes; wait a minute")
        if not good:
            reason = "this code is wrong, used or older than half an hour; make a new one"
            return problem(403, reason)
        return json_response({"token": self._token})
