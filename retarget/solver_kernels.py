"""The arithmetic of a damped Gauss-Newton step inside a box, compiled; see `solver` for the method.

`A` is the weighted Jacobian, (rows, n), `e` the weighted residual, (rows,), `active` the joints
that answer to the tasks (indices).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from retarget.frames import Array
from retarget.kernels import HIGH, LOW, Flags, jit

Indices = NDArray[np.intp]

Q_POSTURE, CENTRE, HALF = 0, 1, 2
"""Rows of a posture, (3, n): where joints like to be, middle of their range, half of it."""


@jit
def active_joints(chains: Flags, asked: Flags) -> Indices:
    """Joints that move any asked tip."""
    n = chains.shape[1]
    active, m = np.empty(n, np.intp), 0
    for i in range(n):
        for k in range(len(asked)):
            if asked[k] and chains[k, i]:
                active[m] = i
                m += 1
                break
    return active[:m]


@jit
def cholesky_solve(H: Array, index: Any, n: int, b: Array, L: Array) -> bool:
    """Solve `H[index, index] y = b` for the first `n` of `index`, in place; False if singular."""
    for r in range(n):
        for c in range(r + 1):
            s = H[index[r], index[c]]
            for k in range(c):
                s -= L[r, k] * L[c, k]
            if r > c:
                L[r, c] = s / L[c, c]
            elif s > 0.0:
                L[r, r] = math.sqrt(s)
            else:
                return False
    for r in range(n):
        for k in range(r):
            b[r] -= L[r, k] * b[k]
        b[r] /= L[r, r]
    for r in range(n - 1, -1, -1):
        for k in range(r + 1, n):
            b[r] -= L[k, r] * b[k]
        b[r] /= L[r, r]
    return True


@jit
def box_qp(H: Array, g: Array, low: Array, high: Array, x: Array) -> None:
    """Write the minimiser of 1/2 x'Hx + g'x in the box, H positive definite; exact.

    Primal active set (Nocedal, Wright 2006, algorithm 16.3) from the clipped free minimiser.
    """
    n = len(g)
    L, y, index = np.empty((n, n)), np.empty(n), np.arange(n)
    held = np.zeros(n, np.bool_)
    for i in range(n):
        y[i] = -g[i]
    if not cholesky_solve(H, index, n, y, L):
        y[:] = 0.0
    outside = False
    for i in range(n):
        x[i] = min(max(y[i], low[i]), high[i])
        held[i] = x[i] != y[i] or low[i] == high[i]
        outside |= held[i]
    if not outside:
        return
    slope = np.empty(n)
    for _ in range(10 * n):
        free = 0
        for i in range(n):
            slope[i] = g[i]
            for j in range(n):
                slope[i] += H[i, j] * x[j]
            if not held[i]:
                index[free], y[free] = i, -slope[i]
                free += 1
        cholesky_solve(H, index, free, y, L)
        share, blocking = 1.0, -1
        for f in range(free):
            i = index[f]
            if x[i] + y[f] > high[i]:
                room = (high[i] - x[i]) / y[f]
            elif x[i] + y[f] < low[i]:
                room = (low[i] - x[i]) / y[f]
            else:
                continue
            if room < share or blocking < 0:
                share, blocking = min(room, share), i
        for f in range(free):
            i = index[f]
            x[i] = min(max(x[i] + share * y[f], low[i]), high[i])
        if blocking >= 0:
            going_up = False
            for f in range(free):
                if index[f] == blocking:
                    going_up = y[f] > 0.0
            x[blocking] = high[blocking] if going_up else low[blocking]
            held[blocking] = True
            continue
        worst, leaving = 1e-15, -1
        for i in range(n):
            if not held[i] or low[i] == high[i]:
                continue
            push = g[i]
            for j in range(n):
                push += H[i, j] * x[j]
            if x[i] == low[i]:
                push = -push
            if push > worst:
                worst, leaving = push, i
        if leaving < 0:
            return
        held[leaving] = False


@jit
def drift(
    A: Array,
    active: Indices,
    q: Array,
    posture: Array,
    rates: Array,
    limit: float,
    bounds: Array,
    centre: Array,
) -> None:
    """Write the drift of the active joints into `centre`, clipped to the bounds.

    Args:
        A: Weighted Jacobian at `q`.
        active: Joints to write.
        q: Where the joints are, (n,).
        posture: Where they should be, (3, n).
        rates: Gains towards the posture and away from the stops, per tick, (2,).
        limit: Largest drift of any joint [rad].
        bounds: Bounds of the step, (2, n).
        centre: Written.
    """
    rows, m = len(A), len(active)
    G, y, L = np.empty((rows, rows)), np.zeros(rows), np.empty((rows, rows))
    wish = np.empty(m)
    for a in range(m):
        i = active[a]
        half = posture[HALF, i]
        beyond = min(max((q[i] - posture[CENTRE, i]) / half, -1.0), 1.0)
        wish[a] = rates[0] * (posture[Q_POSTURE, i] - q[i]) - rates[1] * half * beyond**5
        for r in range(rows):
            y[r] += A[r, i] * wish[a]
    for r in range(rows):
        for s in range(r + 1):
            G[r, s] = 1e-6 if r == s else 0.0
            for i in active:
                G[r, s] += A[r, i] * A[s, i]
    solved = cholesky_solve(G, np.arange(rows), rows, y, L)
    largest = 0.0
    for a in range(m):
        for r in range(rows):
            wish[a] -= A[r, active[a]] * y[r]
        if not solved:
            wish[a] = 0.0
        largest = max(largest, abs(wish[a]))
    share = limit / largest if largest > limit else 1.0
    for a in range(m):
        i = active[a]
        centre[i] = min(max(share * wish[a], bounds[LOW, i]), bounds[HIGH, i])


@jit
def solve(
    A: Array,
    e: Array,
    active: Indices,
    done: Array,
    centre: Array,
    effort: Array,
    damping: Array,
    withheld: float,
    bounds: Array,
    step: Array,
) -> None:
    """Write the active joints' step from the tick's start.

    Args:
        A: Weighted Jacobian after the step `done`.
        e: Weighted residual there.
        active: Joints to write.
        done: Step that was made already, (n,).
        centre: Step the damping pulls towards, (n,).
        effort: Charge per joint, (n,).
        damping: At zero error, per squared error, error beyond which it grows no further, (3,).
        withheld: Squared weighted error that is missing from `e`.
        bounds: Bounds of the step, (2, n).
        step: Written.
    """
    m = len(active)
    H, g, x = np.empty((m, m)), np.empty(m), np.empty(m)
    low, high = np.empty(m), np.empty(m)
    residual, error2 = np.empty(len(e)), withheld
    for r in range(len(e)):
        error2 += e[r] * e[r]
        residual[r] = e[r]
        for i in active:
            residual[r] -= A[r, i] * done[i]
    error2 = min(error2, damping[2] * damping[2])
    for a in range(m):
        i = active[a]
        low[a], high[a] = bounds[LOW, i], bounds[HIGH, i]
        charge = effort[i] * (damping[0] + damping[1] * error2)
        g[a] = -charge * centre[i]
        for r in range(len(e)):
            g[a] += A[r, i] * residual[r]
        for b in range(a + 1):
            s = charge if a == b else 0.0
            for r in range(len(e)):
                s += A[r, i] * A[r, active[b]]
            H[a, b] = H[b, a] = s
    box_qp(H, g, low, high, x)
    for a in range(m):
        step[active[a]] = x[a]
