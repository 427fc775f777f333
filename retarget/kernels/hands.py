"""A hand's whole tick in one call; see `retarget.hands` and `handshape` for the reasons."""

from __future__ import annotations

import math
from typing import Any

from retarget.compiling import jit
from retarget.frames import Array
from retarget.kernels.anatomy import (
    CROSS,
    HAND_LENGTH_M,
    INDEX,
    LITTLE,
    LONGEST_M,
    MIDDLE,
    MIDDLE_FINGER,
    NARROWEST_M,
    PALM_LENGTH_M,
    PINCH,
    SIZE_SHARE,
    WRIST,
)
from retarget.kernels.box_qp import box_qp
from retarget.kernels.handlayout import cut_hand
from retarget.kernels.kinematics import place_joints
from retarget.kernels.layout import shaped
from retarget.kernels.limits import HIGH, LOW, aim_joints, close_tick, open_tick

HOLD, TRACKING, INVALID = 0, 1, 3
"""Values of `retarget.targets.Status`."""
SHORTEST, LONGEST = PALM_LENGTH_M


@jit
def read_shape(joints: Array, count: int, left: bool, shape: Array) -> bool:
    """Write a hand's shape, see `handshape.hand_shape`; False when it is none.

    Args:
        joints: (26, 3); of 25 the first is missing.
        count: 26 or 25.
        left: Of a left hand.
        shape: Written, (26, 3).
    """
    if count == 25:
        for r in range(3):
            joints[0, r] = 0.5 * (joints[WRIST, r] + joints[MIDDLE, r])
    for k in range(26):
        for r in range(3):
            shape[k, r] = joints[k, r] - joints[WRIST, r]
            if not abs(shape[k, r]) <= LONGEST_M:
                return False
    fx, fy, fz = shape[MIDDLE, 0], shape[MIDDLE, 1], shape[MIDDLE, 2]
    length = math.sqrt(fx * fx + fy * fy + fz * fz)
    if not SHORTEST < length < LONGEST:
        return False
    fx, fy, fz = fx / length, fy / length, fz / length
    tx = shape[INDEX, 0] - shape[LITTLE, 0]
    ty = shape[INDEX, 1] - shape[LITTLE, 1]
    tz = shape[INDEX, 2] - shape[LITTLE, 2]
    along = tx * fx + ty * fy + tz * fz
    tx, ty, tz = tx - along * fx, ty - along * fy, tz - along * fz
    width = math.sqrt(tx * tx + ty * ty + tz * tz)
    if width < NARROWEST_M:
        return False
    tx, ty, tz = tx / width, ty / width, tz / width
    sign = -1.0 if left else 1.0
    bx, by, bz = sign * (fy * tz - fz * ty), sign * (fz * tx - fx * tz), sign * (fx * ty - fy * tx)
    for k in range(26):
        x, y, z = shape[k, 0], shape[k, 1], shape[k, 2]
        shape[k, 0] = x * fx + y * fy + z * fz
        shape[k, 1] = x * tx + y * ty + z * tz
        shape[k, 2] = x * bx + y * by + z * bz
    return True


@jit
def hand_length(shape: Array) -> float:
    """See `handshape.hand_length`."""
    length = 0.0
    for k in range(1, len(MIDDLE_FINGER)):
        a, b = MIDDLE_FINGER[k - 1], MIDDLE_FINGER[k]
        x, y, z = shape[b, 0] - shape[a, 0], shape[b, 1] - shape[a, 1], shape[b, 2] - shape[a, 2]
        length += math.sqrt(x * x + y * y + z * z)
    return length


