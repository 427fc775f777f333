"""Clean an operator's input before it steers: gate bad poses, filter jitter, take over grippers.

Filtering acts on the control side only; raw input is what gets recorded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike

from retarget.frames import Array

Pose = tuple[float, ...]
"""Position and quaternion xyzw in plain floats: on seven numbers numpy costs more than it saves."""


class Verdict(IntEnum):
    """What a gate thinks of a pose."""

    OK = 0
    INVALID = 1
    """Not valid, not finite, zero quaternion or absurdly far: not used."""
    OUTLIER = 2
    """Farther than a hand can have moved: held until explained."""
    JUMPED = 3
    """Tracking settled somewhere else: not used until the operator engages again."""


@dataclass(frozen=True, slots=True)
class PoseGateConfig:
    """Settings of a `PoseGate`.

    Attributes:
        max_distance_m: Farthest believable position from the STAGE origin [m].
        max_speed_m_s: Fastest believable hand [m/s].
        max_turn_rad_s: Fastest believable turn [rad/s].
        slack_m: Allowed on top, for jitter of sample times [m].
        slack_rad: Allowed on top of the turn [rad].
        max_gap_s: Longest time without a good sample that buys distance [s].
        settle: Samples in a row that must agree before a new place is believed.
    """

    max_distance_m: float = 10.0
    max_speed_m_s: float = 3.0
    max_turn_rad_s: float = 30.0
    slack_m: float = 0.01
    slack_rad: float = 0.1
    max_gap_s: float = 0.1
    settle: int = 3


class PoseGate:
    """Decide pose by pose what may steer. One gate a tracked pose.

    A single outlier is skipped. When several samples in a row agree on a place that could not
    have been reached, tracking has jumped: nothing passes until `rebase` (at the next engage), so
    a tracking jump can never become a robot jump.
    """

    def __init__(self, config: PoseGateConfig | None = None) -> None:
        self.config = config or PoseGateConfig()
        self._good: tuple[int, Pose] | None = None
        self._candidate: tuple[int, Pose] | None = None
        self._agreeing = 0

    @property
    def jumped(self) -> bool:
        """Whether the gate waits for `rebase`."""
        return self._agreeing >= self.config.settle

    def rebase(self) -> None:
        """Believe the next valid pose, wherever it is. Call it when the operator engages."""
        self._good = self._candidate = None
        self._agreeing = 0

    def check(self, pose: ArrayLike, valid: bool, t_ns: int) -> Verdict:
        """Judge a pose (7,); use it for control only when the verdict is `OK`.

        Args:
            pose: Position [m] and quaternion xyzw.
            valid: What the device says of it.
            t_ns: When it was sampled [ns].
        """
        values = _floats(pose)
        if not (valid and self._believable(values)):
            return Verdict.INVALID
        if self.jumped:
            return Verdict.JUMPED
        if self._good is None or self._reachable(self._good, values, t_ns):
            self._good = (t_ns, values)
            self._candidate, self._agreeing = None, 0
            return Verdict.OK
        agrees = self._candidate is not None and self._reachable(self._candidate, values, t_ns)
        self._candidate = (t_ns, values)
        self._agreeing = self._agreeing + 1 if agrees else 1
        return Verdict.JUMPED if self.jumped else Verdict.OUTLIER

    def _believable(self, pose: Pose) -> bool:
        if len(pose) != 7 or not all(map(math.isfinite, pose)):
            return False
        near = _norm(pose[:3]) <= self.config.max_distance_m
        return near and abs(_norm(pose[3:]) - 1.0) < 0.1

    def _reachable(self, since: tuple[int, Pose], pose: Pose, t_ns: int) -> bool:
        c = self.config
        t0_ns, before = since
        dt = min(max((t_ns - t0_ns) * 1e-9, 0.0), c.max_gap_s)
        if math.dist(pose[:3], before[:3]) > c.max_speed_m_s * dt + c.slack_m:
            return False
        x, y, z, w = pose[3:]
        i, j, k, r = before[3:]
        cosine = abs(x * i + y * j + z * k + w * r) / (_norm(pose[3:]) * _norm(before[3:]))
        turned = 2.0 * math.acos(min(cosine, 1.0))
        return turned <= c.max_turn_rad_s * dt + c.slack_rad


def _floats(pose: ArrayLike) -> Pose:
    values: list[float] = np.asarray(pose, dtype=np.float64).tolist()
    return tuple(values)


def _norm(v: Pose) -> float:
    return math.hypot(*v)


@dataclass(frozen=True, slots=True)
class OneEuroConfig:
    """A trade of jitter against lag (Casiez, Roussel, Vogel 2012).

    Attributes:
        min_cutoff_hz: Cut-off at rest; lower means calmer and later [Hz].
        beta: Cut-off gained per speed of the position [Hz / (m/s)].
        beta_rotation: Cut-off gained per speed of the rotation [Hz / (rad/s)].
        speed_cutoff_hz: Cut-off of the speed estimate [Hz].
    """

    min_cutoff_hz: float = 2.0
    beta: float = 30.0
    beta_rotation: float = 5.0
    speed_cutoff_hz: float = 5.0

    def __post_init__(self) -> None:
        if not (self.min_cutoff_hz > 0 and self.speed_cutoff_hz > 0 and self.beta >= 0):
            raise ValueError(f"cut-offs must be above 0 and beta at least 0: {self}")


class OneEuro:
    """One-Euro filter of a pose: position in R³, rotation on SO(3) along its geodesics."""

    def __init__(self, config: OneEuroConfig | None = None) -> None:
        self.config = config or OneEuroConfig()
        self._t_ns: int | None = None
        self._p: Pose = (0.0, 0.0, 0.0)
        self._quat: Pose = (0.0, 0.0, 0.0, 1.0)
        self._velocity: Pose = (0.0, 0.0, 0.0)
        self._turn_rate: Pose = (0.0, 0.0, 0.0)

    def reset(self) -> None:
        """Forget; the next pose passes unchanged."""
        self._t_ns = None

    def filter(self, pose: ArrayLike, t_ns: int) -> Array:
        """Filtered pose (7,) of a pose (7,) sampled at `t_ns`; times must not run backwards.

        Raises:
            ValueError: The quaternion is zero or not finite.
        """
        values = _floats(pose)
        p, quat = values[:3], _unit(values[3:])
        if self._t_ns is None:
            self._p, self._quat = p, quat
            self._velocity = self._turn_rate = (0.0, 0.0, 0.0)
        elif t_ns > self._t_ns:
            self._smooth(p, quat, (t_ns - self._t_ns) * 1e-9)
        self._t_ns = t_ns
        return np.array([*self._p, *self._quat])

    def _smooth(self, p: Pose, quat: Pose, dt: float) -> None:
        """Go part of the way towards the new pose, further the faster it moves."""
        c = self.config
        x, y, z, w = self._quat
        moved = tuple(new - old for new, old in zip(p, self._p, strict=True))
        turned = _rotation_vector(_product(quat, (-x, -y, -z, w)))
        share = _share(c.speed_cutoff_hz, dt)
        self._velocity = _towards(self._velocity, moved, share, dt)
        self._turn_rate = _towards(self._turn_rate, turned, share, dt)
        go = _share(c.min_cutoff_hz + c.beta * _norm(self._velocity), dt)
        turn = _share(c.min_cutoff_hz + c.beta_rotation * _norm(self._turn_rate), dt)
        self._p = tuple(old + go * way for old, way in zip(self._p, moved, strict=True))
        self._quat = _unit(_product(_turn(turned, turn), self._quat))


def _towards(rate: Pose, way: Pose, share: float, dt: float) -> Pose:
    """A rate after a low-pass step towards `way / dt`."""
    return tuple(old + share * (new / dt - old) for old, new in zip(rate, way, strict=True))


def _unit(quat: Pose) -> Pose:
    """The unit quaternion with w >= 0 of the same rotation."""
    x, y, z, w = quat
    norm = _norm(quat)
    if not (math.isfinite(norm) and norm > 1e-6):
        raise ValueError(f"quaternion {quat} is not finite or is zero")
    s = math.copysign(1.0 / norm, w)
    return s * x, s * y, s * z, s * w


def _product(p: Pose, q: Pose) -> Pose:
    """Quaternion of the rotation `q`, then `p`."""
    a, b, c, d = p
    x, y, z, w = q
    return (
        d * x + a * w + b * z - c * y,
        d * y - a * z + b * w + c * x,
        d * z + a * y - b * x + c * w,
        d * w - a * x - b * y - c * z,
    )


def _rotation_vector(quat: Pose) -> Pose:
    """Rotation vector [rad] of a unit quaternion, by the shorter way."""
    x, y, z, w = quat
    s = math.sqrt(x * x + y * y + z * z)
    share = 2.0 * math.atan2(s, abs(w)) / s if s > 1e-12 else 2.0
    share = math.copysign(share, w)
    return share * x, share * y, share * z


def _turn(rotation_vector: Pose, share: float) -> Pose:
    """Quaternion of a share of a rotation vector."""
    x, y, z = rotation_vector
    angle = math.sqrt(x * x + y * y + z * z)
    s = math.sin(0.5 * share * angle) / angle if angle > 1e-12 else 0.5 * share
    return s * x, s * y, s * z, math.cos(0.5 * share * angle)


def _share(cutoff_hz: float, dt: float) -> float:
    """Weight of the new sample in a first-order low-pass."""
    r = 2.0 * math.pi * cutoff_hz * dt
    return r / (r + 1.0)


class GripperTakeover:
    """Let a trigger take a gripper over softly; opening = 1 - trigger.

    After engaging, the gripper stays as it was until the trigger has moved, or met the opening
    that is held: picking up the controllers must not drop what the robot holds.

    Attributes:
        threshold: Travel of the trigger that takes over.
    """

    def __init__(self, opening: float = 1.0, threshold: float = 0.05) -> None:
        """Start by holding `opening`."""
        self.threshold = threshold
        self._opening = opening
        self._trigger_at_engage: float | None = None
        self._taken = False

    @property
    def opening(self) -> float:
        """Opening asked for now, 0 closed to 1 open."""
        return self._opening

    @property
    def taken(self) -> bool:
        """Whether the trigger steers the gripper."""
        return self._taken

    def engage(self, trigger: float, opening: float | None = None) -> None:
        """Start listening to the trigger.

        Args:
            trigger: Its value now, 0 to 1.
            opening: The gripper's opening now; what was held before when left out.
        """
        self._opening = self._opening if opening is None else opening
        self._trigger_at_engage = trigger
        self._taken = self._meets(trigger)

    def release(self) -> None:
        """Hold the opening whatever the trigger does."""
        self._trigger_at_engage, self._taken = None, False

    def update(self, trigger: float) -> float:
        """Opening to ask for, given the trigger's value, 0 to 1; bad values hold."""
        start = self._trigger_at_engage
        if start is None or not math.isfinite(trigger):
            return self._opening
        if not self._taken:
            held = 1.0 - self._opening
            crossed = (start - held) * (trigger - held) <= 0
            self._taken = crossed or abs(trigger - start) > self.threshold
        if self._taken:
            self._opening = min(max(1.0 - trigger, 0.0), 1.0)
        return self._opening

    def _meets(self, trigger: float) -> bool:
        return math.isfinite(trigger) and abs((1.0 - trigger) - self._opening) < 1e-3
