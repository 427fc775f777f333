"""What a check says of a take: measurements, findings, a verdict; and where the limits are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

Level = Literal["warn", "fail"]
Verdict = Literal["pass", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where a measurement becomes a finding: `(warn, fail)`, None never.

    Attributes:
        duration_s: Shorter takes.
        rate_error: Relative distance of a stream's rate from its nominal rate.
        picture_error: The same for a camera.
        gap_periods: Longest pause between rows, in nominal periods.
        drop_share: Rows and pictures lost, of all.
        start_skew_s: Spread of the first (and of the last) times of all streams.
        camera_skew_s: Distance between the pictures of two cameras.
        holding_share: State rows without a fresh command while engaged.
        invalid_share: Operator poses that are not valid.
        untracked_share: Operator poses that the device only predicted.
        jerk_rms: Jerk of the joints as sent [rad/s³].
        residual_m: Distance of a tip from where its hand led it, 95th percentile while engaged.
        clock_residual_s: Host times of a device's rows, distance from a steady device clock (p99).
        saturation_share: Ticks at a position limit while engaged.
        latency_p99_s: Pose arrival to command.
        identical_share: Pictures that repeat the one before while the robot moves.
        blur: Median blur of a few pictures of a camera, 0 sharp to 1 (`checks.blur`).
        black_level: A camera whose brightest sampled grey level is below.
    """

    duration_s: tuple[float | None, float | None] = (1.0, 0.2)
    rate_error: tuple[float | None, float | None] = (0.05, 0.25)
    picture_error: tuple[float | None, float | None] = (0.01, 0.05)
    gap_periods: tuple[float | None, float | None] = (10.0, 100.0)
    drop_share: tuple[float | None, float | None] = (0.0, 0.01)
    start_skew_s: tuple[float | None, float | None] = (0.2, 1.0)
    camera_skew_s: tuple[float | None, float | None] = (0.04, 0.2)
    holding_share: tuple[float | None, float | None] = (0.02, 0.2)
    invalid_share: tuple[float | None, float | None] = (0.02, 0.3)
    untracked_share: tuple[float | None, float | None] = (0.1, None)
    jerk_rms: tuple[float | None, float | None] = (2000.0, None)
    residual_m: tuple[float | None, float | None] = (0.05, None)
    clock_residual_s: tuple[float | None, float | None] = (0.02, 0.2)
    saturation_share: tuple[float | None, float | None] = (0.3, None)
    latency_p99_s: tuple[float | None, float | None] = (0.02, 0.1)
    identical_share: tuple[float | None, float | None] = (0.9, None)
    blur: tuple[float | None, float | None] = (0.75, None)
    black_level: int = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with an episode.

    Attributes:
        level: `warn` or `fail`.
        code: What was measured.
        message: For people.
        value: What it was.
        limit: What it may be.
    """

    level: Level
    code: str
    message: str
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Result of a check.

    Attributes:
        verdict: The worst level of the findings.
        findings: What is wrong, worst first.
        metrics: All measurements, JSON.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    metrics: dict[str, Any]

    @property
    def reasons(self) -> list[str]:
        """Messages of the findings."""
        return [finding.message for finding in self.findings]

    def extended(self, findings: Iterable[Finding], metrics: Mapping[str, Any]) -> QualityReport:
        """The same with what was found by other means, such as the robot's model."""
        every = sorted((*self.findings, *findings), key=lambda f: f.level != "fail")
        worst: Verdict = every[0].level if every else "pass"
        return QualityReport(worst, tuple(every), {**self.metrics, **metrics})

    def to_dict(self) -> dict[str, Any]:
        """JSON form, as `Dataset.set_quality` keeps it."""
        findings = [asdict(finding) for finding in self.findings]
        report = {"verdict": self.verdict, "findings": findings, "metrics": self.metrics}
        return {key: _finite(value) for key, value in report.items()}


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: both become null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