@jit
def want(
    shape: Array, terms: Any, turn: Array, settings: Array, scale: float, before: Array,
    now: Array, wanted: Array, weights: Array,
) -> None:  # fmt: skip
    """Write the vectors the robot's should be, in its root, and their weights.

    Args:
        shape: See `read_shape`.
        terms: See `cut_hand`.
        turn: `R_root_hand`.
        settings: See `cut_hand`.
        scale: Robot metres per metre of this hand.
        before: Which pinches were on, (terms,).
        now: Written: which are on, (terms,).
        wanted: Written, (terms, 3).
        weights: Written, (terms,).
    """
    _, human, kinds, pinches = terms
    for k in range(len(kinds)):
        a, b = human[k, 0], human[k, 1]
        x, y, z = shape[b, 0] - shape[a, 0], shape[b, 1] - shape[a, 1], shape[b, 2] - shape[a, 2]
        length = math.sqrt(x * x + y * y + z * z)
        weight, factor = 1.0, scale
        now[k] = 0.0
        if kinds[k] == PINCH:
            if length < (settings[3] if before[k] else settings[2]):
                now[k], weight, factor = 1.0, settings[4], settings[5] / max(length, 1e-9)
        elif kinds[k] == CROSS and now[pinches[k, 0]] and now[pinches[k, 1]]:
            now[k], weight, factor = 1.0, settings[6], settings[7] / max(length, 1e-9)
        weights[k] = weight / len(kinds)
        for r in range(3):
            wanted[k, r] = factor * (turn[r, 0] * x + turn[r, 1] * y + turn[r, 2] * z)


@jit
def place_links(M: Array, link_joints: Any, points: Array, placed: Array) -> None:
    """Write where links are in the root, (links, 3)."""
    for k in range(len(link_joints)):
        j = link_joints[k]
        for r in range(3):
            placed[k, r] = (
                M[j, r, 0] * points[k, 0] + M[j, r, 1] * points[k, 1] + M[j, r, 2] * points[k, 2]
                + M[j, r, 3]
            )  # fmt: skip


@jit
def write_row(
    J: Array, start: int, end: int, hand: Any, placed: Array, row: Array, touched: Any, mark: Any
) -> int:
    """Write the Jacobian of a vector, (3, n), of the driven joints that change it; how many."""
    ratio, driven, supports = hand[2], hand[3], hand[6]
    count = 0
    for j in range(len(driven)):
        far, near = supports[end, j], supports[start, j]
        if not (far or near):
            continue
        a, b, c = J[3, j], J[4, j], J[5, j]
        x = far * placed[end, 0] - near * placed[start, 0]
        y = far * placed[end, 1] - near * placed[start, 1]
        z = far * placed[end, 2] - near * placed[start, 2]
        share, s, i = far - near, ratio[j], driven[j]
        if not mark[i]:
            mark[i], touched[count] = 1, i
            count += 1
            row[0, i] = row[1, i] = row[2, i] = 0.0
        row[0, i] += s * (share * J[0, j] + b * z - c * y)
        row[1, i] += s * (share * J[1, j] + c * x - a * z)
        row[2, i] += s * (share * J[2, j] + a * y - b * x)
    for t in range(count):
        mark[touched[t]] = 0
    return count


@jit
def linearise_hand(tree: Any, hand: Any, terms: Any, settings: Array, work: Any) -> float:
    """Write the reweighted normal equations, `H` (lower half) and `g`, at `step`; the objective."""
    J, pairs = tree[6], terms[0]
    step, placed, wanted, weights = work[3], work[5], work[6], work[7]
    row, H, g = work[8], work[9], work[10]
    touched, mark = work[11], work[12]
    huber, rest = settings[0], settings[1]
    n, value = len(step), 0.0
    for i in range(n):
        value += rest * step[i] * step[i]
        g[i] = 2.0 * rest * step[i]
        for j in range(i):
            H[i, j] = 0.0
        H[i, i] = 2.0 * rest
    for k in range(len(pairs)):
        a, b = pairs[k, 0], pairs[k, 1]
        x = placed[b, 0] - placed[a, 0] - wanted[k, 0]
        y = placed[b, 1] - placed[a, 1] - wanted[k, 1]
        z = placed[b, 2] - placed[a, 2] - wanted[k, 2]
        norm = math.sqrt(x * x + y * y + z * z)
        value += weights[k] * (0.5 * norm * norm / huber if norm < huber else norm - 0.5 * huber)
        w = weights[k] / max(norm, huber)
        count = write_row(J, a, b, hand, placed, row, touched, mark)
        for t in range(count):
            i = touched[t]
            u, v, q = w * row[0, i], w * row[1, i], w * row[2, i]
            g[i] += u * x + v * y + q * z
            for s in range(t + 1):
                j = touched[s]
                product = u * row[0, j] + v * row[1, j] + q * row[2, j]
                if i > j:
                    H[i, j] += product
                else:
                    H[j, i] += product
    return value


