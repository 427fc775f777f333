"""Clean an operator's input before it steers: gate bad poses, filter jitter, take over grippers.

Filtering acts on the control side only; raw input is what gets recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike

from retarget.frames import Array, exp3, log3, matrix_to_quat, quat_to_matrix


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
        self._good: tuple[int, Array] | None = None
        self._candidate: tuple[int, Array] | None = None
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
        values = np.asarray(pose, dtype=np.float64)
        if not (valid and self._believable(values)):
            return Verdict.INVALID
        if self.jumped:
            return Verdict.JUMPED
        if self._good is None or self._reachable(self._good, values, t_ns):
            self._good = (t_ns, values.copy())
            self._candidate, self._agreeing = None, 0
            return Verdict.OK
        agrees = self._candidate is not None and self._reachable(self._candidate, values, t_ns)
        self._candidate = (t_ns, values.copy())
        self._agreeing = self._agreeing + 1 if agrees else 1
        return Verdict.JUMPED if self.jumped else Verdict.OUTLIER

    def _believable(self, pose: Array) -> bool:
        if pose.shape != (7,) or not np.isfinite(pose).all():
            return False
        near = float(np.linalg.norm(pose[:3])) <= self.config.max_distance_m
        return near and abs(float(np.linalg.norm(pose[3:])) - 1.0) < 0.1

    def _reachable(self, since: tuple[int, Array], pose: Array, t_ns: int) -> bool:
        c = self.config
        t0_ns, before = since
        dt = min(max((t_ns - t0_ns) * 1e-9, 0.0), c.max_gap_s)
        moved = float(np.linalg.norm(pose[:3] - before[:3]))
        cosine = abs(float(pose[3:] @ before[3:]))
        norms = float(np.linalg.norm(pose[3:]) * np.linalg.norm(before[3:]))
        turned = 2.0 * float(np.arccos(min(cosine / norms, 1.0)))
        close = moved <= c.max_speed_m_s * dt + c.slack_m
        return close and turned <= c.max_turn_rad_s * dt + c.slack_rad


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
        self._p = np.zeros(3)
        self._R = np.eye(3)
        self._velocity = np.zeros(3)
        self._turn_rate = np.zeros(3)

    def reset(self) -> None:
        """Forget; the next pose passes unchanged."""
        self._t_ns = None

    def filter(self, pose: ArrayLike, t_ns: int) -> Array:
        """Filtered pose (7,) of a pose (7,) sampled at `t_ns`; times must not run backwards."""
        values = np.asarray(pose, dtype=np.float64)
        p, R = values[:3], quat_to_matrix(values[3:])
        if self._t_ns is None:
            self._p, self._R = p.copy(), R
            self._velocity, self._turn_rate = np.zeros(3), np.zeros(3)
        elif t_ns > self._t_ns:
            dt = (t_ns - self._t_ns) * 1e-9
            self._smooth(p - self._p, log3(R @ self._R.T), dt)
        self._t_ns = t_ns
        return np.concatenate([self._p, matrix_to_quat(self._R)])

    def _smooth(self, moved: Array, turned: Array, dt: float) -> None:
        """Go part of the way towards the new pose, further the faster it moves."""
        c = self.config
        share = _share(c.speed_cutoff_hz, dt)
        self._velocity = self._velocity + share * (moved / dt - self._velocity)
        self._turn_rate = self._turn_rate + share * (turned / dt - self._turn_rate)
        speed = float(np.linalg.norm(self._velocity))
        rate = float(np.linalg.norm(self._turn_rate))
        self._p = self._p + _share(c.min_cutoff_hz + c.beta * speed, dt) * moved
        turn = _share(c.min_cutoff_hz + c.beta_rotation * rate, dt) * turned
        self._R = exp3(turn) @ self._R


def _share(cutoff_hz: float, dt: float) -> float:
    """Weight of the new sample in a first-order low-pass."""
    r = 2.0 * np.pi * cutoff_hz * dt
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
        if start is None or not np.isfinite(trigger):
            return self._opening
        if not self._taken:
            held = 1.0 - self._opening
            crossed = (start - held) * (trigger - held) <= 0
            self._taken = crossed or abs(trigger - start) > self.threshold
        if self._taken:
            self._opening = float(np.clip(1.0 - trigger, 0.0, 1.0))
        return self._opening

    def _meets(self, trigger: float) -> bool:
        return bool(np.isfinite(trigger)) and abs((1.0 - trigger) - self._opening) < 1e-3
