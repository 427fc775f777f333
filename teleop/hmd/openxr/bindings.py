"""Which physical control does what, for each kind of controller.

Actions are those of `teleop.protocol.md`: the deadman is `squeeze`, the gripper `trigger`, and
`primary` and `secondary` are A and B on the right, X and Y on the left. Runtimes translate the
profile nearest to the hardware at hand, so newer controllers work through older profiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SIDES = ("left", "right")

FLOATS = ("trigger", "squeeze")
BOOLEANS = ("thumbstick_click", "primary", "secondary", "menu")
STICK = "thumbstick"
POSES = ("grip", "aim")
HAPTIC = "haptic"


@dataclass(frozen=True)
class Profile:
    """One kind of controller.

    Attributes:
        path: Its OpenXR interaction profile.
        both: Action -> input path, on both sides.
        left: What the left has besides.
        right: The same of the right.
        extension: That brings the profile; empty for those of OpenXR 1.0.
    """

    path: str
    both: Mapping[str, str]
    left: Mapping[str, str] = field(default_factory=dict)
    right: Mapping[str, str] = field(default_factory=dict)
    extension: str = ""

    def paths(self) -> list[tuple[str, str]]:
        """Pairs of action and full path."""
        pairs = []
        for side, own in zip(SIDES, (self.left, self.right), strict=True):
            top = f"/user/hand/{side}"
            pairs += [("grip", f"{top}/input/grip/pose"), ("aim", f"{top}/input/aim/pose")]
            pairs += [(HAPTIC, f"{top}/output/haptic")]
            pairs += [(name, f"{top}/input/{tail}") for name, tail in {**self.both, **own}.items()]
        return pairs


_ANALOGUE = {
    "trigger": "trigger/value",
    "squeeze": "squeeze/value",
    STICK: "thumbstick",
    "thumbstick_click": "thumbstick/click",
}
_LETTERS_LEFT = {"primary": "x/click", "secondary": "y/click", "menu": "menu/click"}
_LETTERS_RIGHT = {"primary": "a/click", "secondary": "b/click"}
_PAD = {
    "trigger": "trigger/value",
    "squeeze": "squeeze/click",
    "primary": "trackpad/click",
    "secondary": "menu/click",
}
"""Two buttons beside trigger and squeeze: the pad is the lower one, the menu the upper."""


def _lettered(path: str, extension: str = "") -> Profile:
    return Profile(path, _ANALOGUE, _LETTERS_LEFT, _LETTERS_RIGHT, extension)


PROFILES = (
    # its one button is the deadman: arms follow, grippers stay as they are
    Profile(
        "/interaction_profiles/khr/simple_controller",
        {"squeeze": "select/click", "menu": "menu/click"},
    ),
    _lettered("/interaction_profiles/oculus/touch_controller"),
    Profile(
        "/interaction_profiles/valve/index_controller",
        {**_ANALOGUE, "primary": "a/click", "secondary": "b/click"},
    ),
    Profile("/interaction_profiles/htc/vive_controller", {**_PAD, STICK: "trackpad"}),
    Profile(
        "/interaction_profiles/microsoft/motion_controller",
        {**_PAD, STICK: "thumbstick", "thumbstick_click": "thumbstick/click"},
    ),
    Profile(
        "/interaction_profiles/hp/mixed_reality_controller",
        {**_ANALOGUE, "menu": "menu/click"},
        {"primary": "x/click", "secondary": "y/click"},
        _LETTERS_RIGHT,
        "XR_EXT_hp_mixed_reality_controller",
    ),
    _lettered(
        "/interaction_profiles/bytedance/pico_neo3_controller", "XR_BD_controller_interaction"
    ),
    _lettered("/interaction_profiles/bytedance/pico4_controller", "XR_BD_controller_interaction"),
    _lettered("/interaction_profiles/facebook/touch_controller_pro", "XR_FB_touch_controller_pro"),
    _lettered("/interaction_profiles/meta/touch_controller_plus", "XR_META_touch_controller_plus"),
    _lettered(
        "/interaction_profiles/htc/vive_focus3_controller",
        "XR_HTC_vive_focus3_controller_interaction",
    ),
)
EXTENSIONS = tuple(sorted({profile.extension for profile in PROFILES} - {""}))
"""Extensions of the profiles above."""
