"""Chromium with an emulated headset (iwer), and the pages' stand-in server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.fake_gateway import FakeGateway

CHROMIUM = Path("/usr/bin/chromium")
IWER = Path(__file__).parents[2] / "node_modules" / "iwer" / "build" / "iwer.js"
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name that is not localhost, so that plain http on it is an insecure context.
    "--host-resolver-rules=MAP robot.test 127.0.0.1",
]
# Chromium has a `navigator.xr` of its own, without hardware: the emulator must replace it.
INSTALL_IWER = """
window.xrDevice = new IWER.XRDevice(IWER.metaQuest3, { stereoEnabled: true });
window.xrDevice.installRuntime({ forceInstall: true });
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium a module: Playwright's event loop must not outlive the module's tests."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    gateway = FakeGateway()
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A plain page that fails the test when a script of it throws."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.context.close()
    assert errors == []


@pytest.fixture
def headset(page: Page) -> Page:
    """A page whose browser has an emulated Quest 3."""
    if not IWER.exists():
        pytest.skip("iwer is missing: npm install --no-package-lock --ignore-scripts")
    page.add_init_script(path=IWER)
    page.add_init_script(script=INSTALL_IWER)
    return page
