"""A report of recorded takes: one HTML file that holds everything it shows.

No script and no outside resource: it can be mailed, printed, and opened in ten years.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from recorder import CameraStream, Episode, Event, Stream
from recorder.checks import pauses, within
from recorder.findings import QualityReport
from teleop.collisions import CollisionCheck, check_take
from teleop.plots import Curve, Mark, histogram, line_plot, timeline
from teleop.report_style import CSS
from teleop.samples import MEMORY, QUIET_EVENTS

SHOTS = 6
THUMBNAIL_PX = 220
_VERDICT = {"pass": "good", "warn": "warn", "fail": "bad"}
_OUTCOME = {"success": "good", "failure": "bad"}
_QUIET = {"start", "stop", "scheduling", *QUIET_EVENTS}
_LOUD = {"drop", "pause", "hold", "estop", "interrupted", "operator_lost", "take_lost"}
_MAX_EVENT_ROWS = 200
_FEW_REASONS = 4
_OFTEN = 6
"""Events of one kind beyond this many become ticks without names."""


@dataclass(frozen=True, slots=True)
class _Take:
    """One episode and its check."""

    number: int
    episode: Episode
    quality: QualityReport

    @property
    def pictures(self) -> int:
        return sum(len(camera) for camera in self.cameras())

    @property
    def lost(self) -> dict[str, int]:
        """Rows and pictures that were lost, by stream."""
        return dict(self.quality.metrics.get("drops") or {})

    @property
    def drops(self) -> int:
        return sum(self.lost.values())

    def stream(self, name: str) -> Stream | None:
        """What is used of a stream; None of one that was not recorded or has no rows there."""
        if name not in self.episode.streams:
            return None
        found = self.episode.stream(name).between(*self.episode.span_ns)
        return found if len(found) else None

    def cameras(self) -> list[CameraStream]:
        """What is used of each camera."""
        cameras = (self.episode.camera(name) for name in self.episode.cameras)
        return [camera.between(*self.episode.span_ns) for camera in cameras]

    @property
    def events(self) -> list[Event]:
        """Events of what is used."""
        first_ns, last_ns = self.episode.span_ns
        return [e for e in self.episode.events if first_ns <= e.t_ns <= last_ns or e.t_ns == 0]

    def seconds(self, t_ns: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Time since the beginning of what is used [s]."""
        return (np.asarray(t_ns, dtype=np.int64) - self.episode.span_ns[0]) / 1e9

    @property
    def duration_s(self) -> float:
        """Length of what is used [s]."""
        first_ns, last_ns = self.episode.span_ns
        return (last_ns - first_ns) / 1e9

    @property
    def span_s(self) -> tuple[float, float]:
        return 0.0, max(self.duration_s, 1e-3)


def write_report(
    episodes: Sequence[Episode], out: Path, extra: Mapping[str, object] | None = None
) -> Path:
    """Write one self-contained HTML file about some episodes.

    Args:
        episodes: In the order shown.
        out: File to write; its directory is made.
        extra: Further facts for the head of the page, name to value.

    Returns:
        `out`.
    """
    models: dict[str, CollisionCheck] = {}
    takes = [_Take(i + 1, ep, check_take(ep, models)) for i, ep in enumerate(episodes)]
    body = [_head(takes, extra or {}), _summary(takes), *(_section(take) for take in takes)]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>telecap report: {len(takes)} takes</title><style>{CSS}</style></head>"
        f"<body><main>{''.join(body)}"
        "<footer>Written by telecap. Times count from the first row of a take; "
        "pictures are reduced, the episodes hold the originals.</footer></main></body></html>"
    )
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding="utf-8")
    return out


