"""The life of one XrSession: begun when the runtime is ready, focus, recentring, loss."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator
from typing import Any

import xr

from teleop.hmd.openxr.errors import RuntimeLostError
from teleop.hmd.openxr.runtime import LOCAL_FLOOR, LOST, REFRESH_RATE, Runtime, lost

log = logging.getLogger(__name__)

_State, _Event = xr.SessionState, xr.StructureType
_EVENTS = {
    _Event.EVENT_DATA_SESSION_STATE_CHANGED: xr.EventDataSessionStateChanged,
    _Event.EVENT_DATA_REFERENCE_SPACE_CHANGE_PENDING: xr.EventDataReferenceSpaceChangePending,
    _Event.EVENT_DATA_USER_PRESENCE_CHANGED_EXT: xr.EventDataUserPresenceChangedEXT,
}
VIEWS = xr.ViewConfigurationType.PRIMARY_STEREO


class Session:
    """One session and the spaces poses are in.

    Args:
        runtime: The open runtime.
        graphics: Pointer to a graphics binding; None for a headless session.

    Attributes:
        handle: `XrSession`.
        stage: The space all poses are in: STAGE, else LOCAL_FLOOR, else LOCAL.
        stage_name: Which of them.
        view: The space of the head.
        running: Frames may be waited for.
        focused: The operator's hands are ours; without, inputs are inactive.
        worn: The headset is on a head, as far as the runtime tells.
        exiting: The runtime or the operator ended the session.
        recentred: How often the space of the poses has moved.

    Raises:
        RuntimeLostError: From every call, when the runtime ended.
    """

    def __init__(self, runtime: Runtime, graphics: Any = None) -> None:
        self._runtime = runtime
        info = xr.SessionCreateInfo(system_id=runtime.system, next=graphics)
        self.handle = xr.create_session(runtime.instance, info)
        self.stage_name, self.stage = self._stage()
        self.view = self._space(xr.ReferenceSpaceType.VIEW)
        self.state = _State.IDLE
        self.running = False
        self.worn = True
        self.exiting = False
        self.recentred = 0

    def close(self) -> None:
        """End it; harmless when the runtime is already dead."""
        try:
            xr.destroy_session(self.handle)
        except xr.XrException as error:
            log.debug("the session ended badly: %s", error)

    @property
    def focused(self) -> bool:
        """Whether inputs are ours."""
        return bool(self.state == _State.FOCUSED)

    def request_rate(self, rate_hz: float) -> float | None:
        """Ask for a refresh rate; the nearest there is, None where the runtime has no choice."""
        if not self._runtime.has(REFRESH_RATE):
            return None
        offered = [float(rate) for rate in xr.enumerate_display_refresh_rates_fb(self.handle)]
        if not offered:
            return None
        nearest = min(offered, key=lambda rate: abs(rate - rate_hz))
        xr.request_display_refresh_rate_fb(self.handle, nearest)
        return nearest

    def poll(self) -> None:
        """Take all waiting events.

        Raises:
            RuntimeLostError: The runtime ended, or is about to.
        """
        try:
            for event in self._events():
                self._take(event)
        except LOST as error:
            raise lost(error) from error

    def _events(self) -> Iterator[Any]:
        while True:
            try:
                buffer = xr.poll_event(self._runtime.instance)
            except xr.EventUnavailable:
                return
            kind = _Event(buffer.type)
            if kind == _Event.EVENT_DATA_INSTANCE_LOSS_PENDING:
                raise RuntimeLostError("the OpenXR runtime is shutting down")
            if kind in _EVENTS:
                pointer = ctypes.POINTER(_EVENTS[kind])
                yield ctypes.cast(ctypes.byref(buffer), pointer).contents

    def _take(self, event: Any) -> None:
        if isinstance(event, xr.EventDataSessionStateChanged):
            self._enter(_State(event.state))
        elif isinstance(event, xr.EventDataUserPresenceChangedEXT):
            self.worn = bool(event.is_user_present)
            log.info("headset %s", "on" if self.worn else "off")
        elif event.reference_space_type == self.stage_name.value:
            self.recentred += 1
            log.info("the operator recentred")

    def _enter(self, state: Any) -> None:
        log.info("session %s", state.name.lower())
        self.state = state
        if state == _State.READY:
            xr.begin_session(self.handle, xr.SessionBeginInfo(VIEWS))
            self.running = True
        elif state == _State.STOPPING:
            self.running = False
            xr.end_session(self.handle)
        elif state == _State.EXITING:
            self.exiting = True
        elif state == _State.LOSS_PENDING:
            raise RuntimeLostError("the OpenXR session is about to be lost")

    def _stage(self) -> tuple[Any, Any]:
        offered = set(xr.enumerate_reference_spaces(self.handle))
        wanted = [xr.ReferenceSpaceType.STAGE, xr.ReferenceSpaceType.LOCAL]
        if self._runtime.has(LOCAL_FLOOR):
            wanted.insert(1, xr.ReferenceSpaceType.LOCAL_FLOOR)
        kind = next(kind for kind in wanted if kind in offered)
        if kind != xr.ReferenceSpaceType.STAGE:
            log.warning("the runtime has no STAGE space: poses are in %s", kind.name)
        return kind, self._space(kind)

    def _space(self, kind: Any) -> Any:
        info = xr.ReferenceSpaceCreateInfo(reference_space_type=kind)
        return xr.create_reference_space(self.handle, info)
