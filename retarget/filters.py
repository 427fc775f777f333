"""The chain in front of the clutch or the retargeter: gate, outliers, One-Euro, prediction.

`PoseFilter` conditions one tracked pose from timestamped samples; `TargetFilter` does the same to
`Targets`, which come tick by tick and without times.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from retarget.frames import Array, matrix_to_pose, pose_to_matrix
from retarget.gate import PoseGate, PoseGateConfig, Verdict
from retarget.one_euro import OneEuro, OneEuroConfig
from retarget.outliers import Hampel, HampelConfig
from retarget.prediction import PosePredictor, PredictionConfig
from retarget.targets import TIPS, Targets, is_rigid

LATENCY_SHARE = 1.0 / 256.0
"""Weight of a sample in the mean latency: jitter must not shake the time poses are asked for."""
PERIOD_SHARE = 1.0 / 8.0
"""Weight of a sample in the period of a `SampleClock`."""
NEW_START_NS = 100_000_000
"""Without a new sample for so long, a `SampleClock` starts afresh [ns]."""


@dataclass(frozen=True, slots=True)
class FilterConfig:
    """Everything between a tracker and the clutch.

    Attributes:
        gate: What counts as a pose of a hand at all.
        outliers: Rejects samples thrown aside; None lets them pass.
        smoothing: Trades jitter for lag; None leaves jitter and lag alone.
        prediction: Carries hands on between samples; None repeats the newest sample.
        predict_s: How far ahead of the newest sample's arrival hands are predicted [s]: that
            much lag is paid back, at the price of noise and of overshoot when a hand turns back.
            None predicts by the measured latency of samples, from the headset to here. Without
            `prediction` it has no effect.
    """

    gate: PoseGateConfig = field(default_factory=PoseGateConfig)
    outliers: HampelConfig | None = field(default_factory=HampelConfig)
    smoothing: OneEuroConfig | None = field(default_factory=OneEuroConfig)
    prediction: PredictionConfig | None = field(default_factory=PredictionConfig)
    predict_s: float | None = 0.0

    @classmethod
    def gate_only(cls) -> FilterConfig:
        """No filtering: every believable sample passes as it is."""
        return cls(outliers=None, smoothing=None, prediction=None)


class PoseFilter:
    """Conditions one pose. Pure: times are arguments.

    Attributes:
        config: Settings.
        verdict: What was thought of the newest sample.
    """

    def __init__(self, config: FilterConfig | None = None) -> None:
        self.config = c = config or FilterConfig()
        self.verdict = Verdict.OK
        self._gate = PoseGate(c.gate)
        self._outliers = Hampel(c.outliers) if c.outliers is not None else None
        self._smoothing = OneEuro(c.smoothing) if c.smoothing is not None else None
        self._predictor = PosePredictor(c.prediction) if c.prediction is not None else None
        self._latency_ns = 0.0
        self._samples = 0
        self._pose: Array | None = None

    @property
    def ready(self) -> bool:
        """Whether a sample passed since the last reset."""
        return self._pose is not None

    def reset(self) -> None:
        """Forget; the next valid sample is believed, wherever it is, and passes unchanged."""
        self._gate.rebase()
        for part in (self._outliers, self._smoothing, self._predictor):
            if part is not None:
                part.reset()
        self._latency_ns, self._samples, self._pose = 0.0, 0, None

    def update(
        self,
        pose: ArrayLike,
        t_ns: int,
        *,
        valid: bool = True,
        tracked: bool = True,
        arrival_ns: int | None = None,
        shown_ns: int | None = None,
    ) -> Verdict:
        """Take a sample; what is neither `OK` nor `FROZEN` changes nothing.

        A frozen pose is one that passed before: it is gone to for good, and stayed at.

        Args:
            pose: Position [m] and quaternion xyzw, (7,).
            t_ns: When it was sampled; not before the last one [ns].
            valid: What the device says of it.
            tracked: The device measured it, and did not only guess.
            arrival_ns: When it came; as it was sampled when left out [ns].
            shown_ns: For when `at` was last asked in earnest: from there on it is corrected [ns].
        """
        self.verdict = verdict = self._judge(pose, t_ns, valid, tracked)
        if verdict == Verdict.OK:
            self._use(pose, t_ns, shown_ns)
            self._measure_latency(t_ns if arrival_ns is None else arrival_ns, t_ns)
        elif verdict == Verdict.FROZEN:
            self._use(pose, t_ns, shown_ns)  # the way that smoothing is behind is made up for
        return verdict

    def at(self, t_ns: int) -> Array:
        """Conditioned pose, (7,), at a time [ns]; without prediction, that of the newest sample.

        Raises:
            ValueError: No sample passed since the last reset.
        """
        if self._pose is None:
            raise ValueError("at() before a sample passed update()")
        if self._predictor is None:
            return self._pose
        return self._predictor.at(self._asked(t_ns), self._lead_s())

    def _use(self, pose: ArrayLike, t_ns: int, shown_ns: int | None) -> None:
        if self._smoothing is not None:
            pose = self._smoothing.filter(pose, t_ns)
        self._pose = np.array(pose, dtype=np.float64)
        if self._predictor is not None:
            since_ns = None if shown_ns is None else self._asked(shown_ns)
            self._predictor.update(self._pose, t_ns, since_ns, self._lead_s())

    def _judge(self, pose: ArrayLike, t_ns: int, valid: bool, tracked: bool) -> Verdict:
        verdict = self._gate.check(pose, valid, t_ns, tracked)
        if verdict != Verdict.OK or self._outliers is None or self._outliers.passes(pose, t_ns):
            return verdict
        self._gate.withdraw()
        return Verdict.OUTLIER

    def _measure_latency(self, arrival_ns: int, t_ns: int) -> None:
        self._samples += 1
        share = max(LATENCY_SHARE, 1.0 / self._samples)
        self._latency_ns += share * (arrival_ns - t_ns - self._latency_ns)

    def _lead_s(self) -> float:
        """How far ahead of their arrival samples are predicted [s]."""
        if self.config.predict_s is None:
            return max(self._latency_ns, 0.0) * 1e-9
        return self.config.predict_s

    def _asked(self, t_ns: int) -> int:
        """Time of the samples' clock that is shown at a time of the host's [ns]."""
        return t_ns - round(self._latency_ns - self._lead_s() * 1e9)


class SampleClock:
    """When samples were made that are seen in ticks only.

    A tick sees the newest sample, so that it is up to a tick old; taking it as made right then
    would make a steady hand look as if it hurried and waited in turn.

    Attributes:
        tick_ns: Length of a tick [ns].
    """

    def __init__(self, tick_ns: int) -> None:
        self.tick_ns = tick_ns
        self._t_ns: int | None = None
        self._period_ns: float | None = None

    def reset(self) -> None:
        """Forget the samples so far."""
        self._t_ns = None

    def sampled(self, seen_ns: int) -> int:
        """Time of a new sample seen at a tick: evenly spaced as far as ticks allow [ns]."""
        if self._t_ns is None or seen_ns - self._t_ns > NEW_START_NS:
            self._t_ns, self._period_ns = seen_ns, None
            return seen_ns
        if self._period_ns is None:
            self._period_ns = float(seen_ns - self._t_ns)
        expected = self._t_ns + self._period_ns
        made = min(max(expected, seen_ns - self.tick_ns + 1.0), float(seen_ns))
        self._period_ns += PERIOD_SHARE * (made - expected)
        self._t_ns = round(made)
        return self._t_ns


class TargetFilter:
    """The chain on the targets of a `Retargeter`, tip by tip and tick by tick.

    Targets that come slower than ticks may repeat from tick to tick: they are carried on between.
    What is not a rigid pose is replaced by where the tip was going, for a short while; what jumps
    beyond what a hand can do is believed once it has settled, as the retargeter keeps the way
    there within the robot's limits. Tips that are not asked start afresh when they are asked.

    Attributes:
        config: Settings.
        dt: Length of a tick [s].
    """

    def __init__(self, config: FilterConfig, dt: float) -> None:
        self.config = config
        self.dt = dt
        self._tick_ns = round(dt * 1e9)
        self._now_ns = 0
        self._tips = {tip: _TipFilter(config, self._tick_ns) for tip in TIPS}

    def reset(self) -> None:
        """Forget every tip."""
        self._now_ns = 0
        for tip in self._tips.values():
            tip.reset()

    def apply(self, targets: Targets) -> Targets:
        """Targets of the next tick, conditioned; only poses of tips are changed."""
        self._now_ns += self._tick_ns
        left, right, head = (
            tip.apply(targets.pose(name), self._now_ns) for name, tip in self._tips.items()
        )
        return replace(
            targets, T_robot_left_wrist=left, T_robot_right_wrist=right, T_robot_head=head
        )


class _TipFilter:
    """One tip of a `TargetFilter`."""

    def __init__(self, config: FilterConfig, tick_ns: int) -> None:
        self._filter = PoseFilter(config)
        self._clock = SampleClock(tick_ns)
        self._tick_ns = tick_ns
        self._hold_ns = round(config.gate.max_gap_s * 1e9)
        self._seen = b""
        self._taken_ns = 0
        self._good_ns = 0

    def reset(self) -> None:
        self._filter.reset()
        self._clock.reset()
        self._seen = b""

    def apply(self, T_robot_tip: Array | None, now_ns: int) -> Array | None:
        """What to ask instead of a target, (4, 4)."""
        if T_robot_tip is None:
            self.reset()
            return None
        if is_rigid(T_robot_tip):
            self._good_ns = now_ns
            if T_robot_tip.tobytes() != self._seen:
                self._take(T_robot_tip, now_ns)
            elif now_ns - self._taken_ns >= self._hold_ns:  # it is meant to stay: end there
                self._filter.update(matrix_to_pose(T_robot_tip), now_ns)
        elif not self._filter.ready or now_ns - self._good_ns > self._hold_ns:
            return T_robot_tip  # the retargeter says what is wrong with it
        return pose_to_matrix(self._filter.at(now_ns))

    def _take(self, T_robot_tip: Array, now_ns: int) -> None:
        self._seen, self._taken_ns = T_robot_tip.tobytes(), now_ns
        t_ns, pose = self._clock.sampled(now_ns), matrix_to_pose(T_robot_tip)
        shown_ns = now_ns - self._tick_ns
        verdict = self._filter.update(pose, t_ns, arrival_ns=now_ns, shown_ns=shown_ns)
        if verdict == Verdict.JUMPED:
            self._filter.reset()
            self._filter.update(pose, t_ns)
