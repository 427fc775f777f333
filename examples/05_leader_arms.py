"""Lead the simulated robot with a pair of leader arms, offline and without hardware.

usage: python examples/05_leader_arms.py [--rig openarm] [--leader leader.toml] [--readings my.npy]

Without a file the leader is made up: its joints turn the other way round and sit on quarter turns,
as screwed-on servo horns do. It is calibrated from one posture, refused from too far away, and then
leads. `--readings` takes what a real leader read at 200 Hz, one column a channel, in the order of
`LeaderConfig.channels`; `--leader` is its file, which may be the rig file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from calibration import estimate_offsets
from retarget import LeaderConfig, LeaderGripper, LeaderJoint, LeaderMapping, Rig, load_rig
from retarget.errors import LeaderStartError
from teleop.robots.base import JointCommand
from teleop.robots.mujoco import MujocoRobot

RATE_HZ = 200
HORN = -np.pi / 2
"""What every joint of the made-up leader reads in the follower's zero posture."""


def made_up_leader(rig: Rig) -> LeaderConfig:
    """Mirrored joints whose offsets come from a posture held by hand, rounded to quarter turns."""
    held = np.tile(HORN - rig.q_home + np.linspace(-0.05, 0.05, len(rig.q_home)), (20, 1))
    signs = -np.ones(len(rig.q_home))
    offsets = estimate_offsets(held, rig.q_home, signs, rig.joint_names, quarter_turns=True)
    joints = tuple(
        LeaderJoint(f"leader_{name}", name, -1, float(offset))
        for name, offset in zip(rig.joint_names, offsets, strict=True)
    )
    grippers = {side: LeaderGripper(f"trigger_{side}", 0.0, 1.2) for side in rig.gripper_names}
    return LeaderConfig(joints, grippers)


def made_up_readings(rig: Rig, seconds: float) -> np.ndarray:
    """A leader that begins 0.3 rad away, swings all its joints, and squeezes its triggers."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    swing = 0.15 * np.sin(2 * t)[:, None] * np.cos(np.arange(len(rig.q_home)))
    away = 0.3 * np.sign(0.5 * (rig.lower + rig.upper) - rig.q_home)
    led = np.clip(rig.q_home + away + swing, rig.lower, rig.upper)
    squeeze = np.tile(0.6 * (1 - np.cos(t))[:, None], (1, len(rig.gripper_names)))
    return np.hstack([HORN - led, squeeze])


def lead(rig: Rig, mapping: LeaderMapping, readings: np.ndarray) -> None:
    """Drive the simulated robot and print how it followed."""
    robot, now_ns, caught_up_s, off = MujocoRobot(rig, seed=0), 0, float("nan"), []
    robot.start(now_ns)
    for k, reading in enumerate(readings):
        solution = mapping.step(reading)
        robot.apply(JointCommand(solution.q, solution.dq, solution.grippers), now_ns)
        now_ns += 1_000_000_000 // RATE_HZ
        measured = robot.read(now_ns).position
        if mapping.caught_up:
            caught_up_s = min(k / RATE_HZ, caught_up_s)
            led = dict(zip(mapping.config.followers, mapping.posture(reading), strict=True))
            off.append([led[name] - q for name, q in zip(rig.joint_names, measured, strict=True)])
    rms = np.sqrt(np.mean(np.square(off))) if off else float("nan")
    print(f"caught up after {caught_up_s:.2f} s, then {rms * 1e3:.1f} mrad rms behind the leader")
    print(f"grippers {solution.grippers.round(2)}, status {solution.status.name}")


def main() -> None:
    """Refuse a leader that is too far away, then follow it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rig", default="openarm")
    parser.add_argument("--leader", type=Path)
    parser.add_argument("--readings", type=Path)
    parser.add_argument("--seconds", type=float, default=6.0)
    args = parser.parse_args()

    rig = load_rig(args.rig)
    config = LeaderConfig.load(args.leader) if args.leader else made_up_leader(rig)
    made_up = args.readings is None
    readings = made_up_readings(rig, args.seconds) if made_up else np.load(args.readings)
    mapping = LeaderMapping(rig, config, RATE_HZ)
    mapping.reset(rig.q_home, [rig.grippers[side].home for side in rig.gripper_names])
    try:
        mapping.engage(readings[0] + np.eye(len(readings[0]))[0])
    except LeaderStartError as error:
        print(f"refused: {error}")
    mapping.engage(readings[0])
    lead(rig, mapping, readings)


if __name__ == "__main__":
    main()
