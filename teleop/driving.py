"""Thumbsticks that drive a mobile base: the left one forward and sideways, the right one turns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from retarget import Rig
from teleop.following import LEFT_CONTROLLER, RIGHT_CONTROLLER

Array = npt.NDArray[np.float64]

DEAD_ZONE = 0.15
"""Deflection below which a stick is at rest."""


def base_velocity(rig: Rig, frame: np.void) -> Array | None:
    """Velocity the sticks ask of the rig's base, (3,): forward, left [m/s], turn [rad/s].

    Full deflection is the base's velocity limit. None for a rig that stands, and without
    controllers. Sticks are x right, y towards the operator, as WebXR has them.
    """
    presence = int(frame["presence"])
    if not rig.base_joints or not presence & (LEFT_CONTROLLER | RIGHT_CONTROLLER):
        return None
    deflection = np.zeros(3)
    if presence & LEFT_CONTROLLER:
        x, y = frame["left_controller"]["thumbstick"].tolist()
        deflection[:2] = -y, -x
    if presence & RIGHT_CONTROLLER:
        deflection[2] = -float(frame["right_controller"]["thumbstick"][0])
    size = np.abs(deflection)
    share = np.sign(deflection) * np.clip((size - DEAD_ZONE) / (1.0 - DEAD_ZONE), 0.0, 1.0)
    velocity: Array = share * rig.velocity_limit[rig.base_joints]
    return velocity
