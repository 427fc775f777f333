"""Limits of one tick, joint by joint; see `retarget.limits` for the reasons."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retarget.compiling import jit
from retarget.frames import Array

LOWER, UPPER, VELOCITY, ACCELERATION = 0, 1, 2, 3
"""Rows of a box, (4, n); velocity and acceleration per tick."""
LOW, HIGH = 0, 1
"""Rows of the bounds of one step, (2, n)."""


@jit
def braking_step(room: float, a: float) -> float:
    """Largest step from which a joint can still stop within `room` >= 0."""
    k: float = max(np.ceil(0.5 * (math.sqrt(1.0 + 8.0 * room / a) - 1.0)), 1.0)
    return room / k + 0.5 * a * (k - 1.0)


@jit
def approach(room: float, v: float, a: float) -> float:
    """Step towards a goal at a signed distance `room` that can still stop there."""
    distance = abs(room)
    return math.copysign(min(distance, v, braking_step(distance, a)), room)


@jit
def open_tick(
    x: Array, last: Array, box: Array, openings: Array, bounds: Array, step: Array
) -> None:
    """Write the bounds of the next step, and the step that brakes; grippers that are asked move."""
    first_gripper = len(x) - len(openings)
    for i in range(len(x)):
        v, a = box[VELOCITY, i], box[ACCELERATION, i]
        up = braking_step(max(box[UPPER, i] - x[i], 0.0), a)
        down = braking_step(max(x[i] - box[LOWER, i], 0.0), a)
        low = min(max(-v, last[i] - a, -down), up)
        high = max(min(v, last[i] + a, up), -down, low)
        bounds[LOW, i], bounds[HIGH, i] = low, high
        wanted = math.copysign(max(abs(last[i]) - a, 0.0), last[i])
        if i >= first_gripper and math.isfinite(openings[i - first_gripper]):
            wanted = approach(min(max(openings[i - first_gripper], 0.0), 1.0) - x[i], v, a)
        step[i] = min(max(wanted, low), high)


@jit
def aim_joints(x: Array, goal: Array, speed: float, box: Array, bounds: Array, step: Array) -> None:
    """Write the steps of the joints towards `goal`, all arriving together."""
    slowest, sharpest = 0.0, np.inf
    for i in range(len(goal)):
        slowest = max(slowest, abs(goal[i] - x[i]) / (speed * box[VELOCITY, i]))
        sharpest = min(sharpest, box[ACCELERATION, i] / box[VELOCITY, i])
    for i in range(len(goal)):
        wanted = room = goal[i] - x[i]
        if slowest >= 1e-9:
            v = speed * box[VELOCITY, i]
            v *= max(abs(room) / v / slowest, 1e-6)
            wanted = approach(room, v, v * sharpest)
        step[i] = min(max(wanted, bounds[LOW, i]), bounds[HIGH, i])


@jit
def close_tick(
    x: Array, last: Array, step: Array, box: Array, after: Array, moved: Array, bits: Any
) -> None:
    """Write where the step leads, what it moved, and the `Saturation` bits of the joints."""
    for i in range(len(x)):
        lower, upper = box[LOWER, i], box[UPPER, i]
        after[i] = max(min(x[i] + step[i], max(upper, x[i])), min(lower, x[i]))
        moved[i] = after[i] - x[i]
        if i < len(bits):
            stop = after[i] >= upper - 1e-9 or after[i] <= lower + 1e-9
            fast = abs(step[i]) >= box[VELOCITY, i] * (1.0 - 1e-6)
            sharp = abs(step[i] - last[i]) >= box[ACCELERATION, i] * (1.0 - 1e-6)
            bits[i] = 1 * stop + 2 * fast + 4 * sharp
