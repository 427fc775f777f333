"""A person without controllers and the real five processes: engage, move, record, label, stop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Page

from recorder import Dataset
from teleop.supervisor import Supervisor
from teleop.system import new_config
from tests.browser.bare_hands import BareHands
from tests.browser.real_headset import RealHeadset, ask, still_tip, until

pytestmark = [pytest.mark.browser, pytest.mark.system]

REST = {"left": (-0.20, 1.12, -0.38), "right": (0.20, 1.12, -0.38)}
IN_VIEW = {"left": (-0.12, 1.45, -0.35), "right": (0.12, 1.45, -0.35)}
# Turns the emulator's hands so that their palms look at the eyes.
PALM_TO_FACE = {"left": (-0.789, -0.239, 0.373, 0.425), "right": (-0.789, 0.239, -0.373, 0.425)}
TRIES = 5


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    dataset = tmp_path_factory.mktemp("bare") / "dataset"
    config = new_config(dataset=str(dataset), port=0, task="wave", render="cpu")
    with Supervisor(config) as running:
        running.start()
        yield running


@pytest.fixture
def person(headset: Page, system: Supervisor) -> Iterator[RealHeadset]:
    person = RealHeadset(headset, system)
    person.open()
    yield person
    person.leave()


def show_palm(hands: BareHands, person: RealHeadset, side: str) -> None:
    hands.shape(side, "open")
    hands.place(side, IN_VIEW[side], PALM_TO_FACE[side])
    person.sees(f"{side.capitalize()} palm. Pinch index")


def choose(hands: BareHands, person: RealHeadset, side: str, finger: str, words: str) -> None:
    """Choose from the palm menu; the HUD says what for, then that it was done.

    A page that is starved of its processor for 0.1 s lets go of the pinch: it is then made again.
    """
    for attempt in range(TRIES):
        show_palm(hands, person, side)
        hands.shape(side, finger)
        try:
            person.sees(words, timeout_s=5.0)
            break
        except TimeoutError:
            if attempt == TRIES - 1:
                raise
    hands.shape(side, "open")
    hands.place(side, REST[side])
    person.forgets("palm. Pinch")


def test_bare_hands_engage_move_record_label_and_stop(
    person: RealHeadset, system: Supervisor
) -> None:
    hands = BareHands(person.page)
    for side, position in REST.items():
        hands.place(side, position)
    person.sees("Look straight ahead, then hold thumb and middle finger together.")
    choose(hands, person, "right", "index", "Recording: REC  take 1")

    for attempt in range(TRIES):
        hands.shape("right", "middle")
        person.sees("Motion: ENGAGED (right)")
        before = still_tip(person.page, system, "right_wrist")
        hands.move("right", (0.0, 0.05, 0.0), 1.0)
        after = still_tip(person.page, system, "right_wrist")
        if "ENGAGED (right)" in person.hud:
            break
        assert attempt < TRIES - 1, f"the page never kept the arm engaged:\n{person.hud}"
        hands.shape("right", "open")
        person.page.wait_for_timeout(300)
    scale = ask(system, "/api/status")["reach_scale"]
    np.testing.assert_allclose(after - before, [0.0, 0.0, 0.05 * scale], atol=4e-3)

    hands.shape("right", "open")
    person.sees("Motion: HOLD")
    hands.place("right", REST["right"])
    choose(hands, person, "right", "index", "Recording: REVIEW")
    choose(hands, person, "right", "ring", "Grade 3 of 5")
    choose(hands, person, "right", "ring", "Grade 4 of 5")
    show_palm(hands, person, "left")
    person.sees("index: discard, held: once more, middle: emergency stop")
    hands.place("left", REST["left"])
    choose(hands, person, "right", "index", "Recording: not recording")
    dataset = Dataset.open(system.config.dataset, repair=False)
    until(person.page, lambda: len(dataset.episodes()) == 1, "the episode")
    episode = dataset[dataset.episodes()[0].id]
    assert (episode.attributes["outcome"], episode.attributes["grade"]) == ("success", 4)
    assert len(episode.stream("operator/right_hand")) > 10
    assert "engage" in [event.kind for event in episode.events]

    for side in REST:
        hands.shape(side, "fist")
    person.sees("E-STOP: Open both hands")
    for side in REST:
        hands.shape(side, "open")
    choose(hands, person, "left", "index", "Motion: HOLD")
