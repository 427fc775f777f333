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
def cholesky_solve(H: Array, index: Indices, n: int, b: Array, L: Array) -> bool:
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
    L, y, index = np.empty((n, n)), np.empty(n), np.empty(n, np.intp)
    held = np.empty(n, np.bool_)
    for i in range(n):
        y[i], index[i] = -g[i], i
    if not cholesky_solve(H, index, n, y, L):
        y[:] = 0.0
    outside = False
    for i in range(n):
        x[i] = min(max(y[i], low[i]), high[i])
        held[i] = x[i] != y[i] or low[i] == high[i]
        outside |= held[i]
    for _ in range(10 * n if outside else 0):  # a handful in practice
        free = 0
        for i in range(n):
            if not held[i]:
                index[free], y[free] = i, -slope(H, g, x, i)
                free += 1
        cholesky_solve(H, index, free, y, L)
        if advance(x, y, index, free, low, high, held):
            continue
        i = leaving(H, g, x, low, high, held)
        if i < 0:
            return
        held[i] = False


@jit
def slope(H: Array, g: Array, x: Array, i: int) -> float:
    """Derivative of the cost along one variable."""
    s: float = g[i]
    for j in range(len(x)):
        s += H[i, j] * x[j]
    return s


@jit
def advance(
    x: Array, y: Array, index: Indices, free: int, low: Array, high: Array, held: Flags
) -> bool:
    """Move the free variables by `y` up to the first bound; hold the one that meets it."""
    share, blocking, bound = 1.0, -1, 0.0
    for f in range(free):
        i = index[f]
        wanted = x[i] + y[f]
        inside = min(max(wanted, low[i]), high[i])
        if inside != wanted and (blocking < 0 or (inside - x[i]) / y[f] < share):
            share, blocking, bound = (inside - x[i]) / y[f], i, inside
    for f in range(free):
        i = index[f]
        x[i] = min(max(x[i] + share * y[f], low[i]), high[i])
    if blocking < 0:
        return False
    x[blocking], held[blocking] = bound, True
    return True


@jit
def leaving(H: Array, g: Array, x: Array, low: Array, high: Array, held: Flags) -> int:
    """The held variable that gains most from leaving its bound; -1 when none does."""
    most, best = 1e-15, -1  # above rounding: slopes are of the order of 1e-3
    for i in range(len(x)):
        if held[i] and low[i] < high[i]:
            gain = slope(H, g, x, i)
            gain = -gain if x[i] == low[i] else gain
            if gain > most:
                most, best = gain, i
    return best


@jit
def gram(B: Array, G: Array) -> None:
    """Write the lower half of `B'B`; skips zeros, as tips share few joints."""
    G[:] = 0.0
    for r in range(len(B)):
        for i in range(B.shape[1]):
            value = B[r, i]
            if value != 0.0:
                for j in range(i + 1):
                    G[i, j] += value * B[r, j]


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
    G, L, index = np.empty((rows, rows)), np.empty((rows, rows)), np.empty(rows, np.intp)
    wish, y, B = np.empty(m), np.zeros(rows), np.empty((m, rows))
    for a in range(m):
        i = active[a]
        half = posture[HALF, i]
        beyond = min(max((q[i] - posture[CENTRE, i]) / half, -1.0), 1.0)
        wish[a] = rates[0] * (posture[Q_POSTURE, i] - q[i]) - rates[1] * half * beyond**5
        for r in range(rows):
            B[a, r] = A[r, i]
            y[r] += B[a, r] * wish[a]
    gram(B, G)
    for r in range(rows):
        G[r, r] += 1e-6
        index[r] = r
    solved = cholesky_solve(G, index, rows, y, L)
    largest = 0.0
    for a in range(m):
        for r in range(rows):
            wish[a] -= B[a, r] * y[r]
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
    rows, m = len(A), len(active)
    H, B, g, x = np.empty((m, m)), np.empty((rows, m)), np.zeros(m), np.empty(m)
    low, high = np.empty(m), np.empty(m)
    error2 = withheld
    for r in range(rows):
        error2 += e[r] * e[r]
        residual = e[r]  # as if the joints had not moved
        for a in range(m):
            B[r, a] = A[r, active[a]]
            residual -= B[r, a] * done[active[a]]
        for a in range(m):
            g[a] += B[r, a] * residual
    gram(B, H)
    error2 = min(error2, damping[2] * damping[2])
    for a in range(m):
        i = active[a]
        low[a], high[a] = bounds[LOW, i], bounds[HIGH, i]
        charge = effort[i] * (damping[0] + damping[1] * error2)
        g[a] -= charge * centre[i]
        H[a, a] += charge
        for b in range(a):
            H[b, a] = H[a, b]
    box_qp(H, g, low, high, x)
    for a in range(m):
        step[active[a]] = x[a]
