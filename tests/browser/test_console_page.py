"""The console in a real Chromium, over a real WebSocket and real HTTP."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from teleop import protocol
from tests.browser.fake_gateway import EPISODES, STREAMS, TOKEN, FakeGateway

pytestmark = pytest.mark.browser


@pytest.fixture
def console(page: Page, gateway: FakeGateway) -> Page:
    page.goto(gateway.page("/"))
    expect(page.locator("#link")).to_have_text("Connected")
    expect(page.locator("#motion")).to_have_text("IDLE")
    return page


def called(gateway: FakeGateway, path: str, body: Any) -> None:
    """Wait until the page has made this call."""
    gateway.wait_until(lambda: ("POST", path, body) in gateway.calls)


def test_console_watches_and_never_claims(console: Page, gateway: FakeGateway) -> None:
    hello = gateway.received(protocol.Hello)[-1]
    assert (hello.client, hello.role, hello.video) == ("console", "watcher", ("*",))
    assert gateway.received(protocol.Claim) == []


def test_status_is_shown(console: Page, gateway: FakeGateway) -> None:
    gateway.set_status(
        motion="engaged",
        engaged=(True, True),
        recording="recording",
        take=4,
        recording_s=12.0,
        drops=3,
        notices=("Camera ceiling stopped",),
        operator=protocol.OperatorInfo(connected=True, name="Ada", device="Quest 3"),
        tracking=protocol.TrackingInfo(head="ok", left="ok", right="lost"),
    )
    expect(console.locator("#motion")).to_have_text("ENGAGED")
    expect(console.locator("#arms")).to_have_text("both arms follow")
    expect(console.locator("#recording")).to_have_text("RECORDING")
    expect(console.locator("#take")).to_have_text("take 4   0:12")
    expect(console.locator("#operator")).to_contain_text("Ada, Quest 3")
    expect(console.locator("#operator .bad")).to_have_text("right lost")
    expect(console.locator("#notices")).to_have_text("Camera ceiling stopped")
    figures = console.locator("#figures")
    expect(figures).to_contain_text("Pose to command0.8 ms")
    expect(figures).to_contain_text("robot/state500 Hz")
    expect(figures.locator(".bad")).to_have_text("3")


def test_every_camera_is_shown(console: Page, gateway: FakeGateway) -> None:
    names = {stream.name for stream in STREAMS}
    gateway.wait_until(lambda: all(gateway.acks.get(name, 0) >= 2 for name in names))
    for stream in STREAMS:
        figure = console.locator(f'figure[data-stream="{stream.name}"][data-live]')
        expect(figure).to_be_visible()
        pixel = figure.locator("canvas").evaluate(
            "canvas => Array.from(canvas.getContext('2d').getImageData(5, 5, 1, 1).data)"
        )
        backgrounds = [(70, 90, 120), (70, 90, 120), (40, 110, 80), (120, 90, 50), (90, 90, 90)]
        np.testing.assert_allclose(pixel[:3], backgrounds[stream.id], atol=12)


@pytest.mark.parametrize(
    ("label", "status", "name"),
    [
        ("Record", {}, "record_start"),
        ("Stop", {"recording": "recording"}, "record_stop"),
        ("Pause", {"recording": "recording"}, "pause"),
        ("Resume", {"recording": "paused"}, "resume"),
        ("Go home", {"motion": "hold"}, "home"),
        ("Reset e-stop", {"motion": "estop"}, "estop_reset"),
        ("Reset scene", {}, "scene_reset"),
    ],
)
def test_button_asks_its_intent(
    console: Page, gateway: FakeGateway, label: str, status: dict[str, str], name: str
) -> None:
    gateway.set_status(**status)
    console.get_by_role("button", name=label, exact=True).click()
    called(gateway, f"/api/session/{name}", {})


def test_buttons_follow_the_state(console: Page, gateway: FakeGateway) -> None:
    expect(console.get_by_role("button", name="Record", exact=True)).to_be_enabled()
    expect(console.get_by_role("button", name="Stop", exact=True)).to_be_hidden()
    expect(console.get_by_role("button", name="Reset e-stop")).to_be_disabled()
    gateway.set_status(motion="estop", recording="idle")
    expect(console.get_by_role("button", name="Record", exact=True)).to_be_disabled()
    expect(console.get_by_role("button", name="Go home")).to_be_disabled()


def test_the_operators_grade_is_shown_and_kept_unless_another_is_chosen(
    console: Page, gateway: FakeGateway
) -> None:
    gateway.set_status(recording="review", review=True, grade=4)
    expect(console.locator("#grade-kept")).to_have_text("4, by the operator")
    console.get_by_role("button", name="Success", exact=True).click()
    called(gateway, "/api/session/save", {"outcome": "success", "notes": ""})
    console.locator("#grade").select_option("2")
    console.get_by_role("button", name="Failure", exact=True).click()
    called(gateway, "/api/session/save", {"outcome": "failure", "notes": "", "grade": 2})
    gateway.set_status(recording="review", review=True, grade=None)
    expect(console.locator("#grade-kept")).to_have_text("none")


def test_take_is_saved_with_notes(console: Page, gateway: FakeGateway) -> None:
    last = protocol.LastTake(id="e", verdict="warn", reasons=("2 pictures late",))
    gateway.set_status(recording="review", review=True, last_take=last)
    expect(console.locator("#verdict")).to_have_text("Check: warn")
    expect(console.locator("#reasons li")).to_have_text("2 pictures late")
    console.fill("#notes", "cube slipped")
    console.click("#failure")
    called(gateway, "/api/session/save", {"outcome": "failure", "notes": "cube slipped"})
    expect(console.locator("#notes")).to_have_value("")


def test_discard_needs_a_second_click(console: Page, gateway: FakeGateway) -> None:
    gateway.set_status(recording="review", review=True)
    discard = console.locator("#review [data-intent=discard]")
    discard.click()
    expect(discard).to_have_text("Really?")
    assert gateway.calls == []
    discard.click()
    called(gateway, "/api/session/discard", {})


def test_episodes_are_listed_newest_first(console: Page, gateway: FakeGateway) -> None:
    items = console.locator("#episodes summary")
    expect(items).to_have_count(len(EPISODES))
    expect(items.nth(0)).to_contain_text("fail")
    expect(items.nth(0)).to_contain_text("no label")
    expect(items.nth(0)).to_contain_text("take 3")
    expect(items.nth(2)).to_contain_text("pass")
    expect(items.nth(2)).to_contain_text("0:09")
    expect(items.nth(2)).to_contain_text("success")


def test_episode_is_labelled_and_discarded(console: Page, gateway: FakeGateway) -> None:
    item = console.locator("#episodes details").nth(0)
    item.locator("summary").click()
    item.locator("textarea").fill("good grasp")
    item.get_by_role("button", name="Success").click()
    path = f"/api/episodes/{EPISODES[-1].id}"
    called(gateway, f"{path}/label", {"outcome": "success", "notes": "good grasp"})
    item.get_by_role("button", name="Discard").click()
    item.get_by_role("button", name="Really?").click()
    called(gateway, f"{path}/discard", {})


@pytest.mark.parametrize("key", ["Escape", " "])
def test_key_is_an_emergency_stop(console: Page, gateway: FakeGateway, key: str) -> None:
    # Also while another button has the focus, which space would press.
    console.get_by_role("button", name="Record", exact=True).focus()
    console.keyboard.press(key)
    called(gateway, "/api/session/estop", {})
    gateway.wait_until(lambda: [e.name for e in gateway.received(protocol.Event)] == ["estop"])
    assert [path for _, path, _ in gateway.calls] == ["/api/session/estop"]


def test_emergency_stop_button(console: Page, gateway: FakeGateway) -> None:
    console.click("#estop")
    called(gateway, "/api/session/estop", {})


def test_space_in_notes_is_text(console: Page, gateway: FakeGateway) -> None:
    gateway.set_status(recording="review", review=True)
    expect(console.locator("#notes")).to_be_visible()
    console.locator("#notes").press_sequentially("a b")
    expect(console.locator("#notes")).to_have_value("a b")
    assert gateway.calls == []
    console.keyboard.press("Escape")
    called(gateway, "/api/session/estop", {})


def test_lost_link_is_said_and_recovers(console: Page, gateway: FakeGateway) -> None:
    gateway.accepting = False
    gateway.drop_links()
    expect(console.locator("#banner")).to_contain_text("No connection.")
    expect(console.locator("#banner")).to_contain_text("What you see below is old.")
    gateway.accepting = True
    expect(console.locator("#link")).to_have_text("Connected", timeout=15_000)
    expect(console.locator("#banner")).to_be_hidden()


def test_wrong_token_is_said_and_can_be_corrected(page: Page, gateway: FakeGateway) -> None:
    page.goto(gateway.page("/", token="wrong"))
    expect(page.locator("#banner")).to_contain_text("Wrong access token.")
    page.fill("#token", TOKEN)
    page.click("#token-form button")
    expect(page.locator("#link")).to_have_text("Connected")
    expect(page.locator("#banner")).to_be_hidden()


def test_server_errors_are_shown(console: Page, gateway: FakeGateway) -> None:
    gateway.send(protocol.Notice(level="error", text="Cannot record: the disk is full."))
    message = console.locator("#message")
    expect(message).to_have_text("Cannot record: the disk is full.")
    expect(message).to_have_attribute("data-level", "error")


def test_headset_address_carries_the_token(console: Page, gateway: FakeGateway) -> None:
    expect(console.locator("#headset-url")).to_have_attribute("href", gateway.page("/xr"))


def test_main_parts_fit_a_small_screen(console: Page, gateway: FakeGateway) -> None:
    last = protocol.LastTake(id="e", verdict="warn", reasons=("2 pictures late",))
    gateway.set_status(recording="review", review=True, last_take=last, notices=("A", "B"))
    expect(console.locator("#review")).to_be_visible()
    assert console.evaluate("document.documentElement.scrollHeight <= innerHeight")
    for part in ("#estop", "#motion", "#recording", "#success", "#cameras", "#episodes"):
        expect(console.locator(part)).to_be_in_viewport()
