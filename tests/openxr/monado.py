"""A real OpenXR runtime under a test's control: Monado's service and its scriptable devices."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

PORT = 4242
_POSE, _HEAD = "7f", "4f7fI"
_CONTROLLER = "7f3f3f5fff" + "f2ff2f16?"
_PACKET = struct.Struct("<8s" + 2 * _HEAD + "7f4?" + 2 * _CONTROLLER)
_MAGIC = b"mndrmt3\0"
IDENTITY = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Controller:
    """State of one emulated controller, and of the bare hand at the same place."""

    position: tuple[float, float, float]
    quat_xyzw: tuple[float, float, float, float] = IDENTITY
    curl: tuple[float, ...] = (0.0,) * 5
    trigger: float = 0.0
    squeeze: float = 0.0
    stick: tuple[float, float] = (0.0, 0.0)
    a: bool = False
    b: bool = False
    stick_click: bool = False
    active: bool = True
    hand: bool = True

    def values(self) -> list[float | bool]:
        still = [0.0] * 6
        clicks = [False, False, self.a, self.a, self.b, self.b, False, False]
        rest = [self.stick_click, False, False, False, False, False]
        return [
            *self.quat_xyzw, *self.position, *still, *self.curl,
            self.trigger, self.squeeze, 0.0, *self.stick, 0.0, 0.0, 0.0,
            self.hand, self.active, *clicks, *rest,
        ]  # fmt: skip


@dataclass(frozen=True)
class Devices:
    """Where everything is, in STAGE."""

    head: tuple[float, float, float] = (0.0, 1.65, 0.0)
    head_quat_xyzw: tuple[float, float, float, float] = IDENTITY
    left: Controller = field(default_factory=lambda: Controller((-0.2, 1.1, -0.3)))
    right: Controller = field(default_factory=lambda: Controller((0.2, 1.15, -0.3)))

    def packet(self) -> bytes:
        view = [0.0] * 4 + [0, 0, 0, 1, 0, 0, 0] + [0]
        head = [*self.head_quat_xyzw, *self.head, False, False, False, False]
        return _PACKET.pack(_MAGIC, *view, *view, *head, *self.left.values(), *self.right.values())


class Monado:
    """The service, with the scriptable devices, in a folder of its own.

    Args:
        prefix: Where the runtime was unpacked.
        folder: Short path for its socket, configuration and log.
        environment: Settings of the compositor.
    """

    def __init__(self, prefix: Path, folder: Path, environment: dict[str, str]) -> None:
        self._prefix, self._folder = prefix, folder
        config = folder / "config" / "monado"
        config.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        remote = {"active": "remote", "remote": {"version": 0, "port": PORT}}
        (config / "config_v0.json").write_text(json.dumps(remote))
        self._environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(folder),
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "P_OVERRIDE_ACTIVE_CONFIG": "remote",
            **environment,
        }
        self._service: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self.devices = Devices()

    def start(self) -> None:
        log = self._folder / "log"
        with log.open("wb") as file:
            self._service = subprocess.Popen(
                [self._prefix / "run", self._prefix / "usr" / "bin" / "monado-service"],
                env=self._environment,
                stdin=subprocess.PIPE,  # its end would end the service
                stdout=file,
                stderr=file,
            )
        ready = self._folder / "monado_comp_ipc"
        deadline = time.monotonic() + 20.0
        while not (ready.exists() and b"has started" in log.read_bytes()):
            assert self._service.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", PORT))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greeting = 2 * _PACKET.size
        while greeting:
            greeting -= len(self._socket.recv(greeting))
        self.put(Devices())

    def put(self, devices: Devices) -> None:
        """Move everything there."""
        assert self._socket is not None
        self.devices = devices
        self._socket.sendall(devices.packet())

    def change(self, side: str, **changes: object) -> None:
        """Change one controller."""
        controller = replace(getattr(self.devices, side), **changes)
        self.put(replace(self.devices, **{side: controller}))

    def kill(self) -> None:
        """As a crash."""
        assert self._service is not None
        self._service.send_signal(signal.SIGKILL)
        self._service.wait()
        self._leave()

    def stop(self) -> None:
        if self._service is not None and self._service.poll() is None:
            assert self._service.stdin is not None
            self._service.stdin.close()
            try:
                self._service.wait(5.0)
            except subprocess.TimeoutExpired:
                self._service.kill()
                self._service.wait()
        self._leave()

    def _leave(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = self._service = None
