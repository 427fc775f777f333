"""What the control law was given, call by call: enough to make every command again offline.

The rows themselves are recorded as streams; here is which of them each call used, and, while a
take runs, now and then what the control law remembers, for an offline run to start from.
"""

from __future__ import annotations

import logging
import secrets
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from teleop.control import ControlCore
from teleop.control_memory import MemoryFormatError, pack, remember, write
from teleop.samples import CONTROL_INPUT, Recording

log = logging.getLogger(__name__)

CHECKPOINTS_NS = (0, 100_000_000, 500_000_000)
"""When memories are written after a take began: the recorder may open it a moment later."""
CHECKPOINT_PERIOD_NS = 10_000_000_000
"""Then one in so long: where a row was lost, an offline run goes on from the next."""
TAKES = (int(Recording.RECORDING), int(Recording.PAUSED))


class CallLog:
    """Follows the calls of one `ControlCore`. No clock: times are arguments.

    Args:
        core: The control law.
    """

    def __init__(self, core: ControlCore) -> None:
        self._core = core
        self._row = np.zeros((), CONTROL_INPUT)
        self._row["epoch"] = secrets.randbits(32)
        self._session: np.void | None = None
        self._frame: np.void | None = None
        self._state: np.void | None = None
        self._restarted = False
        self._due_ns: list[int] | None = None

    def restarted(self) -> None:
        """`restart` was called."""
        self._restarted = True

    def tick(
        self,
        session: np.void | None,
        frame: np.void | None,
        state: np.void | None,
        now_ns: int,
        tick: int,
        answered: bool,
    ) -> npt.NDArray[np.void]:
        """`control/input` row of a `tick` that was just made with these rows."""
        self._session, self._state, row = session, state, self._row
        seq, t_ns = (0, 0) if session is None else (session["seq"], session["t_ns"])
        row["session_seq"], row["t_session_ns"] = seq, t_ns
        seq, t_ns = (0, 0) if state is None else (state["seq"], state["t_ns"])
        row["state_seq"], row["t_state_ns"] = seq, t_ns
        row["tick"], row["is_revision"] = tick, False
        return self._called(frame, now_ns, answered)

    def revision(self, frame: np.void, now_ns: int, answered: bool) -> npt.NDArray[np.void]:
        """`control/input` row of a `revise` that was just made with this frame."""
        self._row["is_revision"] = True
        return self._called(frame, now_ns, answered)

    def _called(self, frame: np.void | None, now_ns: int, answered: bool) -> npt.NDArray[np.void]:
        self._frame, row = frame, self._row
        row["t_ns"], row["answered"] = now_ns, answered
        row["restarted"], self._restarted = self._restarted, False
        row["seq"] += 1
        if frame is not None:
            row["frame_seq"], row["t_frame_receive_ns"] = frame["seq"], frame["t_receive_ns"]
            row["frame_presence"] = frame["presence"]
        return row

    def checkpoint(self, now_ns: int) -> dict[str, Any] | None:
        """Data of a `MEMORY` event where one is due, to go on from after the last call."""
        session = self._session
        if session is None or int(session["recording"]) not in TAKES:
            self._due_ns = None
            return None
        if self._due_ns is None:
            self._due_ns = [now_ns + after for after in CHECKPOINTS_NS]
        if now_ns < self._due_ns[0]:
            return None
        self._due_ns = self._due_ns[1:] or [now_ns + CHECKPOINT_PERIOD_NS]
        return self._memory()

    def _memory(self) -> dict[str, Any] | None:
        rows = {"session": self._session, "frame": self._frame, "state": self._state}
        try:
            return {
                "epoch": int(self._row["epoch"]),
                "seq": int(self._row["seq"]),
                "config": msgspec.to_builtins(self._core.config),
                "memory": pack(remember(self._core)),
                "rows": pack({name: write(row) for name, row in rows.items()}),
            }
        except MemoryFormatError:
            log.exception("the control law's memory is not recorded")
            return None
