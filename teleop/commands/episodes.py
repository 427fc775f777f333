"""`telecap episodes …`: what a dataset holds, and labels on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.table import Table
from tyro.conf import Positional

from teleop.commands.shared import (
    DEFAULT_DATASET,
    VERDICT_COLOUR,
    JsonFlag,
    open_dataset,
    open_episode,
    out,
)
from teleop.samples import MEMORY

WIDE_COLUMNS = 110
"""Terminals this wide have room for the task."""


def list_episodes(
    dataset: Positional[Path] = DEFAULT_DATASET,
    *,
    discarded: bool = False,
    as_json: JsonFlag = False,
) -> int:
    """List the episodes of a dataset.

    Args:
        dataset: Dataset directory.
        discarded: Also those that were discarded.
        as_json: Print a JSON list.
    """
    rows = open_dataset(dataset).episodes(include_discarded=discarded)
    if as_json:
        print(json.dumps([msgspec.to_builtins(r, enc_hook=str) for r in rows]))  # noqa: T201
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("take", "episode", "s", "outcome", "quality"):
        table.add_column(heading, no_wrap=True)
    wide = out.width >= WIDE_COLUMNS
    if wide:
        table.add_column("task", no_wrap=True, overflow="ellipsis")
    for r in rows:
        outcome = "discarded" if r.discarded else (r.outcome or "—")
        if r.state != "complete":
            outcome = f"{outcome}, {r.state}"
        cells = [str(r.take), r.id, f"{r.duration_s:.1f}", outcome, _coloured(r.quality)]
        table.add_row(*cells, *([r.task] if wide else []))
    out.print(table)
    return 0


def show(
    episode: Positional[Path],
    *,
    as_json: JsonFlag = False,
) -> int:
    """Show what one episode holds.

    Args:
        episode: Episode directory.
        as_json: Print JSON.
    """
    ep = open_episode(episode)
    events = [e for e in ep.events if e.kind != MEMORY]
    info: dict[str, Any] = {
        "path": str(episode),
        "state": ep.state,
        "duration_s": ep.duration_s,
        "attributes": dict(ep.attributes),
        "streams": {n: {"rows": len(ep.stream(n))} for n in ep.streams},
        "cameras": {n: {"pictures": len(ep.camera(n))} for n in ep.cameras},
        "events": [{"t_ns": e.t_ns, "kind": e.kind, "data": e.data} for e in events],
    }
    if as_json:
        print(json.dumps(info))  # noqa: T201
        return 0
    out.print(f"[bold]{episode.name}[/]  {ep.state}, {ep.duration_s:.2f} s")
    for key, value in info["attributes"].items():
        if not isinstance(value, dict | list):
            out.print(f"  {key}: {value}", markup=False)
    table = Table("stream", "rows", "rate [Hz]")
    for kind, names in (("streams", ep.streams), ("cameras", ep.cameras)):
        for name in names:
            t_ns = (ep.stream(name) if kind == "streams" else ep.camera(name)).t_ns
            span_s = (int(t_ns[-1]) - int(t_ns[0])) / 1e9 if len(t_ns) > 1 else 0.0
            rate = f"{(len(t_ns) - 1) / span_s:.1f}" if span_s else "—"
            table.add_row(name if kind == "streams" else f"cameras/{name}", str(len(t_ns)), rate)
    out.print(table)
    for event in events:
        out.print(
            f"  {(event.t_ns - ep.start_ns) / 1e9:8.3f} s  {event.kind}  {event.data}", markup=False
        )
    return 0


def label(
    dataset: Positional[Path],
    episode: Positional[str],
    *,
    outcome: Literal["success", "failure"] | None = None,
    notes: str | None = None,
    grade: float | None = None,
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
    open_dataset(dataset).label(episode, outcome=outcome, notes=notes, grade=grade, task=task)
    return 0


def discard(dataset: Positional[Path], episode: Positional[str]) -> int:
    """Take an episode out of lists and exports; its data stays on disk.

    Args:
        dataset: Dataset directory.
        episode: Episode id.
    """
    open_dataset(dataset).discard(episode)
    return 0


def restore(dataset: Positional[Path], episode: Positional[str]) -> int:
    """Undo a discard.

    Args:
        dataset: Dataset directory.
        episode: Episode id.
    """
    open_dataset(dataset).restore(episode)
    return 0


def _coloured(verdict: str | None) -> str:
    if not verdict:
        return "—"
    return f"[{VERDICT_COLOUR.get(verdict, 'white')}]{verdict}[/]"
