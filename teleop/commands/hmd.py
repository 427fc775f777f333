"""`telecap hmd`: the native headset client."""

from __future__ import annotations

import signal
import ssl
import sys
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit, urlunsplit

from rich.console import Console
from rich.markup import escape
from tyro.conf import Positional

from teleop.errors import TeleopError
from teleop.hmd.openxr.app import HmdApp, HmdSettings


def hmd(
    address: Positional[str] = "http://127.0.0.1:8765",
    *,
    token: str = "",
    headless: bool = False,
    rate_hz: float = 0.0,
    ca: Path | None = None,
    wrists: Literal["low", "high", "side", "off"] = "low",
    arms: bool = False,
) -> int:
    """Operate from a headset through this machine's OpenXR runtime, until Ctrl-C.

    Args:
        address: The running system, as `telecap run` printed it; with `#token=…` it needs no
            `--token`.
        token: Token of that system.
        headless: Stream poses only, beside another application (needs XR_MND_headless).
        rate_hz: Refresh rate to ask the display for; headless: poses per second, 200 when left out.
        wrists: Where the wrist cameras' pictures hang.
        arms: Draw the robot's limbs where the operator's would be.
        ca: Certificate of the server's authority, for an https address (`/ca.pem` of that server).
    """
    if rate_hz < 0 or rate_hz > 500:
        raise AddressError(f"--rate-hz {rate_hz:g} is not between 0 and 500")
    url, told = split_address(address)
    out = Console(stderr=True, highlight=False)
    app = HmdApp(
        HmdSettings(url, token or told, headless, rate_hz, tls_context(url, ca), wrists, arms),
        lambda text: out.print(escape(text), soft_wrap=True),
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: app.stop())
    app.run()
    return 0


class AddressError(TeleopError):
    """The address of the server, or what belongs to it, cannot be used."""


def split_address(address: str) -> tuple[str, str]:
    """Server and token of an address as it is printed, page and fragment included.

    Raises:
        AddressError: Another scheme, or no host.
    """
    parts = urlsplit(address if "//" in address else f"http://{address}")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise AddressError(f"{address!r} is not an address; expected http(s)://HOST:PORT")
    token = parse_qs(parts.fragment).get("token", [""])[0]
    return urlunsplit((parts.scheme, parts.netloc, "", "", "")), token


def tls_context(url: str, ca: Path | None) -> ssl.SSLContext | None:
    """Trust for an https address: the given authority, else this user's own, else the system's.

    Raises:
        AddressError: The certificate cannot be read.
    """
    if not url.startswith("https://"):
        return None
    if ca is None and sys.platform != "win32":
        from teleop.gateway.tls import own_authority

        ca = own_authority()
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as error:
        raise AddressError(f"{ca} is not a certificate that can be read: {error}") from error
