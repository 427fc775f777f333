"""Laws of bare hands: what engages an arm, what cannot, and what the palm menu does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from teleop.bindings import ACTIONS, Bindings, ButtonReader
from teleop.effects import (
    Asked,
    Calibrated,
    CaptureNeutral,
    Effect,
    OperatorArrived,
    RobotReported,
    View,
)
from teleop.gestures import KEEP_NS, PINCH_OFF_M, PINCH_ON_M, hand_shape
from teleop.intents import Intent
from teleop.palmmenu import gesture_info, offer
from teleop.samples import Button, Motion, Recording
from teleop.session import Session
from tests.teleop.hands import HEAD, hand_joints, hands_frame

MS = 1_000_000
STEP_MS = 14
VIEW = View(Motion.IDLE, Recording.IDLE, (False, False), (0, 0), 0, True, False, 0)
FINGERS = ("index", "middle", "ring", "little")
PINCH = {"middle_m": 0.01}
GRIP = {"middle_m": 0.01, "index_m": 0.01}


@dataclass
class Hands:
    """One person's bare hands before a session with a robot that answers."""

    def __post_init__(self) -> None:
        self.reader = ButtonReader(Bindings.from_rig())
        self.session = Session(0)
        self.now_ns = 0
        self.view = VIEW
        self.asked: list[Asked] = []
        self.session.handle(OperatorArrived("test"), 0)

    def show(
        self, frames: int = 1, ms: int = STEP_MS, *, tracked: bool = True, **shapes: object
    ) -> bool:
        """Show both hands for some frames; returns whether the right arm follows."""
        left, right = shapes.get("left", {}), shapes.get("right", {})
        for _ in range(frames):
            self.now_ns += ms * MS
            frame = hands_frame(
                self.now_ns,
                None if left is None else hand_joints("left", **left),  # type: ignore[arg-type]
                None if right is None else hand_joints("right", **right),  # type: ignore[arg-type]
                tracked=tracked,
            )
            self._obey(self.session.handle(RobotReported(), self.now_ns))
            self.tracked, asked = self.reader.read(frame, self.view, self.now_ns)
            self.asked += asked
            self._obey(self.session.handle(self.tracked, self.now_ns))
        return self.follows

    def _obey(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, CaptureNeutral):
                self._obey(self.session.handle(Calibrated(), self.now_ns))

    @property
    def follows(self) -> bool:
        return self.session.view().engaged[1]

    @property
    def intents(self) -> list[Intent]:
        return [a.intent for a in self.asked]


def engaged() -> Hands:
    hands = Hands()
    hands.show(10)
    assert hands.show(10, right=PINCH)
    return hands


# --- deadman --------------------------------------------------------------------------------------


def test_a_middle_pinch_engages_that_arm_only() -> None:
    assert engaged().session.view().engaged == (False, True)


def test_the_index_finger_is_free_for_the_gripper_while_the_arm_follows() -> None:
    hands = engaged()
    for _ in range(3):
        assert hands.show(10, right=GRIP)
        assert hands.show(10, right=PINCH)


def test_opening_the_pinch_lets_go_and_a_fresh_pinch_engages_again() -> None:
    hands = engaged()
    assert not hands.show(2)
    assert hands.show(10, right=PINCH)


def test_a_pinch_between_the_thresholds_changes_nothing() -> None:
    between = {"middle_m": (PINCH_ON_M + PINCH_OFF_M) / 2}
    assert engaged().show(20, right=between)
    hands = Hands()
    hands.show(10)
    assert not hands.show(20, right=between)


@pytest.mark.parametrize(
    "shape",
    [
        {"index_m": 0.01},
        {"index_m": 0.01, "middle_m": 0.015},
        {"fist": True},
        {"middle_m": 0.01, "facing": True},
    ],
    ids=["index pinch", "index pinch with the middle finger along", "fist", "palm menu"],
)
def test_what_is_no_deadman_engages_nothing(shape: dict[str, object]) -> None:
    hands = Hands()
    hands.show(10)
    assert not hands.show(60, right=shape)
    # Nor does it become one without opening.
    assert not hands.show(60, right={**shape, "fist": False, "facing": False, "middle_m": 0.01})


