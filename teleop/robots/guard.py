"""The last check before a command reaches a robot. It trusts nobody, least of all our own code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retarget import Rig
from teleop.robots.base import Array, JointCommand


@dataclass(frozen=True, slots=True)
class GuardConfig:
    """Settings of a `CommandGuard`.

    Attributes:
        max_deviation_rad: Farthest a command may be from the measured state.
        near_rad: A command this near to the measured state may start a new motion.
        speed_factor: Share of the rig's velocity limit a command may move on by.
        gap_s: Shortest and longest time since the last command that buys distance [s].
        slack_rad: Allowed on top of every bound, for rounding and for joints at rest.
    """

    max_deviation_rad: float = 0.5
    near_rad: float = 0.05
    speed_factor: float = 1.5
    gap_s: tuple[float, float] = (0.010, 0.050)
    slack_rad: float = 0.01


class CommandGuard:
    """Decides whether a command may be sent. Pure: measured state and times are arguments."""

    def __init__(self, rig: Rig, config: GuardConfig | None = None) -> None:
        self.config = config or GuardConfig()
        self._names = rig.joint_names
        self._lower, self._upper = np.array(rig.lower), np.array(rig.upper)
        self._velocity = np.array(rig.velocity_limit)
        self._fingers, hands = rig.finger_names, [rig.hands[side] for side in rig.finger_slices]
        self._finger_lower = np.concatenate([np.zeros(0), *(hand.lower for hand in hands)])
        self._finger_upper = np.concatenate([np.zeros(0), *(hand.upper for hand in hands)])

    @property
    def near_rad(self) -> float:
        """A command this near to the measured state may start a new motion."""
        return self.config.near_rad

    def refusal(
        self, command: JointCommand, measured: Array, last: Array, elapsed_ns: int | None
    ) -> str | None:
        """Why a command must not be sent, or None when it may.

        A command has to be finite and within the position limits (a joint found outside of them
        may stay there or come back), near the measured state, and it has to continue from the
        last command or start from the measured state: nothing may step.

        Args:
            command: What is asked.
            measured: (n_joints,) measured positions.
            last: (n_joints,) positions of the last command sent.
            elapsed_ns: Time since then [ns]; None when the robot holds: a motion starts at rest.
        """
        q, c = command.position, self.config
        parts = (q, command.velocity, command.gripper, command.finger, command.finger_velocity)
        if not all(np.isfinite(part).all() for part in parts):
            return "not finite"
        if len(command.finger) != len(self._fingers):
            return f"a command for {len(command.finger)} finger joints, not {len(self._fingers)}"
        if ((command.gripper < -c.slack_rad) | (command.gripper > 1 + c.slack_rad)).any():
            return f"gripper openings {command.gripper} are not within 0..1"
        fingers = command.finger
        beyond = np.maximum(self._finger_lower - fingers, fingers - self._finger_upper)
        if (beyond > c.slack_rad).any():
            worst = int(np.argmax(beyond))
            return f"{self._fingers[worst]} = {fingers[worst]:.3f} is beyond its limit"
        below = np.minimum(self._lower, measured) - q
        above = q - np.maximum(self._upper, measured)
        deviation = np.abs(q - measured)
        elapsed_s = 0.0 if elapsed_ns is None else float(np.clip(elapsed_ns * 1e-9, *c.gap_s))
        jump = np.abs(q - last) - self._velocity * c.speed_factor * elapsed_s
        if (deviation <= c.near_rad).all():
            jump = np.zeros_like(jump)
        for what, excess in (
            ("beyond its position limit", np.maximum(below, above) - c.slack_rad),
            ("too far from the measured position", deviation - c.max_deviation_rad),
            ("a jump from the last command", jump - c.slack_rad),
        ):
            if (excess > 0).any():
                return self._say(what, q, excess)
        return None

    def _say(self, what: str, q: Array, excess: Array) -> str:
        worst = int(np.argmax(excess))
        return f"{self._names[worst]} = {q[worst]:.3f} is {what}"
