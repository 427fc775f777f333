"""Whole ticks.

`floats` and `ints` hold all they work on, see `layout.cut`; `start` and `after` are states, see
`layout.recall`; `bits` takes the `Saturation` of each joint, (n,).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retarget.compiling import jit
from retarget.frames import Array
from retarget.kernels.box_qp import box_qp
from retarget.kernels.governor import lead
from retarget.kernels.kinematics import place_joints
from retarget.kernels.layout import cut, recall
from retarget.kernels.limits import HIGH, LOW, aim_joints, close_tick, open_tick
from retarget.kernels.repulsion import approaching, clearance, resist
from retarget.kernels.rotations import compose
from retarget.kernels.step import add_gram, clear, damp, drift, pack
from retarget.kernels.swivel import linearise_swivel
from retarget.kernels.tips import distances, linearise, screen


@jit
def fill_active(asked: Any, tip_joints: Any, chains: Any, active: Any) -> int:
    """Write the joints that move any asked tip; how many."""
    count = 0
    for i in range(chains.shape[1]):
        for k in range(len(asked)):
            if asked[k] and chains[tip_joints[k], i]:
                active[count] = i
                count += 1
                break
    return count


@jit
def linearise_all(J: Array, M: Array, robot: Any, asked: Any, settings: Any, work: Any) -> None:
    """Write the weighted Jacobian and residual of tips and elbows."""
    tip_joints, tools, chains, arms = robot[3:7]
    flags, costs, elbows = asked[0], asked[2], asked[3]
    swivel = settings[4]
    reference, A, e = work[2], work[3], work[4]
    tips = len(tip_joints)
    linearise(J, M, tip_joints, tools, chains, flags, reference, costs, A, e)
    tip = np.empty((3, 4))
    for side in range(2):
        row = 6 * tips + side
        e[row] = 0.0
        if not flags[tips + side]:
            A[row] = 0.0
            continue
        compose(M[arms[side, 2]], tools[arms[side, 3]], tip)
        e[row] = linearise_swivel(
            J, M, chains, arms[side], tip[:, 3], elbows[side], swivel[0], swivel[1:], A[row]
        )


@jit
def solve(
    robot: Any,
    settings: Any,
    work: Any,
    guess: Array,
    m: int,
    count: int,
    withheld: float,
    whole: bool,
) -> None:
    """Write the step of the active joints; with `whole` False only its normal equations.

    `guess` is about which step the cost of coming near is linearised, (at least n,).
    """
    effort = robot[1]
    damping, repel = settings[2], settings[3]
    bounds, step, e, B = work[0], work[1], work[4], work[14][:, :m]
    centre, done, rows, room, active = work[5], work[6], work[9], work[10], work[12][:m]
    G, c = work[7][:m, :m], work[8][:m]
    damp(B, e, len(e) - 2, active, done, centre, effort, damping, withheld, G, c)
    resist(rows, room, count, repel, active, done, guess, G, c)
    if not whole:
        return
    low, high, x = work[16][6][:m], work[16][7][:m], work[16][8][:m]
    for a in range(m):
        low[a], high[a] = bounds[LOW, active[a]], bounds[HIGH, active[a]]
    box_qp(G, c, low, high, x, work[16])
    for a in range(m):
        step[active[a]] = x[a]


@jit
def roll(x: Array, base: Any, velocity: Array, bounds: Array, step: Array) -> None:
    """Write the steps of a planar base that is asked to move, `velocity` in its own axes."""
    if base[0] < 0 or math.isnan(velocity[0]):
        return
    c, s = math.cos(x[base[2]]), math.sin(x[base[2]])
    wanted = (
        c * velocity[0] - s * velocity[1],
        s * velocity[0] + c * velocity[1],
        velocity[2],
    )
    for k in range(3):
        i = base[k]
        step[i] = min(max(wanted[k], bounds[LOW, i]), bounds[HIGH, i])


@jit
def forget(targets: Array, moves: Array, opened: Array, activity: Array) -> None:
    """Write that nothing was followed."""
    targets[:] = np.nan
    moves[:] = 0.0
    opened[:] = np.nan
    activity[0] = 0.0


@jit
def open_follow(buffers: Any, start: Any, after: Any, whole: bool) -> tuple[float, int, int, int]:
    """Open a tick and make its first iteration; with `whole` False its step is left to solve.

    `buffers`, `start` and `after` are what `cut` and `recall` return.

    Returns:
        Squared error withheld, asked tips left, active joints, repulsion rows.
    """
    tree, robot, shapes, settings, asked, work = buffers
    x, last, targets, moves, opened, activity, _ = start
    _, _, targets_now, moves_now, opened_now, activity_now, _ = after
    M, J = tree[5], tree[6]
    box, _, posture, tip_joints, tools, chains, arms, base = robot
    flags, T, costs = asked[0], asked[1], asked[2]
    gains = settings[1]
    bounds, step, reference, A = work[0], work[1], work[2], work[3]
    centre, done, active = work[5], work[6], work[12]
    tips = len(tip_joints)
    open_tick(x, last, box, asked[4], bounds, step)
    roll(x, base, asked[5], bounds, step)
    left = screen(T, flags[:tips])
    if left == 0:
        forget(targets_now, moves_now, opened_now, activity_now)
        return 0.0, 0, 0, 0
    for side in range(2):  # an elbow is followed along with its wrist only
        tip = arms[side, 3]
        if tip < 0 or not flags[tip]:
            flags[tips + side] = 0
    place_joints(x, *tree)
    error2, withheld = lead(
        J, M, tip_joints, tools, chains, flags, T, costs, last, targets, moves, settings[0],
        reference, targets_now, moves_now,
    )  # fmt: skip
    activity_now[0] = activity[0] + gains[4] * (math.sqrt(error2) - activity[0])
    m = fill_active(flags[:tips], tip_joints, chains, active)
    linearise_all(J, M, robot, asked, settings, work)
    for i in range(len(centre)):
        centre[i] = done[i] = step[i]
    for a in range(m):
        done[active[a]] = 0.0
    limit = min(gains[2], gains[3] * activity_now[0])
    B, H = work[14][:, :m], work[7][:m, :m]
    pack(A, active[:m], B)
    links = work[16][2]
    clear(H)
    add_gram(B, 0, 6 * tips, H, links)
    drift(H, active[:m], x[: len(centre)], posture, gains[:2], limit, bounds, centre, work[16])
    add_gram(B, 6 * tips, len(B), H, links)
    count = 0
    if len(opened) > 0:
        count = approaching(
            J, M, chains, shapes, settings[3], last, box, opened, work[11], opened_now, work[9],
            work[10],
        )  # fmt: skip
    solve(robot, settings, work, last, m, count, withheld, whole)
    return withheld, left, m, count


@jit
def go_on(
    buffers: Any, start: Any, trial: Array, withheld: float, m: int, count: int, whole: bool
) -> None:
    """Make a further iteration from where the step has led so far; `trial` is work space, (n,)."""
    tree, robot, _, settings, asked, work = buffers
    x, step, done, B = start[0], work[1], work[6], work[14][:, :m]
    for i in range(len(done)):
        done[i] = step[i]
        trial[i] = x[i] + step[i]
    place_joints(trial, *tree)
    linearise_all(tree[6], tree[5], robot, asked, settings, work)
    pack(work[3], work[12][:m], B)
    clear(work[7][:m, :m])
    add_gram(B, 0, len(B), work[7][:m, :m], work[16][2])
    solve(robot, settings, work, done, m, count, withheld, whole)


@jit
def is_curved(step: Array, active: Any, limit: float) -> bool:
    """Whether a joint moves so far that the way there is not straight."""
    largest = 0.0
    for a in range(len(active)):
        largest = max(largest, abs(step[active[a]]))
    return largest > limit


@jit
def is_behind(buffers: Any) -> bool:
    """Whether an asked tip is farther from its target than counts as being there."""
    _, _, _, settings, asked, work = buffers
    for k in range(len(work[13])):
        if asked[0][k] and (work[13][k, 0] > settings[2][4] or work[13][k, 1] > settings[2][5]):
            return True
    return False


@jit
def close_follow(buffers: Any, start: Any, after: Any, bits: Any) -> float:
    """Write where the step leads, and how far tips are from their targets; the clearance."""
    tree, robot, shapes, settings, asked, work = buffers
    close_tick(start[0], start[1], work[1], robot[0], after[0], after[1], bits)
    place_joints(after[0], *tree)
    distances(tree[5], robot[3], robot[4], asked[1], asked[0], work[13])
    for k in range(len(work[13])):
        after[6][k, 0], after[6][k, 1] = work[13][k, 0], work[13][k, 1]
        if not asked[0][k]:
            after[6][k, 0] = np.nan
    if len(shapes[8]) == 0:
        return np.nan
    least: float = clearance(tree[5], shapes, settings[3][1], work[11], work[15])
    return least


@jit
def follow(
    floats: Array,
    ints: Any,
    start: Array,
    after: Array,
    bits: Any,
    iterations: int,
) -> tuple[int, float]:
    """A whole tick: see `open_follow`.

    Returns:
        The number of tips followed, negative when one is behind its target; and the clearance.
    """
    buffers, before, now = cut(floats, ints), recall(start, ints), recall(after, ints)
    withheld, left, m, count = open_follow(buffers, before, now, True)
    for _ in range(1, iterations if left else 0):
        if not is_curved(buffers[5][1], buffers[5][12][:m], buffers[3][2][3]):
            break
        go_on(buffers, before, now[0], withheld, m, count, True)
    least = close_follow(buffers, before, now, bits)
    return (-left if is_behind(buffers) else left), least


@jit
def begin(floats: Array, ints: Any, start: Array, after: Array) -> tuple[float, int, int, int]:
    """Open a tick up to its first normal equations; see `open_follow`."""
    buffers, before, now = cut(floats, ints), recall(start, ints), recall(after, ints)
    return open_follow(buffers, before, now, False)


@jit
def refine(
    floats: Array, ints: Any, start: Array, after: Array, withheld: float, m: int, count: int
) -> None:
    """Write the normal equations of a further iteration."""
    now = recall(after, ints)
    go_on(cut(floats, ints), recall(start, ints), now[0], withheld, m, count, False)


@jit
def finish(floats: Array, ints: Any, start: Array, after: Array, bits: Any) -> tuple[bool, float]:
    """Close a tick: whether a tip is behind its target, and the clearance."""
    buffers = cut(floats, ints)
    least = close_follow(buffers, recall(start, ints), recall(after, ints), bits)
    return is_behind(buffers), least


@jit
def approach(
    floats: Array, ints: Any, start: Array, goal: Array, speed: float, after: Array, bits: Any
) -> float:
    """Step towards a joint posture, while a base brakes; the clearance."""
    buffers, before, now = cut(floats, ints), recall(start, ints), recall(after, ints)
    _, robot, _, _, asked, work = buffers
    box, base, bounds, step = robot[0], robot[7], work[0], work[1]
    open_tick(before[0], before[1], box, asked[4], bounds, step)
    resting = (step[base[0]], step[base[1]], step[base[2]]) if base[0] >= 0 else (0.0, 0.0, 0.0)
    aim_joints(before[0], goal, speed, box, bounds, step)
    if base[0] >= 0:
        step[base[0]], step[base[1]], step[base[2]] = resting
    forget(now[2], now[3], now[4], now[5])
    least: float = close_follow(buffers, before, now, bits)
    return least
