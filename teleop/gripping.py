"""How a rig's grippers are worked: the section `[grip]` of its file.

```toml
[grip]
mode = "binary"      # closed or open; "continuous" follows the trigger
close_at = 0.7       # of the trigger's, or the pinch's, travel
open_at = 0.3
pinch_m = [0.015, 0.075]
```
Keys are those of `retarget.GripConfig`.
"""

from __future__ import annotations

import dataclasses

import msgspec

from retarget import GripConfig, Rig
from teleop.errors import TeleopError


class GripError(TeleopError):
    """A rig file has a key or a value under `[grip]` that is not understood."""


def grip_of(rig: Rig) -> GripConfig:
    """Settings of a rig's grippers; the defaults where it says nothing.

    Raises:
        GripError: A key or a value is wrong; the message says what exists.
    """
    section = dict(rig.sections.get("grip", {}))
    known = [field.name for field in dataclasses.fields(GripConfig)]
    unknown = sorted(set(section) - set(known))
    if unknown:
        raise GripError(f"rig {rig.name!r}: [grip] has unknown keys {unknown}; keys: {known}")
    try:
        return msgspec.convert(section, GripConfig)
    except (msgspec.ValidationError, ValueError) as error:
        raise GripError(f"rig {rig.name!r}: [grip]: {error}") from error
