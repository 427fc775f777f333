"""The thread that listens to the bus and hands what it hears to the event loop."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from teleop import samples
from teleop.bus import Bus, Subscriber
from teleop.config import CameraConfig
from teleop.gateway.pictures import StreamDecoder
from teleop.gateway.topics import Heard

POLL_NS = 20_000_000
PROCESSES = ("control", "robot", "cameras", "record")


class BusBridge:
    """Listens in a thread of its own: waiting for shared memory must not stop the event loop.

    Cameras wake it; the other topics are looked at every `POLL_NS`.

    Args:
        bus: Bus of the process; its subscribers are made in the thread that reads them.
        sizes: Joints, grippers and fingers of the rig.
        cameras: The cameras; depth is counted, operators do not see it.
        needs_pixels: Whether any client needs a camera's pictures decoded, by name.
        qpos_dtype: Layout of `sim/qpos`, None without a simulation.
        deliver: Called in that thread with each batch.
    """

    def __init__(
        self,
        bus: Bus,
        sizes: tuple[int, int, int],
        cameras: Sequence[CameraConfig],
        needs_pixels: Callable[[str], bool],
        qpos_dtype: np.dtype[np.void] | None,
        deliver: Callable[[Heard], None],
    ) -> None:
        state, command = samples.robot_state_dtype(*sizes), samples.command_dtype(*sizes)
        solution = samples.solution_dtype(sizes[0], sizes[2])
        self._deliver = deliver
        self._cameras = {
            c.name: bus.subscriber(f"camera/{c.name}", None, depth=32 if c.codec == "h264" else 4)
            for c in cameras
        }
        self._video = {c.name for c in cameras if c.codec == "h264"}
        self._depth = {c.name for c in cameras if c.codec == "depth"}
        self._decoders = {
            c.name: StreamDecoder(lambda name=c.name: needs_pixels(name))  # type: ignore[misc]
            for c in cameras
        }
        self._recorder = bus.subscriber("recorder/status", None, depth=8)
        self._robot = bus.subscriber("robot/state", state, depth=64)
        self._solution = bus.subscriber("solution", solution, depth=64)
        self._commands = bus.subscriber("command/requested", command, depth=256)
        self._control = bus.subscriber("events/control", None)
        self._qpos = bus.subscriber("sim/qpos", qpos_dtype, depth=64) if qpos_dtype else None
        self._health = {
            p: bus.subscriber(f"health/{p}", samples.HEALTH, depth=8) for p in PROCESSES
        }
        self._waiter = bus.waiter(list(self._cameras.values()) or [self._recorder])
        self._next_poll_ns = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; returns when the thread has ended."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._waiter.wait(POLL_NS)
            heard = Heard()
            self._hear_pictures(heard)
            now_ns = time.monotonic_ns()
            if now_ns >= self._next_poll_ns:
                self._next_poll_ns = now_ns + POLL_NS
                self._hear_rest(heard)
            if heard.counts or heard.health or heard.control or heard.recorder is not None:
                self._deliver(heard)

    def _hear_pictures(self, heard: Heard) -> None:
        for name, subscriber in self._cameras.items():
            if name in self._video:  # each builds on those before
                messages = [message.data for message in subscriber.drain()]
            else:
                newest = subscriber.latest()
                messages = [] if newest is None else [newest]
            for message in messages:
                if name not in self._depth:
                    pixels = self._decoders[name].decode(message)
                    heard.pictures.append((name, message, pixels))
                _count(heard, subscriber)

    def _hear_rest(self, heard: Heard) -> None:
        status = self._recorder.latest()
        if status is not None:
            heard.recorder = json.loads(status)
        heard.commands = [message.data for message in self._commands.drain()]
        heard.control = [json.loads(message.data) for message in self._control.drain()]
        heard.robot = self._robot.latest()
        heard.solution = self._solution.latest()
        heard.qpos = self._qpos.latest() if self._qpos is not None else None
        _count(heard, self._commands)
        _count(heard, self._robot)
        for process, subscriber in self._health.items():
            beat = subscriber.latest()
            if beat is not None:
                heard.health[process] = int(beat["t_ns"])


def _count(heard: Heard, subscriber: Subscriber) -> None:
    if subscriber.last is not None:
        heard.counts[subscriber.topic] = subscriber.last.seq + 1
