"""Which simulated state the cameras show, and when they say that none comes."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from teleop.bus import Subscriber
from teleop.processes.cameras import STALE_NS, START_NS, StateSource
from teleop.samples import sim_qpos_dtype


class Queue:
    """Stands in for a subscriber: `latest` gives what was put in, once."""

    row: Any = None

    def latest(self) -> Any:
        row, self.row = self.row, None
        return row


def source(now_ns: int) -> tuple[Queue, StateSource]:
    queue = Queue()
    return queue, StateSource(cast(Subscriber, queue), now_ns)


def test_a_state_is_shown_once_with_its_own_time() -> None:
    queue, states = source(0)
    row = np.zeros((), sim_qpos_dtype(3))
    row["t_ns"], row["qpos"] = 42, [1, 2, 3]
    queue.row = row
    state = states.newest()
    assert state is not None
    assert (state.t_ns, state.qpos.tolist()) == (42, [1, 2, 3])
    row["qpos"] = 0
    assert state.qpos.tolist() == [1, 2, 3]
    assert states.newest() is None


def test_a_stopped_simulation_is_told_once_and_its_return_once() -> None:
    _, states = source(0)
    assert states.turned(START_NS, has_state=True) is None
    times = START_NS + np.arange(1, 5) * STALE_NS
    assert [states.turned(int(t), has_state=False) for t in times] == [
        None,
        "state_stale",
        None,
        None,
    ]
    assert states.turned(int(times[-1]) + 1, has_state=True) == "state_back"
    assert states.turned(int(times[-1]) + 2, has_state=True) is None


def test_a_simulation_may_take_its_time_to_start() -> None:
    _, states = source(0)
    assert states.turned(START_NS, has_state=False) is None
    assert states.turned(START_NS + STALE_NS + 1, has_state=False) == "state_stale"
