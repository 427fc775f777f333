"""Labels on their way to the dataset: those a disk refuses wait until it does not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from recorder import Dataset, RecorderError
from recorder.errors import WriteFailedError

Command = Mapping[str, Any]


class LabelQueue:
    """Writes labels and discards in the order they were given, and forgets none.

    Args:
        dataset: Where the episodes are.
        refused: Called with a command that is for no episode, or says what no label can.
    """

    def __init__(self, dataset: Dataset, refused: Callable[[Command, RecorderError], None]) -> None:
        self._dataset = dataset
        self._refused = refused
        self._waiting: deque[Command] = deque()

    @property
    def waiting(self) -> tuple[Command, ...]:
        """What is not written yet."""
        return tuple(self._waiting)

    @property
    def warning(self) -> str:
        """What people should know; empty when everything is written."""
        many = len(self._waiting)
        return f"{many} label{'s' * (many > 1)} cannot be written yet" if many else ""

    def put(self, command: Command) -> None:
        """Take one more: `op` is `label` or `discard`, `id` the episode."""
        self._waiting.append(command)
        self.write()

    def write(self) -> None:
        """Write what can be written; call it now and then."""
        while self._waiting and self._dataset.reachable:
            command = self._waiting[0]
            try:
                self._write(command)
            except (WriteFailedError, OSError):  # a disk with errors may refuse even to look
                return
            except RecorderError as error:
                self._refused(command, error)
            self._waiting.popleft()

    def _write(self, command: Command) -> None:
        if command["op"] == "discard":
            self._dataset.discard(command["id"])
            return
        self._dataset.label(
            command["id"],
            outcome=command.get("outcome"),
            notes=command.get("notes") or None,
            grade=command.get("grade"),
        )
