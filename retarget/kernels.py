"""The arithmetic of a tick, compiled: plain functions of arrays, no state.

They compute what `reference` computes with numpy and daqp; see there for the reasons. Poses are
(3, 4) `[R | p]` in the robot root. `k` counts the rig's tips, `i`, `j` joints; tips that are not
asked leave zero rows. Kernels call kernels of their own file only: numba's cache does not notice
when a function of another file has changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from retarget.frames import Array

Flags = NDArray[np.bool_]
Function = TypeVar("Function", bound=Callable[..., Any])

LOWER, UPPER, VELOCITY, ACCELERATION = 0, 1, 2, 3
"""Rows of a box, (4, n); velocity and acceleration per tick."""
LOW, HIGH = 0, 1
"""Rows of the bounds of one step, (2, n)."""


def jit(function: Function) -> Function:
    """Compile at the first call, strictly IEEE; the code is kept in numba's cache.

    That is beside the source or, where it cannot be written, in the user's cache directory.
    """
    try:
        compiled: Function = numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError:  # neither can be written: every process compiles for itself
        compiled = numba.njit(error_model="numpy")(function)
    return compiled


# ------------------------------------------------------------------------------------- limits
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


# ----------------------------------------------------------------------------------- rotations
@jit
def log3(R: Array, w: Array) -> None:
    """Write the rotation vector of a rotation matrix."""
    x, y, z = R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]
    s, c = 0.5 * math.sqrt(x * x + y * y + z * z), 0.5 * (R[0, 0] + R[1, 1] + R[2, 2] - 1.0)
    if c > -0.99:
        half = 0.5 * (math.atan2(s, c) / s if s > 1e-9 else 1.0)
        w[0], w[1], w[2] = half * x, half * y, half * z
        return
    # near half a turn the axis is in the symmetric part: row of the largest diagonal element
    i = 0
    for j in range(1, 3):
        if R[j, j] > R[i, i]:
            i = j
    norm = 0.0
    for j in range(3):
        w[j] = 0.5 * (R[i, j] + R[j, i]) - (c if i == j else 0.0)
        norm += w[j] * w[j]
    share = math.atan2(s, c) / math.sqrt(norm)
    if w[0] * x + w[1] * y + w[2] * z < 0.0:
        share = -share
    for j in range(3):
        w[j] *= share


@jit
def exp3(w: Array, R: Array) -> None:
    """Write the rotation matrix of a rotation vector (Rodrigues)."""
    x, y, z = w[0], w[1], w[2]
    angle2 = x * x + y * y + z * z
    angle = math.sqrt(angle2)
    if angle < 1e-4:
        s, c = 1.0 - angle2 / 6.0, 0.5 - angle2 / 24.0
    else:
        s, c = math.sin(angle) / angle, 2.0 * (math.sin(0.5 * angle) / angle) ** 2
    R[0, 0], R[0, 1], R[0, 2] = 1.0 - c * (y * y + z * z), c * x * y - s * z, c * x * z + s * y
    R[1, 0], R[1, 1], R[1, 2] = c * x * y + s * z, 1.0 - c * (x * x + z * z), c * y * z - s * x
    R[2, 0], R[2, 1], R[2, 2] = c * x * z - s * y, c * y * z + s * x, 1.0 - c * (x * x + y * y)


@jit
def log3_jacobian(w: Array, M: Array) -> None:
    """Write the inverse left Jacobian of SO(3) at the rotation vector `w`, (3, 3)."""
    x, y, z = w[0], w[1], w[2]
    angle2 = x * x + y * y + z * z
    if angle2 < 1e-4:
        b = 1.0 / 12.0 + angle2 * (1.0 / 720.0 + angle2 / 30240.0)
    else:
        angle = math.sqrt(angle2)
        b = 1.0 / angle2 - 0.5 / (angle * math.tan(0.5 * angle))
    M[0, 0], M[0, 1], M[0, 2] = 1.0 - b * (y * y + z * z), b * x * y + 0.5 * z, b * x * z - 0.5 * y
    M[1, 0], M[1, 1], M[1, 2] = b * x * y - 0.5 * z, 1.0 - b * (x * x + z * z), b * y * z + 0.5 * x
    M[2, 0], M[2, 1], M[2, 2] = b * x * z + 0.5 * y, b * y * z - 0.5 * x, 1.0 - b * (x * x + y * y)


@jit
def motion_between(T0: Array, T1: Array, motion: Array) -> None:
    """Write the motion (6,) from one pose to another: translation, rotation vector."""
    R = np.empty((3, 3))
    for r in range(3):
        motion[r] = T1[r, 3] - T0[r, 3]
        for c in range(3):
            R[r, c] = T1[r, 0] * T0[c, 0] + T1[r, 1] * T0[c, 1] + T1[r, 2] * T0[c, 2]
    log3(R, motion[3:])


@jit
def copy_pose(T: Array, copy: Array) -> None:
    """Write a pose; plain loops, as numba's array assignment takes seconds to compile."""
    for r in range(3):
        for c in range(4):
            copy[r, c] = T[r, c]


