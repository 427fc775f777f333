"""The recorder process: everything on the bus becomes an episode on disk.

The bus is the queue: every subscription is deep enough for seconds of a stalled disk, rows are
written as they are drained, and what the bus overwrote is counted and marked in the episode.
Group commits and quality checks run beside the drain, in threads of their own.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from recorder import Dataset, EpisodeWriter, RecorderError
from recorder.errors import WriteFailedError
from retarget import load_rig
from teleop import samples
from teleop.bus import Bus, Message, Publisher, Subscriber
from teleop.cameras.base import Picture, camera_plan
from teleop.collisions import CollisionCheck, check_take
from teleop.config import RunConfig
from teleop.diskwatch import DiskWatch
from teleop.labelqueue import LabelQueue
from teleop.processes.loop import Process
from teleop.provenance import digest, provenance
from teleop.qualities import clearances_of, thresholds_of
from teleop.recording import (
    Channel,
    camera_specs,
    dropped_pictures,
    operator_channels,
    picture_depth,
    rig_channels,
    split_operator,
)
from teleop.scheduling import request_nice
from teleop.wallclock import WallClockWatch

log = logging.getLogger(__name__)

DRAIN_PERIOD_NS = 20_000_000
SYNC_PERIOD_NS = 100_000_000
STATUS_PERIOD_NS = 100_000_000
DISK_PERIOD_NS = 500_000_000
LAST_WORDS_NS = 200_000_000
"""What the gateway still has to say when everything stops is waited for this long."""
PREPARE_NS = 3_000_000_000
"""After its start, when others no longer start either, the recorder makes the model that the first
verdict must not wait for."""
RECORDER_NICE = -5
"""Ahead of the cameras: what is on the bus must be saved before more is made."""
UNKNOWN = "unknown"
"""Verdict of a take that could not be checked."""
EVENT_SOURCES = ("gateway", "control", "robot", "cameras", "supervisor")


@dataclass
class Take:
    """One take being written."""

    writer: EpisodeWriter
    number: int
    t_start_ns: int
    rows: dict[str, int] = field(default_factory=dict)
    pictures: dict[str, int] = field(default_factory=dict)
    drops: int = 0
    paused: bool = False


class RecordProcess:
    """Drains the bus into the running take; starts and ends takes when the session says so."""

    def __init__(self, config: RunConfig, bus: Bus) -> None:
        rig = load_rig(config.rig)
        self.config = config
        self.dataset = Dataset.open(Path(config.dataset), create=True)
        self.labels = LabelQueue(self.dataset, self._failed)
        self.channels: list[Channel] = rig_channels(rig)
        self.operator_streams = operator_channels()
        self.cameras = camera_plan(rig, config)
        self.camera_specs = camera_specs(rig, self.cameras)
        self.collisions = {rig.name: CollisionCheck(rig)}
        thresholds_of(rig)  # what is wrong there is said at the start, not after a take
        clearances_of(rig)
        self.rig_attributes: dict[str, Any] = {
            "rig": rig.name,
            "model_hash": rig.model_hash,
            "provenance": provenance(),
        }
        self.take: Take | None = None
        self.last: dict[str, Any] | None = None
        self.finished = ""
        """Id of the take that ended last."""
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._prepare_ns: int | None = time.monotonic_ns() + PREPARE_NS
        self.checking: Future[dict[str, Any]] | None = None
        self.commands = bus.subscriber("recorder/command", None, depth=64)
        self.status: Publisher = bus.publisher("recorder/status", None, max_bytes=65536)
        self.rows: list[tuple[Channel, Subscriber]] = [
            (c, bus.subscriber(c.topic, c.dtype, depth=c.depth)) for c in self.channels
        ]
        self.operator = bus.subscriber("operator/frame", samples.OPERATOR_FRAME, depth=512)
        self.pictures = {
            c.name: bus.subscriber(f"camera/{c.name}", None, depth=picture_depth(c.rate_hz))
            for c in self.cameras
        }
        self.events = [bus.subscriber(f"events/{s}", None, depth=128) for s in EVENT_SOURCES]
        self.waiter = bus.waiter([self.commands])
        self._dropped: dict[str, int] = {}
        self._wall = WallClockWatch()
        self.disk = DiskWatch(self.dataset.description)
        self._next_disk_ns = 0
        self._check_unchecked()
        self._next_sync_ns = 0
        self._next_status_ns = 0

    # ------------------------------------------------------------------ loop
    def step(self) -> None:
        """Wait a little, or for a command, then write all there is.

        Rows wait on the bus meanwhile: fewer, larger writes cost less than prompt ones.
        """
        self.waiter.wait(DRAIN_PERIOD_NS)
        now_ns = time.monotonic_ns()
        self._obey()
        try:
            self._drain()
            self._sync(now_ns)
            self._watch_wall_clock(now_ns)
            self._watch_disk(now_ns)
        except WriteFailedError as error:
            self._give_up(error)
        self._collect_check()
        if self._prepare_ns is not None and now_ns >= self._prepare_ns:
            self._prepare_ns = None
            self.pool.submit(self.collisions[self.rig_attributes["rig"]].prepare)
        if now_ns >= self._next_status_ns:
            self._publish_status(now_ns)

    def close(self) -> None:
        """End a running take, marked as interrupted; nothing received is lost.

        A label that was given a moment ago is still obeyed.
        """
        self._obey(closing=True)
        if self.take is not None:
            writer = self.take.writer
            try:
                self._drain()
                writer.mark("interrupted", "the recorder was stopped during the take")
                self._stop({"reason": "recorder stopped"})
                writer.wait_settled()
            except WriteFailedError as error:
                self._give_up(error)
        self.waiter.wait(LAST_WORDS_NS)
        self._obey(closing=True)
        self.pool.shutdown(wait=True)
        self._collect_check()
        self.labels.write()
        for command in self.labels.waiting:
            log.error("never written, the disk refused: %s", command)
        self._publish_status(time.monotonic_ns())

    # -------------------------------------------------------------- commands
    def _obey(self, *, closing: bool = False) -> None:
        for message in self.commands.drain():
            command = json.loads(message.data)
            op = command.get("op")
            try:
                if op == "start" and closing:
                    log.warning("asked to start a take while stopping: not started")
                elif op == "start":
                    self._start(command)
                elif op == "stop":
                    self._drain()
                    self._stop(command)
                elif op in {"pause", "resume"}:
                    self._pause(op == "pause", command)
                elif op in {"label", "discard"}:
                    self.labels.put({**command, "id": command["id"] or self.finished})
                else:
                    log.error("unknown recorder command %r", op)
            except WriteFailedError as error:
                self._give_up(error)
            except RecorderError as error:
                self._failed(command, error)
            self._publish_status(time.monotonic_ns())

    def _failed(self, command: Mapping[str, Any], error: RecorderError) -> None:
        log.error("recorder command %s failed", dict(command), exc_info=error)
        self.last = {"error": str(error), "op": command.get("op")}

    def _start(self, command: dict[str, Any]) -> None:
        if self.take is not None:
            log.error("asked to start a take while one is running: ended that one first")
            self.take.writer.mark("interrupted", "the next take was started")
            self._stop({"reason": "next take started"})
        self._drain()  # what was published before the start does not belong to the take
        attributes = {
            **self.rig_attributes,
            "task": command.get("task", ""),
            "operator": command.get("operator", ""),
            "take": command.get("take", 0),
            **command.get("attributes", {}),
        }
        attributes["calibration_hash"] = digest(attributes.get("calibration"))
        writer = self.dataset.begin(
            [c.spec for c in self.channels] + self.operator_streams,
            self.camera_specs,
            attributes=attributes,
            wall_time=datetime.now(UTC),
        )
        self._dropped = {s.topic: s.dropped for s in self._ordered()}
        self.take = Take(writer, int(attributes["take"]), time.monotonic_ns())
        self.last = None
        asked_ns = int(command.get("t_ns", self.take.t_start_ns))
        writer.event(asked_ns, "start", {"take": attributes["take"]})
        log.info("take %s started: %s", attributes["take"], writer.id)

    def _stop(self, command: dict[str, Any]) -> None:
        take = self.take
        if take is None:
            return
        self.take = None
        t0_ns = time.monotonic_ns()
        take.writer.event(t0_ns, "stop", {"reason": command.get("reason", "")})
        self.finished = take.writer.id  # labels are for it, whether or not it can be finished now
        episode = take.writer.finish(command.get("attributes", {}))
        saved_ms = (time.monotonic_ns() - t0_ns) / 1e6
        log.info("take saved in %.1f ms: %s", saved_ms, take.writer.id)
        self.last = {
            "id": take.writer.id,
            "path": str(take.writer.path),
            "duration_s": episode.duration_s,
            "drops": take.drops,
            "save_ms": saved_ms,
            "verdict": "",
            "reasons": [],
        }
        self.checking = self.pool.submit(_check, self.dataset, take.writer.id, self.collisions)

    def _pause(self, paused: bool, command: dict[str, Any]) -> None:
        if self.take is not None and self.take.paused != paused:
            self.take.paused = paused
            t_ns = int(command.get("t_ns", time.monotonic_ns()))
            self.take.writer.event(t_ns, "pause" if paused else "resume", {})

    def _give_up(self, error: WriteFailedError) -> None:
        """The disk refuses: end the take with what fits, and say so.

        What cannot be finished stays as it is, to be repaired when the dataset is next opened.
        """
        log.error("the take ends here: %s", error)
        try:
            if self.take is not None:
                self.take.writer.mark("interrupted", str(error))
                self._stop({"reason": str(error)})
        except WriteFailedError as second:
            log.error("nor can it be finished: %s", second)
            self.last = None
        self.last = {**(self.last or {}), "error": str(error)}
        self._publish_status(time.monotonic_ns())

    # ----------------------------------------------------------------- rows
    def _ordered(self) -> list[Subscriber]:
        return [s for _, s in self.rows] + [self.operator, *self.pictures.values(), *self.events]

    def _drain(self) -> None:
        take = self.take
        for channel, subscriber in self.rows:
            messages = subscriber.drain()
            if take is not None and messages:
                rows = np.array([m.data for m in messages], dtype=channel.dtype)
                self._append(take, channel.spec.name, rows)
                self._count_drops(take, channel.spec.name, subscriber)
        self._drain_operator(take)
        for name, subscriber in self.pictures.items():
            messages = subscriber.drain()
            if take is not None and messages:
                self._append_pictures(take, name, messages)
                self._count_drops(take, f"cameras/{name}", subscriber)
        for subscriber in self.events:
            for message in subscriber.drain():
                if take is not None:
                    self._record_event(take, json.loads(message.data))

    def _record_event(self, take: Take, event: dict[str, Any]) -> None:
        t_ns, kind, data = int(event["t_ns"]), event["kind"], event.get("data", {})
        dropped = dropped_pictures(event, self.pictures)
        if dropped is None:
            take.writer.event(t_ns, kind, data)
        else:
            take.drops += dropped[1]
            take.writer.drop(*dropped, t_ns, "lost between the device and the bus")

    def _drain_operator(self, take: Take | None) -> None:
        messages = self.operator.drain()
        if take is None or not messages:
            return
        frames = np.array([m.data for m in messages], dtype=samples.OPERATOR_FRAME)
        for name, rows in split_operator(frames):
            self._append(take, name, rows)
        self._count_drops(take, "operator/head", self.operator)

    def _append(self, take: Take, name: str, rows: np.ndarray) -> None:
        take.writer.append(name, rows)
        take.rows[name] = take.rows.get(name, 0) + len(rows)

    def _append_pictures(self, take: Take, name: str, messages: list[Message]) -> None:
        for message in messages:
            picture = Picture.unpack(name, message.data)
            take.writer.append_picture(
                name,
                picture.payload,
                t_ns=picture.t_ns,
                t_device_ns=picture.t_device_ns,
                t_receive_ns=picture.t_receive_ns,
                seq=picture.seq,
            )
        take.pictures[name] = take.pictures.get(name, 0) + len(messages)

    def _count_drops(self, take: Take, stream: str, subscriber: Subscriber) -> None:
        lost = subscriber.dropped - self._dropped[subscriber.topic]
        if lost:
            self._dropped[subscriber.topic] = subscriber.dropped
            take.drops += lost
            take.writer.drop(stream, lost, time.monotonic_ns())
            log.error("%d samples of %s lost before they reached the recorder", lost, stream)

    # ---------------------------------------------------------------- beside
    def _watch_wall_clock(self, now_ns: int) -> None:
        step_ns = self._wall.step_ns(time.time_ns(), time.monotonic_ns())
        if step_ns:
            log.warning("the computer's clock was set by %.3f s", step_ns / 1e9)
            if self.take is not None:
                self.take.writer.event(now_ns, "wall_clock_set", {"step_s": step_ns / 1e9})

    def _sync(self, now_ns: int) -> None:
        take = self.take
        if take is None or now_ns < self._next_sync_ns:
            return
        take.writer.sync()
        self._next_sync_ns = now_ns + SYNC_PERIOD_NS

    def _watch_disk(self, now_ns: int) -> None:
        """Warn of a disk that fills or lags; end the take while it can still be finished."""
        if now_ns < self._next_disk_ns:
            return
        self._next_disk_ns = now_ns + DISK_PERIOD_NS
        self.labels.write()
        take = self.take
        behind_s = 0.0 if take is None else take.writer.behind_s
        for kind, data in self.disk.look(now_ns, take is not None, behind_s):
            log.warning("%s %s", kind, data)
            if take is not None:
                take.writer.event(now_ns, kind, data)
        if take is not None and self.disk.full:
            reason = "the disk is nearly full: the take was ended while it could be finished"
            log.error("%s", reason)
            take.writer.mark("interrupted", reason)
            self._stop({"reason": reason})
            if self.last is not None:
                self.last["error"] = reason
            self._publish_status(now_ns)

    def _collect_check(self) -> None:
        if self.checking is None or not self.checking.done():
            return
        report = self.checking.result()
        self.checking = None
        if self.last is not None and self.last.get("id") == report["id"]:
            self.last |= {"verdict": report["verdict"], "reasons": report["reasons"]}
            self._publish_status(time.monotonic_ns())

    def _check_unchecked(self) -> None:
        """Takes that a crash left without a verdict get one now, beside everything else."""
        for row in self.dataset.episodes():
            if row.quality is None:
                self.pool.submit(_check, self.dataset, row.id, self.collisions)

    def _publish_status(self, now_ns: int) -> None:
        self._next_status_ns = now_ns + STATUS_PERIOD_NS
        take = self.take
        state = "idle" if take is None else "paused" if take.paused else "recording"
        status: dict[str, Any] = {
            "t_ns": now_ns,
            "state": state,
            "last": self.last,
            "problem": self.disk.problem,
            "warning": self.disk.warning or self.labels.warning,
        }
        if take is not None:
            status |= {
                "id": take.writer.id,
                "take": take.number,
                "t_start_ns": take.t_start_ns,
                "rows": take.rows,
                "pictures": take.pictures,
                "drops": take.drops,
            }
        self.status.send(json.dumps(status).encode())


def _check(
    dataset: Dataset, episode_id: str, collisions: dict[str, CollisionCheck]
) -> dict[str, Any]:
    """Judge a take. Whatever goes wrong, the recorder goes on: the next take may be running."""
    try:
        report = check_take(dataset[episode_id], collisions)
    except Exception as error:
        log.exception("take %s cannot be checked", episode_id)
        return {"id": episode_id, "verdict": UNKNOWN, "reasons": [f"not checked: {error}"]}
    reasons = [f.message for f in report.findings]
    try:
        dataset.set_quality(episode_id, report.to_dict())
    except (RecorderError, OSError) as error:
        log.exception("the verdict of take %s is not kept", episode_id)
        reasons.append(f"the verdict is not kept: {error}")
    return {"id": episode_id, "verdict": report.verdict, "reasons": reasons}


def main() -> int:
    """Entry point: `python -m teleop.processes.record CONFIG.json`."""
    with Process.from_argv("record", sys.argv) as process:
        recorder = RecordProcess(process.config, process.bus)
        request_nice(RECORDER_NICE)
        process.ready()
        try:
            while not process.stopping:
                recorder.step()
                process.beat()
        finally:
            recorder.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