# ------------------------------------------------------------------ all takes
def _head(takes: Sequence[_Take], extra: Mapping[str, object]) -> str:
    total = sum(take.duration_s for take in takes)
    good = sum(take.episode.attributes.get("outcome") == "success" for take in takes)
    rigs = sorted({str(take.episode.attributes.get("rig", "")) for take in takes} - {""})
    facts = {"rig": ", ".join(rigs), **extra} if rigs else dict(extra)
    rows = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>"
        for name, value in facts.items()
    )
    lead = f"{len(takes)} takes, {good} marked as success, {total:.1f} s of data"
    return (
        f'<h1>Recorded takes</h1><p class="lead">{lead}</p>'
        f'<dl class="facts">{rows}</dl><h3>Summary</h3>'
    )


def _summary(takes: Sequence[_Take]) -> str:
    head = (
        "<tr><th>Take</th><th>Task</th><th>Outcome</th><th>Quality</th>"
        '<th class="n">Duration</th><th class="n">Drops</th><th class="n">Pictures</th></tr>'
    )
    rows = "".join(
        f'<tr><td><a href="#take{t.number}">{t.number}</a></td>'
        f"<td>{escape(str(t.episode.attributes.get('task', '')))}<br>"
        f'<code class="dim">{escape(t.episode.id)}</code></td>'
        f"<td>{_outcome(t)}</td><td>{_verdict(t)}{_reasons(t, _FEW_REASONS)}</td>"
        f'<td class="n">{t.duration_s:.1f} s</td><td class="n">{t.drops}</td>'
        f'<td class="n">{t.pictures}</td></tr>'
        for t in takes
    )
    return f'<div class="card scroll"><table>{head}{rows}</table></div>'


def _outcome(take: _Take) -> str:
    outcome = take.episode.attributes.get("outcome")
    return _pill(str(outcome or "unlabelled"), _OUTCOME.get(str(outcome), "dim"))


def _verdict(take: _Take) -> str:
    return _pill(take.quality.verdict, _VERDICT[take.quality.verdict])


def _reasons(take: _Take, most: int | None = None) -> str:
    reasons = take.quality.reasons
    shown = "".join(f"<li>{escape(reason)}</li>" for reason in reasons[:most])
    more = len(reasons) - len(reasons[:most])
    rest = f'<li class="dim">and {more} more, see the take</li>' if more else ""
    return f'<ul class="why">{shown}{rest}</ul>' if reasons else ""


def _pill(text: str, style: str) -> str:
    return f'<span class="pill {style}">{escape(text)}</span>'


# ------------------------------------------------------------------- one take
def _section(take: _Take) -> str:
    attributes = take.episode.attributes
    facts = {
        "recorded": attributes.get("wall_time", ""),
        "operator": attributes.get("operator", ""),
        "client": _client(attributes.get("client")),
        "notes": attributes.get("notes", ""),
        "state": take.episode.state,
    }
    rows = "".join(
        f"<dt>{name}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items() if value
    )
    parts = [
        f'<header class="take"><h2 id="take{take.number}">Take {take.number}</h2>'
        f"{_outcome(take)}{_verdict(take)}"
        f"<code>{escape(take.episode.id)}</code></header>",
        f'<dl class="facts">{rows}</dl>{_reasons(take)}',
        _film(take),
        _timeline(take),
        _joints(take),
        _following(take),
        _streams(take),
        _event_list(take),
    ]
    return f'<section class="take">{"".join(parts)}</section>'


def _client(client: object) -> str:
    if not isinstance(client, Mapping):
        return ""
    kind, device = str(client.get("kind", "")), str(client.get("device", ""))
    return device if kind in device else f"{kind} {device}".strip()


def _film(take: _Take) -> str:
    """Each camera at the same few instants."""
    cameras = [camera for camera in take.cameras() if len(camera)]
    if not cameras:
        return ""
    instants = np.linspace(0.02, 0.98, SHOTS) * take.span_s[1]
    cells = ["<span></span>", *(f'<span class="t">{t:.1f} s</span>' for t in instants)]
    for camera in cameras:
        cells.append(f"<span>{escape(camera.name)}</span>")
        times = take.seconds(camera.t_ns)
        for t in instants:
            i = int(np.abs(times - t).argmin())
            alt = f"{camera.name} at {times[i]:.1f} s"
            data = base64.b64encode(_thumbnail(camera.jpeg(i))).decode()
            cells.append(f'<img alt="{escape(alt)}" src="data:image/jpeg;base64,{data}">')
    return f'<h3>Pictures</h3><div class="film" style="--shots:{SHOTS}">{"".join(cells)}</div>'


