"""Calibrate a leader arm: signs from small wiggles, offsets from one known posture. Pure.

The model is `follower = sign * scale * leader + offset`, joint by joint, as in `retarget.leader`.
Where leader and follower are built alike and horns are screwed on in quarter turns, offsets are
multiples of 90°, and rounding to them takes the operator's error out (as GELLO does, Wu et al.,
"GELLO: A General, Low-Cost, and Intuitive Teleoperation Framework", IROS 2024).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from calibration.errors import LeaderCaptureError
from retarget import LeaderConfig, LeaderJoint

Array = npt.NDArray[np.float64]
Sign = Literal[1, -1]
STILL_RAD = 0.02
"""A leader that is held still moves by less than this."""
WIGGLE_RAD = 0.1
"""A wiggle moves its joint by at least this."""
QUARTER = math.pi / 2
ROUNDED_RAD = 0.35
"""A posture held by hand is at most this far from the one that was asked for."""


@dataclass(frozen=True, slots=True)
class LeaderCalibration:
    """Signs and offsets of one leader arm.

    Attributes:
        name: What the leader is called.
        rig: Rig it was calibrated for.
        created: When, ISO 8601.
        signs: 1 or -1 by leader joint.
        offsets: Follower's position at the leader's 0, by leader joint [rad].
        rounded: Offsets are whole quarter turns.
        version: Number in a store; 0 before it is saved.
    """

    name: str
    rig: str
    created: str
    signs: Mapping[str, int]
    offsets: Mapping[str, float]
    rounded: bool = False
    version: int = 0

    def __post_init__(self) -> None:
        if set(self.signs) != set(self.offsets):
            raise ValueError(f"signs of {sorted(self.signs)} but offsets of {sorted(self.offsets)}")
        if any(sign not in (1, -1) for sign in self.signs.values()):
            raise ValueError(f"signs are 1 or -1, got {dict(self.signs)}")
        if not all(math.isfinite(offset) for offset in self.offsets.values()):
            raise ValueError(f"offsets must be finite, got {dict(self.offsets)}")

    def apply(self, config: LeaderConfig) -> LeaderConfig:
        """A leader with these signs and offsets.

        Raises:
            LeaderCaptureError: It has joints that were not calibrated.
        """
        missing = [joint.leader for joint in config.joints if joint.leader not in self.offsets]
        if missing:
            raise LeaderCaptureError(
                f"leader {self.name!r} is calibrated for {sorted(self.offsets)}, not for {missing}"
            )
        joints = tuple(
            LeaderJoint(
                joint.leader,
                joint.follower,
                1 if self.signs[joint.leader] > 0 else -1,
                self.offsets[joint.leader],
                joint.scale,
            )
            for joint in config.joints
        )
        return replace(config, joints=joints)

    def numbered(self, version: int) -> LeaderCalibration:
        """The same with its version."""
        return replace(self, version=version)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "rig": self.rig,
            "created": self.created,
            "version": self.version,
            "signs": dict(self.signs),
            "offsets": dict(self.offsets),
            "rounded": self.rounded,
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> LeaderCalibration:
        """Read what `to_dict` wrote; keys it does not know are left alone.

        Raises:
            KeyError: A key is missing.
            ValueError: A value is out of its range.
        """
        return cls(
            name=str(document["name"]),
            rig=str(document["rig"]),
            created=str(document["created"]),
            version=int(document["version"]),
            signs={str(k): int(v) for k, v in document["signs"].items()},
            offsets={str(k): float(v) for k, v in document["offsets"].items()},
            rounded=bool(document["rounded"]),
        )


def estimate_sign(readings: Array, joint: int, names: Sequence[str]) -> Sign:
    """Which way a leader joint turns when the operator turns it the follower's positive way.

    Args:
        readings: (N, n) while the joint was turned that way from rest, and held or let back.
        joint: The joint that was asked for.
        names: Names of all, (n,).

    Raises:
        LeaderCaptureError: It hardly moved, or another joint moved more.
    """
    ways = _finite(readings, names) - readings[0]
    farthest = np.abs(ways).max(axis=0)
    most = int(np.argmax(farthest))
    if farthest[joint] < WIGGLE_RAD:
        raise LeaderCaptureError(
            f"{names[joint]} moved by {farthest[joint]:.2f} rad only, at least {WIGGLE_RAD} rad "
            f"are needed; {names[most]} moved most, by {farthest[most]:.2f} rad"
        )
    if most != joint:
        raise LeaderCaptureError(
            f"{names[most]} moved more than {names[joint]} that was asked for "
            f"({farthest[most]:.2f} and {farthest[joint]:.2f} rad): hold the others still"
        )
    way = ways[int(np.argmax(np.abs(ways[:, joint]))), joint]
    return 1 if way > 0 else -1


def estimate_offsets(
    readings: Array,
    q_follower: Array,
    signs: Array,
    names: Sequence[str],
    *,
    scales: Array | None = None,
    quarter_turns: bool = False,
) -> Array:
    """Offsets of a leader that is held in a known posture of the follower, (n,) [rad].

    Args:
        readings: (N, n) of the leader while it was held.
        q_follower: (n,) the posture it was held in.
        signs: (n,) 1 or -1.
        names: Names of the joints, (n,).
        scales: (n,) follower's motion per leader's; 1 when left out.
        quarter_turns: Offsets are known to be multiples of 90°: round to them.

    Raises:
        LeaderCaptureError: The leader was not held still, or is too far from every quarter turn.
    """
    held = _finite(readings, names)
    spread = np.ptp(held, axis=0)
    loose = [names[i] for i in np.flatnonzero(spread > STILL_RAD).tolist()]
    if loose:
        raise LeaderCaptureError(
            f"hold the leader still: {loose} moved by up to {spread.max():.3f} rad"
        )
    gains = np.asarray(signs) * (1.0 if scales is None else np.asarray(scales))
    offsets: Array = np.asarray(q_follower) - gains * np.median(held, axis=0)
    return _to_quarters(offsets, names) if quarter_turns else offsets


def _to_quarters(offsets: Array, names: Sequence[str]) -> Array:
    rounded: Array = np.round(offsets / QUARTER) * QUARTER
    far = np.flatnonzero(np.abs(offsets - rounded) > ROUNDED_RAD).tolist()
    if far:
        off = ", ".join(f"{names[i]} by {abs(offsets[i] - rounded[i]):.2f} rad" for i in far)
        raise LeaderCaptureError(
            f"too far from a quarter turn: {off}; hold the posture that was asked for, or "
            "calibrate without rounding"
        )
    return rounded


def _finite(readings: Array, names: Sequence[str]) -> Array:
    """(N, n) readings, checked."""
    rows = np.asarray(readings, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] != len(names):
        raise LeaderCaptureError(
            f"at least 2 readings of {len(names)} joints are needed, got an array {rows.shape}"
        )
    bad = [names[i] for i in np.flatnonzero(~np.isfinite(rows).all(axis=0)).tolist()]
    if bad:
        raise LeaderCaptureError(f"readings are not finite: {bad}")
    return rows
