"""Labels that are given before the recorder has said which episode they are for. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Command = dict[str, Any]


@dataclass(slots=True)
class PendingLabels:
    """Holds commands for the take that just ended until its episode id is known."""

    episode: str | None = None
    """Id of the take that ended last."""
    waiting: bool = False
    """A take was ended and its id has not been reported yet."""
    _before: str | None = None
    _commands: list[Command] = field(default_factory=list)

    def stopped(self) -> None:
        """A take has been ended."""
        self._before, self.episode, self.waiting = self.episode, None, True
        self._commands.clear()

    def put(self, command: Command) -> list[Command]:
        """Give a command for that take; returns what can be sent now."""
        if self.episode is None:
            self._commands.append(command)
            return []
        return [{**command, "id": self.episode}]

    def flush(self) -> list[Command]:
        """Commands that waited, for the take that ended last, whatever its id: the next begins."""
        ready = [{**command, "id": ""} for command in self._commands]
        self._commands.clear()
        return ready

    def reported(self, status: dict[str, Any]) -> list[Command]:
        """Take a `recorder/status`; returns the commands that can be sent now."""
        last = status.get("last") or {}
        episode = last.get("id")
        if status.get("state") != "idle" or episode is None:
            return []
        if self.waiting and episode == self._before:
            return []
        self.episode, self.waiting = str(episode), False
        ready = [{**command, "id": self.episode} for command in self._commands]
        self._commands.clear()
        return ready
