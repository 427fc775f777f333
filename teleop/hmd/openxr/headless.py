"""Poses without pictures: a session beside another application, or without a display."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

import numpy as np

from teleop.hmd.openxr.bindings import EXTENSIONS
from teleop.hmd.openxr.clocks import device_clock_ns
from teleop.hmd.openxr.errors import RuntimeLostError
from teleop.hmd.openxr.runtime import CLOCK, HEADLESS, LOST, Runtime, lost
from teleop.hmd.openxr.sampling import Sampler
from teleop.hmd.openxr.session import Session

log = logging.getLogger(__name__)

IDLE_S = 0.02
"""Between looks at a session that is not running yet."""


@contextlib.contextmanager
def headless_session() -> Iterator[tuple[Runtime, Session, Sampler]]:
    """A session without graphics.

    Raises:
        OpenXrError: No runtime, no headset, or a runtime without XR_MND_headless.
    """
    with Runtime.open((HEADLESS, CLOCK), EXTENSIONS) as runtime:
        session = Session(runtime)
        try:
            yield runtime, session, Sampler(runtime, session)
        finally:
            session.close()


def stream(
    session: Session,
    sampler: Sampler,
    rate_hz: float,
    send: Callable[[np.void], None],
    stop: Callable[[], bool],
) -> None:
    """Take events, read and send until stopped, or until the runtime ends the session.

    `xrWaitFrame` does not pace a headless session, so this does.

    Raises:
        RuntimeLostError: The runtime ended.
    """

    def ended() -> bool:
        session.poll()
        return stop() or session.exiting

    sample(session, sampler, rate_hz, send, ended)


def sample(
    session: Session,
    sampler: Sampler,
    rate_hz: float,
    send: Callable[[np.void], None],
    stop: Callable[[], bool],
) -> None:
    """Read and send on an even grid until stopped; nothing while the session does not run.

    Raises:
        RuntimeLostError: The runtime ended.
    """
    period_ns = round(1e9 / rate_hz)
    next_ns = device_clock_ns()
    while not stop():
        if not session.running:
            time.sleep(IDLE_S)
            continue
        try:
            send(sampler.frame())
        except LOST as error:
            raise lost(error) from error
        next_ns = max(next_ns + period_ns, device_clock_ns() - period_ns)
        time.sleep(max(0, next_ns - device_clock_ns()) / 1e9)


def wait_until_running(session: Session, timeout_s: float = 5.0) -> None:
    """Poll until the session is focused.

    Raises:
        RuntimeLostError: It is not in time.
    """
    deadline = time.monotonic() + timeout_s
    while not session.focused:
        session.poll()
        if time.monotonic() > deadline:
            raise RuntimeLostError(f"the session is {session.state.name} after {timeout_s:g} s")
        time.sleep(0.005)
