"""The `telecap` command."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tyro
from rich.console import Console
from rich.table import Table

from teleop.errors import TeleopError

app = tyro.extras.SubcommandApp()
episodes_app = tyro.extras.SubcommandApp()
export_app = tyro.extras.SubcommandApp()
rigs_app = tyro.extras.SubcommandApp()
GROUPS = {"episodes": episodes_app, "export": export_app, "rigs": rigs_app}
ABOUT = """VR teleoperation data capture.

Groups with commands of their own: episodes (list, show, label, discard, restore),
export (lerobot), rigs (list, check); `telecap episodes --help` lists them."""

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Positional = tyro.conf.Positional
DEFAULT_DATASET = Path("datasets/default")


class UsageError(TeleopError):
    """A request that cannot be served as it stands."""


# ------------------------------------------------------------------ running
@app.command
def run(
    rig: str = "openarm",
    dataset: Path = DEFAULT_DATASET,
    *,
    task: str = "",
    operator: str = "",
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str = "",
    tls: bool = False,
    render: Literal["auto", "cpu", "gpu"] = "auto",
    countdown_s: float = 0.0,
    seed: int = 0,
) -> int:
    """Serve a rig until stopped: console page at /, headset page at /xr.

    Args:
        rig: Built-in rig name, or path of your own rig file.
        dataset: Where episodes are stored.
        task: Language instruction stored with every take.
        operator: Operator profile to use and keep.
        host: Address to listen on; 0.0.0.0 lets headsets on the network in.
        port: Port to listen on; 0 picks a free one.
        token: Token to ask for; a new one is made when empty.
        tls: Serve https (needed by headset browsers that do not use localhost).
        render: Render profile of simulated cameras.
        countdown_s: Seconds between asking for a take and its start.
        seed: Seed of the simulated scene.
    """
    from teleop.supervisor import Supervisor
    from teleop.system import new_config, page_urls

    _check_port(port)
    config = new_config(
        rig=rig,
        dataset=str(dataset.expanduser().resolve()),
        task=task,
        operator=operator,
        host=host,
        port=port,
        token=token,
        tls=tls,
        render=render,
        countdown_s=countdown_s,
        seed=seed,
    )
    stop = _stop_on_signals()
    with Supervisor(config) as system:
        with err.status("starting …"):
            system.start(on_ready=lambda name: err.print(f"  {name} ready"))
        urls = page_urls(system.url, config.token)
        out.print(f"[bold]console[/]  {urls['console']}", soft_wrap=True)
        out.print(f"[bold]headset[/]  {urls['headset']}", soft_wrap=True)
        if host not in {"127.0.0.1", "localhost", "::1"}:
            _print_qr(urls["headset"])
        out.print(f"episodes  {config.dataset}\nlogs      {config.run_dir}\nCtrl-C stops.")
        while not stop.wait(0.1):
            system.watch()
        err.print("stopping …")
    return 0


@app.command
def demo(
    out_dir: Annotated[Path, tyro.conf.arg(name="out")] = Path("telecap-demo"),
    *,
    episodes: int = 3,
    seed: int = 0,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Run the whole system once, with no headset and no robot.

    Starts the real system with the openarm rig in MuJoCo, lets a synthetic operator perform the
    hand-over task through the real WebSocket, records and checks every take, writes a report and
    exports a LeRobot dataset.

    Args:
        out_dir: Where everything is written.
        episodes: Takes to record.
        seed: Seed of the scene and of the synthetic operator.
        as_json: Print one JSON object as the last line.
    """
    from teleop.demo import run_demo

    result = run_demo(out_dir, episodes=episodes, seed=seed, console=err if as_json else out)
    if as_json:
        print(json.dumps(result))  # noqa: T201 - the contract of --json
    return 0 if all(e["success"] and e["quality"] != "fail" for e in result["episodes"]) else 1


@app.command
def replay(
    episode: Positional[Path],
    *,
    url: str = "",
    token: str = "",
    dataset: Path = DEFAULT_DATASET,
) -> int:
    """Stream the operator part of a recorded episode through the system again.

    Args:
        episode: Episode directory.
        url: A running system, as `telecap run` printed it; a simulated one is started when empty.
        token: Token of that system.
        dataset: Where a system started here stores what is recorded.
    """
    from teleop.demo import replay_episode

    result = replay_episode(episode, url=url, token=token, dataset=dataset, console=err)
    out.print_json(data=result)
    return 0


