"""A human-like bimanual motion: exactly reachable where it says so, and hard where it does not.

A smooth joint path gives the tips' poses by forward kinematics, so what it passes can be reached.
In three sections the targets then leave it: beyond reach, hands crossed, wrists turned too far.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retarget import Rig
from retarget.frames import exp3

Array = NDArray[np.float64]

DURATION_S = 20.0
SETTLE_S = 0.5
"""Frames this soon after a hard section are not counted as reachable: the arms are on their way."""
REACH = (8.7, 10.9)
CROSS = (14.0, 16.2)
TURN = (18.2, 19.4)
"""Sections in which targets leave the joint path [s]."""
BEYOND_M = 0.30
CROSS_M = 0.10
TURN_RAD = np.radians(70.0)
RAMP_S = 0.6
"""Time in which a section's offset grows to its full size [s]."""

READY = {"shoulder_pitch": -0.45, "shoulder_roll": 0.2, "elbow": 0.55}
STRAIGHT = {"shoulder_pitch": -1.15, "shoulder_roll": 0.12, "elbow": 1.50}
FRONT = {"shoulder_pitch": -0.75, "shoulder_roll": 0.1, "shoulder_yaw": 0.35, "elbow": 0.45}
TURNED = {**READY, "wrist_roll": 1.1}
POSTURES = [
    (0.0, READY), (7.6, READY), (8.5, STRAIGHT), (11.1, STRAIGHT), (12.0, READY), (12.6, READY),
    (13.6, FRONT), (16.6, FRONT), (17.3, READY), (18.0, TURNED), (19.6, TURNED), (20.0, TURNED),
]  # fmt: skip
"""Posture of the arms at a time [s], as the left arm's joint angles [rad]."""
MIRRORED = ("shoulder_roll", "shoulder_yaw", "wrist_roll", "wrist_yaw")
WAVES = {
    "waist_yaw": (0.22, 0.21), "waist_roll": (0.08, 0.17), "waist_pitch": (0.12, 0.13),
    "shoulder_pitch": (0.35, 0.33), "shoulder_roll": (0.20, 0.41), "shoulder_yaw": (0.30, 0.27),
    "elbow": (0.35, 0.37), "wrist_roll": (0.45, 0.53), "wrist_pitch": (0.35, 0.47),
    "wrist_yaw": (0.35, 0.59),
}  # fmt: skip
"""Amplitude [rad] and frequency [Hz] of each joint's swing."""


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """Targets on a grid.

    Attributes:
        rate_hz: Frames per second.
        t_s: (N,) time of each frame [s].
        q: (N, nq) joint path behind the reachable targets [rad].
        Ts_robot_tip: (N, 4, 4) targets by tip.
        on_path: (N,) the targets are those of the joint path.
        reachable: (N,) on the path, and for long enough.
        regained: (N,) within a second after targets beyond reach came back.
    """

    rate_hz: float
    t_s: Array
    q: Array
    Ts_robot_tip: dict[str, Array]
    on_path: NDArray[np.bool_]
    reachable: NDArray[np.bool_]
    regained: NDArray[np.bool_]


def bimanual(rig: Rig, rate_hz: float, duration_s: float = DURATION_S) -> Trajectory:
    """The motion for a humanoid whose joints are named `{side}_shoulder_pitch_joint` and so on."""
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    q = _joint_path(rig, t)
    poses = [rig.forward(row) for row in q]
    Ts = {tip: np.array([pose[tip] for pose in poses]) for tip in rig.tips}
    _reach_beyond(Ts, _share(t, REACH))
    _cross(Ts, _share(t, CROSS))
    _turn(Ts, _share(t, TURN))
    off = np.max([_share(t, section) for section in (REACH, CROSS, TURN)], axis=0) > 0
    settle = round(SETTLE_S * rate_hz)
    recently = np.convolve(off, np.ones(settle + 1))[: len(t)] > 0
    regained = (t >= REACH[1]) & (t < REACH[1] + 1.0)
    return Trajectory(rate_hz, t, q, Ts, ~off, ~recently, regained)


def _joint_path(rig: Rig, t: Array) -> Array:
    """(N, nq): postures joined by minimum-jerk moves, with a swing in every joint."""
    swing = _smooth(t / 1.0) * (1.0 - _share(t, (8.0, 11.6), 0.6)) * (1.0 - _smooth((t - 17) / 0.6))
    swing = swing * (1.0 - 0.6 * _share(t, (13.2, 16.9), 0.5))
    q = np.zeros((len(t), len(rig.joint_names)))
    for i, name in enumerate(rig.joint_names):
        side, _, rest = name.removesuffix("_joint").partition("_")
        joint = rest if side in ("left", "right") else f"{side}_{rest}"
        sign = -1.0 if side == "right" and joint in MIRRORED else 1.0
        amplitude, frequency = WAVES.get(joint, (0.0, 0.0))
        phase = 0.9 if side == "right" else 0.0
        wave = np.sin(2 * np.pi * frequency * t + phase)
        q[:, i] = sign * _posture(t, joint) + swing * amplitude * wave
    return np.clip(q, rig.lower + 0.02, rig.upper - 0.02)


def _posture(t: Array, joint: str) -> Array:
    value = np.full_like(t, POSTURES[0][1].get(joint, 0.0))
    for (t0, before), (t1, after) in itertools.pairwise(POSTURES):
        change = after.get(joint, 0.0) - before.get(joint, 0.0)
        value += change * _smooth((t - t0) / (t1 - t0))
    return value


def _smooth(u: Array) -> Array:
    """Minimum-jerk step from 0 to 1."""
    u = np.clip(u, 0.0, 1.0)
    return u**3 * (10 - 15 * u + 6 * u**2)


def _share(t: Array, section: tuple[float, float], ramp_s: float = RAMP_S) -> Array:
    """0 outside a section, 1 inside, smooth between."""
    begin, end = section
    return _smooth((t - begin) / ramp_s) * _smooth((end - t) / ramp_s)


def _reach_beyond(Ts: dict[str, Array], share: Array) -> None:
    """Both hands pull straight on, away from the trunk."""
    for tip in ("left_wrist", "right_wrist"):
        p = Ts[tip][:, :3, 3]
        shoulder = np.array([0.0, 0.1 if tip == "left_wrist" else -0.1, 1.05])
        away = (p - shoulder) / np.linalg.norm(p - shoulder, axis=1, keepdims=True)
        p += BEYOND_M * share[:, None] * away


def _cross(Ts: dict[str, Array], share: Array) -> None:
    """Each hand goes 10 cm past the middle to the other's side, and towards the chest."""
    for tip, sign in (("left_wrist", 1.0), ("right_wrist", -1.0)):
        p = Ts[tip][:, :3, 3]
        p[:, 1] += share * (-sign * CROSS_M - p[:, 1])
        p[:, 0] -= share * CROSS_M


def _turn(Ts: dict[str, Array], share: Array) -> None:
    """Wrists turn on about the forearm."""
    for tip, sign in (("left_wrist", 1.0), ("right_wrist", -1.0)):
        for T, s in zip(Ts[tip], share, strict=True):
            T[:3, :3] = T[:3, :3] @ exp3(np.array([sign * TURN_RAD * s, 0.0, 0.0]))
