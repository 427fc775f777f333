"""Operators, device clocks and leader arms: pure estimators and versioned files."""

from calibration.clocks import ClockEstimator, ClockFit
from calibration.errors import (
    CalibrationError,
    LeaderCaptureError,
    NeutralPoseError,
    NoClockFitError,
)
from calibration.leader import LeaderCalibration, estimate_offsets, estimate_sign
from calibration.operator import OperatorProfile, capture_neutral
from calibration.store import LeaderStore, ProfileStore

__all__ = [
    "CalibrationError",
    "ClockEstimator",
    "ClockFit",
    "LeaderCalibration",
    "LeaderCaptureError",
    "LeaderStore",
    "NeutralPoseError",
    "NoClockFitError",
    "OperatorProfile",
    "ProfileStore",
    "capture_neutral",
    "estimate_offsets",
    "estimate_sign",
]
