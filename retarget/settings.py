"""Settings of a `Retargeter`."""

from __future__ import annotations

from dataclasses import dataclass, field

from retarget.governor import GovernorConfig
from retarget.solver import SolverConfig


@dataclass(frozen=True, slots=True)
class PostureConfig:
    """How redundant joints drift towards the rig's posture and away from their stops.

    The drift lies in the null space of the tasks and is paid out only while the hands move: a
    still hand means a still arm, so engaging moves nothing.

    Attributes:
        gain: Rate towards the posture [1/s].
        stop_gain: Rate away from a joint stop, at the stop, as a share of half the range [1/s].
        max_speed: Fastest drift of any joint [rad/s].
        per_error: Drift per weighted error at the start of a tick [rad] / [cost].
        smoothing_s: Time constant with which the drift follows the hands' motion [s].
    """

    gain: float = 0.5
    stop_gain: float = 2.0
    max_speed: float = 1.0
    per_error: float = 3.0
    smoothing_s: float = 0.05


@dataclass(frozen=True, slots=True)
class RetargeterConfig:
    """Settings of a `Retargeter`.

    Attributes:
        wrist_position_cost: [cost] / [m].
        wrist_rotation_cost: [cost] / [rad].
        head_position_cost: [cost] / [m].
        head_rotation_cost: [cost] / [rad].
        behind_m: A tip farther from its target than this counts as behind [m].
        behind_rad: A tip turned from its target by more than this counts as behind [rad].
        solver: Iterations and damping.
        governor: How fast a tip may close in on its target.
        posture: Drift of redundant joints.
    """

    wrist_position_cost: float = 1.0
    wrist_rotation_cost: float = 0.25
    head_position_cost: float = 0.05
    head_rotation_cost: float = 0.05
    behind_m: float = 1e-3
    behind_rad: float = 1e-2
    solver: SolverConfig = field(default_factory=SolverConfig)
    governor: GovernorConfig = field(default_factory=GovernorConfig)
    posture: PostureConfig = field(default_factory=PostureConfig)

    def costs(self, tip: str) -> tuple[float, float]:
        """Cost of a tip's position [cost] / [m] and rotation [cost] / [rad]."""
        if tip == "head":
            return self.head_position_cost, self.head_rotation_cost
        return self.wrist_position_cost, self.wrist_rotation_cost
