"""A gripper with one motor: openings, joint values and the control that asks for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gripper:
    """One-motor gripper. Opening 0 is closed, 1 is open.

    Attributes:
        joint: Joint the motor drives.
        actuator: MuJoCo actuator of it.
        open: Joint value when open [rad or m].
        closed: Joint value when closed.
        velocity: Limit of the opening's speed [1/s].
        acceleration: Limit of its acceleration [1/s²].
        home: Opening at home.
        ctrl_open: Control of the actuator that opens it; None where that is the joint value.
        ctrl_closed: Control of the actuator that closes it.
    """

    joint: str
    actuator: str
    open: float
    closed: float
    velocity: float
    acceleration: float
    home: float = 1.0
    ctrl_open: float | None = None
    ctrl_closed: float | None = None

    def joint_value(self, opening: float) -> float:
        """Joint value [rad or m] of an opening."""
        return self.closed + opening * (self.open - self.closed)

    def opening(self, joint_value: float) -> float:
        """Opening of a joint value; beyond 0..1 when the joint is beyond its ends."""
        return (joint_value - self.closed) / (self.open - self.closed)

    def control(self, opening: float) -> float:
        """Control of the MuJoCo actuator that asks for an opening."""
        low = self.closed if self.ctrl_closed is None else self.ctrl_closed
        high = self.open if self.ctrl_open is None else self.ctrl_open
        return low + opening * (high - low)