@jit
def compose(T: Array, U: Array, product: Array) -> None:
    """Write `T U`."""
    for r in range(3):
        for c in range(4):
            product[r, c] = T[r, 0] * U[0, c] + T[r, 1] * U[1, c] + T[r, 2] * U[2, c]
        product[r, 3] += T[r, 3]


@jit
def screen(T: Array, asked: Flags) -> int:
    """Take back what is asked with a pose that is not finite and rigid; how many are left."""
    left = 0
    for k in range(len(T)):
        if not asked[k]:
            continue
        R = T[k]
        good = abs(R[0, 3]) + abs(R[1, 3]) + abs(R[2, 3]) < 100.0
        for r in range(3):
            for s in range(r + 1):
                dot = R[r, 0] * R[s, 0] + R[r, 1] * R[s, 1] + R[r, 2] * R[s, 2]
                good &= abs(dot - (1.0 if r == s else 0.0)) < 1e-3
        good &= (
            R[0, 0] * (R[1, 1] * R[2, 2] - R[1, 2] * R[2, 1])
            - R[0, 1] * (R[1, 0] * R[2, 2] - R[1, 2] * R[2, 0])
            + R[0, 2] * (R[1, 0] * R[2, 1] - R[1, 1] * R[2, 0])
        ) > 0.0
        asked[k] = good
        left += good
    return left


@jit
def distances(joints: Array, tools: Array, T: Array, asked: Flags, out: Array) -> None:
    """Write distance [m] and angle [rad] of each asked tip to its target, (tips, 2)."""
    tip, e = np.empty((3, 4)), np.empty(6)
    for k in range(len(T)):
        if asked[k]:
            compose(joints[k], tools[k], tip)
            motion_between(T[k], tip, e)
            out[k, 0] = math.sqrt(e[0] * e[0] + e[1] * e[1] + e[2] * e[2])
            out[k, 1] = math.sqrt(e[3] * e[3] + e[4] * e[4] + e[5] * e[5])


# ------------------------------------------------------------------------------------ governor
@jit
def close_in(error: Array, last: Array, carried: Array, a: float, motion: Array) -> None:
    """Write one tick's motion (3,), of translation or rotation; see `governor`."""
    distance = change = 0.0
    for r in range(3):
        distance += (error[r] - carried[r]) ** 2
    distance = math.sqrt(distance)
    share = min(braking_step(distance, a) / distance, 1.0) if distance > a else 1.0
    for r in range(3):
        motion[r] = carried[r] + share * (error[r] - carried[r]) if share < 1.0 else error[r]
        change += (motion[r] - last[r]) ** 2
    change = math.sqrt(change)
    if change > a:
        for r in range(3):
            motion[r] = last[r] + a / change * (motion[r] - last[r])


@jit
def steady(earlier: Array, now: Array, v: float, carried: Array) -> None:
    """Write the target motion that lasted two ticks; none if it is a jump."""
    before2 = earlier[0] ** 2 + earlier[1] ** 2 + earlier[2] ** 2
    now2 = now[0] ** 2 + now[1] ** 2 + now[2] ** 2
    smaller = now if now2 <= before2 else earlier
    for r in range(3):
        carried[r] = 0.0 if min(before2, now2) > v * v else smaller[r]


