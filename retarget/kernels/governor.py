"""Lead tips to their targets; see `retarget.governor` for the reasons."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retarget.compiling import jit
from retarget.frames import Array
from retarget.kernels.limits import braking_step
from retarget.kernels.rotations import compose, copy_pose, exp3, motion_between


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
    M: Array,
    tip_joints: Any,
    tools: Array,
    chains: Any,
    asked: Any,
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
        M: Placements of all joints, (joints, 3, 4).
        tip_joints: Joint that carries each tip, (tips,).
        tools: Tip in that joint, (tips, 3, 4).
        chains: Which columns move a joint, (joints, n).
        asked: Which tips are asked, (at least tips,).
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
        compose(M[tip_joints[k]], tools[k], tip)
        motion_between(tip, T[k], error)
        known = not math.isnan(before[k, 0, 0])
        if known:
            motion_between(before[k], T[k], moves_now[k])
        twist[:] = 0.0
        for i in range(J.shape[1]):
            if chains[tip_joints[k], i]:
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
