"""A whole system under one roof: run directory, token, supervisor, and what to tell the user."""

from __future__ import annotations

import secrets
import tempfile
from typing import Any

from teleop.cameras.profile import detect_profile
from teleop.config import RunConfig


def new_config(**settings: Any) -> RunConfig:
    """A configuration with a fresh instance name, run directory and token.

    Args:
        settings: Fields of `RunConfig`; `token` may be given to keep one over restarts.
    """
    token = settings.pop("token", "") or secrets.token_urlsafe(12)
    render = detect_profile(settings.pop("render", "auto")).name  # asked once, for all processes
    instance = secrets.token_hex(4)
    run_dir = tempfile.mkdtemp(prefix="telecap-")
    return RunConfig(instance=instance, run_dir=run_dir, token=token, render=render, **settings)


def page_urls(base: str, token: str) -> dict[str, str]:
    """Addresses of the console and the headset page; the token stays in the fragment."""
    return {"console": f"{base}/#token={token}", "headset": f"{base}/xr#token={token}"}
