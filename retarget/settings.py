"""Settings of a `Retargeter`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from retarget.governor import GovernorConfig
from retarget.handengine import HandConfig


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
class SolverConfig:
    """Settings of the solver.

    Attributes:
        iterations: Gauss-Newton iterations per tick at most.
        refine_rad: Further ones are made where a joint steps by more than this: they pay for the
            curvature of the way, which is then 0.1 mm and more. Making them now and then costs
            smoothness, so only where one cannot do.
        refine_s: Ticks longer than this make all iterations: most of their steps are large [s].
        damping: Damping at zero error, [cost²] / [rad²].
        error_damping: Further damping per squared weighted error, 1 / [rad²].
        max_error: Weighted error beyond which damping grows no further.
    """

    iterations: int = 2
    refine_rad: float = 0.02
    refine_s: float = 0.008
    damping: float = 1e-6
    error_damping: float = 30.0
    max_error: float = 0.005

    def refined_from(self, dt: float) -> float:
        """Step of a joint from which a tick of `dt` [s] makes further iterations [rad]."""
        return self.refine_rad if dt <= self.refine_s else 0.0


Collision = Literal["off", "soft", "hard"]
"""Parts may touch; come near at a cost; or also never faster than they could stop apart."""


@dataclass(frozen=True, slots=True)
class CollisionConfig:
    """How parts keep off each other, and off the boxes around.

    Attributes:
        mode: See `Collision`.
        band_m: Distance below which coming nearer costs [m].
        watch_m: Clearances are told up to this [m].
        cost: Slope of the residual where parts touch, [cost] / [m].
        floor_m: With `hard`, parts come no nearer than this [m].
    """

    mode: Collision = "soft"
    band_m: float = 0.05
    watch_m: float = 0.2
    cost: float = 2.0
    floor_m: float = 0.005


@dataclass(frozen=True, slots=True)
class SwivelConfig:
    """How an arm's elbow follows the operator's, about the line from shoulder to tip.

    Attributes:
        cost: [cost] / [rad].
        fade_m: Elbows nearer to that line than this steer ever less [m].
        approach_s: Time constant with which the swivel closes in [s].
        max_speed: Fastest swivel [rad/s].
    """

    cost: float = 0.02
    fade_m: float = 0.05
    approach_s: float = 0.05
    max_speed: float = 1.5


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
        swivel: How elbows are followed.
        collision: How parts keep off each other.
        hands: How fingers follow.
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
    swivel: SwivelConfig = field(default_factory=SwivelConfig)
    collision: CollisionConfig = field(default_factory=CollisionConfig)
    hands: HandConfig = field(default_factory=HandConfig)

    def costs(self, tip: str) -> tuple[float, float]:
        """Cost of a tip's position [cost] / [m] and rotation [cost] / [rad]."""
        if tip == "head":
            return self.head_position_cost, self.head_rotation_cost
        return self.wrist_position_cost, self.wrist_rotation_cost
