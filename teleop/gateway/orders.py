"""Carries out what the session decides: commands to recorder and robot, words to the operator."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from teleop.effects import (
    Buzz,
    DiscardTake,
    Effect,
    LabelTake,
    Mark,
    PauseRecording,
    RecorderReported,
    RecorderState,
    Refused,
    ResetScene,
    StartRecording,
    StopRecording,
    Tell,
)
from teleop.gateway.client import Client
from teleop.gateway.labels import Command, PendingLabels
from teleop.gateway.neutral import Neutral
from teleop.gateway.taskdesk import TaskDesk
from teleop.gateway.topics import Outputs, RecorderStatus
from teleop.gateway.words import words_of
from teleop.protocol import Haptics, Notice

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Orders:
    """Effects to messages.

    Args:
        outputs: Topics to publish.
        neutral: Calibration, stored with each take.
        desk: What is to be done.
        operator: Operator name.
        next_seed: Seed of the next scene that is asked for without one.
    """

    outputs: Outputs
    neutral: Neutral
    desk: TaskDesk = field(default_factory=TaskDesk)
    operator: str = ""
    next_seed: int = 0
    labels: PendingLabels = field(default_factory=PendingLabels)

    def carry_out(self, effect: Effect, holder: Client | None, now_ns: int) -> None:
        """Carry out one effect, except `CaptureNeutral`, which needs the operator's frame."""
        match effect:
            case StartRecording(take=take):
                self._start(take, holder, now_ns)
            case StopRecording(reason=reason):
                self.labels.stopped()
                attributes = {"clock": clock_fit(holder)}
                self._recorder({"op": "stop", "reason": reason, "attributes": attributes}, now_ns)
            case PauseRecording(paused=paused):
                self._recorder({"op": "pause" if paused else "resume"}, now_ns)
            case LabelTake(outcome=outcome, notes=notes, grade=grade):
                label = {"op": "label", "outcome": outcome, "notes": notes, "grade": grade}
                self._label(label, now_ns)
            case DiscardTake():
                self._label({"op": "discard"}, now_ns)
            case ResetScene(seed=seed):
                self._reset_scene(seed)
            case Mark(kind=kind, data=data):
                self.outputs.event(kind, data)
            case Tell() | Refused() | Buzz():
                tell(holder, effect)

    def send_labels(self, now_ns: int) -> None:
        """Do not wait any longer for the name of the take they are for."""
        for command in self.labels.flush():
            self._recorder(command, now_ns)

    def recorder_reported(self, status: RecorderStatus, now_ns: int) -> RecorderReported:
        """Take a `recorder/status`: send labels that waited for it; returns it for the session."""
        for command in self.labels.reported(status):
            self._recorder(command, now_ns)
        state = cast(RecorderState, status.get("state", "idle"))
        started = int(status.get("t_start_ns", now_ns))
        return RecorderReported(
            state,
            int(status.get("take", 0)),
            max(0, now_ns - started),
            str(status.get("problem", "")),
        )

    def control_said(self, event: Mapping[str, Any], holder: Client | None) -> None:
        """Tell the operator of an event of the control law, where it is of concern."""
        words = words_of(str(event["kind"]), event["data"])
        if words is not None:
            tell(holder, words)

    def _start(self, take: int, holder: Client | None, now_ns: int) -> None:
        self.send_labels(now_ns)
        profile = self.neutral.profile
        item = self.desk.item
        attributes: dict[str, Any] = {
            "calibration": None if profile is None else profile.to_dict(),
            "client": None
            if holder is None
            else {
                "kind": holder.hello.client,
                "version": holder.hello.version,
                "device": holder.hello.device,
            },
            "clock": clock_fit(holder),
            "scene_seed": self.next_seed - 1,  # of the scene that is shown now
            "variation": item.variation,
        }
        self._recorder(
            {
                "op": "start",
                "take": take,
                "task": item.instruction,
                "operator": self.operator,
                "attributes": attributes,
            },
            now_ns,
        )

    def _label(self, command: Command, now_ns: int) -> None:
        for ready in self.labels.put(command):
            self._recorder(ready, now_ns)

    def _recorder(self, command: Command, now_ns: int) -> None:
        self.outputs.recorder_command.send(json.dumps({"t_ns": now_ns, **command}).encode())

    def _reset_scene(self, seed: int | None) -> None:
        if seed is None:
            seed = self.next_seed
        self.next_seed = seed + 1
        self.outputs.robot_request.send(json.dumps({"op": "scene_reset", "seed": seed}).encode())


def clock_fit(client: Client | None) -> dict[str, Any] | None:
    """Device clock of a client as stored with a take."""
    if client is None or not client.clock.ready:
        return None
    return client.clock.fit().to_dict()


def tell(client: Client | None, effect: Tell | Refused | Buzz) -> None:
    """Show it to the operator, or log it when nobody is there."""
    if client is None:
        log.info("nobody to tell: %s", effect)
    elif isinstance(effect, Buzz):
        client.post(
            Haptics(side=effect.side, amplitude=effect.amplitude, duration_ms=effect.duration_ms)
        )
    elif isinstance(effect, Tell):
        client.post(Notice(level=effect.level, text=effect.text))
    else:
        client.post(refusal(effect))


def refusal(refused: Refused) -> Notice:
    """A refused intent as one sentence."""
    name = refused.intent.value.replace("_", " ")
    return Notice(level="warning", text=f"Cannot {name}: {refused.reason}.")
