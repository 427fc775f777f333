"""The newcomer's first command: the whole system once, from operator motion to exported dataset."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from recorder import Dataset, Episode
from recorder.export.lerobot import export_lerobot
from teleop.collisions import check_take
from teleop.config import RunConfig
from teleop.errors import TeleopError
from teleop.operators import Operator, make_operator
from teleop.report import write_report
from teleop.supervisor import Supervisor
from teleop.system import new_config

TASK = "pick up the cube, hand it over and put it in the tray"
START, PERFORM, CHECK, EXPORT, REPORT = 10, 62, 4, 16, 8
"""Rough shares of the demo's time, for the progress bar."""


class DemoError(TeleopError):
    """The demo could not be completed."""


def run_demo(out: Path, *, episodes: int, seed: int, console: Console) -> dict[str, Any]:
    """Run the demo and return what it made.

    Args:
        out: Directory to write; the dataset in it keeps growing over repeated runs.
        episodes: Takes to record.
        seed: Seed of scene and operator.
        console: Where progress and the summary are shown.

    Returns:
        `{"episodes": […], "report": path, "export": {"lerobot": path}}`.

    Raises:
        DemoError: A take was not recorded.
    """
    if episodes < 1:
        raise DemoError(f"cannot record {episodes} episodes; ask for 1 or more")
    out = out.expanduser().resolve()
    out.mkdir(parents=True, exist_ok=True)
    config = new_config(rig="openarm", dataset=str(out / "dataset"), port=0, task=TASK, seed=seed)
    known = _known_ids(Path(config.dataset))
    with _progress(console) as (progress, bar):
        with Supervisor(config) as system:
            progress.update(bar, description="starting the system")
            system.start(on_ready=lambda _: progress.advance(bar, START / 5))
            options = {"seed": seed, "episodes": episodes}
            operator = make_operator("synthetic", system.url, config.token, options)
            _perform(system, config, operator, progress, bar)
        return _finish(out, Path(config.dataset), known, progress, bar, console)


def replay_episode(
    episode: Path, *, url: str, token: str, dataset: Path, console: Console
) -> dict[str, Any]:
    """Stream an episode's operator again, through a running system or one started for it.

    Args:
        episode: Episode directory.
        url: Address of a running system; empty starts a simulated one.
        token: Its token.
        dataset: Dataset of a system started here.
        console: Where progress is shown.

    Returns:
        What the replay client counted.
    """
    recorded = Episode(episode)
    options = {"episode": episode}
    if url:
        return dict(asyncio.run(make_operator("replay", url, token, options).perform()))
    config = new_config(
        rig=str(recorded.attributes["rig"]), dataset=str(dataset.resolve()), port=0,
        task=str(recorded.attributes.get("task", "")),
    )  # fmt: skip
    with Supervisor(config) as system, console.status("replaying …"):
        system.start()
        operator = make_operator("replay", system.url, config.token, options)
        return dict(asyncio.run(operator.perform()))


# ------------------------------------------------------------------- inside
@contextmanager
def _progress(console: Console) -> Iterator[tuple[Progress, TaskID]]:
    columns = (TextColumn("{task.description:44}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        total = START + PERFORM + CHECK + EXPORT + REPORT
        yield progress, progress.add_task("preparing", total=total)


def _perform(
    system: Supervisor,
    config: RunConfig,
    operator: Operator,
    progress: Progress,
    bar: TaskID,
) -> None:
    """Let the operator work while the supervisor watches."""
    done = threading.Event()
    failure: list[BaseException] = []

    def show(share: float, what: str) -> None:
        progress.update(bar, completed=START + PERFORM * share, description=what)

    def work() -> None:
        try:
            asyncio.run(operator.perform(on_progress=show))
        except (TimeoutError, TeleopError, OSError) as error:
            failure.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=work, name="synthetic-operator", daemon=True)
    thread.start()
    while not done.wait(0.1):
        system.watch()
    if failure:
        logs = "\n".join(f"--- {n}\n{system.log_tail(n)}" for n in ("gateway", "control"))
        raise DemoError(f"the synthetic operator gave up: {failure[0]}\n{logs}") from failure[0]


def _finish(
    out: Path,
    dataset_path: Path,
    known: set[str],
    progress: Progress,
    bar: TaskID,
    console: Console,
) -> dict[str, Any]:
    dataset = Dataset.open(dataset_path, repair=False)
    rows = [r for r in dataset.episodes() if r.id not in known]
    if not rows:
        raise DemoError(f"no episode was recorded in {dataset_path}")
    progress.update(bar, completed=START + PERFORM, description="checking the takes")
    taken = [dataset[r.id] for r in rows]
    summaries = [_summary(ep) for ep in taken]

    progress.update(bar, completed=START + PERFORM + CHECK, description="exporting for LeRobot")
    base = START + PERFORM + CHECK
    export = export_lerobot(
        taken,
        out / "lerobot",
        fps=30,
        force=True,
        progress=lambda share, _: progress.update(bar, completed=base + EXPORT * share),
    )
    progress.update(bar, completed=base + EXPORT, description="writing the report")
    report = out / "report.html"
    write_report(taken, report, {"export": str(export.path), "dataset": str(dataset_path)})
    progress.update(bar, completed=base + EXPORT + REPORT, description="done")
    result = {
        "episodes": summaries,
        "report": str(report),
        "export": {"lerobot": str(export.path)},
        "dataset": str(dataset_path),
    }
    _tell(result, console)
    return result


def _known_ids(dataset: Path) -> set[str]:
    if not (dataset / "dataset.json").is_file():
        return set()
    rows = Dataset.open(dataset, repair=True).episodes(include_discarded=True)
    return {r.id for r in rows}


def _summary(episode: Episode) -> dict[str, Any]:
    report = check_take(episode, {})
    metrics = report.metrics
    return {
        "path": str(episode.path),
        "duration_s": round(episode.duration_s, 3),
        "success": episode.attributes.get("outcome") == "success",
        "quality": report.verdict,
        "drops": sum(metrics["drops"].values()),
        "cameras": {name: len(episode.camera(name)) for name in episode.cameras},
        "latency_ms": {
            name: round(1e3 * float(metrics["latency_s"][name]), 3) for name in ("p50", "p99")
        },
    }


def _tell(result: dict[str, Any], console: Console) -> None:
    console.print()
    for e in result["episodes"]:
        outcome = "[green]success[/]" if e["success"] else "[red]failure[/]"
        console.print(
            f"{outcome}  quality {e['quality']}  {e['duration_s']:.1f} s  "
            f"{sum(e['cameras'].values())} pictures  {e['drops']} drops  "
            f"pose to command {e['latency_ms']['p50']:.2f} ms (p99 {e['latency_ms']['p99']:.2f})"
        )
        console.print(f"    {e['path']}", soft_wrap=True)
    console.print(f"[bold]report[/]   {result['report']}", soft_wrap=True)
    console.print(f"[bold]LeRobot[/]  {result['export']['lerobot']}", soft_wrap=True)
    console.print("\nTry next:", style="bold")
    console.print(f"  telecap episodes list {result['dataset']}", soft_wrap=True)
    console.print(f"  telecap check {result['dataset']}", soft_wrap=True)
    console.print(f"  telecap replay {result['episodes'][0]['path']}", soft_wrap=True)
    console.print("  telecap run        # then open the console it prints")
