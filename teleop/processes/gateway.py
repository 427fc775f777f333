"""The gateway process: `python -m teleop.processes.gateway CONFIG.json`."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from calibration.store import ProfileStore
from recorder import Dataset, RecorderError
from retarget import Rig, load_rig
from teleop.alignment import ArmGeometry, ClutchMode
from teleop.bindings import Bindings
from teleop.bus import Bus
from teleop.cameras.base import camera_plan
from teleop.config import CameraConfig, RunConfig
from teleop.errors import GatewayError
from teleop.gateway.api import Api
from teleop.gateway.app import build_app
from teleop.gateway.bridge import BusBridge
from teleop.gateway.hub import Hub
from teleop.gateway.keys import KeyWatch, first_names, key_names
from teleop.gateway.mdns import Announcement
from teleop.gateway.neutral import Neutral
from teleop.gateway.orders import Orders
from teleop.gateway.pairapi import PairingApi
from teleop.gateway.pairing import Pairing
from teleop.gateway.pedaldesk import PedalDesk
from teleop.gateway.scene import SceneView, is_simulated
from teleop.gateway.server import Server, address, announce, bind, make_server
from teleop.gateway.serving import Serving
from teleop.gateway.taskdesk import TaskDesk
from teleop.gateway.tls import (
    Certificates,
    certificates_dir,
    host_names,
    make_certificates,
    outgoing_addresses,
    state_dir,
)
from teleop.gateway.topics import Heard, Outputs
from teleop.pedals import pedal_bindings, pedal_section
from teleop.plan import Plan
from teleop.processes.loop import Process
from teleop.protocol import RigInfo, StreamInfo
from teleop.samples import OPERATOR_FRAME, SESSION_STATE, row_sizes
from teleop.scheduling import request_scheduling
from teleop.session import Session
from teleop.system import EVERY_INTERFACE, headset_base

log = logging.getLogger(__name__)

TICK_S = 0.01
SCHEDULING_PRIORITY = 10
MAX_JSON_BYTES = 65_536


class Gateway:
    """Everything of one gateway, put together.

    Args:
        process: The process it runs in.
    """

    def __init__(self, process: Process) -> None:
        config = process.config
        if not config.token:
            raise GatewayError("the configuration has no token; every client must know one")
        rig = load_rig(config.rig)
        cameras = camera_plan(rig, config)
        self.process = process
        self.config = config
        self.saver = ThreadPoolExecutor(1, thread_name_prefix="profiles")
        self.scene = SceneView(rig) if is_simulated(rig) else None
        self.hub = self._hub(rig, list(cameras), _outputs(process))
        self.bridge = BusBridge(
            process.bus,
            row_sizes(rig),
            cameras,
            self.hub.needs_pixels,
            None if self.scene is None else self.scene.dtype,
            self._deliver,
        )
        self.keys = self._key_watch(rig)
        self._loop: asyncio.AbstractEventLoop | None = None

    def _key_watch(self, rig: Rig) -> KeyWatch | None:
        """Reads the pedals of a rig file, None when it has none."""
        own = pedal_section(Path(self.config.pedals)) if self.config.pedals else {}
        section = {**rig.sections.get("pedals", {}), **own}
        if not section:
            return None
        names = key_names()
        return KeyWatch(pedal_bindings(section, first_names(names)), PedalDesk(self.hub), names)

    def _hub(self, rig: Rig, cameras: list[CameraConfig], outputs: Outputs) -> Hub:
        config = self.config
        store = ProfileStore(state_dir() / "profiles") if config.operator else None
        reaches = list(rig.reach_m.values()) or [0.6]
        neutral = Neutral(
            sum(reaches) / len(reaches), config.operator, store, run=self.saver.submit
        )
        session = Session(time.monotonic_ns(), round(config.countdown_s * 1e9))
        session.takes.take = last_take(Path(config.dataset))
        return Hub(
            Serving(
                token=config.token,
                rig=RigInfo(
                    name=rig.name,
                    joint_names=tuple(rig.joint_names),
                    gripper_names=tuple(rig.gripper_names),
                    tips=dict(rig.tips),
                ),
                q_home=rig.home_from(np.full(len(rig.joint_names), np.nan)),
                streams=tuple(stream_infos(rig, cameras)),
                control_rate_hz=config.control_rate_hz,
                operator=config.operator,
                forward=rig.forward,
                chains=rig.chains,
                geometry=ArmGeometry.of(rig),
                clutch=clutch_mode(rig, config),
            ),
            outputs,
            session,
            neutral,
            Bindings.from_rig(rig.sections.get("bindings")),
            Orders(outputs, neutral, self._desk(), config.operator, config.seed + 1),
        )

    def _desk(self) -> TaskDesk:
        config = self.config
        plan = Plan.load(Path(config.plan)) if config.plan else None
        return TaskDesk(config.task, plan, Path(config.dataset), self.saver.submit)

    async def run(self) -> None:
        """Serve until the process is told to stop."""
        config = self.config
        self._loop = asyncio.get_running_loop()
        certificates = certificates_for(config)
        authority = None if certificates is None else certificates.authority
        bound = bind(config.host, config.port)
        url, port = address(bound, config.host, tls=config.tls)
        api = Api(self.hub, Path(config.dataset), self.scene, self._pairing(url))
        server = make_server(build_app(self.hub, api, authority), certificates)
        serving = asyncio.create_task(server.serve(sockets=[bound]), name="uvicorn")
        name = self._announcement(port)
        if name is not None:
            log.info("name on the local network: %s", await name.start() or "none")
        keys = None if self.keys is None else asyncio.create_task(self.keys.run(), name="keys")
        self.bridge.start()
        try:
            while not server.started and not serving.done():
                await asyncio.sleep(0.005)
            announce(Path(config.run_dir), url, port)
            log.info("listening on %s", url)
            # The loop's thread only, below control and robot; it never computes for long.
            log.info("scheduling: %s", request_scheduling(SCHEDULING_PRIORITY).value)
            self.process.ready()
            await self._tick(serving)
        finally:
            if keys is not None:
                keys.cancel()
            if name is not None:
                await name.stop()
            await self._stop(server, serving)

    def _announcement(self, port: int) -> Announcement | None:
        """Where headsets on the network may come."""
        addresses = [a for a in sorted(outgoing_addresses()) if ":" not in a]
        if self.config.host not in EVERY_INTERFACE or not addresses:
            return None
        return Announcement(port, tls=self.config.tls, addresses=addresses)

    def _pairing(self, url: str) -> PairingApi:
        pairing = Pairing()
        if self.config.pairing:
            pairing.add(self.config.pairing, time.monotonic_ns())
        return PairingApi(pairing, self.config.token, headset_base(url, self.config.host))

    async def _tick(self, serving: asyncio.Task[None]) -> None:
        while not self.process.stopping and not serving.done():
            self.hub.tick(time.monotonic_ns())
            self.process.beat(ticks=self.hub.frames)
            await asyncio.sleep(TICK_S)

    async def _stop(self, server: Server, serving: asyncio.Task[None]) -> None:
        self.bridge.stop()
        self.hub.stop()
        await asyncio.sleep(0.05)  # let the writers say goodbye
        server.should_exit = True
        await serving
        self.saver.shutdown()

    def _deliver(self, heard: Heard) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._hear, heard)

    def _hear(self, heard: Heard) -> None:
        self.hub.hear(heard, time.monotonic_ns())


def _outputs(process: Process) -> Outputs:
    bus: Bus = process.bus
    return Outputs(
        operator_frame=bus.publisher("operator/frame", OPERATOR_FRAME),
        session_state=bus.publisher("session/state", SESSION_STATE),
        recorder_command=bus.publisher("recorder/command", None, max_bytes=MAX_JSON_BYTES),
        robot_request=bus.publisher("robot/request", None, max_bytes=MAX_JSON_BYTES),
        event=process.event,
    )


def clutch_mode(rig: Rig, config: RunConfig) -> ClutchMode:
    """As the command line says, else the rig's `[clutch] mode`, else relative."""
    name = config.clutch or str(rig.sections.get("clutch", {}).get("mode", "relative"))
    if name.upper() not in ClutchMode.__members__:
        known = [mode.name.lower() for mode in ClutchMode]
        raise GatewayError(f"rig {rig.name!r}: clutch.mode is {name!r}; modes: {known}")
    return ClutchMode[name.upper()]


