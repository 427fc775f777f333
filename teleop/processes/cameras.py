"""The cameras process: one camera group on a fixed grid, each picture published once encoded."""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import time
from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from retarget import Rig, load_rig
from teleop.bus import Subscriber
from teleop.cameras.base import (
    CameraGroup,
    SimState,
    camera_plan,
    find_cameras,
    group_name,
    message_bytes,
)
from teleop.cameras.governor import RateGovernor, is_due
from teleop.cameras.profile import detect_profile
from teleop.config import RunConfig
from teleop.pacing import Grid, sleep_until
from teleop.processes.loop import Process
from teleop.samples import sim_qpos_dtype

log = logging.getLogger(__name__)

NICE = 5  # pictures may be late, control may not
REPORT_PERIOD_NS = 1_000_000_000
STALE_NS = 500_000_000
START_NS = 10_000_000_000  # patience with a simulation that has not started
ABOUT_NS = 300_000_000
"""After a take was asked for; by then the recorder has begun it."""
MAX_SLEEP_NS = 100_000_000


class StateSource:
    """The newest simulated state nobody has shown yet, and whether states still come."""

    def __init__(self, subscriber: Subscriber, now_ns: int) -> None:
        self._subscriber = subscriber
        self._fresh_ns = now_ns + START_NS
        self._is_stale = False

    def newest(self) -> SimState | None:
        """A state that is newer than the last one, or None: nothing is ever shown twice."""
        row = self._subscriber.latest()
        if row is None:
            return None
        return SimState(int(row["t_ns"]), np.array(row["qpos"], dtype=np.float64))

    def turned(self, now_ns: int, *, has_state: bool) -> str | None:
        """`state_stale` when states stop coming, `state_back` when they come again."""
        if has_state:
            self._fresh_ns = now_ns
        is_stale = now_ns - self._fresh_ns > STALE_NS
        if is_stale == self._is_stale:
            return None
        self._is_stale = is_stale
        return "state_stale" if is_stale else "state_back"


class CameraProcess:
    """Wires a camera group to the bus. One `step` a slot."""

    def __init__(self, process: Process, group: CameraGroup) -> None:
        bus, now_ns = process.bus, time.monotonic_ns()
        self._process = process
        self._group = group
        self._source: StateSource | None = None
        if group.state_size:
            dtype = sim_qpos_dtype(group.state_size)
            self._source = StateSource(bus.subscriber("sim/qpos", dtype, depth=4), now_ns)
        self._publishers = {
            c.name: bus.publisher(f"camera/{c.name}", None, max_bytes=message_bytes(c))
            for c in group.cameras
        }
        self._seq = dict.fromkeys(self._publishers, 0)
        self._tell_about_ns: int | None = None
        self._commands = bus.subscriber("recorder/command", None, depth=16)
        # devices keep their own time and are only asked often; renderers follow the grid
        poll_hz: int | None = getattr(group, "poll_hz", None)
        self._polled = poll_hz is not None
        asked_hz = max((c.rate_hz for c in group.cameras), default=10)
        self._governor = RateGovernor(poll_hz or asked_hz)
        self._grid = Grid(now_ns, self._governor.rate_hz)
        self._skipped = 0  # on earlier grids
        self._reported = 0
        self._next_report_ns = now_ns + REPORT_PERIOD_NS

    def start(self) -> None:
        """Begin the grid now."""
        self._grid = Grid(time.monotonic_ns(), self._governor.rate_hz)

    def step(self) -> None:
        """Sleep until the next slot, then capture and publish the cameras that are due."""
        now_ns = time.monotonic_ns()
        now_ns = sleep_until(min(self._grid.next_ns(), now_ns + MAX_SLEEP_NS))
        before = self._grid.skipped
        slot = self._grid.take(now_ns)
        if slot is not None:
            self._serve(slot, now_ns, self._grid.skipped - before)
        self._report(time.monotonic_ns())
        self._process.beat(ticks=sum(self._seq.values()), late=self._late)

    @property
    def _late(self) -> int:
        return self._skipped + self._grid.skipped

    def _prepare_new_takes(self, now_ns: int) -> None:
        """A take of video begins with a key picture, and every take tells its devices."""
        for message in self._commands.drain():
            if json.loads(message.data).get("op") == "start":
                getattr(self._group, "request_keys", lambda: None)()
                self._tell_about_ns = now_ns + ABOUT_NS
        if self._tell_about_ns is not None and now_ns >= self._tell_about_ns:
            self._tell_about_ns = None
            about: dict[str, Any] = getattr(self._group, "about", dict)()
            if about:
                self._process.event("camera_devices", about)

    def _serve(self, slot: int, now_ns: int, missed: int) -> None:
        self._prepare_new_takes(now_ns)
        rate_hz = self._grid.rate_hz
        due = {
            c.name for c in self._group.cameras if self._polled or is_due(slot, c.rate_hz, rate_hz)
        }
        if self._source is None:
            self._publish(due, None)
        else:
            state = self._source.newest()
            turn = self._source.turned(now_ns, has_state=state is not None)
            if turn is not None:
                log.warning("simulated state: %s", turn)
                self._process.event(turn)
            if state is None:
                return
            self._publish(due, state)
        for kind, data in getattr(self._group, "news", list)():
            log.warning("%s %s", kind, data)
            self._process.event(kind, data)
        if self._polled:
            return
        end_ns = time.monotonic_ns()
        change = self._governor.slot(end_ns, end_ns - now_ns, missed)
        if change is not None:
            log.warning("camera rate: %s", change)
            self._process.event("rate_changed", {**asdict(change), "asked_hz": self._asked_hz})
            self._skipped += self._grid.skipped
            self._grid = Grid(end_ns, change.to_hz)

    @property
    def _asked_hz(self) -> int:
        return self._governor.asked_hz

    def _publish(self, names: Collection[str], state: SimState | None) -> None:
        for picture in self._group.capture(names, state):
            seq = self._seq[picture.name]
            self._publishers[picture.name].send(replace(picture, seq=seq).pack())
            self._seq[picture.name] = seq + 1

    def _report(self, now_ns: int) -> None:
        """Once a second, say how many slots were skipped since the last report."""
        if now_ns < self._next_report_ns:
            return
        self._next_report_ns = now_ns + REPORT_PERIOD_NS
        news = self._late - self._reported
        if news and not self._polled:
            self._reported = self._late
            log.info("%d of %d slots skipped", news, self._grid.rate_hz)
            self._process.event(
                "slots_skipped",
                {"slots": news, "cameras": list(self._seq), "rate_hz": self._grid.rate_hz},
            )


def open_group(rig: Rig, config: RunConfig) -> CameraGroup:
    """The camera group the rig names."""
    factory = find_cameras(group_name(rig))
    return factory(rig, camera_plan(rig, config), detect_profile(config.render))


def main() -> int:
    """Entry point: `python -m teleop.processes.cameras CONFIG.json`."""
    with Process.from_argv("cameras", sys.argv) as process:
        os.nice(NICE)
        group = open_group(load_rig(process.config.rig), process.config)
        try:
            cameras = CameraProcess(process, group)
            process.event("cameras", {c.name: [c.width, c.height] for c in group.cameras})
            gc.freeze()
            cameras.start()
            process.ready()
            while not process.stopping:
                cameras.step()
        finally:
            group.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
