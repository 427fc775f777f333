"""Errors of `calibration`: one base, one class per cause."""

from __future__ import annotations


class CalibrationError(Exception):
    """Base of everything `calibration` raises on purpose."""


class NeutralPoseError(CalibrationError):
    """The captured pose cannot define the operator's frame; the message says what to do."""


class NoClockFitError(CalibrationError):
    """A device time was to be mapped before enough ping round trips were seen."""


class ClockSampleError(CalibrationError):
    """A ping round trip is impossible: the answer came before the question."""


class LeaderCaptureError(CalibrationError):
    """What a leader arm did cannot calibrate it; the message says what to do."""


class ProfileError(CalibrationError):
    """Base of the profile store's errors."""


class ProfileNameError(ProfileError):
    """The name cannot be a folder name."""


class ProfileNotFoundError(ProfileError):
    """No such profile or version; the message lists what exists."""


class ProfileFormatError(ProfileError):
    """A profile file does not hold what this version of telecap reads."""
