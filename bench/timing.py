"""Fair times: one process on one core, contenders in turn, without garbage collection."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.contender import Array, Contender
from bench.trajectory import Trajectory

BLOCK = 50
"""Frames one contender does before the next has its turn."""
SHIFT = 17
"""So many frames later turns begin in each pass: no frame is the first of a turn, which finds the
caches full of another contender, in every pass."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


@dataclass(slots=True)
class Run:
    """What one contender did.

    Attributes:
        q: (N, nq) answers of the first pass.
        prepare_ns: (passes, N) CPU time of making targets [ns].
        solve_ns: (passes, N) CPU time of the step itself [ns].
        first: (passes, N) whether the frame was the first of a turn.
        exceptions: Raised in one pass.
    """

    q: Array
    prepare_ns: Array
    solve_ns: Array
    first: NDArray[np.bool_]
    exceptions: int = 0
    notes: list[str] = field(default_factory=list)


def use_one_core() -> int:
    """Bind this process to its last core; which one."""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def run_all(contenders: Sequence[Contender], motion: Trajectory, passes: int) -> list[Run]:
    """All contenders over the motion, `passes` times, a block of frames at a time in turn.

    Times are of this thread on the CPU, so that being interrupted by other work does not count.
    """
    n, nq = motion.q.shape
    runs = [
        Run(
            np.zeros((n, nq)),
            np.zeros((passes, n)),
            np.zeros((passes, n)),
            np.zeros((passes, n), bool),
        )
        for _ in contenders
    ]
    for contender in contenders:
        _warm_up(contender, motion)
    for number in range(passes):
        _pass(contenders, runs, motion, number)
    return runs


def _warm_up(contender: Contender, motion: Trajectory) -> None:
    contender.reset(motion.q[0])
    for k in range(min(100, len(motion.q))):
        contender.solve(contender.prepare(_frame(motion, k)))


def _pass(
    contenders: Sequence[Contender], runs: Sequence[Run], motion: Trajectory, number: int
) -> None:
    n = len(motion.q)
    for contender in contenders:
        contender.reset(motion.q[0])
    gc.collect()
    gc.disable()
    try:
        for turn, frames in enumerate(turns(n, number)):
            # nobody always follows the same one
            for i in np.roll(np.arange(len(contenders)), turn):
                runs[i].first[number, frames.start] = True
                _block(contenders[i], runs[i], motion, number, frames)
    finally:
        gc.enable()
    for contender, run in zip(contenders, runs, strict=True):
        run.exceptions = contender.exceptions


def turns(n: int, number: int) -> list[range]:
    """The frames of each turn of a pass."""
    begins = [0, *range(number * SHIFT % BLOCK or BLOCK, n, BLOCK), n]
    return [range(a, b) for a, b in pairwise(begins)]


def _block(contender: Contender, run: Run, motion: Trajectory, number: int, frames: range) -> None:
    clock = time.thread_time_ns
    for k in frames:
        poses = _frame(motion, k)
        t0 = clock()
        prepared = contender.prepare(poses)
        t1 = clock()
        q = contender.solve(prepared)
        t2 = clock()
        run.prepare_ns[number, k], run.solve_ns[number, k] = t1 - t0, t2 - t1
        if number == 0:
            run.q[k] = q


def _frame(motion: Trajectory, k: int) -> dict[str, Array]:
    return {tip: Ts[k] for tip, Ts in motion.Ts_robot_tip.items()}