def test_a_touch_of_one_frame_engages_nothing() -> None:
    hands = Hands()
    hands.show(10)
    for _ in range(10):
        assert not hands.show(1, right=PINCH)
        assert not hands.show(3)


def test_a_fist_lets_go_at_once() -> None:
    assert not engaged().show(1, right={"fist": True})


@pytest.mark.parametrize("how", [{"right": None}, {"tracked": False}])
def test_a_hand_that_comes_back_pinched_does_not_engage(how: dict[str, object]) -> None:
    hands = engaged()
    assert not hands.show(12, **how)  # type: ignore[arg-type]
    assert not hands.show(60, right=PINCH)
    hands.show(5)
    assert hands.show(10, right=PINCH)


def test_a_flicker_of_tracking_does_not_let_go() -> None:
    hands = engaged()
    assert hands.show(3, tracked=False)
    assert hands.show(5, right=PINCH)


def test_a_pinched_hand_that_flickers_in_is_not_fresh() -> None:
    hands = Hands()
    hands.show(10)
    hands.show(2, right=None)
    assert not hands.show(60, right=PINCH)


def test_changing_between_controller_and_hand_needs_a_release() -> None:
    hands = engaged()
    for _ in range(40):
        hands.now_ns += STEP_MS * MS
        frame = hands_frame(hands.now_ns)
        frame["presence"] |= 4
        frame["right_controller"]["flags"], frame["right_controller"]["squeeze"] = 15, 1.0
        hands.session.handle(RobotReported(), hands.now_ns)
        tracked, _ = hands.reader.read(frame, VIEW, hands.now_ns)
        hands.session.handle(tracked, hands.now_ns)
        assert not hands.follows
    assert not hands.show(40, right=PINCH)


def test_bare_hands_can_be_switched_off() -> None:
    hands = Hands()
    hands.reader = ButtonReader(Bindings.from_rig({"bare_hands": False}))
    hands.show(10)
    assert not hands.show(60, right=PINCH)
    assert not hands.show(60, left={"fist": True}, right={"fist": True})
    assert hands.asked == []


SHAPES = st.fixed_dictionaries(
    {
        "index_m": st.sampled_from([0.01, 0.03, 0.09]),
        "middle_m": st.sampled_from([0.01, 0.01, 0.03, 0.09, 0.09]),
        "fist": st.sampled_from([False] * 6 + [True]),
        "facing": st.sampled_from([False] * 5 + [True]),
    }
)
STEPS = st.tuples(
    st.none() | SHAPES | SHAPES | SHAPES,
    st.sampled_from([True] * 8 + [False]),
    st.sampled_from([5, 14, 14, 50, 120]),
    st.integers(1, 9),
)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(STEPS, min_size=5, max_size=25))
def test_no_sequence_of_frames_engages_without_a_fresh_deadman(
    steps: list[tuple[dict[str, object] | None, bool, int, int]],
) -> None:
    hands = Hands()
    opened, pinched_since, fresh, seen_ns = False, None, False, -(10**12)
    for shape, tracked, ms, frames in steps:
        for _ in range(frames):
            hands.show(1, ms, tracked=tracked, right=shape)
            now_ns = hands.now_ns
            if shape is None or not tracked:
                opened = False
                fresh = fresh and now_ns - seen_ns <= KEEP_NS
                pinched_since = pinched_since if fresh else None
            else:
                if now_ns - seen_ns > KEEP_NS:
                    opened = fresh = False
                seen_ns = now_ns
                if shape["fist"]:
                    opened = fresh = False
                    pinched_since = None
                elif float(shape["middle_m"]) > PINCH_OFF_M:  # type: ignore[arg-type]
                    opened, pinched_since, fresh = True, None, False
                elif pinched_since is None and float(shape["middle_m"]) < PINCH_ON_M:  # type: ignore[arg-type]
                    pinched_since, fresh, opened = now_ns, opened, False
            if hands.follows:
                assert fresh, "following without a fresh pinch of a hand that was seen open"
                assert now_ns - seen_ns <= KEEP_NS, "following a lost hand"


