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
from retarget.prediction import PosePredictor, PredictionConfig
from retarget.retargeter import PostureConfig, Retargeter, RetargeterConfig
from retarget.rig import Gripper, Rig, RigCamera, load_rig
from retarget.rigfile import builtin_rigs
from retarget.solver import SolverConfig
from retarget.targets import Saturation, Solution, Status, Targets

__all__ = [
    "Clutch",
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
    "Targets",
    "Verdict",
    "builtin_rigs",
    "load_rig",
]