def _thumbnail(jpeg: bytes) -> bytes:
    picture = simplejpeg.decode_jpeg(jpeg, "RGB")
    height = round(THUMBNAIL_PX * picture.shape[0] / picture.shape[1])
    small = cv2.resize(picture, (THUMBNAIL_PX, height), interpolation=cv2.INTER_AREA)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(small), quality=78))


def _timeline(take: _Take) -> str:
    """Events by name where there is room, those that come often as a row of ticks."""
    events = [e for e in take.events if e.kind not in _QUIET and e.t_ns > 0]
    counts = Counter(event.kind for event in events)
    marks = [
        Mark(float(take.seconds(e.t_ns)), _words(e)) for e in events if counts[e.kind] <= _OFTEN
    ]
    ticks = [
        (e.kind, "bad" if e.kind in _LOUD else "b", t_s, t_s)
        for e in events
        if counts[e.kind] > _OFTEN
        for t_s in [float(take.seconds(e.t_ns))]
    ]
    bars = [*_engaged(take), *_pauses(take), *ticks]
    if not (marks or bars):
        return ""
    return f"<h3>What happened when</h3>{timeline(marks, bars, take.span_s)}"


def _words(event: Event) -> str:
    detail = event.data.get("side") or event.data.get("stream") or event.data.get("name") or ""
    return f"{event.kind} {detail}".strip()


def _engaged(take: _Take) -> Iterator[tuple[str, str, float, float]]:
    """Stretches in which each arm followed."""
    session = take.stream("session")
    if session is None or "engaged" not in session:
        return
    times = np.append(take.seconds(session.t_ns), take.span_s[1])
    for i, side in enumerate(("left", "right")):
        on = np.concatenate([[False], session["engaged"][:, i], [False]]).astype(np.int8)
        for start, end in zip(
            np.flatnonzero(np.diff(on) == 1), np.flatnonzero(np.diff(on) == -1), strict=True
        ):
            yield side, "a", float(times[start]), float(times[end])


def _pauses(take: _Take) -> Iterator[tuple[str, str, float, float]]:
    found = pauses(take.episode.events, take.episode.end_ns)
    for begin_ns, end_ns in within(found, *take.episode.span_ns):
        yield "paused", "b", float(take.seconds(begin_ns)), float(take.seconds(end_ns))


def _joints(take: _Take) -> str:
    """Measured joints over requested ones, one plot a joint."""
    state, sent = take.stream("state"), take.stream("command/sent")
    if state is None:
        return ""
    plots = []
    for field, unit, least in (("position", "rad", 0.05), ("gripper", "opening", 0.2)):
        if field not in state:
            continue
        names = state.fields[field].get("names") or range(state[field].shape[1])
        for j, name in enumerate(names):
            curves = [Curve(take.seconds(state.t_ns), state[field][:, j], "a", "measured")]
            if sent is not None and len(sent) and field in sent:
                curves.append(Curve(take.seconds(sent.t_ns), sent[field][:, j], "b", "requested"))
            title = _short(str(name)) if field == "position" else f"{name} gripper"
            plots.append(
                line_plot(title, curves, unit=unit, span_s=take.span_s, least_span=least, width=300)
            )
    key = '<span class="key"><i></i>measured<i class="b"></i>requested</span>'
    return f'<h3>Joints {key}</h3><div class="plots">{"".join(plots)}</div>'


def _short(joint: str) -> str:
    """A joint's name without the robot's."""
    for side in ("left", "right"):
        if side in joint:
            return joint[joint.index(side) :]
    return joint


