"""A person in the emulated headset: squeezes, moves, presses buttons, reads the HUD."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np
from playwright.sync_api import Page

from teleop.supervisor import Supervisor
from teleop.system import page_urls

SIDES = ("left", "right")
# Hands low in front of the body, as a person at a table holds them.
REST = {"left": (-0.20, 1.12, -0.38), "right": (0.20, 1.12, -0.38)}
TIMEOUT_S = 20.0
ENGAGE_TRIES = 5


def ask(system: Supervisor, path: str, body: object = None) -> Any:
    """One call of the HTTP API; a GET without `body`."""
    request = urllib.request.Request(
        system.url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {system.config.token}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def tip(system: Supervisor, name: str) -> np.ndarray[Any, Any]:
    """Position (3,) [m] of a tip in the robot's frame."""
    return np.array(ask(system, "/api/scene")["tips"][name][:3])


def still_tip(page: Page, system: Supervisor, name: str) -> np.ndarray[Any, Any]:
    """The tip's position, once it moves less than 0.2 mm within 0.2 s."""
    seen = [tip(system, name)]

    def still() -> bool:
        page.wait_for_timeout(200)
        seen.append(tip(system, name))
        return float(np.abs(seen[-1] - seen[-2]).max()) < 2e-4

    until(page, still, f"{name} to come to rest")
    return seen[-1]


def until(
    page: Page, wanted: Callable[[], object], what: str, timeout_s: float = TIMEOUT_S
) -> None:
    """Wait for a condition; the page's own events go on meanwhile."""
    end = time.monotonic() + timeout_s
    while not wanted():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout_s} s for {what}")
        page.wait_for_timeout(30)


class RealHeadset:
    """A person in the emulated headset.

    Args:
        page: Page with the emulator installed.
        system: The running system.
    """

    def __init__(self, page: Page, system: Supervisor) -> None:
        self.page = page
        self.system = system

    def open(self) -> None:
        """Open the headset page and enter VR, hands at rest."""
        # Software rendering pays by the pixel.
        self.page.set_viewport_size({"width": 640, "height": 400})
        self.page.goto(page_urls(self.system.url, self.system.config.token)["headset"])
        self.enter()

    def enter(self) -> None:
        """Enter VR on the open page."""
        for side, position in REST.items():
            self.place(side, position)
        self.page.locator("#enter:enabled").wait_for()
        self.page.evaluate("document.querySelector('#enter').click()")
        self.page.locator("body[data-session=running]").wait_for()

    def leave(self) -> None:
        """Leave VR, which gives the robot back."""
        self.page.evaluate("window.xrDevice.activeSession?.end()")
        self.page.locator("body:not([data-session=running])").wait_for()

    @property
    def hud(self) -> str:
        """What the HUD says."""
        return self.page.locator("#hud-text").text_content() or ""

    def sees(self, words: str, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until the HUD says these words."""
        try:
            until(self.page, lambda: words in self.hud, repr(words), timeout_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; the HUD says:\n{self.hud}") from None

    def forgets(self, words: str, timeout_s: float = TIMEOUT_S) -> None:
        """Wait until the HUD no longer says these words."""
        until(self.page, lambda: words not in self.hud, f"no {words!r}", timeout_s)

    def place(self, side: str, position: tuple[float, float, float]) -> None:
        """Put a controller somewhere at once."""
        script = f"p => window.xrDevice.controllers.{side}.position.set(...p)"
        self.page.evaluate(script, list(position))

    def move(self, side: str, by: tuple[float, float, float], seconds: float) -> None:
        """Move a controller evenly."""
        self.page.evaluate(
            """([side, by, ms]) => new Promise((done) => {
                const { position } = window.xrDevice.controllers[side];
                const from = [position.x, position.y, position.z];
                const start = performance.now();
                const timer = setInterval(() => {
                    const k = Math.min(1, (performance.now() - start) / ms);
                    position.set(...from.map((p, i) => p + k * by[i]));
                    if (k === 1) { clearInterval(timer); done(); }
                }, 8);
            })""",
            [side, list(by), seconds * 1000],
        )

    def button(self, side: str, name: str, value: float) -> None:
        """Set a button: "squeeze", "trigger", "a-button", "b-button", "x-button", "y-button"."""
        script = "([side, name, v]) => window.xrDevice.controllers[side].updateButtonValue(name, v)"
        self.page.evaluate(script, [side, name, value])

    def press(self, side: str, name: str, words: str) -> None:
        """Press a button until the HUD says these words."""
        self.button(side, name, 1)
        self.sees(words)
        self.button(side, name, 0)
        self.page.wait_for_timeout(100)

    def squeeze(self, held: bool) -> None:
        """Close or open both fists."""
        for side in SIDES:
            self.button(side, "squeeze", float(held))

    def engage(self) -> None:
        """Squeeze until both arms follow; a machine under load may need a second try."""
        for attempt in range(ENGAGE_TRIES):
            self.squeeze(held=False)
            self.page.wait_for_timeout(300)
            self.squeeze(held=True)
            try:
                self.sees("Motion: ENGAGED (left + right)", timeout_s=4)
            except TimeoutError:
                if attempt == ENGAGE_TRIES - 1:
                    raise
            else:
                return
