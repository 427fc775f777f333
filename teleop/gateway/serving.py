"""What one gateway serves, fixed for its life."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from teleop.alignment import ArmGeometry, ClutchMode
from teleop.gateway.tips import Forward, no_tips
from teleop.protocol import Limits, LimitsInfo, RigInfo, StreamInfo


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """What is served, fixed for the life of the gateway.

    Attributes:
        token: Bearer token.
        rig: The robot, as told to clients.
        q_home: Home posture, (nq,); NaN for joints that do not go home.
        streams: Video streams, by id.
        control_rate_hz: Rate of the control grid.
        operator: Operator name.
        limits: What to accept from one client.
        geometry: What an absolute clutch needs to know of the robot, None where unknown.
        clutch: How hands map to tips at the start.
        forward: Kinematics of the robot, joints in the order of `rig.joint_names`.
        chains: Points along its limbs, (n, 3) in the robot root, by limb.
    """

    token: str
    rig: RigInfo
    q_home: npt.NDArray[np.float64]
    streams: tuple[StreamInfo, ...] = ()
    control_rate_hz: int = 200
    operator: str = ""
    limits: Limits = field(default_factory=Limits)
    forward: Forward = no_tips
    chains: Forward = no_tips
    geometry: ArmGeometry | None = None
    clutch: ClutchMode = ClutchMode.RELATIVE

    @property
    def limits_info(self) -> LimitsInfo:
        """The limits, as told to clients."""
        limits = self.limits
        return LimitsInfo(
            max_message_bytes=limits.max_message_bytes,
            max_messages_per_s=limits.max_messages_per_s,
        )
