"""How a headset can reach this computer."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from teleop.doctor.items import Item
from teleop.gateway.tls import certificates_dir, outgoing_addresses

ADB_TIMEOUT_S = 5.0


def look_at_port(port: int) -> Item:
    """Whether the server's port is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            todo = f"another program, or a running telecap, has it: telecap run --port {port + 1}"
            return Item("warn", "port", f"{port} is taken ({error.strerror})", todo)
    return Item("ok", "port", f"{port} is free")


def look_at_network() -> Item:
    """Addresses that a headset in the same network can use."""
    found = sorted(outgoing_addresses())
    if not found:
        todo = "connect this computer to the network of the headset, or use a USB cable"
        return Item("warn", "network", "no address that leads out", todo)
    return Item("ok", "network", ", ".join(found))


def look_at_certificate(folder: Path | None = None) -> Item:
    """Headset browsers give WebXR to pages of localhost and of trusted certificates only."""
    directory = folder or certificates_dir()
    if (directory / "ca.pem").is_file() and (directory / "ca.key").is_file():
        mode = (directory / "ca.key").stat().st_mode & 0o077
        if mode:
            todo = f"chmod 600 {directory / 'ca.key'}"
            return Item("fail", "certificate", "others can read the authority's key", todo)
        return Item(
            "ok", "certificate", f"own authority in {directory}; offered at /ca.pem with --tls"
        )
    todo = "telecap run --tls --host 0.0.0.0 makes one at its first start"
    return Item("ok", "certificate", "no authority of its own yet", todo)


def look_at_cable(adb: str | None = None, port: int = 8765) -> Item:
    """Headsets on a USB cable, which need no certificate: the page is then of localhost."""
    command = adb or shutil.which("adb")
    if command is None:
        todo = "only for headsets on a cable: apt install adb"
        return Item("ok", "USB headset", "adb is not installed", todo)
    try:
        done = subprocess.run(  # noqa: S603 (adb, found on the path)
            [command, "devices"], capture_output=True, text=True, check=False, timeout=ADB_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Item("warn", "USB headset", f"adb does not answer: {error}", "adb kill-server")
    states = [line.split()[1] for line in done.stdout.splitlines()[1:] if len(line.split()) > 1]
    if "device" in states:
        page = f"http://localhost:{port}/xr"
        todo = f"adb reverse tcp:{port} tcp:{port}, then open {page} in the headset"
        return Item("ok", "USB headset", f"{states.count('device')} connected", todo)
    if states:
        todo = "put the headset on and allow USB debugging for this computer"
        return Item("warn", "USB headset", f"found, but {', '.join(sorted(set(states)))}", todo)
    return Item("ok", "USB headset", "none connected")
