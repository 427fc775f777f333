"""What a good take is: the section `[quality]` of a rig file.

```toml
[quality]                       # warn, fail; false leaves that level out
rate_error = [0.05, 0.2]
jerk_rms = [5000.0, false]
clearance_m = [0.002, -0.005]
black_level = 12
```
Keys are those of `recorder.Thresholds`, and `clearance_m` of the check by convex hulls.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec

from recorder import Thresholds
from retarget import Rig
from teleop.errors import TeleopError

CLEARANCE_M = (0.0, -0.005)
"""Clearances of hulls below which a take is suspect, and bad: they are larger than the parts."""
_CLEARANCE = "clearance_m"


class QualityError(TeleopError):
    """A rig file has a key or a value under `[quality]` that is not understood."""


def thresholds_of(rig: Rig) -> Thresholds:
    """Limits of a rig's takes; the defaults where it says nothing.

    Raises:
        QualityError: A key or a value is wrong; the message says what exists.
    """
    section = dict(rig.sections.get("quality", {}))
    section.pop(_CLEARANCE, None)
    known = [field.name for field in dataclasses.fields(Thresholds)]
    unknown = sorted(set(section) - set(known))
    if unknown:
        keys = [*known, _CLEARANCE]
        raise QualityError(f"rig {rig.name!r}: [quality] has unknown keys {unknown}; keys: {keys}")
    try:
        return msgspec.convert({k: _levels(v) for k, v in section.items()}, Thresholds)
    except msgspec.ValidationError as error:
        raise QualityError(f"rig {rig.name!r}: [quality]: {error}") from error


def clearances_of(rig: Rig) -> tuple[float, float]:
    """Clearances [m] below which a take is suspect, and bad.

    Raises:
        QualityError: They are not two numbers.
    """
    section: Mapping[str, Any] = rig.sections.get("quality", {})
    try:
        return msgspec.convert(section.get(_CLEARANCE, CLEARANCE_M), tuple[float, float])
    except msgspec.ValidationError as error:
        raise QualityError(f"rig {rig.name!r}: [quality] {_CLEARANCE}: {error}") from error


def _levels(value: Any) -> Any:
    """TOML has no null: `false` stands for a level that is never reached."""
    if isinstance(value, list):
        return [None if level is False else level for level in value]
    return value
