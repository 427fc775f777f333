"""What a bare hand's shape means: a deadman, a palm menu of two buttons, a fist. Pure.

The deadman is the pinch of thumb and middle finger, held: the index finger stays free to work the
gripper against the same thumb. It is only taken up by a hand that was seen with that pinch open
and, at the moment of pinching, has its index finger clear of the thumb and its middle finger not
curled into the palm. A fist, a grasp around an object and an index pinch, whose middle finger
comes along, therefore engage nothing.

With the palm turned to the face, pinches are buttons instead: index the primary, middle the
secondary button of that hand; ring and little finger stand for its stick pushed up and down, where
that does something. They must be kept for a moment, and the headset says meanwhile what they will
do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from teleop.samples import Button

SideName = Literal["left", "right"]
MS = 1_000_000

PINCH_ON_M, PINCH_OFF_M = 0.020, 0.035
"""Distance of two fingertips: pinched below, open above, unchanged in between [m]."""
DEADMAN_DWELL_NS = 80 * MS
"""A middle pinch counts after this long: tracking of crossing fingers flickers."""
MENU_DWELL_NS = 500 * MS
FIST_DWELL_NS = 300 * MS
KEEP_NS = 100 * MS
"""A held deadman outlives gaps of tracking this long; the session's own limit is the same."""
CURLED = 1.0
"""Distance tip to wrist over knuckle to wrist below which a finger lies in the palm."""
FACING = 0.77
"""Cosine between palm normal and direction to the eyes: within 40 degrees."""
LOOKED_AT = 0.64
"""Cosine between gaze and direction to the palm: within 50 degrees."""
FACE_REACH_M = 0.75

WRIST, THUMB_TIP = 1, 5
TIPS = {"index": 10, "middle": 15, "ring": 20, "little": 25}
KNUCKLES = {"index": 7, "middle": 12, "ring": 17, "little": 22}
"""XrHandJointEXT indices."""
PALM_FINGERS = {
    Button.PRIMARY: "index",
    Button.SECONDARY: "middle",
    Button.STICK_UP: "ring",
    Button.STICK_DOWN: "little",
}
"""Finger that stands for a button in the palm menu."""
MENU_BUTTONS = (Button.PRIMARY, Button.SECONDARY)
"""What the menu always offers: a finger with nothing to do is told so."""


@dataclass(frozen=True, slots=True)
class HandShape:
    """What the joints of one hand say.

    Attributes:
        index_m: Thumb tip to index tip [m].
        middle_m: Thumb tip to middle tip [m].
        ring_m: Thumb tip to ring tip [m].
        little_m: Thumb tip to little tip [m].
        middle_curled: The middle finger lies in the palm.
        fist: All four fingers do.
        faces: The palm is turned to the face, and looked at.
    """

    index_m: float
    middle_m: float
    ring_m: float
    little_m: float
    middle_curled: bool
    fist: bool
    faces: bool

    def gap_m(self, button: Button) -> float:
        """Distance of the thumb to the finger that stands for a button [m]."""
        return float(getattr(self, f"{PALM_FINGERS[button]}_m"))


def hand_shape(joints: Any, head: Any, side: SideName) -> HandShape:
    """Shape of one hand.

    Args:
        joints: (26, 7) poses in STAGE, in the order of `XrHandJointEXT`.
        head: (7,) pose of the head in STAGE; None when it is not known.
        side: Which hand.
    """
    p = np.asarray(joints)[:, :3].tolist()
    curled = {f: _curled(p[t], p[KNUCKLES[f]], p[WRIST]) for f, t in TIPS.items()}
    gaps = {f"{finger}_m": _distance(p[THUMB_TIP], p[tip]) for finger, tip in TIPS.items()}
    return HandShape(
        **gaps,
        middle_curled=curled["middle"],
        fist=all(curled.values()),
        faces=head is not None and _faces(np.asarray(joints)[:, :3], np.asarray(head), side),
    )


def _distance(a: list[float], b: list[float]) -> float:
    return float(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5)


def _curled(tip: list[float], knuckle: list[float], wrist: list[float]) -> bool:
    return _distance(tip, wrist) < CURLED * _distance(knuckle, wrist)


def _faces(points: Any, head: Any, side: SideName) -> bool:
    """By positions alone: runtimes differ in how they orient joints."""
    wrist, index, little = points[WRIST], points[KNUCKLES["index"]], points[KNUCKLES["little"]]
    normal = np.cross(index - wrist, little - wrist)  # out of the right hand's palm
    normal = -normal if side == "left" else normal
    to_head = head[:3] - (wrist + index + little) / 3.0
    reach, length = np.linalg.norm(to_head), np.linalg.norm(normal)
    if not 1e-3 < reach < FACE_REACH_M or length < 1e-9:
        return False
    x, y, z, w = head[3:] / np.linalg.norm(head[3:])
    gaze = -np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
    turned = float(normal @ to_head) / float(length * reach)
    looked_at = float(gaze @ -to_head) / float(reach)
    return turned > FACING and looked_at > LOOKED_AT


