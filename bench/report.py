"""The results as JSON and as a table, with what they were measured on."""

from __future__ import annotations

import math
import os
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("telecap", "pin", "pin-pink", "mink", "mujoco", "numba", "daqp", "qpsolvers", "numpy")
BEGIN, END = "<!-- bench.retarget begin -->", "<!-- bench.retarget end -->"
"""What lies between them in a document is written by a run."""
COLUMNS = {
    "name": ("solver", "{}"),
    "step_us_median": ("step median µs", "{:.1f}"),
    "step_us_p99": ("p99", "{:.1f}"),
    "step_us_after_others": ("after others", "{:.1f}"),
    "with_targets_us_median": ("with targets µs", "{:.1f}"),
    "pink_ratio": ("pink ÷ it", "{:.1f}"),
    "position_mm": ("position p50 / p95 / max mm", "{}"),
    "rotation_deg": ("rotation p50 / max °", "{}"),
    "violations": ("frames over position / velocity / acceleration", "{}"),
    "acceleration_share_max": ("worst acceleration ÷ limit", "{:.2f}"),
    "jerk_rms": ("jerk rms", "{:.0f}"),
    "jerk_rms_elsewhere": ("jerk rms out of reach", "{:.0f}"),
    "regained_step_mrad": ("step as reach returns mrad", "{:.1f}"),
    "clearance_mm_min": ("clearance min mm", "{:.1f}"),
    "engage": ("engage, 3° outside mrad", "{}"),
    "failed": ("exceptions in the run, in 40 engages", "{}"),
}
"""Columns of the table: key, heading, format."""


def machine(core: int) -> dict[str, Any]:
    """Where and with what it was measured."""
    versions = {name: metadata.version(name) for name in PACKAGES if _installed(name)}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "bound_to_core": core,
        "load_1min": round(os.getloadavg()[0], 2),
        "platform": platform.platform(),
        "python": sys.version.split()[0],
        "versions": versions,
    }


def add_ratios(rows: list[dict[str, Any]]) -> None:
    """How many times each row's median fits into pink's."""
    pink = next((r["step_us_median"] for r in rows if r["name"] == "pink"), float("nan"))
    for row in rows:
        row["pink_ratio"] = pink / row["step_us_median"]


def finite(value: Any) -> Any:
    """The same with None for what is not a finite number: JSON has no NaN."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| " + " | ".join(title for title, _ in COLUMNS.values()) + " |",
        "|---" * len(COLUMNS) + "|",
    ]
    for row in rows:
        cells = _joined(row)
        values = [_cell(cells[key], form) for key, (_, form) in COLUMNS.items()]
        lines.append("| " + " | ".join(values) + " |")
    return "\n".join(lines)


def put_into(document: str, result: dict[str, Any]) -> str:
    """A document with the part between its marks replaced by these results.

    Raises:
        ValueError: It has no marks.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{_results(result)}\n{END}{after}"


def _results(result: dict[str, Any]) -> str:
    where = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    lines = [
        f"{where['date']}, {where['cpu']}, one of {where['cores']} cores (load "
        f"{where['load_1min']} when it began), Python {where['python']}; {versions}"
        + (f", placo {where['placo']}" if where["placo"] else "")
        + "."
    ]
    for found in result["comparisons"]:
        rows = found["rows"]
        lines += [
            f"\n**{found['rate_hz']:g} Hz**: {found['frames']} frames, {found['reachable_frames']} "
            f"of them reachable, each timed {found['passes']} times.\n",
            table(rows),
        ]
        lines += [f"\nNot measured: {reason}." for reason in found["skipped"]]
    lines.append("\nSettings:\n")
    lines += [f"- {row['name']}: `{row['settings']}`" for row in result["comparisons"][0]["rows"]]
    return "\n".join(lines)


def _cell(value: Any, form: str) -> str:
    return "–" if finite(value) is None else form.format(value)


def _joined(row: dict[str, Any]) -> dict[str, Any]:
    """Figures that share a cell."""
    position = "{position_mm_p50:.3f} / {position_mm_p95:.2f} / {position_mm_max:.2f}"
    over = "{position_violations} / {velocity_violations} / {acceleration_violations}"
    return row | {
        "position_mm": position.format(**row),
        "rotation_deg": "{rotation_deg_p50:.3f} / {rotation_deg_max:.2f}".format(**row),
        "violations": over.format(**row),
        "failed": "{exceptions}, {engage_exceptions}".format(**row),
        "engage": "{engage_inside_mrad:.2g}, {engage_outside_mrad:.2g}".format(**row),
    }


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
