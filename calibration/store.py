"""Where calibrations of operators and of leader arms are kept."""

from __future__ import annotations

from typing import Any

from calibration.leader import LeaderCalibration
from calibration.operator import OperatorProfile
from calibration.versions import VersionedStore


class ProfileStore(VersionedStore[OperatorProfile]):
    """Versioned operator profiles in one directory."""

    kind = "operator profile"

    @staticmethod
    def parse(document: dict[str, Any]) -> OperatorProfile:
        """Read what `OperatorProfile.to_dict` wrote."""
        return OperatorProfile.from_dict(document)


class LeaderStore(VersionedStore[LeaderCalibration]):
    """Versioned calibrations of leader arms in one directory."""

    kind = "leader calibration"

    @staticmethod
    def parse(document: dict[str, Any]) -> LeaderCalibration:
        """Read what `LeaderCalibration.to_dict` wrote."""
        return LeaderCalibration.from_dict(document)
