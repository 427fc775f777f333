"""A human hand that opens, closes, pinches with each finger, counts and spreads: synthetic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

FINGERS_Y = (0.025, 0.002, -0.02, -0.04)
BONES = ((0.042, 0.024, 0.019), (0.046, 0.028, 0.02), (0.042, 0.026, 0.02), (0.034, 0.02, 0.018))
KNUCKLES_X = (0.088, 0.09, 0.085, 0.077)
THUMB = ((0.02, 0.025, -0.01), 0.045, 0.034, 0.027)
"""Where it begins, and its bones [m]."""
SECONDS = 10.35
RATE_HZ = 60.0


def hand(curls: Array, spread: float, opposed: float) -> Array:
    """Joints of a right hand, (26, 3) [m]: x forward, y to the thumb, z out of the back.

    Args:
        curls: Of thumb, index, middle, ring, little finger at each joint [rad], (5,).
        spread: Of the fingers [rad].
        opposed: How far the thumb stands before the palm, 0 to 1.
    """
    joints = np.zeros((26, 3))
    joints[0] = [0.05, 0.0, 0.0]
    at = np.array(THUMB[0])
    joints[2] = at
    yaw, dip = np.radians(50 - 40 * opposed), np.radians(15 + 50 * opposed)
    for k, bone in enumerate(THUMB[1:]):
        a = yaw - curls[0] * k * 0.6
        way = np.array([np.cos(a) * np.cos(dip), np.sin(a) * np.cos(dip), -np.sin(dip)])
        at = at + bone * way
        joints[3 + k] = at
    for f in range(4):
        a = spread * (1.5 - f) / 1.5
        at, bend = np.array([KNUCKLES_X[f], FINGERS_Y[f], 0.0]), 0.0
        joints[6 + 5 * f] = [0.03, 0.8 * FINGERS_Y[f], 0.0]
        joints[7 + 5 * f] = at
        for k, bone in enumerate(BONES[f]):
            bend += curls[1 + f] * (1.0, 1.1, 0.7)[k]
            way = np.array([np.cos(a) * np.cos(bend), np.sin(a) * np.cos(bend), -np.sin(bend)])
            at = at + bone * way
            joints[8 + 5 * f + k] = at
    return joints


def motion(seconds: float = SECONDS, rate_hz: float = RATE_HZ, seed: int = 0) -> Array:
    """Frames of a hand, (n, 26, 3) [m], with 0.3 mm of tracker noise."""
    rng = np.random.default_rng(seed)
    frames = []
    for k in range(round(seconds * rate_hz)):
        t = k / rate_hz
        fist = 0.5 - 0.5 * np.cos(2 * np.pi * 0.35 * t)
        one = np.clip(1.5 * np.sin(2 * np.pi * 0.45 * t + np.arange(5) * 1.25), 0.0, 1.0)
        curls = 0.1 + 0.9 * (0.55 * fist + 0.45 * one)
        spread = 0.15 + 0.12 * np.sin(2 * np.pi * 0.6 * t)
        opposed = 0.5 - 0.5 * np.cos(2 * np.pi * 0.5 * t)
        frames.append(hand(curls, spread, opposed) + rng.normal(0, 3e-4, (26, 3)))
    return np.array(frames)