# ----------------------------------------------------------------- episodes
@episodes_app.command(name="list")
def episodes_list(
    dataset: Positional[Path] = DEFAULT_DATASET,
    *,
    discarded: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """List the episodes of a dataset.

    Args:
        dataset: Dataset directory.
        discarded: Also those that were discarded.
        as_json: Print a JSON list.
    """
    rows = _open(dataset).episodes(include_discarded=discarded)
    if as_json:
        print(json.dumps([_plain(r) for r in rows]))  # noqa: T201
        return 0
    table = Table("take", "episode", "task", "seconds", "outcome", "quality", "state")
    for r in rows:
        quality = {"pass": "[green]pass[/]", "fail": "[red]fail[/]", "warn": "[yellow]warn[/]"}
        table.add_row(
            str(r.take),
            r.id,
            r.task,
            f"{r.duration_s:.1f}",
            "discarded" if r.discarded else (r.outcome or "—"),
            quality.get(r.quality or "", r.quality or "—"),
            r.state,
        )
    out.print(table)
    return 0


@episodes_app.command(name="show")
def episodes_show(
    episode: Positional[Path],
    *,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Show what one episode holds.

    Args:
        episode: Episode directory.
        as_json: Print JSON.
    """
    from recorder import Episode

    ep = Episode(episode)
    info: dict[str, Any] = {
        "path": str(episode),
        "state": ep.state,
        "duration_s": ep.duration_s,
        "attributes": dict(ep.attributes),
        "streams": {n: {"rows": len(ep.stream(n))} for n in ep.streams},
        "cameras": {n: {"pictures": len(ep.camera(n))} for n in ep.cameras},
        "events": [{"t_ns": e.t_ns, "kind": e.kind, "data": e.data} for e in ep.events],
    }
    if as_json:
        print(json.dumps(info))  # noqa: T201
        return 0
    out.print(f"[bold]{episode.name}[/]  {ep.state}, {ep.duration_s:.2f} s")
    for key, value in info["attributes"].items():
        if not isinstance(value, dict | list):
            out.print(f"  {key}: {value}")
    table = Table("stream", "rows", "rate [Hz]")
    for kind, names in (("streams", ep.streams), ("cameras", ep.cameras)):
        for name in names:
            t_ns = (ep.stream(name) if kind == "streams" else ep.camera(name)).t_ns
            span_s = (int(t_ns[-1]) - int(t_ns[0])) / 1e9 if len(t_ns) > 1 else 0.0
            rate = f"{(len(t_ns) - 1) / span_s:.1f}" if span_s else "—"
            table.add_row(name if kind == "streams" else f"cameras/{name}", str(len(t_ns)), rate)
    out.print(table)
    for event in ep.events:
        out.print(f"  {(event.t_ns - ep.start_ns) / 1e9:8.3f} s  {event.kind}  {event.data}")
    return 0


@episodes_app.command(name="label")
def episodes_label(
    dataset: Positional[Path],
    episode: Positional[str],
    *,
    outcome: Literal["success", "failure"] | None = None,
    notes: str | None = None,
    grade: int | None = None,
    task: str | None = None,
) -> int:
    """Label an episode; the recording itself is never changed.

    Args:
        dataset: Dataset directory.
        episode: Episode id.
        outcome: Whether the task was done.
        notes: Free text.
        grade: A grade of the take.
        task: Corrected language instruction.
    """
    _open(dataset).label(episode, outcome=outcome, notes=notes, grade=grade, task=task)
    return 0


@episodes_app.command(name="discard")
def episodes_discard(dataset: Positional[Path], episode: Positional[str]) -> int:
    """Take an episode out of lists and exports; its data stays on disk.

    Args:
        dataset: Dataset directory.
        episode: Episode id.
    """
    _open(dataset).discard(episode)
    return 0


@episodes_app.command(name="restore")
def episodes_restore(dataset: Positional[Path], episode: Positional[str]) -> int:
    """Undo a discard.

    Args:
        dataset: Dataset directory.
        episode: Episode id.
    """
    _open(dataset).restore(episode)
    return 0


# ---------------------------------------------------------- checks, exports
@app.command
def check(
    paths: Positional[list[Path]],
    *,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> int:
    """Check episodes or whole datasets: rates, gaps, drops, clocks, skew, jerk, saturation.

    The exit code is 0 when nothing failed, 1 when an episode failed.

    Args:
        paths: Episode or dataset directories.
        as_json: Print a JSON list.
    """
    from recorder import Episode
    from recorder.quality import check_episode

    reports = []
    for path in paths:
        for ep_path in _episode_paths(path):
            reports.append((ep_path, check_episode(Episode(ep_path))))
    if as_json:
        print(json.dumps([{"path": str(p), **r.to_dict()} for p, r in reports]))  # noqa: T201
    else:
        for path, report in reports:
            colour = {"pass": "green", "warn": "yellow", "fail": "red"}[report.verdict]
            out.print(f"[{colour}]{report.verdict}[/]  {path.name}")
            for finding in report.findings:
                out.print(f"      {finding.level}: {finding.message}")
    return 1 if any(r.verdict == "fail" for _, r in reports) else 0


@app.command
def repair(dataset: Positional[Path] = DEFAULT_DATASET) -> int:
    """Finish the episodes a crash left open. Runs by itself whenever a dataset is recorded into.

    Args:
        dataset: Dataset directory.
    """
    from recorder.repair import repair_dataset

    _require_dataset(dataset)
    repaired = repair_dataset(dataset)
    for r in repaired:
        out.print(f"recovered {r.id}: {r.rows} rows, {r.pictures} pictures, "
                  f"{r.lost_bytes} bytes of torn tail cut")
    if not repaired:
        out.print("nothing to repair")
    return 0


@export_app.command(name="lerobot")
def export_lerobot_command(
    dataset: Positional[Path],
    output: Positional[Path],
    *,
    fps: int = 30,
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
        action: Which joint stream becomes the action.
        cameras: Cameras to export; all when empty.
        outcome: Only successful takes, or any that was not discarded.
        force: Replace an existing output.
    """
    from recorder import Episode
    from recorder.export.lerobot import export_lerobot

    rows = [r for r in _open(dataset).episodes() if outcome == "any" or r.outcome == outcome]
    with err.status("exporting …") as status:
        report = export_lerobot(
            [Episode(Path(r.path)) for r in rows],
            output,
            fps=fps,
            action=action,
            cameras=list(cameras) or None,
            progress=lambda share, what: status.update(f"{share:4.0%} {what}"),
            force=force,
        )
    out.print(f"{report.episodes} episodes, {report.frames} rows "
              f"({report.invalid_rows} marked invalid) in {report.seconds:.1f} s: {report.path}")
    return 0


# --------------------------------------------------------------------- rigs
@rigs_app.command(name="list")
def rigs_list() -> int:
    """List the built-in rigs."""
    from retarget.rig import builtin_rigs

    for name in builtin_rigs():
        out.print(name)
    return 0


@rigs_app.command(name="check")
def rigs_check(rig: Positional[str]) -> int:
    """Load a rig and print what was found in it.

    Args:
        rig: Built-in rig name or path of a rig file.
    """
    from retarget import load_rig

    loaded = load_rig(rig)
    out.print(f"[bold]{loaded.name}[/]  {loaded.source}")
    out.print(f"driven joints ({len(loaded.joint_names)}): {', '.join(loaded.joint_names)}")
    out.print(f"grippers: {', '.join(loaded.gripper_names) or 'none'}")
    for tip, T_robot_tip in loaded.forward(loaded.q_home).items():
        x, y, z = T_robot_tip[:3, 3]
        out.print(f"{tip} at home: ({x:+.3f}, {y:+.3f}, {z:+.3f}) m")
    out.print(f"cameras: {', '.join(c.name for c in loaded.cameras) or 'none'}")
    return 0


# ------------------------------------------------------------------- shared
def _open(dataset: Path) -> Any:
    from recorder import Dataset

    _require_dataset(dataset)
    return Dataset.open(dataset, repair=False)


def _require_dataset(dataset: Path) -> None:
    if not (dataset / "dataset.json").is_file():
        raise UsageError(f"{dataset} is not a dataset: it has no dataset.json")


def _episode_paths(path: Path) -> Sequence[Path]:
    if (path / "dataset.json").is_file():
        return [Path(r.path) for r in _open(path).episodes()]
    if (path / "zarr.json").is_file():
        return [path]
    raise UsageError(f"{path} is neither an episode (zarr.json) nor a dataset (dataset.json)")


def _plain(row: Any) -> Any:
    return msgspec.to_builtins(row, enc_hook=str)


def _check_port(port: int) -> None:
    if not 0 <= port <= 65535:
        raise UsageError(f"port {port} is not between 0 and 65535")


def _print_qr(url: str) -> None:
    import segno

    segno.make(url).terminal(compact=True)


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _dispatch(args: list[str]) -> int:
    if args and args[0] in GROUPS:
        group = args[0]
        return int(GROUPS[group].cli(prog=f"telecap {group}", args=args[1:]))
    return int(app.cli(prog="telecap", description=ABOUT, args=args))


def main(args: Sequence[str] | None = None) -> None:
    """Entry point; the exit code is 0 done, 1 found bad, 2 could not be done."""
    from recorder import RecorderError
    from retarget import RetargetError

    logging.basicConfig(level=os.environ.get("TELECAP_LOG", "WARNING"))
    started = time.monotonic()
    try:
        code = _dispatch(list(sys.argv[1:] if args is None else args))
    except (TeleopError, RecorderError, RetargetError) as error:
        err.print(f"[red]error[/] {error}", soft_wrap=True)
        code = 2
    except KeyboardInterrupt:
        code = 130
    logging.getLogger(__name__).info("took %.1f s", time.monotonic() - started)
    sys.exit(code)