def _following(take: _Take) -> str:
    """How well and how fast the robot follows: tip residuals and latency."""
    plots = [plot for plot in (_residuals(take), _latency(take)) if plot]
    return f'<h3>Following</h3><div class="wide">{"".join(plots)}</div>' if plots else ""


def _residuals(take: _Take) -> str:
    solution = take.stream("solution")
    if solution is None:
        return ""
    times = take.seconds(solution.t_ns)
    curves = [
        Curve(times, 1e3 * solution["residual"][:, i, 0], style, name)
        for i, (name, style) in enumerate((("left", "a"), ("right", "b")))
    ]
    title = "Tip to target: left solid, right dashed"
    return line_plot(title, curves, unit="mm", span_s=take.span_s, least_span=2.0, height=140)


def _latency(take: _Take) -> str:
    command = take.stream("command/requested")
    if command is None or "first_use" not in command:
        return ""
    first = command["first_use"].astype(bool) & (command["t_operator_receive_ns"] > 0)
    values = (command.t_ns[first] - command["t_operator_receive_ns"][first]) / 1e6
    if not len(values):
        return ""
    p50, p99 = (float(p) for p in np.percentile(values, (50, 99)))
    title = "Pose arrival to command"
    return histogram(title, values, unit="ms", marks=(("median", p50), ("p99", p99)))


def _streams(take: _Take) -> str:
    metrics = take.quality.metrics
    found: dict[str, Mapping[str, Any]] = {
        **metrics.get("streams", {}),
        **{f"cameras/{name}": m for name, m in metrics.get("cameras", {}).items()},
    }
    nominal = {n: take.episode.stream(n).rate_hz for n in take.episode.streams}
    nominal |= {f"cameras/{n}": take.episode.camera(n).rate_hz for n in take.episode.cameras}
    drops = take.lost
    rows = "".join(
        f"<tr><td>{escape(name)}</td>"
        f'<td class="n">{int(m.get("rows", 0))}</td>'
        f'<td class="n">{_number(m.get("rate_hz"), ".1f")}</td>'
        f'<td class="n">{_number(nominal.get(name) or None, "g")}</td>'
        f'<td class="n">{_number(m.get("max_gap_s"), ".1f", 1e3)}</td>'
        f'<td class="n">{_number(m.get("missing"), "d")}</td>'
        f'<td class="n">{int(drops.get(name, 0))}</td></tr>'
        for name, m in found.items()
        if m.get("rows", 0)
    )
    head = (
        '<tr><th>Stream</th><th class="n">Rows</th><th class="n">Rate [Hz]</th>'
        '<th class="n">Nominal</th><th class="n">Longest gap [ms]</th>'
        '<th class="n">Numbers missing</th><th class="n">Drops</th></tr>'
    )
    return f'<h3>Streams</h3><div class="scroll"><table>{head}{rows}</table></div>'


def _number(value: Any, form: str, scale: float = 1) -> str:
    if value is None or not np.isfinite(value):
        return '<span class="dim">–</span>'
    return format(int(value) if form == "d" else value * scale, form)


def _event_list(take: _Take) -> str:
    events = [e for e in take.events if e.kind != MEMORY]
    if not events:
        return ""
    rows = "".join(
        f'<tr><td class="n">{float(take.seconds(e.t_ns)):.3f}</td>'
        f'<td class="{"bad" if e.kind in _LOUD else ""}">{escape(e.kind)}</td>'
        f"<td><code>{escape(_details(e))}</code></td></tr>"
        for e in events[:_MAX_EVENT_ROWS]
    )
    more = len(events) - _MAX_EVENT_ROWS
    rest = f"<p>and {more} more</p>" if more > 0 else ""
    return (
        f"<details><summary>All {len(events)} events</summary>"
        f'<table><tr><th class="n">t [s]</th><th>Event</th><th>Details</th></tr>{rows}</table>'
        f"{rest}</details>"
    )


def _details(event: Event) -> str:
    return ", ".join(f"{key} {value}" for key, value in event.data.items() if value is not None)
