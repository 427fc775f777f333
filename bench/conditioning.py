"""What conditioning buys and costs: jerk of the joints against lag behind the hand.

usage: python -m bench.conditioning [--rig g1-dex3] [--seconds 6]

A smooth joint path gives exactly reachable poses of both wrists and the head. A tracker samples
them at 72 or 120 Hz with white noise of 0.3 mm and 0.1° (standard deviation per axis), and a 200 Hz
retargeter follows, with targets held between samples (`none`) or through a `TargetFilter`. Lag is
where the hand's speed and the tip's correlate best; `added` is what it is more than without any
conditioning. Deterministic: the same call prints the same table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from retarget import (
    FilterConfig,
    OneEuroConfig,
    Retargeter,
    Rig,
    TargetFilter,
    Targets,
    load_rig,
)
from retarget.frames import exp3

TICK_HZ, FINE_HZ = 200, 1000
NOISE_M, NOISE_RAD = 3e-4, np.radians(0.1)
SETTLE_S = 0.5
CENTRE = {"shoulder_pitch": -0.5, "shoulder_roll": 0.45, "elbow": 0.6}
"""Posture the path swings about, of the left arm: clear of the body."""
SWINGS = {
    "waist_yaw": (0.03, 0.21), "shoulder_pitch": (0.18, 0.33), "shoulder_roll": (0.07, 0.41),
    "shoulder_yaw": (0.12, 0.27), "elbow": (0.18, 0.37), "wrist_roll": (0.18, 0.53),
    "wrist_pitch": (0.12, 0.47), "wrist_yaw": (0.12, 0.59),
}  # fmt: skip
"""Amplitude [rad] and frequency [Hz] of joints, by part of their name."""
PACES = {"still": (0.0, 1.0), "0.25 m/s": (1.25, 1.0), "0.5 m/s": (2.25, 1.0), "1 m/s": (2.25, 1.7)}
"""Factors on frequency and amplitude for wrists of about this peak speed."""
Poses = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Poses of the tips, each ms.

    Attributes:
        q_start: (nq,) posture it begins in.
        Ts_robot_tip: (N, 4, 4) by tip.
    """

    q_start: np.ndarray
    Ts_robot_tip: Poses

    def __len__(self) -> int:
        return len(next(iter(self.Ts_robot_tip.values())))

    def at(self, seconds: float) -> Poses:
        """Poses at a time."""
        row = min(round(seconds * FINE_HZ), len(self) - 1)
        return {tip: Ts[row] for tip, Ts in self.Ts_robot_tip.items()}

    def peak_m_s(self) -> float:
        """Fastest wrist."""
        p = self.Ts_robot_tip["left_wrist"][:, :3, 3]
        return float(np.linalg.norm(np.diff(p, axis=0), axis=1).max() * FINE_HZ)


def joint_path(rig: Rig, pace: float, size: float) -> Callable[[float], np.ndarray]:
    """Posture at a time: sines about a centre, each joint at its own rate."""
    centre, swings = rig.q_posture.copy(), np.zeros((2, len(rig.joint_names)))
    for i, name in enumerate(rig.joint_names):
        for part, value in CENTRE.items():
            if part in name:
                centre[i] = -value if "right" in name and "roll" in part else value
        for part, swing in SWINGS.items():
            if part in name:
                swings[:, i] = swing
    phases = 0.7 * np.arange(len(centre))
    return lambda t: centre + size * swings[0] * np.sin(2 * np.pi * pace * swings[1] * t + phases)


def motion(rig: Rig, pace: float, size: float, seconds: float) -> Motion:
    """Poses along a joint path."""
    path = joint_path(rig, pace, size)
    rows = [rig.forward(path(k / FINE_HZ)) for k in range(round(seconds * FINE_HZ))]
    return Motion(path(0.0), {tip: np.array([row[tip] for row in rows]) for tip in rig.tips})


