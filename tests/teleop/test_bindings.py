"""From buttons to intents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from teleop.bindings import Bindings, ButtonReader
from teleop.effects import View
from teleop.errors import BindingError
from teleop.intents import Intent
from teleop.protocol import empty_frame
from teleop.samples import Button, Motion, Recording

MS = 1_000_000
VIEW = View(Motion.IDLE, Recording.IDLE, (False, False), (0, 0), 0, True, False, 0)
SIDES = {"left": 2, "right": 4}


class Hands:
    """Two controllers and a clock."""

    def __init__(self, section: dict[str, object] | None = None) -> None:
        self.reader = ButtonReader(Bindings.from_rig(section))
        self.now_ns = 0
        self.view = VIEW
        self.read()

    def read(
        self,
        left: int = 0,
        right: int = 0,
        *,
        ms: int = 10,
        presence: int = 7,
        squeeze: float = 0,
        stick: float = 0.0,
    ) -> list[tuple[Intent, str | None]]:
        self.now_ns += ms * MS
        frame: np.void = empty_frame()
        frame["presence"], frame["t_ns"] = presence, self.now_ns
        frame["left_controller"]["buttons"], frame["right_controller"]["buttons"] = left, right
        frame["left_controller"]["squeeze"] = squeeze
        frame["right_controller"]["thumbstick"][1] = stick
        self.tracked, asked = self.reader.read(frame, self.view, self.now_ns)
        return [(a.intent, a.args.outcome) for a in asked]


PRIMARY, SECONDARY, SQUEEZE = int(Button.PRIMARY), int(Button.SECONDARY), int(Button.SQUEEZE)


def test_a_press_acts_once_however_long_it_is_held() -> None:
    hands = Hands()
    assert hands.read(right=PRIMARY) == [(Intent.RECORD_TOGGLE, None)]
    for _ in range(300):
        assert hands.read(right=PRIMARY) == []
    assert hands.read() == []
    assert hands.read(right=PRIMARY) == [(Intent.RECORD_TOGGLE, None)]


def test_in_review_the_same_buttons_label_the_take() -> None:
    hands = Hands()
    hands.view = replace(VIEW, recording=Recording.REVIEW)
    assert hands.read(right=PRIMARY) == [(Intent.SAVE, "success")]
    hands.read()
    assert hands.read(right=SECONDARY) == [(Intent.SAVE, "failure")]
    assert hands.read(left=PRIMARY) == []
    assert hands.read() == [(Intent.DISCARD, None)]


def test_a_long_press_in_review_is_no_discard() -> None:
    hands = Hands()
    hands.view = replace(VIEW, recording=Recording.REVIEW)
    for _ in range(110):
        assert (Intent.DISCARD, None) not in hands.read(left=PRIMARY)
    assert hands.read() == []


def test_holding_x_in_review_takes_the_take_again_but_resets_an_estop() -> None:
    for motion, wanted in ((Motion.IDLE, Intent.REDO), (Motion.ESTOP, Intent.ESTOP_RESET)):
        hands = Hands()
        hands.view = replace(VIEW, recording=Recording.REVIEW, motion=motion)
        asked = [found for _ in range(110) for found in hands.read(left=PRIMARY)]
        assert asked == [(wanted, None)]


def test_each_push_of_the_right_stick_grades_once() -> None:
    hands = Hands()
    assert hands.read(stick=1.0) == [], "only in review"
    hands.read()
    hands.view = replace(VIEW, recording=Recording.REVIEW)
    asked = []
    for stick in (0.5, 0.8, 1.0, 0.5, 0.9, 0.2, 0.9, 0.0, -0.8, 0.9, 0.0):
        asked += [intent for intent, _ in hands.read(stick=stick)]
    up, down = Intent.GRADE_UP, Intent.GRADE_DOWN
    assert asked == [up, up, down, up]


def test_bits_of_sticks_are_not_taken_from_the_wire() -> None:
    hands = Hands()
    hands.view = replace(VIEW, recording=Recording.REVIEW)
    assert hands.read(right=int(Button.STICK_UP | Button.STICK_DOWN)) == []


def test_pause_toggles_with_the_recording_and_means_nothing_without_one() -> None:
    hands = Hands()
    assert hands.read(right=SECONDARY) == []
    hands.read()
    hands.view = replace(VIEW, recording=Recording.RECORDING)
    assert hands.read(right=SECONDARY) == [(Intent.PAUSE, None)]
    hands.read()
    hands.view = replace(VIEW, recording=Recording.PAUSED)
    assert hands.read(right=SECONDARY) == [(Intent.RESUME, None)]


@pytest.mark.parametrize(
    ("motion", "intent"),
    [
        (Motion.ESTOP, [(Intent.ESTOP_RESET, None)]),
        (Motion.IDLE, [(Intent.HOME, None)]),
        (Motion.HOLD, [(Intent.HOME, None)]),
        (Motion.ENGAGED, []),
        (Motion.HOMING, []),
    ],
)
def test_x_held_for_a_second_resets_or_goes_home(
    motion: Motion, intent: list[tuple[Intent, None]]
) -> None:
    hands = Hands()
    hands.view = replace(VIEW, motion=motion)
    hands.read(left=PRIMARY)
    assert hands.read(left=PRIMARY, ms=990) == []
    assert hands.read(left=PRIMARY, ms=20) == intent
    assert hands.read(left=PRIMARY, ms=2000) == []


def test_a_short_x_does_nothing_outside_review() -> None:
    hands = Hands()
    assert hands.read(left=PRIMARY) == []
    assert hands.read() == []


def test_a_button_already_down_when_the_controller_appears_is_no_press() -> None:
    hands = Hands()
    hands.read(presence=1)
    assert hands.read(right=PRIMARY) == []
    assert hands.read(left=PRIMARY, right=PRIMARY, ms=2000) == []
    hands.read()
    assert hands.read(right=PRIMARY) == [(Intent.RECORD_TOGGLE, None)]


def test_an_estop_already_down_when_the_controller_appears_stops() -> None:
    hands = Hands()
    hands.read(presence=1)
    assert hands.read(left=SECONDARY) == [(Intent.ESTOP, None)]
    assert hands.read(left=SECONDARY) == []


def test_the_deadman_is_the_squeeze_as_a_click_or_beyond_its_threshold() -> None:
    hands = Hands()
    hands.read(right=SQUEEZE)
    assert hands.tracked.deadman == (False, True)
    for squeeze, pressed in ((0.6, False), (0.75, True), (0.5, True), (0.2, False), (0.6, False)):
        hands.read(squeeze=squeeze)
        assert hands.tracked.deadman == (pressed, False)


def test_a_button_is_named_as_it_is_printed() -> None:
    hands = Hands()
    frame = empty_frame()
    frame["presence"] = 7
    frame["left_controller"]["buttons"] = SECONDARY
    _, asked = hands.reader.read(frame, VIEW, hands.now_ns)
    assert [a.by for a in asked] == ["left Y"]


def test_a_missing_controller_has_no_buttons() -> None:
    hands = Hands()
    hands.read(right=SQUEEZE, presence=1 | 4)
    assert hands.tracked.has_buttons == (False, True)


def test_an_invalid_controller_is_not_replaced_by_a_valid_hand() -> None:
    hands = Hands()
    frame = empty_frame()
    frame["presence"] = 2 | 8 | 16
    frame["left_hand"]["flags"] = frame["right_hand"]["flags"] = 15
    tracked, _ = hands.reader.read(frame, VIEW, 0)
    assert tracked.hands_valid == (False, True)


def test_a_rig_replaces_a_button_and_keeps_the_others() -> None:
    hands = Hands({"right": {"primary": {"press": "scene_reset"}}, "hold_s": 0.2})
    assert hands.read(right=PRIMARY) == [(Intent.SCENE_RESET, None)]
    assert hands.read(left=SECONDARY) == [(Intent.ESTOP, None)]


@pytest.mark.parametrize(
    "section",
    [
        {"middle": {}},
        {"left": {"knob": {"press": "estop"}}},
        {"left": {"primary": {"stroke": "estop"}}},
        {"left": {"primary": {"press": "dance"}}},
        {"left": {"squeeze": {"press": "home"}}},
        {"left": {"secondary": {}}},
        {"hold_s": "long"},
        {"deadman": "pedal"},
    ],
)
def test_bindings_that_cannot_be_meant_are_refused(section: dict[str, object]) -> None:
    with pytest.raises(BindingError):
        Bindings.from_rig(section)
