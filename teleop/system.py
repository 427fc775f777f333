"""A whole system under one roof: run directory, token, supervisor, and what to tell the user."""

from __future__ import annotations

import secrets
import string
import tempfile
from typing import Any
from urllib.parse import urlsplit

from retarget.rigfile import find_rig, read_rig
from teleop.cameras.profile import detect_profile
from teleop.config import RunConfig
from teleop.errors import TeleopError
from teleop.gateway.pairing import new_code
from teleop.gateway.tls import outgoing_addresses

EVERY_INTERFACE = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound


def new_config(**settings: Any) -> RunConfig:
    """A configuration with a fresh instance name, run directory and token.

    Args:
        settings: Fields of `RunConfig`; `token` may be given to keep one over restarts.

    Raises:
        RigError: There is no such rig, or its file is wrong.
        NoArmsError: The rig has nothing that an operator could engage.
    """
    if "rig" in settings:
        _require_arms(settings["rig"])
    token = settings.pop("token", "") or new_token()
    render = detect_profile(settings.pop("render", "auto")).name  # asked once, for all processes
    instance = secrets.token_hex(4)
    run_dir = tempfile.mkdtemp(prefix="telecap-")
    return RunConfig(
        instance=instance,
        run_dir=run_dir,
        token=token,
        pairing=new_code(),
        render=render,
        **settings,
    )


def new_token() -> str:
    """A token that can be given to any program: one that began with a dash would be an option."""
    return secrets.choice(string.ascii_letters) + secrets.token_urlsafe(12)[1:]


class NoArmsError(TeleopError):
    """A rig of hands alone cannot be served."""


def _require_arms(rig: str) -> None:
    """Said at once, not by processes that end."""
    file = read_rig(find_rig(rig))
    if not file.arms:
        raise NoArmsError(
            f"rig {file.name!r} has no arms to engage: hands alone are for `telecap rigs check` "
            f"and for retargeting from Python (docs/hands.md)"
        )


def page_urls(base: str, token: str, host: str = "127.0.0.1", code: str = "") -> dict[str, str]:
    """Addresses of the console and the headset page; what opens them stays in the fragment.

    Args:
        base: Where this host reaches the gateway, e.g. `http://127.0.0.1:8765`.
        token: Token of the run.
        host: Address the gateway was told to listen on; where that is every interface, a headset
            is sent to one that leads out.
        code: One-time code for the headset instead of the token; empty for the token.
    """
    key = f"code={code}" if code else f"token={token}"
    headset = f"{headset_base(base, host)}/xr#{key}"
    return {"console": f"{base}/#token={token}", "headset": headset}


def headset_base(base: str, host: str) -> str:
    """Address of the server as a headset on the network reaches it; `base` where it cannot."""
    parts = urlsplit(base)
    reachable = base
    if host in EVERY_INTERFACE:
        outside = sorted(outgoing_addresses())
        if outside:
            name = f"[{outside[0]}]" if ":" in outside[0] else outside[0]
            reachable = f"{parts.scheme}://{name}:{parts.port}"
    return reachable
