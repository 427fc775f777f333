"""Where a hand is now, from samples that came a while ago and at their own rate.

A headset sends 60 to 120 poses a second, a robot wants 200 and more commands: repeating the last
pose would make it move in jerks, waiting for the next one costs a sample of delay. So the hand is
carried on with its own velocity for a short while, and what a new sample corrects is blended in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retarget.frames import Array, motion_between, moved


@dataclass(frozen=True, slots=True)
class PredictionConfig:
    """Settings of a `PosePredictor`.

    Attributes:
        horizon_s: A hand is carried on at full speed for this long after its last sample [s].
        stop_s: After that it comes to rest within this time [s].
        velocity_share: Weight of the newest velocity, 0 to 1; lower is calmer and later.
        blend_s: Time constant with which a correction is blended in [s].
        max_gap_s: Samples farther apart than this say nothing about velocity [s].
    """

    horizon_s: float = 0.025
    stop_s: float = 0.05
    velocity_share: float = 0.7
    blend_s: float = 0.01
    max_gap_s: float = 0.1


class PosePredictor:
    """Continuous pose of one hand from timestamped samples.

    Attributes:
        config: Settings.
    """

    def __init__(self, config: PredictionConfig | None = None) -> None:
        self.config = config or PredictionConfig()
        self._t_ns: int | None = None
        self._T = np.eye(4)
        self._rate = np.zeros(6)
        self._offset = np.zeros(6)

    def reset(self) -> None:
        """Forget everything; the next sample is taken as it is, at rest."""
        self._t_ns = None

    def update(self, T_robot_hand: Array, t_ns: int) -> None:
        """Take a sample, (4, 4), made at `t_ns`; older ones than the last are ignored."""
        if self._t_ns is not None and t_ns <= self._t_ns:
            return
        gap_s = np.inf if self._t_ns is None else (t_ns - self._t_ns) * 1e-9
        if gap_s > self.config.max_gap_s:
            self._rate, self._offset = np.zeros(6), np.zeros(6)
        else:
            shown = self.at(t_ns)
            rate = motion_between(self._T, T_robot_hand) / gap_s
            self._rate = self._rate + self.config.velocity_share * (rate - self._rate)
            self._offset = motion_between(T_robot_hand, shown)
        self._T, self._t_ns = np.array(T_robot_hand, dtype=np.float64), t_ns

    def at(self, t_ns: int) -> Array:
        """`T_robot_hand`, (4, 4), at `t_ns`, at or after the last sample.

        Raises:
            ValueError: There was no sample since the reset.
        """
        if self._t_ns is None:
            raise ValueError("at() before update(): no sample to predict from")
        age_s = max((t_ns - self._t_ns) * 1e-9, 0.0)
        fade = float(np.exp(-age_s / self.config.blend_s))
        return moved(self._T, self._rate * self._carried_s(age_s) + self._offset * fade)

    def _carried_s(self, age_s: float) -> float:
        """How long the hand was carried on: fully up to the horizon, then ever less."""
        c = self.config
        late = min(max(age_s - c.horizon_s, 0.0), c.stop_s)
        return min(age_s, c.horizon_s) + late - 0.5 * late * late / c.stop_s
