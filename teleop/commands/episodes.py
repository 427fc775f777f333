"""`telecap episodes …`: what a dataset holds, and labels on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.markup import escape
from rich.table import Table
from tyro.conf import Positional

from recorder import Dataset
from teleop.commands.shared import (
    DEFAULT_DATASET,
    VERDICT_COLOUR,
    JsonFlag,
    UsageError,
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
        outcome += f" [{', '.join(r.tags)}]" if r.tags else ""
        cells = [str(r.take), r.id, f"{r.duration_s:.1f}", escape(outcome), _coloured(r.quality)]
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
        "span_ns": list(ep.span_ns),
        "attributes": dict(ep.attributes),
        "streams": {n: {"rows": len(ep.stream(n))} for n in ep.streams},
        "cameras": {n: {"pictures": len(ep.camera(n))} for n in ep.cameras},
        "events": [{"t_ns": e.t_ns, "kind": e.kind, "data": e.data} for e in events],
    }
    if as_json:
        print(json.dumps(info))  # noqa: T201
        return 0
    first_s, last_s = ((t - ep.start_ns) / 1e9 for t in ep.span_ns)
    cut = ep.span_ns != (ep.start_ns, ep.end_ns)
    used = f", used from {first_s:.2f} to {last_s:.2f} s" if cut else ""
    out.print(f"[bold]{episode.name}[/]  {ep.state}, {ep.duration_s:.2f} s{used}")
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


def tag(
    dataset: Positional[Path],
    episode: Positional[tuple[str, ...]],
    *,
    add: tuple[str, ...] = (),
    remove: tuple[str, ...] = (),
) -> int:
    """Give tags to episodes and take others away.

    Args:
        dataset: Dataset directory.
        episode: Episode ids.
        add: Tags to give.
        remove: Tags to take away.
    """
    if not add and not remove:
        raise UsageError("nothing to do: give --add or --remove")
    opened = open_dataset(dataset)
    for name in episode:
        opened.tag(name, add, remove)
    return 0


def trim(
    dataset: Positional[Path],
    episode: Positional[str],
    start_s: Positional[float],
    end_s: Positional[float],
) -> int:
    """Let views and exports use only a part of an episode; its data stay (`undo` takes it back).

    Args:
        dataset: Dataset directory.
        episode: Episode id, or that of a part.
        start_s: Seconds after its beginning.
        end_s: The same of the end.
    """
    open_dataset(dataset).trim(episode, start_s, end_s)
    return 0


def split(
    dataset: Positional[Path],
    episode: Positional[str],
    at_s: Positional[tuple[float, ...]],
) -> int:
    """Let views and exports see an episode as several; its data stay (`undo` takes it back).

    Args:
        dataset: Dataset directory.
        episode: Episode id.
        at_s: Seconds after its beginning at which a new part begins.
    """
    for name in open_dataset(dataset).split(episode, sorted(at_s)):
        out.print(name, markup=False)
    return 0


def merge(
    dataset: Positional[Path],
    source: Positional[tuple[Path, ...]],
    *,
    copy: bool = False,
    discarded: bool = False,
    as_json: JsonFlag = False,
) -> int:
    """Bring the episodes of other datasets into one, with their labels (`undo` takes it back).

    Files are linked where both lie on one file system, so it costs no space.

    Args:
        dataset: Where they go; made when it is missing.
        source: Where they come from; only read.
        copy: Copy the files even where links would do.
        discarded: Also discarded episodes.
        as_json: Print one JSON object.
    """
    opened = Dataset.open(dataset, create=True)
    found = [opened.merge(path, copy=copy, discarded=discarded) for path in source]
    if as_json:
        print(json.dumps([msgspec.to_builtins(m) for m in found]))  # noqa: T201
        return 0
    for path, merged in zip(source, found, strict=True):
        by = f" (edit {merged.edit})" if merged.edit else ""
        came, there = len(merged.episodes), len(merged.known)
        out.print(f"{path}: {came} episodes came{by}, {there} were there", markup=False)
        for name, reason in merged.left:
            out.print(f"  left: {name}, {reason}", markup=False)
    return 0


def history(
    dataset: Positional[Path] = DEFAULT_DATASET,
    episode: Positional[str] = "",
    *,
    as_json: JsonFlag = False,
) -> int:
    """What was done to episodes, by whom and when.

    Args:
        dataset: Dataset directory.
        episode: Only this episode.
        as_json: Print a JSON list.
    """
    edits = open_dataset(dataset).history(episode or None)
    if as_json:
        print(json.dumps([msgspec.to_builtins(edit) for edit in edits]))  # noqa: T201
        return 0
    table = Table("edit", "when", "who", "episode", "what", box=None, padding=(0, 2, 0, 0))
    for edit in edits:
        values = "" if edit.op == "quality" else json.dumps(dict(edit.values))
        what = f"{edit.op} {values}" + ("  (undone)" if edit.undone else "")
        table.add_row(edit.id or "—", edit.time[:19], edit.by, edit.episode, escape(what))
    out.print(table)
    return 0


def undo(dataset: Positional[Path], edit: Positional[str]) -> int:
    """Take an edit back, by the name that `history` shows.

    Args:
        dataset: Dataset directory.
        edit: Name of the edit; that of an undo takes the undo back.
    """
    done = open_dataset(dataset).undo(edit)
    out.print(f"undone: {done.op} of {done.episode}", markup=False)
    return 0


def purge(
    dataset: Positional[Path],
    episode: Positional[tuple[str, ...]] = (),
    *,
    yes: bool = False,
) -> int:
    """Delete discarded episodes for good.

    Without `--yes` it only shows what would go, and nothing is deleted.

    Args:
        dataset: Dataset directory.
        episode: Episode ids; without any, the discarded ones are listed.
        yes: Delete them.
    """
    opened = open_dataset(dataset)
    discarded = [row.id for row in opened.episodes(include_discarded=True) if row.discarded]
    plan = opened.plan_purge(episode or discarded)
    for row in plan.rows:
        out.print(f"{row.id}  take {row.take}  {row.duration_s:.1f} s  {row.task}", markup=False)
    size = f"{len(plan.rows)} episodes, {plan.seconds:.0f} s, {plan.bytes / 1e6:.1f} MB"
    if not episode or not yes:
        out.print(f"{size}; to delete them for good, name them and give --yes")
        return 0
    opened.purge(episode)
    out.print(f"deleted {size}")
    return 0


def _coloured(verdict: str | None) -> str:
    if not verdict:
        return "—"
    return f"[{VERDICT_COLOUR.get(verdict, 'white')}]{verdict}[/]"