@jit
def improve(q: Array, tree: Any, hand: Any, terms: Any, settings: Array, work: Any, qp: Any) -> Any:
    """One iteration from where `step` leads; the objective there, and the largest change."""
    offset, ratio, driven = hand[1], hand[2], hand[3]
    bounds, step, every, H, g, moved = work[2], work[3], work[4], work[9], work[10], work[13]
    low, high = qp[6], qp[7]
    for j in range(len(every)):
        i = driven[j]
        every[j] = ratio[j] * (q[i] + step[i]) + offset[j]
    place_joints(every, *tree)
    place_links(tree[5], hand[4], hand[5], work[5])
    value = linearise_hand(tree, hand, terms, settings, work)
    for i in range(len(step)):
        low[i], high[i] = bounds[LOW, i] - step[i], bounds[HIGH, i] - step[i]
    box_qp(H, g, low, high, moved, qp)
    largest = 0.0
    for i in range(len(step)):
        largest = max(largest, abs(moved[i]))
        step[i] = min(max(step[i] + moved[i], bounds[LOW, i]), bounds[HIGH, i])
    return value, largest


@jit
def hand_tick(
    floats: Array, ints: Any, start: Array, after: Array, bits: Any, count: int, left: bool,
    iterations: int,
) -> tuple[int, float]:  # fmt: skip
    """A whole tick towards the joints in the buffer, `count` of them; 0 asks for nothing.

    `start` and `after` are states: positions (n,), last step (n,), pinches that are on (terms,),
    length of the operator's hand.

    Returns:
        The `Status`, and the objective before the last iteration; NaN when nothing was followed.
    """
    tree, hand, terms, settings, work, qp = cut_hand(floats, ints)
    n, k = ints[0], ints[3]
    q, last, pinched = shaped(start, 0, (n,)), shaped(start, n, (n,)), shaped(start, 2 * n, (k,))
    q_now, last_now = shaped(after, 0, (n,)), shaped(after, n, (n,))
    pinched_now = shaped(after, 2 * n, (k,))
    open_tick(q, last, hand[0], work[15], work[2], work[3])
    status, value = HOLD, math.nan
    if count > 0:
        status = TRACKING if read_shape(work[0], count, left, work[1]) else INVALID
    size = start[2 * n + k]
    if status == TRACKING:
        length = hand_length(work[1])
        size = size + SIZE_SHARE * (length - size) if size > 0.0 else length
        scale = settings[8] * (HAND_LENGTH_M / size if settings[10] else 1.0)
        want(work[1], terms, hand[7], settings, scale, pinched, pinched_now, work[6], work[7])
        for _ in range(iterations):
            value, largest = improve(q, tree, hand, terms, settings, work, qp)
            if largest < settings[9]:
                break
    else:
        for t in range(k):
            pinched_now[t] = pinched[t]
    after[2 * n + k] = size
    close_tick(q, last, work[3], hand[0], q_now, last_now, bits)
    return status, value


@jit
def hand_approach(
    floats: Array, ints: Any, start: Array, after: Array, bits: Any, speed: float
) -> None:
    """Step towards the posture in the buffer, all joints arriving together."""
    _, hand, _, _, work, _ = cut_hand(floats, ints)
    n, k = ints[0], ints[3]
    q, last = shaped(start, 0, (n,)), shaped(start, n, (n,))
    q_now, last_now = shaped(after, 0, (n,)), shaped(after, n, (n,))
    open_tick(q, last, hand[0], work[15], work[2], work[3])
    aim_joints(q, work[14], speed, hand[0], work[2], work[3])
    pinched_now = shaped(after, 2 * n, (k,))
    for t in range(k):
        pinched_now[t] = 0.0
    after[2 * n + k] = start[2 * n + k]
    close_tick(q, last, work[3], hand[0], q_now, last_now, bits)
