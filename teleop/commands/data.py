"""`telecap check`, `repair` and `export …`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from recorder import Episode
from recorder.export.lerobot import export_lerobot
from recorder.findings import QualityReport
from recorder.repair import repair_dataset
from teleop.checking import Summary, check_all
from teleop.commands.shared import (
    DEFAULT_DATASET,
    VERDICT_COLOUR,
    JsonFlag,
    UsageError,
    episode_paths,
    err,
    open_dataset,
    open_episode,
    out,
    require_dataset,
)


def check(
    paths: Positional[tuple[Path, ...]] = (DEFAULT_DATASET,),
    *,
    jobs: int = 0,
    html: Path | None = None,
    store: bool = False,
    as_json: JsonFlag = False,
) -> int:
    """Check episodes or whole datasets: rates, gaps, drops, clocks, skew, jerk, collisions.

    Of a trimmed episode, and of a part, what is left of it. The exit code is 0 when nothing failed,
    1 when an episode failed.

    Args:
        paths: Episode or dataset directories.
        jobs: Takes checked at the same time; as many as there are cores when 0.
        html: Write a report to this file as well: pictures, curves and findings of each take.
        store: Keep these verdicts with the episodes, in place of those of their recording.
        as_json: Print a JSON list.
    """
    found = [p for path in paths for p in episode_paths(path)]
    if not found:
        raise UsageError(f"no episodes in {', '.join(map(str, paths)) or 'nothing'}")
    reports = []
    for path, report in zip(found, check_all(found, open_episode, jobs), strict=True):
        reports.append(report)
        if store:
            open_dataset(path.parent.parent).set_quality(path.name, report.to_dict())
        if not as_json:
            _print_report(path, report)
    if as_json:
        rows = [{"path": str(p), **r.to_dict()} for p, r in zip(found, reports, strict=True)]
        print(json.dumps(rows))  # noqa: T201
    elif len(reports) > 1:
        _print_summary(Summary.of(reports))
    if html is not None:
        from teleop.report import write_report

        write_report([open_episode(path) for path in found], html, {})
        err.print(f"saved {html}", markup=False, soft_wrap=True)
    return 1 if any(report.verdict == "fail" for report in reports) else 0


def _print_report(path: Path, report: QualityReport) -> None:
    colour = VERDICT_COLOUR[report.verdict]
    out.print(f"[{colour}]{report.verdict}[/]  {path.name}", soft_wrap=True)
    for finding in report.findings:
        out.print(f"      {finding.level}: {finding.message}", markup=False, soft_wrap=True)


def _print_summary(summary: Summary) -> None:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in summary.verdicts.items())
    out.print(f"{sum(summary.verdicts.values())} takes: {counts}")
    for level, code, count in summary.reasons:
        out.print(f"      {count:4}  {level}  {code}", markup=False)


def repair(dataset: Positional[Path] = DEFAULT_DATASET) -> int:
    """Finish the episodes a crash left open. Runs by itself whenever a dataset is recorded into.

    Args:
        dataset: Dataset directory.
    """
    require_dataset(dataset)
    repaired = repair_dataset(dataset)
    for r in repaired:
        out.print(
            f"recovered {r.id}: {r.rows} rows, {r.pictures} pictures, "
            f"{r.lost_bytes} bytes of torn tail cut"
        )
    if not repaired:
        out.print("nothing to repair")
    return 0


def lerobot(
    dataset: Positional[Path],
    output: Positional[Path],
    *,
    fps: int = 30,
    crf: int = 23,
    max_gap_ms: float = 50.0,
    action: Literal["requested", "sent", "measured"] = "requested",
    cameras: tuple[str, ...] = (),
    outcome: Literal["success", "any"] = "any",
    force: bool = False,
) -> int:
    """Export a dataset in LeRobot's v3 format.

    Args:
        dataset: Dataset directory.
        output: Directory to write; must not exist unless forced.
        fps: Rate of the rows.
        crf: Quality of the video, lower is better and larger (x264).
        max_gap_ms: Distance to a source sample beyond which a row is marked invalid.
        action: Which joint stream becomes the action.
        cameras: Cameras to export; all when empty.
        outcome: Only successful takes, or any that was not discarded.
        force: Replace an existing output.
    """
    rows = [r for r in open_dataset(dataset).episodes() if outcome in ("any", r.outcome)]
    with err.status("exporting …") as status:
        report = export_lerobot(
            [Episode(Path(r.path)) for r in rows],
            output,
            fps=fps,
            crf=crf,
            max_gap_ms=max_gap_ms,
            action=action,
            cameras=list(cameras) or None,
            progress=lambda share, what: status.update(f"{share:4.0%} {what}"),
            force=force,
        )
    out.print(
        f"{report.episodes} episodes, {report.frames} rows "
        f"({report.invalid_rows} marked invalid) in {report.seconds:.1f} s: {report.path}",
        soft_wrap=True,
    )
    for reason in report.skipped:
        out.print(f"left out {reason}", markup=False, soft_wrap=True)
    return 0
