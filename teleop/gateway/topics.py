"""What the gateway sends to the bus, and what it hears from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from teleop.gateway.pictures import Pixels

RecorderStatus = dict[str, Any]
"""JSON of `recorder/status`."""


class Sender(Protocol):
    """Something that sends one topic, such as `bus.Publisher`."""

    def send(self, data: Any, /) -> object:
        """Send one row, or bytes."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Topics the gateway publishes.

    Attributes:
        operator_frame: `operator/frame`.
        session_state: `session/state`.
        recorder_command: `recorder/command`, JSON.
        robot_request: `robot/request`, JSON.
        event: Puts an event on `events/gateway`.
    """

    operator_frame: Sender
    session_state: Sender
    recorder_command: Sender
    robot_request: Sender
    event: Callable[[str, dict[str, Any]], None]


@dataclass(slots=True)
class Heard:
    """What came from the bus since the last time.

    Attributes:
        pictures: (camera, header and picture, pixels where they were needed) of cameras with news:
            the newest of each, of video all in order.
        recorder: `recorder/status`.
        robot: Newest row of `robot/state`.
        solution: Newest row of `solution`.
        qpos: Newest row of `sim/qpos`.
        commands: Rows of `command/requested`, in order.
        control: Events of the control law, in order: JSON objects with `kind` and `data`.
        health: Time of the newest `health/<process>`, by process [ns].
        counts: Messages published so far, by topic.
    """

    pictures: list[tuple[str, bytes, Pixels | None]] = field(default_factory=list)
    recorder: RecorderStatus | None = None
    robot: Any = None
    solution: Any = None
    qpos: Any = None
    commands: list[Any] = field(default_factory=list)
    control: list[dict[str, Any]] = field(default_factory=list)
    health: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
