"""Operator profiles and device clocks: pure estimators and versioned files."""

from calibration.clocks import ClockEstimator, ClockFit
from calibration.errors import CalibrationError, NeutralPoseError, NoClockFitError
from calibration.operator import OperatorProfile, capture_neutral
from calibration.store import ProfileStore

__all__ = [
    "CalibrationError",
    "ClockEstimator",
    "ClockFit",
    "NeutralPoseError",
    "NoClockFitError",
    "OperatorProfile",
    "ProfileStore",
    "capture_neutral",
]
