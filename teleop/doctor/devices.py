"""Pictures, robot models, runtimes, cameras and pedals."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from retarget import builtin_rigs
from retarget.rigfile import find_rig, read_rig
from retarget.sources import missing_packages
from teleop.cameras.profile import PROBE_TIMEOUT_S, is_software
from teleop.doctor.items import Item

RUNTIME_FILES = ("openxr/1/active_runtime.json", "openxr/1/active_runtime.x86_64.json")
VIDEO = Path("/dev")
INPUT = Path("/dev/input")


def look_at_pictures() -> Item:
    """What draws simulated cameras; in a process of its own, as drivers can crash."""
    command = [sys.executable, "-m", "teleop.cameras.gl"]
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter and module)
            command, capture_output=True, text=True, check=False, timeout=PROBE_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return Item("fail", "OpenGL", f"no answer in {PROBE_TIMEOUT_S:g} s", "update the driver")
    if done.returncode:
        words = done.stderr.strip().splitlines()
        todo = "apt install libegl1 libopengl0 libgl1-mesa-dri libegl-mesa0"
        return Item("fail", "OpenGL", words[-1] if words else "the probe crashed", todo)
    renderer = done.stdout.strip()
    if is_software(renderer):
        todo = "works at 320×240; with a GPU and its driver cameras are 640×480 and leave room"
        return Item("warn", "OpenGL", f"{renderer} (no GPU)", todo)
    return Item("ok", "OpenGL", renderer)


def look_at_rigs() -> Item:
    """Whose models are installed."""
    absent = {
        name: missing
        for name in builtin_rigs()
        if (missing := missing_packages(read_rig(find_rig(name))))
    }
    there = len(builtin_rigs()) - len(absent)
    found = f"models of {there} of {len(builtin_rigs())} built-in rigs"
    if absent:
        return Item("ok", "rigs", found, "for all of them: pip install 'telecap[robots]'")
    return Item("ok", "rigs", found)


def look_at_compiler() -> Item:
    """Whether the control law is compiled."""
    if os.environ.get("TELECAP_NO_NUMBA"):
        return Item("warn", "compiled kernels", "off by TELECAP_NO_NUMBA", "unset it")
    if importlib.util.find_spec("numba") is None:
        return Item("warn", "compiled kernels", "numba is missing", "pip install numba")
    return Item("ok", "compiled kernels", "numba")


def look_at_openxr(folders: tuple[Path, ...] = ()) -> Item:
    """The OpenXR runtime of this computer; headsets with a browser need none."""
    chosen = os.environ.get("XR_RUNTIME_JSON", "")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    places = folders or (config, Path("/etc/xdg"), Path("/usr/share"), Path("/usr/local/share"))
    files = [Path(chosen)] if chosen else [p / name for p in places for name in RUNTIME_FILES]
    path = next((file for file in files if file.is_file()), None)
    if path is None and chosen:
        return Item("warn", "OpenXR runtime", f"XR_RUNTIME_JSON names {chosen}", "no such file")
    if path is None:
        return Item("ok", "OpenXR runtime", "none; headsets come by their own browser")
    try:
        runtime = json.loads(path.read_text()).get("runtime", {})
        return Item("ok", "OpenXR runtime", f"{runtime.get('name', 'unnamed')} ({path})")
    except (OSError, ValueError, AttributeError) as error:
        return Item("warn", "OpenXR runtime", f"{path} cannot be read: {error}", "install it anew")


def look_at_cameras(folder: Path = VIDEO) -> Item:
    """Video devices that this user may read."""
    nodes = sorted(folder.glob("video[0-9]*"))
    if not nodes:
        return Item("ok", "cameras", "none plugged in; simulated rigs bring their own")
    closed = [node.name for node in nodes if not os.access(node, os.R_OK | os.W_OK)]
    if closed:
        todo = "sudo usermod -aG video $USER, then log in again"
        return Item("warn", "cameras", f"no right to open {', '.join(closed)}", todo)
    return Item("ok", "cameras", ", ".join(node.name for node in nodes))


def look_at_pedals(folder: Path = INPUT) -> Item:
    """Input devices that pedals and button boxes are."""
    if importlib.util.find_spec("evdev") is None:
        todo = "only for pedals and button boxes: pip install 'telecap[pedals]'"
        return Item("ok", "pedals", "evdev is not installed", todo)
    nodes = sorted(folder.glob("event[0-9]*"))
    readable = [node for node in nodes if os.access(node, os.R_OK)]
    if nodes and not readable:
        todo = "only for pedals and button boxes: sudo usermod -aG input $USER, then log in again"
        return Item("ok", "pedals", f"{len(nodes)} input devices, none readable", todo)
    return Item("ok", "pedals", f"{len(readable)} input devices (telecap pedals names them)")
