"""The native headset client put together: poses out, pictures and words in.

The calling thread waits for the runtime's frames and draws them. Poses, network and picture
decoding have threads of their own: neither delays a frame, and no slow frame delays a pose.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import xr

from teleop.hmd.hudmodel import HudInput, hud_model
from teleop.hmd.openxr.clocks import RuntimeClock, device_clock_ns
from teleop.hmd.openxr.errors import HeadsetMissingError, RuntimeLostError, RuntimeMissingError
from teleop.hmd.openxr.frames import Display, display_session
from teleop.hmd.openxr.graphics import preferred_kind
from teleop.hmd.openxr.headless import headless_session, sample, stream
from teleop.hmd.openxr.hudimage import HEIGHT, WIDTH, HudImage
from teleop.hmd.openxr.link import Link
from teleop.hmd.openxr.panels import WristPanels, panels_file
from teleop.hmd.openxr.pictures import Decoder, Picture
from teleop.hmd.openxr.runtime import LOST, Runtime, lost
from teleop.hmd.openxr.sampling import Sampler
from teleop.hmd.openxr.session import Session
from teleop.hmd.openxr.view import OperatorView
from teleop.protocol import Haptics, empty_frame
from teleop.samples import SIDES

log = logging.getLogger(__name__)

RETRY_S = 1.0
IDLE_S = 0.02
HEADLESS_HZ = 200.0
POSES_HZ = 120.0
"""Beside a display."""
MS_NS = 1_000_000


@dataclass(frozen=True)
class HmdSettings:
    """What `telecap hmd` is told.

    Attributes:
        url: Address of the server.
        token: Bearer token of the run.
        headless: Poses only, beside another application or without a display.
        rate_hz: Of poses when headless; else the refresh rate that is asked for, 0 for the
            runtime's own.
        tls: For https addresses.
        wrists: Where wrist pictures hang: `low`, `high`, `side` or `off`.
        arms: Draw the robot's limbs.
    """

    url: str
    token: str
    headless: bool = False
    rate_hz: float = 0.0
    tls: ssl.SSLContext | None = None
    wrists: str = "low"
    arms: bool = False


class HmdApp:
    """Runs until stopped, over restarts of the runtime and of the server.

    Args:
        settings: Where to and how.
        tell: Called with what happens, one sentence each, for a terminal.
    """

    def __init__(self, settings: HmdSettings, tell: Callable[[str], None]) -> None:
        self._settings = settings
        self._tell = tell
        self._haptics: queue.SimpleQueue[Haptics] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._said = ""
        self._row: np.void = empty_frame()
        self.link: Link | None = None
        self.decoder: Decoder | None = None

    def stop(self) -> None:
        """End `run` soon; callable from any thread and from signal handlers."""
        self._stop.set()

    def run(self) -> None:
        """Serve the operator until stopped.

        Raises:
            OpenXrError: There was never a runtime that could be used.
            ClientError: The server refuses this client for good.
        """
        with self._connected():
            once = False
            while not self._ended():
                try:
                    self._serve()
                    once = True
                    if not self._ended():
                        self._say("The runtime ended the session; a new one begins when it can.")
                except RuntimeLostError as error:
                    once = True
                    self._say(f"{error}. The robot holds; waiting for the runtime to come back.")
                except (RuntimeMissingError, HeadsetMissingError) as error:
                    if not once:
                        raise
                    log.info("%s", error)
                self._stop.wait(RETRY_S)
            if self.link is not None and self.link.refusal is not None:
                raise self.link.refusal

    def _ended(self) -> bool:
        refused = self.link is not None and self.link.refusal is not None
        return refused or self._stop.is_set()

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._tell(text)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        settings = self._settings
        decoder = Decoder()
        link = Link(
            settings.url,
            settings.token,
            device="OpenXR",
            video=() if settings.headless else ("*",),
            tls=settings.tls,
            on_picture=decoder.offer,
            on_haptics=self._haptics.put,
        )
        decoder.on_decoded = link.acknowledge
        self.link, self.decoder = link, decoder
        try:
            with link:
                yield
        finally:
            decoder.close()

    def _serve(self) -> None:
        """One session of the runtime."""
        rate_hz = self._settings.rate_hz
        if self._settings.headless:
            with headless_session() as (runtime, session, sampler):
                self._greet(runtime)
                stream(
                    session, sampler, rate_hz or HEADLESS_HZ,
                    lambda row: self._send(row, sampler), self._ended,
                )  # fmt: skip
            return
        with display_session(preferred_kind()) as (runtime, session, sampler, display):
            self._greet(runtime)
            if rate_hz and (got := session.request_rate(rate_hz)) is not None:
                self._say(f"The display is asked for {got:g} Hz.")
            with self._sampling(session, sampler):
                try:
                    self._frames(session, display, sampler.clock)
                except LOST as error:
                    raise lost(error) from error

    @contextlib.contextmanager
    def _sampling(self, session: Session, sampler: Sampler) -> Iterator[None]:
        """Poses in a thread of their own: a display that draws slowly does not thin them out."""
        ended = threading.Event()

        def run() -> None:
            try:
                sample(
                    session, sampler, POSES_HZ,
                    lambda row: self._send(row, sampler), ended.is_set,
                )  # fmt: skip
            except (RuntimeLostError, xr.XrException) as error:  # the frame loop meets it too
                log.info("poses end: %s", error)

        thread = threading.Thread(target=run, name="poses", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(2.0)

    def _greet(self, runtime: Runtime) -> None:
        self._say(f"{runtime.name}, headset {runtime.headset}: put it on.")

    def _send(self, row: np.void, sampler: Sampler) -> None:
        self._row = row
        if self.link is not None:
            self.link.offer(row)
        self._vibrate(sampler)

    def _vibrate(self, sampler: Sampler) -> None:
        while not self._haptics.empty():
            wish = self._haptics.get()
            duration_ns = round(wish.duration_ms * MS_NS)
            try:
                sampler.inputs.vibrate(SIDES.index(wish.side), wish.amplitude, duration_ns)
            except xr.SessionNotFocused:
                return

    def _frames(self, session: Session, display: Display, clock: RuntimeClock) -> None:
        settings = self._settings
        view, hud = (
            OperatorView(WristPanels(settings.wrists, panels_file()), settings.arms),
            HudImage(),
        )
        recentred = session.recentred
        while not self._ended():
            session.poll()
            if session.exiting:
                return
            if not session.running:
                time.sleep(IDLE_S)
                continue
            state = display.wait()
            if recentred != session.recentred:
                recentred = session.recentred
                view.recentre()
            fresh = self._refresh(display, view, hud)
            display.show(state, view.quads)
            if fresh and state.should_render and self.link is not None:
                t_shown_ns = clock.to_device(int(state.predicted_display_time))
                for picture in fresh:
                    self.link.was_shown(picture.stream.name, picture.seq, t_shown_ns)

    def _refresh(self, display: Display, view: OperatorView, hud: HudImage) -> list[Picture]:
        """Take over what came since the last frame; the pictures that are new."""
        link, decoder, row = self.link, self.decoder, self._row
        if link is None or decoder is None:
            return []
        fresh = decoder.take()
        for picture in fresh:
            display.painter.put(picture.stream.name, picture.rgb)
            view.add(picture.stream, picture.turn_xyzw)
        version = hud.version
        hud.paint(hud_model(self._hud_input(link, row)))
        if hud.version != version:
            display.painter.put("hud", hud.rgba)
        view.hud_aspect = WIDTH / HEIGHT
        view.look_at(link.said.status, row)
        return fresh

    @staticmethod
    def _hud_input(link: Link, row: np.void) -> HudInput:
        said, now_ns = link.said, device_clock_ns()
        status = said.status
        latency = {}
        if status is not None:
            known = {
                "link": status.latency_ms.link_rtt,
                "command": status.latency_ms.pose_to_command,
                "picture": status.latency_ms.picture,
            }
            latency = {name: ms for name, ms in known.items() if ms is not None}
        squeezes = (float(row[f"{side}_controller"]["squeeze"]) for side in SIDES)
        return HudInput(
            status=status,
            status_age_s=(now_ns - said.status_ns) / 1e9 if said.status_ns else None,
            is_open=said.phase == "open",
            reason=said.reason,
            has_claim=said.has_claim,
            holder=said.holder,
            grip_held=any(squeeze > 0.5 for squeeze in squeezes),
            latency_ms=latency,
            notices=tuple(((now_ns - t_ns) / 1e9, notice) for t_ns, notice in said.notices),
        )