def shaken(T: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A pose with a tracker's noise."""
    T = T.copy()
    T[:3, 3] += rng.normal(0, NOISE_M, 3)
    T[:3, :3] = exp3(rng.normal(0, NOISE_RAD, 3)) @ T[:3, :3]
    return T


def follow(rig: Rig, shown: Motion, rate_hz: int, filters: FilterConfig | None) -> np.ndarray:
    """Joints, (n, nq), each tick of a retargeter that sees noisy samples of a motion."""
    rng, retargeter = np.random.default_rng(0), Retargeter(rig, TICK_HZ)
    retargeter.reset(shown.q_start)
    chain = None if filters is None else TargetFilter(filters, 1 / TICK_HZ)
    targets, newest, joints = Targets(), -1, []
    for k in range(len(shown) * TICK_HZ // FINE_HZ):
        sample = k * rate_hz // TICK_HZ
        if sample != newest:
            newest = sample
            poses = {tip: shaken(T, rng) for tip, T in shown.at(sample / rate_hz).items()}
            targets = Targets(**{f"T_robot_{tip}": T for tip, T in poses.items()})
        asked = targets if chain is None else chain.apply(targets)
        joints.append(retargeter.step(asked).q.copy())
    return np.array(joints)


def jerk_rms(joints: np.ndarray) -> float:
    """[rad/s³] of all joints, on the grid of ticks."""
    rows = np.diff(joints[round(SETTLE_S * TICK_HZ) :], 3, axis=0)
    return float(np.sqrt((rows**2).mean()) * TICK_HZ**3)


def lag_and_error(rig: Rig, joints: np.ndarray, shown: Motion) -> tuple[float, float]:
    """Lag of the left wrist behind the hand [s], and its rms distance from the hand's place [m].

    The lag is that of the largest cross-correlation of their velocities.
    """
    tip = np.array([rig.forward(q)["left_wrist"][:3, 3] for q in joints])
    hand = shown.Ts_robot_tip["left_wrist"][:, :3, 3]
    v_tip, v_hand = np.gradient(tip, axis=0), np.gradient(hand, axis=0)
    rows = np.arange(round(SETTLE_S * TICK_HZ), len(tip) - TICK_HZ // 4)
    lags = np.arange(-40, 121)
    likeness = []
    for lag in lags:
        late = v_hand[rows * FINE_HZ // TICK_HZ - lag]
        likeness.append(np.sum(v_tip[rows] * late) / max(np.linalg.norm(late), 1e-12))
    lag = int(lags[int(np.argmax(likeness))])
    here = rows * FINE_HZ // TICK_HZ
    return lag / FINE_HZ, float(np.sqrt(((tip[rows] - hand[here]) ** 2).sum(axis=1).mean()))


def contenders() -> dict[str, FilterConfig | None]:
    """What is compared: the default, and one thing changed at a time."""
    default = FilterConfig()
    euro = OneEuroConfig()
    return {
        "none": None,
        "default": default,
        "no smoothing": replace(default, smoothing=None),
        "no prediction": replace(default, prediction=None),
        "calmer: 1.5 Hz, beta 20": replace(
            default, smoothing=replace(euro, min_cutoff_hz=1.5, beta=20.0)
        ),
        "quicker: 5 Hz, beta 80": replace(
            default, smoothing=replace(euro, min_cutoff_hz=5.0, beta=80.0)
        ),
        "predict_s 0.01": replace(default, predict_s=0.01),
        "predict_s 0.02": replace(default, predict_s=0.02),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rig", default="g1-dex3")
    parser.add_argument("--seconds", type=float, default=6.0)
    args = parser.parse_args()
    rig = load_rig(args.rig)
    print("| hand | tracker Hz | conditioning | jerk rad/s³ | of none | lag ms | added | off mm |")
    print("|---|---|---|---|---|---|---|---|")
    for pace_name, (pace, size) in PACES.items():
        shown = motion(rig, pace, size, args.seconds)
        hand = pace_name if not pace else f"{shown.peak_m_s():.2f} m/s"
        for rate_hz in (72, 120):
            none: tuple[float, float] | None = None
            for name, filters in contenders().items():
                joints = follow(rig, shown, rate_hz, filters)
                jerk, (lag_s, off_m) = jerk_rms(joints), lag_and_error(rig, joints, shown)
                none = none or (jerk, lag_s)
                lags = f"{lag_s * 1e3:.0f} | {(lag_s - none[1]) * 1e3:+.0f}" if pace else "— | —"
                print(
                    f"| {hand} | {rate_hz} | {name} | {jerk:.0f} | {jerk / none[0]:.3f} | {lags} | "
                    f"{off_m * 1e3:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
