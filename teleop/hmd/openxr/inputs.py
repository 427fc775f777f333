"""Controllers through OpenXR actions: poses, buttons, axes, vibration."""

from __future__ import annotations

import ctypes
import logging
from typing import Any

import numpy as np
import xr

from teleop.hmd.openxr.bindings import BOOLEANS, FLOATS, HAPTIC, POSES, PROFILES, SIDES, STICK
from teleop.hmd.openxr.poses import located
from teleop.hmd.openxr.runtime import Runtime
from teleop.samples import Button

log = logging.getLogger(__name__)

PRESSED = 0.5
"""An analogue button counts as pressed from here on."""
_KINDS = {
    **dict.fromkeys(POSES, xr.ActionType.POSE_INPUT),
    **dict.fromkeys(FLOATS, xr.ActionType.FLOAT_INPUT),
    **dict.fromkeys(BOOLEANS, xr.ActionType.BOOLEAN_INPUT),
    STICK: xr.ActionType.VECTOR2F_INPUT,
    HAPTIC: xr.ActionType.VIBRATION_OUTPUT,
}
_BITS = {
    "thumbstick_click": Button.THUMBSTICK,
    "primary": Button.PRIMARY,
    "secondary": Button.SECONDARY,
    "menu": Button.MENU,
}


class Inputs:
    """The action set of one session.

    Args:
        runtime: Its interaction profiles are suggested where their extension is enabled.
        session: `XrSession`, not begun yet.
    """

    def __init__(self, runtime: Runtime, session: Any) -> None:
        self._runtime, self._session = runtime, session
        instance = runtime.instance
        self._hands = [xr.string_to_path(instance, f"/user/hand/{side}") for side in SIDES]
        self._set = xr.create_action_set(instance, xr.ActionSetCreateInfo("telecap", "telecap", 0))
        self._actions = {name: self._action(name, kind) for name, kind in _KINDS.items()}
        self._suggest()
        xr.attach_session_action_sets(
            session, xr.SessionActionSetsAttachInfo(action_sets=[self._set])
        )
        self._spaces = {
            (name, side): xr.create_action_space(
                session, xr.ActionSpaceCreateInfo(self._actions[name], hand)
            )
            for name in POSES
            for side, hand in zip(SIDES, self._hands, strict=True)
        }

    def _action(self, name: str, kind: Any) -> Any:
        words = name.replace("_", " ").capitalize()
        return xr.create_action(
            self._set,
            xr.ActionCreateInfo(
                action_name=name,
                action_type=kind,
                localized_action_name=words,
                subaction_paths=self._hands,
            ),
        )

    def _suggest(self) -> None:
        instance = self._runtime.instance
        for profile in PROFILES:
            if profile.extension and not self._runtime.has(profile.extension):
                continue
            pairs = [
                xr.ActionSuggestedBinding(self._actions[name], xr.string_to_path(instance, path))
                for name, path in profile.paths()
            ]
            try:
                xr.suggest_interaction_profile_bindings(
                    instance,
                    xr.InteractionProfileSuggestedBinding(
                        interaction_profile=xr.string_to_path(instance, profile.path),
                        suggested_bindings=pairs,
                    ),
                )
            except xr.PathUnsupportedError as error:
                log.warning("the runtime does not know %s: %s", profile.path, error)

    def sync(self) -> None:
        """Take the newest values of all actions; nothing is active without focus."""
        active = xr.ActiveActionSet(self._set, xr.NULL_PATH)
        xr.sync_actions(self._session, xr.ActionsSyncInfo(active_action_sets=[active]))

    def read(self, side: int, base: Any, time_xr: int, block: Any) -> bool:
        """Fill a CONTROLLER block; False, and nothing written, when no controller is there.

        Args:
            side: 0 left, 1 right.
            base: Space the poses are in.
            time_xr: XrTime of the poses.
            block: Part of an OPERATOR_FRAME row.
        """
        hand, name = self._hands[side], SIDES[side]
        state = xr.get_action_state_pose(self._session, self._get("grip", hand))
        if not state.is_active:
            return False
        flags, grip = located(self._spaces["grip", name], base, time_xr)
        _, aim = located(self._spaces["aim", name], base, time_xr)
        block["flags"], block["grip"], block["aim"] = flags, grip, aim
        block["trigger"], block["squeeze"] = (self._float(action, hand) for action in FLOATS)
        stick = xr.get_action_state_vector2f(self._session, self._get(STICK, hand))
        block["thumbstick"] = (stick.current_state.x, stick.current_state.y)
        block["buttons"] = int(self._buttons(hand, block))
        return True

    def _buttons(self, hand: int, block: Any) -> Button:
        pressed = Button(0)
        for name, bit in _BITS.items():
            state = xr.get_action_state_boolean(self._session, self._get(name, hand))
            if state.is_active and state.current_state:
                pressed |= bit
        if block["trigger"] >= PRESSED:
            pressed |= Button.TRIGGER
        if block["squeeze"] >= PRESSED:
            pressed |= Button.SQUEEZE
        return pressed

    def _float(self, name: str, hand: int) -> float:
        state = xr.get_action_state_float(self._session, self._get(name, hand))
        return float(state.current_state) if state.is_active else 0.0

    def _get(self, name: str, hand: int) -> Any:
        return xr.ActionStateGetInfo(self._actions[name], hand)

    def profiles(self) -> tuple[str, str]:
        """Interaction profile in use, left and right; empty where there is no controller."""
        found = []
        for hand in self._hands:
            path = xr.get_current_interaction_profile(self._session, hand).interaction_profile
            found.append(xr.path_to_string(self._runtime.instance, path) if path else "")
        return found[0], found[1]

    def vibrate(self, side: int, amplitude: float, duration_ns: int) -> None:
        """Let a controller vibrate; nothing happens where none is."""
        pulse = xr.HapticVibration(
            duration=max(1, duration_ns),
            frequency=xr.FREQUENCY_UNSPECIFIED,
            amplitude=float(np.clip(amplitude, 0.0, 1.0)),
        )
        xr.apply_haptic_feedback(
            self._session,
            xr.HapticActionInfo(self._actions[HAPTIC], self._hands[side]),
            ctypes.cast(ctypes.byref(pulse), ctypes.POINTER(xr.HapticBaseHeader)).contents,
        )
