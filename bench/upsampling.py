"""Is up-sampling worth it? The simulated robot follows the same commands with and without.

usage: python -m bench.upsampling [--rig openarm] [--seconds 6]

Hands swing up and down; commands come at 200 Hz from the retargeter and the robot is served at
its own rate, all in simulated time, so that the figures repeat exactly. Per row: how late the
joints are behind the commanded path, how far from it once that is taken off, and the jerk of what
was sent and of what the joints did, at the robot's rate.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from retarget import Retargeter, Rig, Solution, Targets, load_rig
from teleop.robots.driver import RobotDriver
from teleop.robots.mujoco import MujocoRobot
from teleop.robots.upsampling import UpsampleConfig, Upsampler
from teleop.samples import command_dtype

CONTROL_HZ = 200
RATES_HZ = (250, 500, 1000)
SPEEDS_M_S = (0.1, 0.25, 0.4)
AMPLITUDE_M = 0.06
SETTLE_S = 1.0
NS = 1_000_000_000
LAGS_S = np.arange(0.0, 0.1, 0.0005)


def commands(rig: Rig, speed_m_s: float, seconds: float) -> Iterator[Solution]:
    """Answers of the retargeter to hands that swing with this peak speed, begun smoothly."""
    retargeter, home = Retargeter(rig, CONTROL_HZ), rig.forward(rig.q_home)
    for k in range(round(seconds * CONTROL_HZ)):
        t = k / CONTROL_HZ
        swing = AMPLITUDE_M * min(t, 1.0) ** 2 * np.sin(speed_m_s / AMPLITUDE_M * t)
        poses = {}
        for tip, T_robot_tip in home.items():
            T = T_robot_tip.copy()
            T[2, 3] += swing
            poses[f"T_robot_{tip}"] = T
        yield retargeter.step(Targets(**poses))


def drive(
    rig: Rig, answers: list[Solution], rate_hz: int, ramp_s: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times [s], sent and measured positions, at the robot's rate."""
    robot = MujocoRobot(rig, seed=0)
    robot.model.opt.timestep = 0.001
    robot._step_ns = 1_000_000  # one physics step divides every rate
    upsampler = None if ramp_s is None else Upsampler(rig, CONTROL_HZ, UpsampleConfig(ramp_s))
    driver = RobotDriver(rig, robot, upsampler=upsampler)
    driver.start(0)
    row = np.zeros(1, command_dtype(len(rig.joint_names), len(rig.gripper_names)))[0]
    sent, measured, times, k = [], [], [], -1
    last = rig.q_home
    for slot in range(len(answers) * rate_hz // CONTROL_HZ):
        now_ns = slot * NS // rate_hz
        if now_ns * CONTROL_HZ // NS > k:
            k = now_ns * CONTROL_HZ // NS
            answer = answers[k]
            row["t_ns"], row["tick"] = k * NS // CONTROL_HZ, k
            row["position"], row["velocity"] = answer.q, answer.dq
            row["gripper"] = answer.grippers
            command = driver.command(row, now_ns)
            last = last if command is None else command["position"].copy()
            if driver.refusal:
                raise RuntimeError(driver.refusal)
        sample = driver.advance(now_ns)
        last = last if sample is None else sample["position"].copy()
        measured.append(driver.state(now_ns)["position"].copy())
        sent.append(last)
        times.append(now_ns / NS)
    return np.array(times), np.array(sent), np.array(measured)


def jerk_rms(positions: np.ndarray, rate_hz: int) -> float:
    """[rad/s³], after settling."""
    rows = np.diff(positions[round(SETTLE_S * rate_hz) :], 3, axis=0)
    return float(np.sqrt((rows**2).mean()) * rate_hz**3)


def behind(times: np.ndarray, positions: np.ndarray, path: np.ndarray) -> tuple[float, float]:
    """Delay against the commanded path [s], and rms distance from the path so delayed [rad]."""
    settled = times >= SETTLE_S
    grid = np.arange(len(path)) / CONTROL_HZ
    distances = [
        np.sqrt(
            np.mean(
                [
                    (np.interp(times[settled] - lag, grid, path[:, j]) - positions[settled, j]) ** 2
                    for j in range(path.shape[1])
                ]
            )
        )
        for lag in LAGS_S
    ]
    best = int(np.argmin(distances))
    return float(LAGS_S[best]), float(distances[best])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rig", default="openarm")
    parser.add_argument("--seconds", type=float, default=6.0)
    args = parser.parse_args()
    rig = load_rig(args.rig)
    print("| robot Hz | hand m/s | samples | delay ms | off path mrad | jerk sent | jerk done |")
    print("|---|---|---|---|---|---|---|")
    for rate_hz in RATES_HZ:
        for speed in SPEEDS_M_S:
            answers = list(commands(rig, speed, args.seconds))
            path = np.array([a.q for a in answers])
            for name, ramp_s in (("as commanded", None), ("up-sampled", UpsampleConfig().ramp_s)):
                times, sent, measured = drive(rig, answers, rate_hz, ramp_s)
                lag_s, off = behind(times, measured, path)
                print(
                    f"| {rate_hz} | {speed} | {name} | {lag_s * 1e3:.1f} | {off * 1e3:.2f} | "
                    f"{jerk_rms(sent, rate_hz):.0f} | {jerk_rms(measured, rate_hz):.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
