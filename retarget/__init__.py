"""Pure robot mathematics: rigs, tasks, limits, solver, clutch and input conditioning."""

from retarget.clutch import Clutch
from retarget.conditioning import (
    GripperTakeover,
    OneEuro,
    OneEuroConfig,
    PoseGate,
    PoseGateConfig,
    Verdict,
)
from retarget.errors import RetargetError, RigError
from retarget.gripper import Gripper
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
from retarget.targets import Saturation, Status, Targets

__all__ = [
    "Clutch",
    "CollisionConfig",
    "Gripper",
    "GripperTakeover",
    "OneEuro",
    "OneEuroConfig",
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
    "Targets",
    "Verdict",
    "builtin_rigs",
    "load_rig",
]
