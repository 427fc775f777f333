"""A scripted operator for system tests: streams frames until told otherwise."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

import numpy as np

from teleop.hmd.client import Client
from teleop.protocol import HEAD_BIT, LEFT_CONTROLLER_BIT, RIGHT_CONTROLLER_BIT, empty_frame
from teleop.samples import SIDES, Button, Source, Tracking

GOOD = int(Tracking.VALID | Tracking.TRACKED)
REST = {"left": (-0.20, 1.12, -0.38), "right": (0.20, 1.12, -0.38)}


class Driver:
    """Head and two controllers at 90 Hz; change `offset`, `squeeze`, `buttons` at any time."""

    def __init__(self, url: str, token: str, rate_hz: int = 90) -> None:
        self.client = Client(url, token, kind="synthetic", device="test driver")
        self.period_s = 1.0 / rate_hz
        self.offset = {side: np.zeros(3) for side in SIDES}
        self.squeeze = dict.fromkeys(SIDES, False)
        self.buttons = dict.fromkeys(SIDES, Button(0))
        self.stick = dict.fromkeys(SIDES, 0.0)
        self.trigger = dict.fromkeys(SIDES, 0.0)
        self.sending = True
        self._seq = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        await self.client.claim()
        self._task = asyncio.create_task(self._stream())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.client.__aexit__(kind, error, tb)

    def frame(self) -> np.void:
        frame = empty_frame()
        self._seq += 1
        frame["seq"] = self._seq
        frame["source"] = Source.SYNTHETIC
        frame["t_device_ns"] = time.monotonic_ns()
        frame["presence"] = HEAD_BIT | LEFT_CONTROLLER_BIT | RIGHT_CONTROLLER_BIT
        frame["head_flags"] = GOOD
        frame["head"] = (0, 1.62, 0, 0, 0, 0, 1)
        for side in SIDES:
            device = frame[f"{side}_controller"]
            device["flags"] = GOOD
            device["grip"] = (*(np.asarray(REST[side]) + self.offset[side]), 0, 0, 0, 1)
            device["aim"] = device["grip"]
            held = Button.SQUEEZE if self.squeeze[side] else Button(0)
            device["squeeze"] = float(self.squeeze[side])
            device["trigger"] = self.trigger[side]
            device["buttons"] = int(self.buttons[side] | held)
            device["thumbstick"][1] = self.stick[side]
        return frame

    async def _stream(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if self.sending:
                await self.client.send_frame(self.frame())
            due = max(due + self.period_s, loop.time())
            await asyncio.sleep(due - loop.time())

    async def press(self, side: str, button: Button, seconds: float = 0.12) -> None:
        self.buttons[side] = button
        await asyncio.sleep(seconds)
        self.buttons[side] = Button(0)
        await asyncio.sleep(0.05)

    async def push_stick(self, side: str, up: float, seconds: float = 0.12) -> None:
        self.stick[side] = up
        await asyncio.sleep(seconds)
        self.stick[side] = 0.0
        await asyncio.sleep(0.05)

    async def engage(self) -> None:
        self.squeeze = dict.fromkeys(SIDES, False)
        await asyncio.sleep(0.15)
        self.squeeze = dict.fromkeys(SIDES, True)
        await self.client.wait_for_status(lambda s: s.motion == "engaged", "both arms engaged", 5)

    async def start_take(self) -> None:
        """Begin a take by A, and wait until its rows are written."""
        await self.press("right", Button.PRIMARY)
        await self.client.wait_for_status(lambda s: s.recording == "recording", "a take", 5)

    async def stop_take(self) -> None:
        """End the take by A: it waits for its label."""
        await self.press("right", Button.PRIMARY)
        await self.client.wait_for_status(lambda s: s.recording == "review", "a review", 5)

    async def save_take(self) -> None:
        """End the take by A and call it a success by A."""
        await self.stop_take()
        await self.press("right", Button.PRIMARY)
        await self.client.wait_for_status(lambda s: s.recording == "idle", "saved", 5)

    async def move(self, side: str, to: tuple[float, float, float], seconds: float) -> None:
        start, goal = self.offset[side].copy(), np.asarray(to, float)
        steps = max(1, int(seconds / self.period_s))
        for k in range(1, steps + 1):
            self.offset[side] = start + (goal - start) * k / steps
            await asyncio.sleep(self.period_s)