@jit
def lead(
    J: Array,
    joints: Array,
    tools: Array,
    chains: Flags,
    asked: Flags,
    T: Array,
    costs: Array,
    last: Array,
    before: Array,
    moves: Array,
    rates: Array,
    reference: Array,
    targets_now: Array,
    moves_now: Array,
) -> tuple[float, float]:
    """Write the pose each asked tip shall have after this tick, `reference`.

    Args:
        J: Spatial Jacobian at the root's origin, (6, n).
        joints: Joint that carries each tip, (tips, 3, 4).
        tools: Tip in that joint, (tips, 3, 4).
        chains: Which joints move a tip, (tips, n).
        asked: Which tips are asked, (tips,).
        T: Where they should be, (tips, 3, 4).
        costs: Of position and rotation, (tips, 2).
        last: Step of the last tick, joints first, (at least n,).
        before: Targets of the last tick, NaN where there was none, (tips, 3, 4).
        moves: How they moved in it, (tips, 6).
        rates: Governor: acceleration [m, rad per tick²], believed speed [per tick], (4,).
        reference: Written.
        targets_now: Written: `T` of the asked tips, else NaN.
        moves_now: Written: how they moved in this tick, (tips, 6).

    Returns:
        The squared weighted error, and the part of it that the references withhold.
    """
    error2 = withheld = 0.0
    tip, R, carried = np.empty((3, 4)), np.empty((3, 3)), np.empty(3)
    error, twist, motion = np.empty(6), np.empty(6), np.empty(6)
    for k in range(len(T)):
        moves_now[k], targets_now[k] = 0.0, np.nan
        if not asked[k]:
            continue
        compose(joints[k], tools[k], tip)
        motion_between(tip, T[k], error)
        known = not math.isnan(before[k, 0, 0])
        if known:
            motion_between(before[k], T[k], moves_now[k])
        twist[:] = 0.0
        for i in range(J.shape[1]):
            if chains[k, i]:
                for r in range(6):
                    twist[r] += J[r, i] * last[i]
        twist[0] += twist[4] * tip[2, 3] - twist[5] * tip[1, 3]
        twist[1] += twist[5] * tip[0, 3] - twist[3] * tip[2, 3]
        twist[2] += twist[3] * tip[1, 3] - twist[4] * tip[0, 3]
        whole2 = spared2 = 0.0
        for part in range(2):
            rows = slice(3 * part, 3 * part + 3)
            earlier = moves[k, rows] if known else moves_now[k, rows]
            steady(earlier, moves_now[k, rows], rates[2 + part], carried)
            close_in(error[rows], twist[rows], carried, rates[part], motion[rows])
            for r in range(3 * part, 3 * part + 3):
                whole2 += (costs[k, part] * error[r]) ** 2
                spared2 += (costs[k, part] * (error[r] - motion[r])) ** 2
        error2, withheld = error2 + whole2, withheld + spared2
        copy_pose(T[k], reference[k])
        copy_pose(T[k], targets_now[k])
        if spared2 > 0.0:
            exp3(motion[3:], R)
            compose(R, tip, reference[k])
            for r in range(3):
                reference[k, r, 3] = tip[r, 3] + motion[r]
    return error2, withheld


@jit
def linearise(
    J: Array,
    joints: Array,
    tools: Array,
    chains: Flags,
    asked: Flags,
    reference: Array,
    costs: Array,
    A: Array,
    e: Array,
) -> None:
    """Write the weighted Jacobian, (6 tips, n), and residual, (6 tips,); arguments as of `lead`."""
    tip, M = np.empty((3, 4)), np.empty((3, 3))
    A[:] = 0.0
    e[:] = 0.0
    for k in range(len(asked)):
        if not asked[k]:
            continue
        compose(joints[k], tools[k], tip)
        residual = e[6 * k : 6 * k + 6]
        motion_between(reference[k], tip, residual)
        log3_jacobian(residual[3:], M)
        cp, cr = costs[k, 0], costs[k, 1]
        x, y, z = tip[0, 3], tip[1, 3], tip[2, 3]
        for i in range(A.shape[1]):
            if chains[k, i]:
                a, b, c = J[3, i], J[4, i], J[5, i]
                A[6 * k, i] = cp * (J[0, i] + b * z - c * y)
                A[6 * k + 1, i] = cp * (J[1, i] + c * x - a * z)
                A[6 * k + 2, i] = cp * (J[2, i] + a * y - b * x)
                for r in range(3):
                    A[6 * k + 3 + r, i] = cr * (M[r, 0] * a + M[r, 1] * b + M[r, 2] * c)
        for r in range(3):
            residual[r] *= cp
            residual[3 + r] *= cr