# --- palm menu and fists --------------------------------------------------------------------------


def test_the_right_palm_starts_and_labels_a_take() -> None:
    hands = Hands()
    hands.show(10, right={"facing": True})
    hands.show(40, right={"facing": True, "index_m": 0.01})
    assert hands.intents == [Intent.RECORD_TOGGLE]
    hands.view = replace(VIEW, recording=Recording.REVIEW)
    hands.show(10, right={"facing": True})
    hands.show(40, right={"facing": True, "middle_m": 0.01})
    assert hands.intents[1:] == [Intent.SAVE]
    assert hands.asked[1].args.outcome == "failure"
    assert hands.asked[1].by == "right palm, middle finger"


def test_the_left_palm_discards_by_a_short_pinch_and_resets_by_a_long_one() -> None:
    hands = Hands()
    hands.view = replace(VIEW, recording=Recording.REVIEW)
    hands.show(10, left={"facing": True})
    hands.show(45, left={"facing": True, "index_m": 0.01})
    hands.show(5, left={"facing": True})
    assert hands.intents == [Intent.DISCARD]
    hands.view = replace(VIEW, motion=Motion.ESTOP)
    hands.show(150, left={"facing": True, "index_m": 0.01})
    assert hands.intents == [Intent.DISCARD, Intent.ESTOP_RESET]


@pytest.mark.parametrize(
    "shape", [{"index_m": 0.01}, {"facing": True, "index_m": 0.01}], ids=["palm down", "came so"]
)
def test_a_pinch_that_did_not_start_on_a_shown_palm_is_no_button(shape: dict[str, object]) -> None:
    hands = Hands()
    hands.show(100, right=shape)
    assert hands.asked == []


def test_a_hand_that_is_lost_in_a_pinch_gives_no_tap() -> None:
    hands = Hands()
    hands.view = replace(VIEW, recording=Recording.REVIEW)
    hands.show(10, left={"facing": True})
    hands.show(45, left={"facing": True, "index_m": 0.01})
    hands.show(20, left=None)
    hands.show(20, left={"facing": True})
    assert hands.asked == []


def test_an_arm_that_follows_has_no_menu() -> None:
    hands = engaged()
    hands.show(100, right={**GRIP, "facing": True})
    assert hands.follows
    assert hands.asked == []


def test_both_fists_are_the_emergency_stop_once() -> None:
    hands = Hands()
    hands.show(10)
    hands.show(100, left={"fist": True}, right={"fist": True})
    assert hands.intents == [Intent.ESTOP]
    assert hands.asked[0].by == "both fists"
    hands.show(100, left={"fist": True})
    assert hands.intents == [Intent.ESTOP]


def test_the_headset_says_what_a_pinch_will_do_before_it_does() -> None:
    hands = Hands()
    assert gesture_info(hands.reader, VIEW, hands.now_ns) is None
    hands.show(10, right={"facing": True})
    offered = gesture_info(hands.reader, VIEW, hands.now_ns)
    assert offered is not None
    assert offered.text == "Right palm. Pinch index: start recording, middle: nothing now"
    hands.show(20, right={"facing": True, "index_m": 0.01})
    kept = gesture_info(hands.reader, VIEW, hands.now_ns)
    assert kept is not None
    assert (kept.text, hands.asked) == ("Keep the pinch: start recording", [])
    assert 0.3 < kept.share < 0.9
    assert gesture_info(hands.reader, VIEW, hands.now_ns + 2 * KEEP_NS) is None


REVIEW = replace(VIEW, recording=Recording.REVIEW)


