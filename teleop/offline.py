"""Make a recorded take's commands again, through the control law that made them live.

The recorded operator, session and robot rows go in call by call as they did then (`control/input`),
so with the recorded rig and settings the commands come out bit for bit. With other settings, or
another robot, the operator stays the same and the robot is always where it was told to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from recorder import Episode
from retarget import Rig, load_rig
from teleop.control import ControlConfig, ControlCore, Outputs
from teleop.control_memory import read, recall, unpack
from teleop.errors import TeleopError
from teleop.hmd.recorded import operator_frames
from teleop.protocol import empty_frame
from teleop.samples import MEMORY, robot_state_dtype, row_sizes
from teleop.settings_keys import SettingError, changed

INPUTS = "control/input"
Key = tuple[int, int]
"""Time and number that tell a row from all others."""


class OfflineError(TeleopError):
    """A take whose commands cannot be made again."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of the control law, made again.

    Attributes:
        row: Its `control/input` row.
        outputs: What it gave; None where it gave nothing.
    """

    row: np.void
    outputs: Outputs | None


class OfflineTake:
    """A recorded take, ready to be controlled again.

    Args:
        episode: The take.
        rig: Another robot; the recorded one when None.
        changes: Settings to change, `KEY=VALUE` with a dotted key of `ControlConfig`.

    Attributes:
        rig: The robot.
        config: The settings.
        same_rig: It is the robot of the take.
        as_recorded: So are the settings: the same commands must come out.
        gaps: Times that a row was missing and the run went on from a later memory.

    Raises:
        OfflineError: The take does not hold what is needed.
        SettingError: A change is not one of a setting.
    """

    def __init__(
        self, episode: Episode, rig: Rig | None = None, changes: Sequence[str] = ()
    ) -> None:
        self._memories = _memories(episode)
        self._rows = _InputRows(episode)
        self._calls = episode.stream(INPUTS).rows()
        first = next(iter(self._memories.values()))
        recorded = msgspec.convert(first["config"], ControlConfig)
        self.rig = rig or load_rig(str(episode.attributes["rig"]))
        self.config = changed(recorded, changes)
        if self.config.rate_hz != recorded.rate_hz:
            raise SettingError(f"rate_hz stays {recorded.rate_hz}: ticks are made as they were")
        self.same_rig = self.rig.model_hash == episode.attributes["model_hash"]
        self.as_recorded = self.same_rig and self.config == recorded
        self.gaps = 0

    def __iter__(self) -> Iterator[Call]:
        """Every call from the first memory on, in order."""
        self.gaps = 0
        core: _Controlled | None = None
        last: Key = (-1, -1)
        for row in self._calls:
            epoch, seq = int(row["epoch"]), int(row["seq"])
            if core is not None and last != (epoch, seq - 1):
                core, self.gaps = self._lost(core), self.gaps + (last[0] == epoch)
            memory = self._memories.get((epoch, seq - 1))
            if core is None and memory is not None:
                core = self._begin(memory)
            if core is None:
                continue
            last = (epoch, seq)
            try:
                outputs = core.call(row, self._rows)
            except KeyError:
                core, self.gaps = self._lost(core), self.gaps + 1
                continue
            yield Call(row, outputs)

    def _lost(self, core: _Controlled) -> _Controlled | None:
        """After a gap: another robot goes on as it is, the same one from the next memory."""
        return None if self.same_rig else core

    def _begin(self, memory: Mapping[str, Any]) -> _Controlled:
        rows = {name: read(row) for name, row in unpack(memory["rows"]).items()}
        self._rows.keep(**rows)
        core, rig = ControlCore(self.rig, self.config), self.rig
        state = rows["state"]
        if self.same_rig:
            recall(core, unpack(memory["memory"]))
        if self.as_recorded:
            return _Controlled(core)
        if self.same_rig and state is not None:
            fingers = state["finger"] if rig.finger_names else ()
            return _OnIdealRobot(core, state["position"], state["gripper_command"], fingers)
        return _OnIdealRobot(core, *_home(rig))


class _Controlled:
    """A control law, given what it was given live."""

    def __init__(self, core: ControlCore) -> None:
        self._core = core

    def call(self, row: np.void, rows: _InputRows) -> Outputs | None:
        """Make one call again.

        Raises:
            KeyError: A row it was given is not in the episode.
        """
        core, now_ns = self._core, int(row["t_ns"])
        frame = rows.frame(row)
        if row["restarted"]:
            core.restart()
        if row["is_revision"]:
            return None if frame is None else core.revise(frame, now_ns)
        return core.tick(rows.session(row), frame, self.state(row, rows), now_ns, int(row["tick"]))

    def state(self, row: np.void, rows: _InputRows) -> np.void | None:
        """The robot as it was measured."""
        return rows.state(row)


class _OnIdealRobot(_Controlled):
    """The same with a robot that is where it was last told to be, since it was never built."""

    def __init__(self, core: ControlCore, q: Any, grippers: Any, fingers: Any) -> None:
        super().__init__(core)
        self._state: np.void = np.zeros(1, robot_state_dtype(*row_sizes(core.rig)))[0]
        self._put(q, grippers, fingers)

    def call(self, row: np.void, rows: _InputRows) -> Outputs | None:
        """Make one call again and follow its command."""
        if row["restarted"]:
            self._put(*_home(self._core.rig))
        outputs = super().call(row, rows)
        if outputs is not None:
            answer = outputs.answer
            self._put(answer.q, answer.grippers, outputs.command["finger"] if answer.hands else ())
        return outputs

    def state(self, row: np.void, rows: _InputRows) -> np.void | None:
        """As fresh as the measured one was."""
        del rows
        if not row["t_state_ns"]:
            return None
        self._state["t_ns"] = row["t_state_ns"]
        return self._state

    def _put(self, q: Any, grippers: Any, fingers: Any) -> None:
        self._state["position"] = q
        self._state["gripper"] = self._state["gripper_command"] = grippers
        if len(fingers):
            self._state["finger"] = fingers


def _home(rig: Rig) -> tuple[Any, Any, Any]:
    """Joints, grippers and fingers at home."""
    return rig.q_home, [rig.grippers[s].home for s in rig.gripper_names], rig.fingers_home


class _InputRows:
    """Rows of an episode, found by what `control/input` says of them."""

    def __init__(self, episode: Episode) -> None:
        self._sessions = _by_key(episode.stream("session").rows(), "t_ns")
        self._states = _by_key(episode.stream("state").rows(), "t_ns")
        self._frames = _by_key(operator_frames(episode), "t_receive_ns")

    def keep(self, session: np.void | None, frame: np.void | None, state: np.void | None) -> None:
        """Rows that came before the take and were in use when it began."""
        for found, row, t in (
            (self._sessions, session, "t_ns"),
            (self._states, state, "t_ns"),
            (self._frames, frame, "t_receive_ns"),
        ):
            if row is not None:
                found.setdefault((int(row[t]), int(row["seq"])), row)

    def session(self, row: np.void) -> np.void | None:
        """`session/state` row of a call."""
        return _find(self._sessions, row["t_session_ns"], row["session_seq"])

    def state(self, row: np.void) -> np.void | None:
        """`robot/state` row of a call."""
        return _find(self._states, row["t_state_ns"], row["state_seq"])

    def frame(self, row: np.void) -> np.void | None:
        """`operator/frame` row of a call; one that shows nothing is not recorded, and is empty."""
        seq, t_ns = row["frame_seq"], row["t_frame_receive_ns"]
        if t_ns and not row["frame_presence"]:
            frame: np.void = empty_frame()
            frame["seq"], frame["t_receive_ns"] = seq, t_ns
            return frame
        return _find(self._frames, t_ns, seq)


def _find(rows: Mapping[Key, np.void], t_ns: Any, seq: Any) -> np.void | None:
    return rows[int(t_ns), int(seq)] if t_ns else None


def _by_key(rows: np.ndarray[Any, np.dtype[np.void]], time: str) -> dict[Key, np.void]:
    keys = zip(rows[time].tolist(), rows["seq"].tolist(), strict=True)
    return dict(zip(keys, rows, strict=True))


def _memories(episode: Episode) -> dict[Key, Mapping[str, Any]]:
    """Memories of the control law by its start and the call they follow.

    Raises:
        OfflineError: There are none.
    """
    found = {
        (int(e.data["epoch"]), int(e.data["seq"])): e.data
        for e in episode.events
        if e.kind == MEMORY
    }
    if INPUTS not in episode.streams or not found:
        raise OfflineError(
            f"episode {episode.id} does not say what its control law was given: it needs the "
            f"stream {INPUTS!r} and an event {MEMORY!r}; its streams: {sorted(episode.streams)}"
        )
    return found
