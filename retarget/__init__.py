"""Pure robot mathematics: rigs, tasks, limits, solver, clutch and input conditioning."""

from retarget.clutch import Clutch
from retarget.errors import RetargetError, RigError
from retarget.filters import FilterConfig, PoseFilter, TargetFilter
from retarget.gate import PoseGate, PoseGateConfig, Verdict
from retarget.gripper import Gripper
from retarget.handengine import HandConfig
from retarget.hands import HandRetargeter, HandSolution
from retarget.leader import LeaderMapping
from retarget.leaderfile import LeaderConfig, LeaderGripper, LeaderJoint
from retarget.one_euro import OneEuro, OneEuroConfig
from retarget.outliers import Hampel, HampelConfig
from retarget.prediction import PosePredictor, PredictionConfig
from retarget.retargeter import Retargeter
from retarget.rig import Rig, RigCamera, load_rig
from retarget.rigfile import builtin_rigs
from retarget.settings import (
    CollisionConfig,
    PostureConfig,
    RetargeterConfig,
    SolverConfig,
    SwivelConfig,
)
from retarget.solution import Solution
from retarget.takeover import GripConfig, GripperTakeover
from retarget.targets import Saturation, Status, Targets

__all__ = [
    "Clutch",
    "CollisionConfig",
    "FilterConfig",
    "GripConfig",
    "Gripper",
    "GripperTakeover",
    "Hampel",
    "HampelConfig",
    "HandConfig",
    "HandRetargeter",
    "HandSolution",
    "LeaderConfig",
    "LeaderGripper",
    "LeaderJoint",
    "LeaderMapping",
    "OneEuro",
    "OneEuroConfig",
    "PoseFilter",
    "PoseGate",
    "PoseGateConfig",
    "PosePredictor",
    "PostureConfig",
    "PredictionConfig",
    "RetargetError",
    "Retargeter",
    "RetargeterConfig",
    "Rig",
    "RigCamera",
    "RigError",
    "Saturation",
    "Solution",
    "SolverConfig",
    "Status",
    "SwivelConfig",
    "TargetFilter",
    "Targets",
    "Verdict",
    "builtin_rigs",
    "load_rig",
]
