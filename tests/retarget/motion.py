"""The demo's motion, kinematics only: pick, hand over in the air, place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retarget.frames import interpolate

TABLE_Z = 1.005
CUBE = np.array([0.41, -0.18, TABLE_Z + 0.025])
MEET = np.array([0.45, 0.0, TABLE_Z + 0.24])
TRAY = np.array([0.42, 0.21, TABLE_Z + 0.035])


def hand(approach, opening, tip):
    """Tool centre point pose: -z approach, y opening axis."""
    z = -np.asarray(approach, float) / np.linalg.norm(approach)
    y = opening - z * (z @ opening)
    y = y / np.linalg.norm(y)
    T = np.eye(4)
    T[:3, :3] = np.column_stack([np.cross(y, z), y, z])
    T[:3, 3] = np.asarray(tip) + 0.014 * z
    return T


def pitched(degrees, tip):
    p = np.radians(degrees)
    return hand([np.cos(p), 0, -np.sin(p)], np.array([0.0, 1, 0]), tip)


def waypoints(home):
    """(seconds, left pose or None to stay, right pose or None to stay)."""
    axis = np.array([-np.cos(np.radians(18)), 0, -np.sin(np.radians(18))])
    right_meet = hand([0, 1, 0], axis, MEET)
    left_near = hand([0, -1, 0], -axis, np.add(MEET, [-0.03, 0.085, 0]))
    left_meet = hand([0, -1, 0], -axis, MEET)
    right_away = right_meet.copy()
    right_away[:3, 3] -= [0.02, 0.085, 0]
    return [
        (1.5, None, pitched(50, np.add(CUBE, [-0.05, 0, 0.08]))),
        (0.9, None, pitched(50, CUBE)),
        (0.6, None, None),
        (0.8, None, pitched(50, np.add(CUBE, [-0.02, 0, 0.08]))),
        (1.7, left_near, right_meet),
        (0.9, left_meet, None),
        (0.6, None, None),
        (0.7, None, right_away),
        (1.9, pitched(40, np.add(TRAY, [0, 0, 0.09])), home["right_wrist"]),
        (0.8, pitched(40, TRAY), None),
        (0.5, None, None),
        (0.8, pitched(40, np.add(TRAY, [-0.06, 0, 0.08])), None),
        (1.4, home["left_wrist"], None),
    ]


def demo_motion(home, rate_hz=200.0, speed=1.0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Left and right wrist pose, sampled at `rate_hz`; minimum-jerk between waypoints."""
    left, right = home["left_wrist"], home["right_wrist"]
    for seconds, next_left, next_right in waypoints(home):
        goal_left = left if next_left is None else next_left
        goal_right = right if next_right is None else next_right
        n = round(seconds * rate_hz / speed)
        for k in range(1, n + 1):
            u = (k / n) ** 3 * (10 - 15 * (k / n) + 6 * (k / n) ** 2)
            yield interpolate(left, goal_left, u), interpolate(right, goal_right, u)
        left, right = goal_left, goal_right