@dataclass(slots=True)
class HandReader:
    """Deadman and palm menu of one bare hand over time.

    Attributes:
        deadman: The middle pinch is held.
        buttons: Bits of the button that is down.
        pinching: Button whose pinch is being kept, not down yet.
        share: How much of the time it must be kept has passed, 0..1.
        menu: The palm offers its buttons.
        fist: The hand is a fist.
        seen_ns: When it was last tracked [ns].
    """

    deadman: bool = False
    buttons: int = 0
    pinching: Button | None = None
    share: float = 0.0
    menu: bool = False
    fist: bool = False
    seen_ns: int | None = None
    _opened: bool = False
    _menu_opened: bool = False
    _since_ns: int = 0
    _pinch_since_ns: int | None = None

    def lost(self, now_ns: int) -> None:
        """The hand is not there, or not tracked."""
        brief = self.seen_ns is not None and now_ns - self.seen_ns <= KEEP_NS
        self._stop_menu()
        self.fist = self._opened = False
        self._pinch_since_ns = None
        self.deadman = self.deadman and brief

    def read(self, shape: HandShape, now_ns: int, offered: Sequence[Button] = MENU_BUTTONS) -> None:
        """Take the hand of one frame.

        Args:
            shape: The hand.
            now_ns: Host time [ns].
            offered: What its palm menu offers now.
        """
        if self.seen_ns is None or now_ns - self.seen_ns > KEEP_NS:
            self.lost(now_ns)
        self.seen_ns = now_ns
        self.fist = shape.fist
        self._read_deadman(shape, now_ns)
        if self.deadman:
            self._stop_menu()
        else:
            self._read_menu(shape, now_ns, offered)

    def _read_deadman(self, shape: HandShape, now_ns: int) -> None:
        if self.deadman:
            self.deadman = shape.middle_m < PINCH_OFF_M and not shape.fist
            return
        if shape.middle_m > PINCH_OFF_M or shape.middle_curled:
            self._opened = not shape.middle_curled
        meant = shape.middle_m < PINCH_ON_M and shape.index_m > PINCH_OFF_M
        barred = shape.middle_curled or shape.faces or bool(self.buttons)
        if not (meant and self._opened) or barred:
            self._pinch_since_ns = None
            # Pinched in a way that is not meant: it must open before it can be.
            self._opened = self._opened and shape.middle_m >= PINCH_ON_M
            return
        if self._pinch_since_ns is None:
            self._pinch_since_ns = now_ns
        if now_ns - self._pinch_since_ns >= DEADMAN_DWELL_NS:
            self.deadman, self._opened, self._pinch_since_ns = True, False, None

    def _read_menu(self, shape: HandShape, now_ns: int, offered: Sequence[Button]) -> None:
        if self.buttons:
            if shape.gap_m(Button(self.buttons)) > PINCH_OFF_M:
                self._stop_menu()
            return
        gaps = {button: shape.gap_m(button) for button in offered}
        if not shape.faces or shape.fist:
            self._stop_menu()
            return
        if min(gaps.values()) > PINCH_OFF_M:
            self._menu_opened = True
        self.menu = self._menu_opened
        nearest = min(gaps, key=lambda button: gaps[button])
        held = PINCH_OFF_M if self.pinching is nearest else PINCH_ON_M
        if not self.menu or gaps[nearest] > held:
            self.pinching, self.share = None, 0.0
            return
        if self.pinching is not nearest:
            self.pinching, self._since_ns = nearest, now_ns
        self.share = min((now_ns - self._since_ns) / MENU_DWELL_NS, 1.0)
        if self.share >= 1.0:
            self.buttons = int(nearest)

    def _stop_menu(self) -> None:
        self.buttons, self.pinching, self.share = 0, None, 0.0
        self.menu = self._menu_opened = False


@dataclass(slots=True)
class FistReader:
    """The e-stop of bare hands: both fists, kept for a moment; once until a hand opens."""

    _since_ns: int | None = None
    _given: bool = False

    def read(self, both: bool, now_ns: int) -> bool:
        """Whether the e-stop is given in this frame."""
        if not both:
            self._since_ns, self._given = None, False
            return False
        if self._since_ns is None:
            self._since_ns = now_ns
        if self._given or now_ns - self._since_ns < FIST_DWELL_NS:
            return False
        self._given = True
        return True
