"""Bodies in, answers out: JSON over HTTP."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

MAX_BODY_BYTES = 65_536
T = TypeVar("T")


async def read_body(request: Request, kind: type[T]) -> T | Response:
    """JSON body of a request, or the answer that says what is wrong with it."""
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY_BYTES:
            return problem(413, f"the body is longer than {MAX_BODY_BYTES} bytes")
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except msgspec.DecodeError as error:
        return problem(400, str(error))


def json_response(content: Any, status: int = 200) -> Response:
    """Anything msgspec can encode."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def problem(status: int, reason: str) -> Response:
    """What was wrong, as `{"error": …}`."""
    return JSONResponse({"error": reason}, status)
