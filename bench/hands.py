"""Retargeting of hands beside dex-retargeting: same hand, frames, vectors, scale and start.

    python -m bench.hands [--hands allegro leap] [--doc docs/benchmarks.md] [--out FILE]

Both answer every frame from the peer's last answer, and the peer's own objective judges both. Times
of ours are of the whole public call, `HandRetargeter.step`, of theirs of `optimizer.retarget`,
which begins with ready vectors. `TELECAP_DEX_PYTHON` names an interpreter with dex-retargeting.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import report
from bench.hand_motion import motion
from bench.timing import use_one_core
from bench.urdf import write_hand_urdf
from retarget import HandConfig, HandRetargeter, load_rig
from retarget.handmodel import Hand
from retarget.handshape import hand_shape

Array = npt.NDArray[np.float64]
PYTHON = "TELECAP_DEX_PYTHON"
RATE_HZ = 60.0
CONFIG = HandConfig(objective="vector", normalise=False, pinch_m=0.0, release_m=0.0)
"""The peer knows neither pinches in this objective nor sizes of hands."""
BEGIN, END = "<!-- bench.hands begin -->", "<!-- bench.hands end -->"
COLUMNS = ("hand", "ours µs median / mean / p99", "peer µs median / mean / p99", "peer ÷ ours",
           "mean objective ours", "peer", "ours ÷ peer")  # fmt: skip


def plain(hand: Hand) -> Hand:
    """The hand without limits of velocity and acceleration: the peer has none."""
    fast = np.full(len(hand.joint_names), 1e4)
    return replace(hand, velocity_limit=fast, acceleration_limit=1e3 * fast)


def vectors_of(hand: Hand, frames: Array) -> Array:
    """Human vectors in the root of the hand's model, (n, terms, 3) [m]."""
    terms, turn = hand.terms("vector"), hand.T_palm_root[:3, :3].T @ hand.R_palm_hand
    found = []
    for joints in frames:
        shape = hand_shape(joints, hand.side)
        assert shape is not None
        found.append((shape[terms.human[:, 1]] - shape[terms.human[:, 0]]) @ turn.T)
    return np.array(found)


def run_peer(hand: Hand, vectors: Array, ours: Array | None) -> tuple[dict[str, Array], str]:
    """What the peer answers, and its versions.

    Raises:
        RuntimeError: There is no environment with it, or it failed.
    """
    python = os.environ.get(PYTHON, "")
    if not python:
        raise RuntimeError(f"{PYTHON} is not set: name an interpreter with dex-retargeting")
    terms = hand.terms("vector")
    names = {
        "joints": list(hand.joint_names),
        "origins": [f"point_{hand.link_names[a]}" for a in terms.pairs[:, 0]],
        "tasks": [f"point_{hand.link_names[b]}" for b in terms.pairs[:, 1]],
        "human": terms.human.tolist(),
    }
    script = Path(__file__).with_name("dex_script.py")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "hand.urdf").write_text(write_hand_urdf(hand))
        (folder / "names.json").write_text(json.dumps(names))
        case: dict[str, Any] = {"vectors": vectors, "scale": hand.scale, "start": hand.q_home}
        np.savez(folder / "case.npz", **case if ours is None else case | {"ours": ours})
        answer = folder / "answer.npz"
        done = subprocess.run(
            [python, str(script), name, str(answer)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{python} failed: {done.stderr.strip()[-600:]}")
        return dict(np.load(answer)), done.stdout.strip()


def answers(hand: Hand, frames: Array, starts: Array) -> Array:
    """Ours for each frame from each start, (n, joints)."""
    retargeter, found = HandRetargeter(plain(hand), RATE_HZ, CONFIG), []
    for joints, start in zip(frames, starts, strict=True):
        retargeter.reset(start)
        found.append(retargeter.step(joints).q)
    return np.array(found)


def times(hand: Hand, frames: Array, passes: int) -> Array:
    """Of the public call within the hand's limits, frame after frame [ns]."""
    retargeter, found = HandRetargeter(hand, RATE_HZ, CONFIG), []
    for joints in frames:
        retargeter.step(joints)
    for _ in range(passes):
        for joints in frames:
            begin = time.perf_counter_ns()
            retargeter.step(joints)
            found.append(time.perf_counter_ns() - begin)
    return np.array(found)


def measure(name: str, frames: Array, passes: int) -> dict[str, Any]:
    """One hand: ours beside the peer, or ours alone with the reason."""
    hand = load_rig(name).hands["right"]
    row: dict[str, Any] = {"hand": name, "joints": len(hand.joint_names)}
    row["ours_us"] = _summary(times(hand, frames, passes))
    vectors = vectors_of(hand, frames)
    try:
        first, versions = run_peer(hand, vectors, None)
        starts = np.concatenate([hand.q_home[None], first["q"][:-1]])
        ours = answers(hand, frames, starts)
        peer, _ = run_peer(hand, vectors, ours)
    except RuntimeError as error:
        return row | {"skipped": str(error)}
    row["peer_us"] = _summary(peer["ns"])
    row["versions"] = versions
    row["ratio"] = row["peer_us"][0] / row["ours_us"][0]
    row["objective"] = float(peer["value_of_ours"].mean())
    row["peer_objective"] = float(peer["value"].mean())
    return row


def _summary(ns: Array) -> list[float]:
    us = np.asarray(ns) / 1e3
    return [float(np.median(us)), float(us.mean()), float(np.percentile(us, 99))]


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        ours = " / ".join(f"{v:.0f}" for v in row["ours_us"])
        cells = [f"`{row['hand']}`, {row['joints']} joints", ours]
        if "skipped" in row:
            cells += [row["skipped"], "", "", "", ""]
        else:
            cells += [" / ".join(f"{v:.0f}" for v in row["peer_us"]), f"{row['ratio']:.0f}",
                      f"{row['objective']:.6f}", f"{row['peer_objective']:.6f}",
                      f"{row['objective'] / row['peer_objective']:.4f}"]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hands", nargs="+", default=["allegro", "leap"])
    parser.add_argument("--seconds", type=float, default=10.35)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--doc", type=Path, help="document whose table to replace")
    parser.add_argument("--out", type=Path, default=Path("bench-hands.json"))
    args = parser.parse_args(arguments)
    core, frames = use_one_core(), motion(args.seconds)
    rows = [measure(name, frames, args.passes) for name in args.hands]
    result = {"machine": report.machine(core), "frames": len(frames), "rows": rows}
    print(table(rows))
    args.out.write_text(json.dumps(report.finite(result), indent=1))
    if args.doc is not None:
        text = args.doc.read_text()
        before, rest = text.split(BEGIN)
        args.doc.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{rest.split(END)[1]}")
    print(f"saved {args.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
