"""Many takes checked at once, on all cores, and what they have in common."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from recorder import Episode
from recorder.findings import QualityReport
from teleop.collisions import CollisionCheck, check_take

WORTHWHILE = 4
"""Takes from which further processes are worth their start."""
_models: dict[str, CollisionCheck] = {}
"""Of this process: robots are built once."""


def check_all(
    paths: Sequence[Path], open_episode: Callable[[Path], Episode], jobs: int = 0
) -> Iterator[QualityReport]:
    """Reports in the order of the paths, each as soon as it and those before it are ready.

    Args:
        paths: Episode directories.
        open_episode: Opens one; must be importable by name, as other processes do.
        jobs: Processes; as many as there are cores when 0.
    """
    workers = min(jobs or len(os.sched_getaffinity(0)), len(paths))
    if workers < 2 or len(paths) < WORTHWHILE:
        for path in paths:
            yield _check(path, open_episode)
        return
    # spawned, not forked: libraries with threads of their own are loaded here already
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        yield from pool.map(_check, paths, [open_episode] * len(paths))


def _check(path: Path, open_episode: Callable[[Path], Episode]) -> QualityReport:
    return check_take(open_episode(path), _models)


@dataclass(frozen=True, slots=True)
class Summary:
    """What many reports come to.

    Attributes:
        verdicts: How many takes have each.
        reasons: How many takes have each finding, by level and code, the most frequent first.
    """

    verdicts: dict[str, int]
    reasons: list[tuple[str, str, int]]

    @classmethod
    def of(cls, reports: Sequence[QualityReport]) -> Summary:
        """Count."""
        verdicts = Counter(report.verdict for report in reports)
        found = Counter(
            key for report in reports for key in {(f.level, f.code) for f in report.findings}
        )
        reasons = sorted(found.items(), key=lambda item: (item[0][0] != "fail", -item[1], item[0]))
        return cls(
            {verdict: verdicts.get(verdict, 0) for verdict in ("pass", "warn", "fail")},
            [(level, code, count) for (level, code), count in reasons],
        )