def stream_infos(rig: Rig, cameras: list[CameraConfig]) -> list[StreamInfo]:
    """Video streams in the order of their ids; depth is not shown."""
    known = {camera.name: camera for camera in rig.cameras}
    infos = []
    for index, camera in enumerate(c for c in cameras if c.codec != "depth"):
        mounted = known.get(camera.name)
        infos.append(
            StreamInfo(
                id=index,
                name=camera.name,
                eye="" if mounted is None else mounted.eye,
                width=camera.width,
                height=camera.height,
                fovy_deg=0.0 if mounted is None else mounted.fovy_deg,
                codec="h264" if camera.codec == "h264" else "jpeg",
            )
        )
    return infos


def certificates_for(config: RunConfig) -> Certificates | None:
    """Certificates when the configuration asks for https."""
    if not config.tls:
        return None
    names = host_names()
    if config.host not in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        names = sorted({*names, config.host})
    return make_certificates(certificates_dir(), names)


def last_take(dataset: Path) -> int:
    """Number of the newest take of a dataset, 0 when there is none: numbers go on over runs."""
    try:
        rows = Dataset.open(dataset, repair=False).episodes(include_discarded=True)
    except RecorderError:
        return 0
    return max((row.take for row in rows), default=0)


def main() -> int:
    """Entry point."""
    with Process.from_argv("gateway", sys.argv) as process:
        asyncio.run(Gateway(process).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
