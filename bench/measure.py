"""How good the answers are: errors where reachable, limits, jerk, jumps, clearance."""

from __future__ import annotations

import numpy as np

from bench.contender import Array, Contender, Limits
from bench.timing import Run
from bench.trajectory import Trajectory
from retarget import Rig
from retarget.frames import log3

SLACK = 1e-6
"""Beyond a limit by less than this share of it counts as held: round-off of a QP solver."""
ENGAGE_TRIALS = 20
OUTSIDE_RAD = np.radians(3.0)


def times(run: Run) -> dict[str, float]:
    """Median and p99 over frames [us]; a frame's time is the least of its passes.

    "After others" is the median of the frames a turn began with, one for each turn of each pass;
    NaN when there was one turn only.
    """
    solve = run.solve_ns.min(axis=0) / 1e3
    first = run.solve_ns[run.first] / 1e3
    whole = (run.solve_ns + run.prepare_ns).min(axis=0) / 1e3
    return {
        "step_us_median": float(np.median(solve)),
        "step_us_p99": float(np.percentile(solve, 99)),
        "step_us_after_others": float(np.median(first)) if len(first) > 1 else float("nan"),
        "with_targets_us_median": float(np.median(whole)),
        "with_targets_us_p99": float(np.percentile(whole, 99)),
    }


def errors(rig: Rig, motion: Trajectory, q: Array) -> dict[str, float]:
    """Of both wrists over reachable frames: position [mm], rotation [deg]."""
    position, rotation = [], []
    for k in np.flatnonzero(motion.reachable):
        for tip, T in rig.forward(q[k]).items():
            if tip == "head":
                continue
            T_target = motion.Ts_robot_tip[tip][k]
            position.append(np.linalg.norm(T[:3, 3] - T_target[:3, 3]) * 1e3)
            rotation.append(np.degrees(np.linalg.norm(log3(T[:3, :3].T @ T_target[:3, :3]))))
    return {
        "position_mm_p50": float(np.median(position)),
        "position_mm_p95": float(np.percentile(position, 95)),
        "position_mm_max": float(np.max(position)),
        "rotation_deg_p50": float(np.median(rotation)),
        "rotation_deg_p95": float(np.percentile(rotation, 95)),
        "rotation_deg_max": float(np.max(rotation)),
    }


def limits(held: Limits, motion: Trajectory, q: Array) -> dict[str, float]:
    """Frames beyond a limit, the worst share of a limit, and what was moved."""
    dt = 1.0 / motion.rate_hz
    path = np.vstack([motion.q[0], q])  # at rest before the first frame
    v = np.diff(path, axis=0) / dt
    a = np.diff(np.vstack([np.zeros_like(v[0]), v]), axis=0) / dt
    jerk = np.diff(a, axis=0) / dt
    outside = (q < held.lower - SLACK) | (q > held.upper + SLACK)
    fast, hard = np.abs(v) / held.velocity, np.abs(a) / held.acceleration
    step = np.abs(np.diff(path, axis=0))
    on, off = motion.reachable[1:], ~motion.reachable[1:]
    return {
        "position_violations": int(outside.any(axis=1).sum()),
        "velocity_violations": int((fast > 1 + SLACK).any(axis=1).sum()),
        "acceleration_violations": int((hard > 1 + SLACK).any(axis=1).sum()),
        "velocity_share_max": float(fast.max()),
        "acceleration_share_max": float(hard.max()),
        "jerk_rms": _rms(jerk),
        "jerk_rms_reachable": _rms(jerk[on]),
        "jerk_rms_elsewhere": _rms(jerk[off]),
        "regained_step_mrad": float(step[motion.regained].max(initial=0.0) * 1e3),
    }


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else float("nan")


def clearance(rig: Rig, q: Array, every: int) -> dict[str, float]:
    """Least distance between convex hulls that must not touch [mm], every so many frames."""
    found = [rig.clearance(row) for row in q[::every]]
    return {"clearance_mm_min": float(np.min(found)) * 1e3}


def engage_starts(rig: Rig) -> tuple[Array, Array]:
    """Postures to engage from, (trials, nq): within the limits, and with one joint outside."""
    rng = np.random.default_rng(1)
    inside, outside = [], []
    for _ in range(ENGAGE_TRIALS):
        q = rig.q_posture + 0.3 * (rng.uniform(rig.lower, rig.upper) - rig.q_posture)
        inside.append(q)
        joint = rng.integers(len(q))
        beyond = q.copy()
        beyond[joint] = rig.upper[joint] + OUTSIDE_RAD
        outside.append(beyond)
    return np.array(inside), np.array(outside)


def engage(rig: Rig, contender: Contender) -> dict[str, float]:
    """Largest joint step [mrad] when asked for the pose the robot has, as `engage_starts`."""
    found: dict[str, float] = {}
    failed = 0
    for name, starts in zip(("inside", "outside"), engage_starts(rig), strict=True):
        jumps = []
        for q in starts:
            contender.reset(q)
            answer = contender.solve(contender.prepare(rig.forward(q)))
            jumps.append(float(np.abs(answer - q).max()) * 1e3)
            failed += contender.exceptions
        found[f"engage_{name}_mrad"] = max(jumps)
    return found | {"engage_exceptions": failed}
