"""placo, measured in an environment of its own over the same frames."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from bench.contender import POSTURE_COST, Array, costs
from bench.measure import engage_starts
from bench.timing import Run
from bench.trajectory import Trajectory
from bench.urdf import write_urdf
from retarget import Rig

PYTHON = "TELECAP_PLACO_PYTHON"
"""Environment variable: interpreter of an environment with placo."""
NAME = "placo"
REGULARIZATION = 1e-4
"""Weight of `add_regularization_task`, which keeps the step small where nothing else does."""
SETTINGS = (
    "KinematicsSolver with enable_joint_limits, enable_velocity_limits; frame and joints tasks "
    f"with the squared costs as weights, add_regularization_task({REGULARIZATION:g}); "
    "in a process of its own, so not interleaved with the others"
)


class PlacoSkippedError(Exception):
    """placo was not measured; the message says why."""


def run_placo(rig: Rig, motion: Trajectory, passes: int, core: int) -> tuple[Run, dict[str, float]]:
    """Its run over the motion, and its steps at engage.

    Raises:
        PlacoSkippedError: There is no environment with placo, or it failed.
    """
    python = os.environ.get(PYTHON, "")
    if not python:
        raise PlacoSkippedError(f"{PYTHON} is not set: name an interpreter that has placo")
    script = Path(__file__).with_name("placo_script.py")
    with tempfile.TemporaryDirectory() as folder:
        case, robot, answer = (Path(folder) / n for n in ("case.npz", "robot", "answer.npz"))
        robot.mkdir()
        (robot / "robot.urdf").write_text(write_urdf(rig))
        np.savez(case, **_case(rig, motion, passes, core))
        command = [python, str(script), str(case), str(robot), str(answer)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PlacoSkippedError(f"{python} failed: {done.stderr.strip()[-400:]}")
        found = dict(np.load(answer))
    solve_ns = found["solve_ns"]
    first = np.zeros(solve_ns.shape, bool)  # alone in its process: nobody else had a turn
    run = Run(found["q"], found["prepare_ns"], solve_ns, first, int(found["exceptions"]))
    inside, outside = np.split(found["jumps"] * 1e3, 2)
    return run, {
        "engage_inside_mrad": float(inside.max()),
        "engage_outside_mrad": float(outside.max()),
        "engage_exceptions": int(found["engage_exceptions"]),
    }


def placo_version() -> str:
    """Its version, empty when it is not there."""
    code = "import importlib.metadata as m; print(m.version('placo'), m.version('pin'))"
    try:
        done = subprocess.run(
            [os.environ.get(PYTHON, ""), "-c", code], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    placo, pin = done.stdout.split()
    return f"{placo} (pin {pin})"


def _case(rig: Rig, motion: Trajectory, passes: int, core: int) -> dict[str, Array]:
    tips = list(rig.tips)
    starts = np.concatenate(engage_starts(rig))
    poses = [rig.forward(q) for q in starts]
    case = {
        "joint_names": rig.joint_names, "tips": tips, "costs": [costs(tip) for tip in tips],
        "posture_cost": POSTURE_COST, "regularization": REGULARIZATION,
        "rate_hz": motion.rate_hz, "passes": passes, "core": core, "q": motion.q,
        "engage_q": starts,
    }  # fmt: skip
    case |= {f"T_{tip}": motion.Ts_robot_tip[tip] for tip in tips}
    case |= {f"engage_T_{tip}": [p[tip] for p in poses] for tip in tips}
    return {key: np.asarray(value) for key, value in case.items()}
