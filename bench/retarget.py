"""Retargeting beside pink, mink and placo: the same robot, frames, costs and limits, in one run.

usage: python -m bench.retarget [--quick] [--out FILE.json] [--rates 200 72] [--passes 5]
                                [--doc docs/benchmarks.md]

Prints a table for each rate, writes everything to the JSON file and, if asked, puts the tables
into a document. placo is measured when
`TELECAP_PLACO_PYTHON` names an interpreter that has it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path
from typing import Any

from bench.timing import ONE_THREAD, Run, run_all, use_one_core

os.environ.update(ONE_THREAD)  # before the libraries that read it are loaded

from bench import measure, ours, placo_peer, report
from bench.contender import Contender, Limits
from bench.trajectory import DURATION_S, Trajectory, bimanual
from retarget import Rig, load_rig

RIG = "g1-dex3"
QUICK_S = 3.0
CLEARANCE_HZ = 10.0


def contenders(rig: Rig, rate_hz: float) -> tuple[list[Contender], list[str]]:
    """All that can run here, and why the others cannot."""
    found: list[Contender] = [*ours.variants(rig, rate_hz)]
    skipped = []
    try:
        from bench.pink_peer import Pink

        found += [Pink(rig, rate_hz), Pink(rig, rate_hz, accelerations=False)]
    except ImportError as error:
        skipped.append(f"pink: {error}")
    try:
        from bench.mink_peer import Mink

        found.append(Mink(rig, rate_hz))
    except ImportError as error:
        skipped.append(f"mink: {error}")
    return found, skipped


def compare(rig: Rig, rate_hz: float, passes: int, duration_s: float, core: int) -> dict[str, Any]:
    """Measure everything at one rate."""
    motion = bimanual(rig, rate_hz, duration_s)
    found, skipped = contenders(rig, rate_hz)
    rows = []
    for contender, run in zip(found, run_all(found, motion, passes), strict=True):
        jumps = measure.engage(rig, contender)
        rows.append(_row(rig, motion, contender.name, contender.settings, run, jumps))
    try:
        run, jumps = placo_peer.run_placo(rig, motion, passes, core)
        rows.append(_row(rig, motion, placo_peer.NAME, placo_peer.SETTINGS, run, jumps))
    except placo_peer.PlacoSkippedError as reason:
        skipped.append(f"placo: {reason}")
    report.add_ratios(rows)
    return {
        "rate_hz": rate_hz,
        "frames": len(motion.t_s),
        "reachable_frames": int(motion.reachable.sum()),
        "passes": passes,
        "rows": rows,
        "skipped": skipped,
    }


def _row(
    rig: Rig, motion: Trajectory, name: str, settings: str, run: Run, jumps: dict[str, float]
) -> dict[str, Any]:
    return {
        "name": name,
        **measure.times(run),
        **measure.errors(rig, motion, run.q),
        **measure.limits(Limits.of(rig), motion, run.q),
        **measure.clearance(rig, run.q, max(1, round(motion.rate_hz / CLEARANCE_HZ))),
        **jumps,
        "exceptions": run.exceptions,
        "settings": settings,
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short motion, once, at 200 Hz")
    parser.add_argument("--rates", type=float, nargs="+", default=[200.0, 72.0])
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--doc", type=Path, help="document whose tables to replace")
    parser.add_argument("--out", type=Path, default=Path("bench-retarget.json"))
    args = parser.parse_args(arguments)
    rates, passes, duration_s = args.rates, args.passes, DURATION_S
    if args.quick:
        rates, passes, duration_s = rates[:1], 1, QUICK_S
    logging.disable(logging.WARNING)  # pink reports every joint outside its limits
    rig, core = load_rig(RIG), use_one_core()
    result: dict[str, Any] = {
        "rig": rig.name,
        "model_hash": rig.model_hash,
        "machine": report.machine(core) | {"placo": placo_peer.placo_version()},
        "comparisons": [],
    }
    for rate_hz in rates:
        found = compare(rig, rate_hz, passes, duration_s, core)
        result["comparisons"].append(found)
        print(
            f"\n{rate_hz:g} Hz, {found['frames']} frames, {found['reachable_frames']} reachable\n"
        )
        print(report.table(found["rows"]))
        for reason in found["skipped"]:
            print(f"not measured: {reason}")
    args.out.write_text(json.dumps(report.finite(result), indent=1))
    if args.doc is not None:
        args.doc.write_text(report.put_into(args.doc.read_text(), result))
    print(f"\nsaved {args.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
