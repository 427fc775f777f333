"""Many takes give the reports that each gives alone, in order, and a count of what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recorder.findings import Finding, QualityReport
from teleop.checking import Summary, check_all
from teleop.commands.shared import open_episode
from tests.recorder.export_episodes import Recipe, record


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("takes")
    recipes = [Recipe(seconds=s, lost_pictures=lost) for s in (0.6, 1.2) for lost in ((), (3, 4))]
    return [record(root, recipe).path for recipe in recipes]


def test_processes_report_what_one_reports(paths: list[Path]) -> None:
    alone = [r.to_dict() for r in check_all(paths, open_episode, jobs=1)]
    together = [r.to_dict() for r in check_all(paths, open_episode, jobs=2)]
    assert together == alone
    durations = [report["metrics"]["duration_s"] for report in alone]
    assert np.argsort(durations, kind="stable").tolist() == [0, 1, 2, 3]


def test_a_summary_counts_takes_not_findings() -> None:
    def finding(level, code):
        return Finding(level, code, "", 1.0, 0.0)

    twice = (finding("warn", "rate"), finding("warn", "rate"), finding("fail", "drops"))
    reports = [
        QualityReport("fail", twice, {}),
        QualityReport("warn", (finding("warn", "rate"),), {}),
        QualityReport("pass", (), {}),
    ]
    summary = Summary.of(reports)
    assert summary.verdicts == {"pass": 1, "warn": 1, "fail": 1}
    assert summary.reasons == [("fail", "drops", 1), ("warn", "rate", 2)]
