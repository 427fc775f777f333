"""A person in the emulated headset, a browser with the console, and the real five processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from recorder import Dataset, Episode
from teleop.samples import Tracking
from teleop.supervisor import Supervisor
from teleop.system import new_config, page_urls
from tests.browser.conftest import INSTALL_IWER, IWER
from tests.browser.real_headset import RealHeadset, ask, still_tip, tip, until

pytestmark = [pytest.mark.browser, pytest.mark.system]

TASK = "Put the cube on the tray"
UP_5_CM = (0.0, 0.05, 0.0)
LOADED_TRIES = 5
"""Two browsers' worth of software rendering may starve the headset page for 0.1 s: the robot then
holds, as it must, and the person squeezes again."""
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    dataset = tmp_path_factory.mktemp("real") / "dataset"
    config = new_config(dataset=str(dataset), port=0, task=TASK, render="cpu")
    with Supervisor(config) as running:
        running.start()
        yield running


@pytest.fixture
def person(headset: Page, system: Supervisor) -> Iterator[RealHeadset]:
    """Somebody in VR who holds the robot; afterwards the robot is free and not stopped."""
    person = RealHeadset(headset, system)
    person.open()
    person.sees("Tracking: head ok, left ok, right ok")
    yield person
    person.leave()
    until(headset, lambda: not ask(system, "/api/status")["operator"]["connected"], "the goodbye")


@pytest.fixture
def console(browser: Browser, system: Supervisor) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    yield page
    page.context.close()


def open_console(page: Page, system: Supervisor) -> None:
    page.goto(page_urls(system.url, system.config.token)["console"])
    expect(page.locator("#link")).to_have_text("Connected")


def episodes(system: Supervisor) -> list[Episode]:
    dataset = Dataset.open(Path(system.config.dataset), repair=False)
    return [dataset[row.id] for row in dataset.episodes()]


def rise_5_cm(person: RealHeadset) -> tuple[np.ndarray, np.ndarray]:
    """Displacements (3,) [m] of the right tip, measured and expected, while both arms follow."""
    for _ in range(LOADED_TRIES):
        person.engage()
        before = still_tip(person.page, person.system, "right_wrist")
        person.move("right", UP_5_CM, 1.0)
        after = still_tip(person.page, person.system, "right_wrist")
        if "ENGAGED (left + right)" in person.hud:
            scale = ask(person.system, "/api/status")["reach_scale"]
            return after - before, np.array([0.0, 0.0, 0.05 * scale])
    raise AssertionError(f"the page never kept both arms engaged for a second:\n{person.hud}")


def test_a_take_is_driven_labelled_and_whole_on_disk(
    person: RealHeadset, console: Page, system: Supervisor
) -> None:
    # 5 cm of the hand are 5 cm of the robot, though the emulator calls its positions guesses.
    moved, expected = rise_5_cm(person)
    np.testing.assert_allclose(moved, expected, atol=4e-3)

    # Recording by A; the hand that let go moves without the robot.
    person.press("right", "a-button", "Recording: REC  take 1")
    person.move("right", (0.0, -0.05, 0.0), 1.0)
    person.squeeze(held=False)
    person.sees("Motion: HOLD")
    held = still_tip(person.page, system, "right_wrist")
    person.move("right", (0.1, 0.0, -0.1), 0.5)
    np.testing.assert_allclose(tip(system, "right_wrist"), held, atol=1e-3)
    person.press("right", "a-button", "Recording: REVIEW")
    assert "A success, B failure, X discard" in person.hud
    person.press("right", "a-button", "Recording: not recording")

    # On disk.
    until(person.page, lambda: len(episodes(system)) == 1, "the episode")
    (episode,) = episodes(system)
    assert episode.state == "complete"
    assert episode.attributes["outcome"] == "success"
    assert episode.attributes["task"] == TASK
    assert set(episode.cameras) == {"head_left", "head_right", "wrist_left", "wrist_right"}
    for name in episode.cameras:
        camera = episode.camera(name)
        assert len(camera) > 2
        assert camera[0].std() > 3, f"{name} shows nothing"
    grip = episode.stream("operator/right_controller")
    assert np.all(np.diff(grip.t_ns) > 0)
    np.testing.assert_allclose(np.ptp(grip["grip"][:, :3], axis=0), [0.1, 0.05, 0.1], atol=0.015)
    assert np.all(grip["flags"] & Tracking.VALID == Tracking.VALID)
    assert np.all(grip["flags"] & Tracking.EMULATED)

    # In the console.
    open_console(console, system)
    expect(console.locator("figure[data-live]")).to_have_count(4)
    expect(console.locator("#motion")).to_have_text("HOLD")
    expect(console.locator("#operator")).to_contain_text("Quest 3")
    item = console.locator("#episodes details")
    expect(item).to_have_count(1)
    expect(item).to_contain_text("success")
    item.locator("summary").click()
    item.locator("textarea").fill("dropped it after all")
    item.get_by_role("button", name="Failure").click()
    expect(item.locator("summary")).to_contain_text("failure")
    (episode,) = episodes(system)
    assert episode.attributes["outcome"] == "failure"
    assert episode.attributes["notes"] == "dropped it after all"
    item.get_by_role("button", name="Discard").click()
    item.get_by_role("button", name="Really?").click()
    expect(item).to_have_count(0)
    assert episodes(system) == []


def test_emergency_stop_is_latched_until_x_was_held(
    person: RealHeadset, console: Page, system: Supervisor
) -> None:
    open_console(console, system)
    person.press("left", "y-button", "E-STOP: Release both grips")
    expect(console.locator("#motion")).to_have_text("E-STOP")
    stopped = still_tip(person.page, system, "right_wrist")
    person.squeeze(held=True)  # neither squeezing nor X under a squeeze frees it
    person.move("right", UP_5_CM, 0.3)
    person.button("left", "x-button", 1)
    person.page.wait_for_timeout(1500)
    person.button("left", "x-button", 0)
    expect(console.locator("#motion")).to_have_text("E-STOP")
    np.testing.assert_allclose(tip(system, "right_wrist"), stopped, atol=1e-3)
    person.squeeze(held=False)
    person.page.wait_for_timeout(300)
    person.press("left", "x-button", "Motion: HOLD")
    expect(console.locator("#motion")).to_have_text("HOLD")

    console.keyboard.press("Escape")
    person.sees("E-STOP: Release both grips")
    console.get_by_role("button", name="Reset e-stop").click()
    person.sees("Motion: HOLD")


def test_take_outlives_a_reload_of_the_page(person: RealHeadset, system: Supervisor) -> None:
    person.engage()
    person.press("right", "a-button", "Recording: REC")
    person.page.reload()
    expect(person.page.locator("#holder")).to_have_text(
        "You still have the robot. Enter VR to go on."
    )
    person.sees("Recording: REC")
    assert ask(system, "/api/status")["engaged"] == [False, False]
    person.enter()
    person.engage()
    person.press("right", "a-button", "Recording: REVIEW")
    person.press("right", "b-button", "Recording: not recording")
    until(person.page, lambda: len(episodes(system)) == 1, "the episode")
    (episode,) = episodes(system)
    assert episode.state == "complete"
    assert episode.attributes["outcome"] == "failure"
    kinds = [event.kind for event in episode.events]
    assert kinds.index("operator_lost") < kinds.index("operator_resumed")
    rows = episode.stream("operator/right_controller")
    assert np.all(np.diff(rows.t_ns) > 0)


def test_second_operator_is_refused_and_told_by_whom(
    person: RealHeadset, browser: Browser, system: Supervisor
) -> None:
    page = browser.new_page()
    page.add_init_script(path=IWER)
    page.add_init_script(script=INSTALL_IWER)
    second = RealHeadset(page, system)
    second.open()
    second.sees("WATCHING ONLY: Quest 3 has the robot.")
    assert ask(system, "/api/status")["operator"]["connected"]
    person.leave()  # now the robot is free
    second.forgets("WATCHING ONLY")
    second.sees("Tracking: head ok, left ok, right ok")
    page.context.close()


def test_wrong_token_is_said_and_can_be_corrected(headset: Page, system: Supervisor) -> None:
    headset.goto(page_urls(system.url, "wrong")["headset"])
    expect(headset.locator("#link")).to_have_text("Refused: Wrong access token.")
    headset.fill("#token", system.config.token)
    headset.click("#token-form button")
    expect(headset.locator("#link")).to_have_text("Connected")