def test_bare_hands_grade_a_take_and_record_it_once_more() -> None:
    hands = Hands()
    hands.view = REVIEW
    hands.show(10, right={"facing": True})
    offered = gesture_info(hands.reader, REVIEW, hands.now_ns)
    assert offered is not None
    assert offered.text == (
        "Right palm. Pinch index: success, middle: failure, ring: better, little: worse"
    )
    for finger in ("ring_m", "little_m", "ring_m"):
        hands.show(60, right={"facing": True, finger: 0.01})
        hands.show(10, right={"facing": True})
    assert hands.intents == [Intent.GRADE_UP, Intent.GRADE_DOWN, Intent.GRADE_UP]
    assert hands.asked[0].by == "right palm, ring finger"
    hands.show(10, left={"facing": True})
    offered = gesture_info(hands.reader, REVIEW, hands.now_ns)
    assert offered is not None
    assert offered.text == (
        "Left palm. Pinch index: discard, held: once more, middle: emergency stop"
    )
    hands.show(150, left={"facing": True, "index_m": 0.01})
    assert hands.intents[3:] == [Intent.REDO]


def test_a_ring_finger_that_comes_along_delays_no_stop() -> None:
    hands = Hands()
    hands.show(10, left={"facing": True})
    for ring_m in (0.005, 0.015) * 25:  # now nearer than the middle finger, now farther
        hands.show(1, left={"facing": True, "middle_m": 0.01, "ring_m": ring_m})
    assert hands.intents == [Intent.ESTOP]


shapes = st.fixed_dictionaries(
    {
        **{f"{finger}_m": st.sampled_from([0.005, 0.027, 0.09]) for finger in FINGERS},
        "fist": st.booleans(),
        "facing": st.booleans(),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | shapes, st.none() | shapes, st.sampled_from(list(Motion)),
            st.sampled_from(list(Recording)), st.integers(1, 120),
        ),
        min_size=1, max_size=25,
    )
)  # fmt: skip
def test_whatever_hands_do_in_whatever_state_there_are_words_for_it(
    moments: list[tuple[dict | None, dict | None, Motion, Recording, int]],
) -> None:
    hands = Hands()
    for left, right, motion, recording, frames in moments:
        hands.view = replace(VIEW, motion=motion, recording=recording)
        hands.show(frames, left=left, right=right)
        found = gesture_info(hands.reader, hands.view, hands.now_ns)
        if found is not None:
            assert found.text and 0.0 <= found.share <= 1.0
    asked = set(hands.intents)
    assert not asked & {Intent.RECORD_START, Intent.SCENE_RESET}, "bound to no gesture"


@pytest.mark.parametrize("recording", list(Recording))
@pytest.mark.parametrize("motion", list(Motion))
def test_there_are_words_for_whatever_a_button_is_bound_to(
    motion: Motion, recording: Recording
) -> None:
    view = replace(VIEW, motion=motion, recording=recording)
    for action in ACTIONS:
        gestures = {"press": action, "hold": action, "review_tap": action}
        bindings = Bindings.from_rig({"left": {"primary": gestures}, "deadman": "squeeze"})
        assert offer(bindings, "left", Button.PRIMARY, view)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("turn_deg", [0, 30, 60, 120, 180])
def test_a_palm_faces_within_40_degrees(side: str, turn_deg: float) -> None:
    joints = hand_joints(side, facing=True)  # type: ignore[arg-type]
    centre = joints[:, :3].mean(axis=0)
    turn = Rotation.from_rotvec(np.radians(turn_deg) * np.array([0.0, 0.0, 1.0]))
    axis = Rotation.align_vectors([HEAD - centre], [[0.0, 1.0, 0.0]])[0]
    turned = (axis * turn * axis.inv()).apply(joints[:, :3] - centre) + centre
    joints[:, :3] = turned
    head = hands_frame(0)["head"]
    assert hand_shape(joints, head, side).faces == (turn_deg < 40)  # type: ignore[arg-type]
