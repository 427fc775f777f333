"""Export to LeRobot v3 datasets, without torch, pandas or lerobot.

Rows are those of `recorder.export.plan`; each camera is re-encoded to H.264 as in
`recorder.export.video`. Two columns tell what alignment cost: `valid` (every source was
within the tolerance) and `time_error_s` (the worst distance to a source sample).

LeRobot's `timestamp` is the row number over fps, so rows left out in a pause leave no hole in it.
Times on the host clock are in `meta/telecap.json`, per stretch between pauses.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recorder.episode import Episode
from recorder.export import tables
from recorder.export.destination import check_free, written_aside
from recorder.export.errors import ExportError, MixedEpisodesError, NoEpisodesError
from recorder.export.plan import Action, Signature, empty_streams, plan_episode, signature
from recorder.export.video import VideoSettings
from recorder.export.writer import DatasetWriter, EpisodeExport

DEFAULT_MAX_GAP_MS = 50.0

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did.

    Attributes:
        path: Directory of the dataset.
        episodes: Episodes in it.
        frames: Rows in it.
        invalid_rows: Rows marked as outside the tolerance.
        paused_rows: Rows left out because the take was paused.
        seconds: Time it took.
        per_episode: One entry an episode.
        skipped: Why each episode that was given is not in it.
    """

    path: Path
    episodes: int
    frames: int
    invalid_rows: int
    paused_rows: int
    seconds: float
    per_episode: tuple[EpisodeExport, ...]
    skipped: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self) | {"path": str(self.path)}


def export_lerobot(
    episodes: Sequence[Episode],
    out: Path,
    *,
    fps: int = 30,
    action: Action = "requested",
    cameras: Sequence[str] | None = None,
    progress: Progress | None = None,
    crf: int = 23,
    max_gap_ms: float = DEFAULT_MAX_GAP_MS,
    include_discarded: bool = False,
    force: bool = False,
) -> ExportReport:
    """Write episodes as one LeRobot v3 dataset.

    Args:
        episodes: Episodes in the order they shall have; all outcomes are taken.
        out: Directory to make; must be missing or empty.
        fps: Rows per second.
        action: The column `action`: the command the retargeter `requested`, the one the robot
            was `sent`, or the next `measured` state.
        cameras: Cameras to export; all if None, which every episode must then have alike.
        progress: Called with the share done, 0 to 1, and what is being done.
        crf: x264 rate factor; lower is better and larger.
        max_gap_ms: A row with a source farther away than this [ms] is marked as not valid.
        include_discarded: Export discarded episodes too.
        force: Replace an earlier export at `out`.

    Raises:
        NoEpisodesError: When none is left.
        MissingCameraError, MissingDataError, MixedEpisodesError: When episodes do not fit.
        OutputExistsError: When `out` is not free.
    """
    started = time.perf_counter()
    if fps < 1 or not max_gap_ms > 0:
        raise ExportError(f"fps {fps} and max_gap_ms {max_gap_ms}, expected positive ones")
    check_free(out, force=force)
    kept, skipped = _without_discarded(episodes, include_discarded=include_discarded)
    shared = _shared_signature(kept, cameras)
    chosen = _without_empty(kept, shared, action, skipped)
    threads = max(1, (os.cpu_count() or 1) // max(1, len(shared.cameras)))
    video = VideoSettings(fps, crf, threads, tables.VIDEO_FILES_SIZE_MB << 20)
    max_gap_ns = int(max_gap_ms * 1e6)
    with (
        written_aside(out, force=force) as partial,
        DatasetWriter(partial, shared, video) as writer,
    ):
        for episode, report in zip(chosen, _shares(chosen, progress), strict=True):
            plan = plan_episode(episode, shared, fps, action, max_gap_ns)
            if len(plan):
                writer.write(episode, plan, report)
            else:
                skipped.append(f"{episode.id}: state and cameras never exist together")
        if not writer.done:
            raise NoEpisodesError(skipped)
        writer.finish({"action": action, "max_gap_ms": max_gap_ms})
    if progress is not None:
        progress(1.0, "done")
    return ExportReport(
        path=out,
        episodes=len(writer.done),
        frames=sum(e.frames for e in writer.done),
        invalid_rows=sum(e.invalid_rows for e in writer.done),
        paused_rows=sum(e.paused_rows for e in writer.done),
        seconds=time.perf_counter() - started,
        per_episode=tuple(writer.done),
        skipped=tuple(skipped),
    )


def _shares(
    episodes: Sequence[Episode], progress: Progress | None
) -> Iterator[Callable[[float], None]]:
    """Per episode a function that turns its own progress into that of the whole."""
    total_s = sum(e.duration_s for e in episodes) or 1.0
    done_s = 0.0
    for number, episode in enumerate(episodes, 1):
        start, weight = done_s / total_s, episode.duration_s / total_s
        label = f"episode {number} of {len(episodes)}"

        def report(
            share: float, start: float = start, weight: float = weight, label: str = label
        ) -> None:
            if progress is not None:
                progress(min(start + weight * share, 1.0), label)

        yield report
        done_s += episode.duration_s


def _without_discarded(
    episodes: Sequence[Episode], *, include_discarded: bool
) -> tuple[list[Episode], list[str]]:
    chosen, skipped = [], []
    for episode in episodes:
        if episode.attributes.get("discarded") and not include_discarded:
            skipped.append(f"{episode.id}: discarded")
        else:
            chosen.append(episode)
    if not chosen:
        raise NoEpisodesError(skipped)
    return chosen, skipped


def _without_empty(
    episodes: Sequence[Episode], shared: Signature, action: Action, skipped: list[str]
) -> list[Episode]:
    """Episodes that have rows of everything; the others are added to `skipped`."""
    chosen = []
    for episode in episodes:
        empty = empty_streams(episode, shared, action)
        if empty:
            skipped.append(f"{episode.id}: no rows in {empty}")
        else:
            chosen.append(episode)
    return chosen


def _shared_signature(episodes: Sequence[Episode], cameras: Sequence[str] | None) -> Signature:
    first = signature(episodes[0], cameras)
    for episode in episodes[1:]:
        other = signature(episode, cameras)
        for what in ("joints", "grippers", "fingers", "cameras"):
            ours, theirs = getattr(first, what), getattr(other, what)
            if ours != theirs:
                raise MixedEpisodesError(what, (episodes[0].id, ours), (episode.id, theirs))
    return first
