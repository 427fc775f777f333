"""The headset page over https with a certificate nobody has accepted yet, and after it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page

from teleop.gateway.tls import host_names, make_certificates
from tests.browser.conftest import INSTALL_IWER, IWER
from tests.browser.fake_gateway import TOKEN, FakeGateway

pytestmark = pytest.mark.browser


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[FakeGateway]:
    gateway = FakeGateway(make_certificates(tmp_path, host_names()))
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
def accepting(browser: Browser) -> Iterator[Page]:
    """A headset whose user has accepted the certificate."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 640, "height": 400})
    page = context.new_page()
    page.add_init_script(path=IWER)
    page.add_init_script(script=INSTALL_IWER)
    yield page
    context.close()


def enter(page: Page) -> None:
    page.locator("#enter:enabled").wait_for()
    page.evaluate("document.querySelector('#enter').click()")


def test_an_unknown_certificate_is_refused_by_the_browser(page: Page, secure: FakeGateway) -> None:
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        page.goto(secure.page("/xr"))
    assert not secure.messages


def test_once_accepted_vr_runs_over_the_secure_socket_reconnects_and_survives_doffing(
    accepting: Page, secure: FakeGateway
) -> None:
    accepting.goto(secure.page("/xr"))
    assert accepting.evaluate("isSecureContext")
    enter(accepting)
    secure.wait_until(lambda: len(secure.frames) > 20)
    secure.drop_links()
    seen = len(secure.frames)
    secure.wait_until(lambda: len(secure.frames) > seen + 20)
    accepting.evaluate("window.xrDevice.updateVisibilityState('hidden')")
    accepting.wait_for_timeout(300)
    hidden = len(secure.frames)
    accepting.wait_for_timeout(400)
    assert len(secure.frames) <= hidden + 1, "a headset that is off sends no poses"
    accepting.evaluate("window.xrDevice.updateVisibilityState('visible')")
    secure.wait_until(lambda: len(secure.frames) > hidden + 20)


def test_a_second_operator_watches_and_a_wrong_token_is_said(
    accepting: Page, secure: FakeGateway
) -> None:
    secure.holder = "Quest 3"
    accepting.goto(secure.page("/xr"))
    enter(accepting)
    accepting.get_by_text("Quest 3").first.wait_for()
    assert not secure.frames
    accepting.goto("about:blank")
    accepting.goto(secure.page("/xr", token="wrong"))
    accepting.locator("#token-form:visible").wait_for()
    accepting.fill("#token", TOKEN)
    accepting.click("#token-form button")
    accepting.locator("#link[data-phase=open]").wait_for()
