"""Who may talk to the gateway: bearer token and browser origin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hmac import compare_digest
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Awaitable[Response]]
Guard = Callable[[Handler], Handler]
"""Lets a handler answer those only who show the token."""

BEARER = "bearer "


def token_matches(expected: str, given: str) -> bool:
    """Compare in constant time; an empty expected token matches nothing."""
    return bool(expected) and compare_digest(expected.encode(), given.encode())


def bearer_token(authorization: str | None) -> str:
    """Token of an `Authorization` header, empty when there is none."""
    if authorization is None or not authorization.lower().startswith(BEARER):
        return ""
    return authorization[len(BEARER) :].strip()


def origin_allowed(origin: str | None, host: str | None) -> bool:
    """Whether a socket may be opened from a page of `origin`.

    Browsers always send `Origin`, so a page of another site is refused; programs send none and are
    judged by their token alone. `null` (a file, a sandboxed frame) is another site.
    """
    if origin is None:
        return True
    if host is None:
        return False
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
