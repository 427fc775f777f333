"""The gate in front of an operator's poses: what is no pose, no news, or no motion of a hand.

Gating and filtering act on the control side only; raw input is what gets recorded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from numpy.typing import ArrayLike

from retarget.poses import Pose, floats, norm


class Verdict(IntEnum):
    """What is thought of a pose."""

    OK = 0
    INVALID = 1
    """Not valid, not finite, zero quaternion or absurdly far: not used."""
    OUTLIER = 2
    """Farther than a hand can have moved: held until explained."""
    JUMPED = 3
    """Tracking settled somewhere else: not used until the operator engages again."""
    REPEATED = 4
    """The same numbers as before: no news, as trackers are never that still."""
    FROZEN = 5
    """The same numbers for so long that the tracker must have stopped: held until they change."""
    EMULATED = 6
    """For too long a guess of the runtime, not measured: held until tracked again."""


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
        frozen_s: Exactly repeated for so long, a tracked pose counts as frozen [s].
        emulated_s: A pose that is valid but no longer tracked is used for so long [s]. A device
            that never called a pose tracked is used as it is: it does not tell guesses apart.
    """

    max_distance_m: float = 10.0
    max_speed_m_s: float = 3.0
    max_turn_rad_s: float = 30.0
    slack_m: float = 0.01
    slack_rad: float = 0.1
    max_gap_s: float = 0.1
    settle: int = 3
    frozen_s: float = 0.1
    emulated_s: float = 0.2


class PoseGate:
    """Decides pose by pose what may steer. One gate a tracked pose.

    A single outlier is skipped. When several samples in a row agree on a place that could not
    have been reached, tracking has jumped: nothing passes until `rebase` (at the next engage), so
    a tracking jump can never become a robot jump.
    """

    def __init__(self, config: PoseGateConfig | None = None) -> None:
        self.config = config or PoseGateConfig()
        self._good: tuple[int, Pose] | None = None
        self._earlier: tuple[int, Pose] | None = None
        self._candidate: tuple[int, Pose] | None = None
        self._agreeing = 0
        self._tracked_ns: int | None = None
        self._tracks = False

    @property
    def jumped(self) -> bool:
        """Whether the gate waits for `rebase`."""
        return self._agreeing >= self.config.settle

    def rebase(self) -> None:
        """Believe the next valid pose, wherever it is. Call it when the operator engages."""
        self._good = self._earlier = self._candidate = None
        self._agreeing = 0
        self._tracked_ns = None

    def withdraw(self) -> None:
        """The last pose that passed was found to be an outlier after all: build on none of it."""
        self._good = self._earlier

    def check(self, pose: ArrayLike, valid: bool, t_ns: int, tracked: bool = True) -> Verdict:
        """Judge a pose (7,); use it for control only when the verdict is `OK`.

        Args:
            pose: Position [m] and quaternion xyzw.
            valid: What the device says of it.
            t_ns: When it was sampled [ns].
            tracked: The device measured it, and did not only guess.
        """
        values = floats(pose)
        if not (valid and self._believable(values)):
            return Verdict.INVALID
        if self.jumped:
            return Verdict.JUMPED
        if self._guessed(tracked, t_ns):
            return Verdict.EMULATED
        repeated = self._repeated(values, t_ns)
        if repeated is not None:
            return repeated
        return self._judge_motion(values, t_ns)

    def _judge_motion(self, values: Pose, t_ns: int) -> Verdict:
        if self._good is None or self._reachable(self._good, values, t_ns):
            self._earlier, self._good = self._good, (t_ns, values)
            self._candidate, self._agreeing = None, 0
            return Verdict.OK
        agrees = self._candidate is not None and self._reachable(self._candidate, values, t_ns)
        self._candidate = (t_ns, values)
        self._agreeing = self._agreeing + 1 if agrees else 1
        return Verdict.JUMPED if self.jumped else Verdict.OUTLIER

    def _guessed(self, tracked: bool, t_ns: int) -> bool:
        """Whether a pose that used to be measured has not been for too long."""
        self._tracks |= tracked
        if tracked or self._tracked_ns is None:
            self._tracked_ns = t_ns
        return self._tracks and t_ns - self._tracked_ns > self.config.emulated_s * 1e9

    def _repeated(self, values: Pose, t_ns: int) -> Verdict | None:
        """`REPEATED` or `FROZEN` for the numbers that last passed, None for new ones."""
        if self._good is None or self._good[1] != values:
            return None
        frozen = t_ns - self._good[0] >= self.config.frozen_s * 1e9
        return Verdict.FROZEN if frozen else Verdict.REPEATED

    def _believable(self, pose: Pose) -> bool:
        if len(pose) != 7 or not all(map(math.isfinite, pose)):
            return False
        near = norm(pose[:3]) <= self.config.max_distance_m
        return near and abs(norm(pose[3:]) - 1.0) < 0.1

    def _reachable(self, since: tuple[int, Pose], pose: Pose, t_ns: int) -> bool:
        c = self.config
        t0_ns, before = since
        dt = min(max((t_ns - t0_ns) * 1e-9, 0.0), c.max_gap_s)
        if math.dist(pose[:3], before[:3]) > c.max_speed_m_s * dt + c.slack_m:
            return False
        x, y, z, w = pose[3:]
        i, j, k, r = before[3:]
        cosine = abs(x * i + y * j + z * k + w * r) / (norm(pose[3:]) * norm(before[3:]))
        turned = 2.0 * math.acos(min(cosine, 1.0))
        return turned <= c.max_turn_rad_s * dt + c.slack_rad
