"""A quadratic cost inside a box, solved exactly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retarget.compiling import jit
from retarget.frames import Array

Indices = NDArray[np.intp]

GUESSES = 10
LEAST_GAIN = 1e-15
"""Slope below which a bound is not worth leaving: above rounding, slopes are about 1e-3."""


@jit
def cholesky_solve(H: Array, damping: float, index: Indices, n: int, b: Array, work: Any) -> bool:
    """Solve `(H + damping I)[index, index] y = b`, the first `n` of `index`; False if singular.

    Reads the lower half of `H`. Goes from the last variable to the first: in the order of a robot
    from the base outwards, arms then stay uncoupled until the waist, and zeros are skipped.

    Args:
        H: Positive definite, (m, m).
        damping: Added to its diagonal.
        index: Which variables, ascending.
        n: How many of them.
        b: Right-hand side; the solution is written here.
        work: See `layout.cut`.
    """
    L, inverses, links = work[0], work[1], work[2]
    for r in range(n):
        i = index[r]
        for c in range(r):
            L[r, c] = H[i, index[c]]
        L[r, r] = H[i, i] + damping
    for k in range(n - 1, -1, -1):
        pivot = L[k, k]
        if not pivot > 0.0:
            return False
        inverse = 1.0 / math.sqrt(pivot)
        inverses[k] = inverse
        solved = b[k] * inverse
        b[k] = solved
        count = 0
        for c in range(k):
            if L[k, c] != 0.0:
                factor = L[k, c] * inverse
                L[k, c] = factor
                b[c] -= factor * solved
                links[count] = c
                count += 1
        for m in range(count):
            r = links[m]
            factor = L[k, r]
            for w in range(m + 1):
                c = links[w]
                L[r, c] -= factor * L[k, c]
    for r in range(n):
        s = b[r]
        for c in range(r):
            s -= L[r, c] * b[c]
        b[r] = s * inverses[r]
    return True


@jit
def box_qp(H: Array, g: Array, low: Array, high: Array, x: Array, work: Any) -> None:
    """Write the minimiser of 1/2 x'Hx + g'x in the box, H positive definite (lower half); exact.

    Guesses which bounds hold all at once (primal-dual active set, Hintermueller, Ito, Kunisch
    2002): one or two solutions in practice. It may run in circles; then goes bound by bound.

    Args:
        H: Lower half, (n, n).
        g: (n,).
        low: Lower bounds, (n,).
        high: Upper bounds, (n,).
        x: Written.
        work: See `layout.cut`.
    """
    held = work[4]
    for i in range(len(g)):
        held[i] = low[i] == high[i]
        x[i] = low[i]
    for _ in range(GUESSES):
        if guess(H, g, low, high, x, work):
            return
    bound_by_bound(H, g, low, high, x, work)


@jit
def guess(H: Array, g: Array, low: Array, high: Array, x: Array, work: Any) -> bool:
    """Solve for what is not held, then hold and let go anew; whether that is the minimum."""
    index, held, y = work[3], work[4], work[5]
    n, free = len(g), 0
    for i in range(n):
        if not held[i]:
            index[free], y[free] = i, -g[i]
            free += 1
    if free < n:
        shift(H, x, free, index, held, y)
    if not cholesky_solve(H, 0.0, index, free, y, work):
        return False
    for f in range(free):
        x[index[f]] = y[f]
    # slopes belong to the solution as it is, so clip only afterwards
    good = free == n or not release(H, g, low, high, x, held)
    for f in range(free):
        i = index[f]
        if x[i] < low[i]:
            x[i], held[i], good = low[i], 1, False
        elif x[i] > high[i]:
            x[i], held[i], good = high[i], 1, False
    return good


@jit
def shift(H: Array, x: Array, free: int, index: Indices, held: Indices, y: Array) -> None:
    """Move what is held to the right-hand side."""
    for j in range(len(x)):
        if held[j]:
            for f in range(free):
                i = index[f]
                y[f] -= x[j] * (H[i, j] if i > j else H[j, i])


@jit
def release(H: Array, g: Array, low: Array, high: Array, x: Array, held: Indices) -> bool:
    """Let go of the bounds that are worth leaving; whether there are any."""
    any_left = False
    for i in range(len(x)):
        if held[i] and low[i] < high[i]:
            gain = slope(H, g, x, i)
            if (-gain if x[i] == low[i] else gain) > LEAST_GAIN:
                held[i], any_left = 0, True
    return any_left


@jit
def bound_by_bound(H: Array, g: Array, low: Array, high: Array, x: Array, work: Any) -> None:
    """Primal active set (Nocedal, Wright 2006, algorithm 16.3) from the clipped `x`."""
    index, held, y = work[3], work[4], work[5]
    n = len(g)
    for i in range(n):
        x[i] = min(max(x[i], low[i]), high[i])
        held[i] = x[i] == low[i] or x[i] == high[i]
    for _ in range(10 * n):
        free = 0
        for i in range(n):
            if not held[i]:
                index[free], y[free] = i, -slope(H, g, x, i)
                free += 1
        cholesky_solve(H, 0.0, index, free, y, work)
        if advance(x, y, index, free, low, high, held):
            continue
        i = leaving(H, g, x, low, high, held)
        if i < 0:
            return
        held[i] = 0


@jit
def slope(H: Array, g: Array, x: Array, i: int) -> float:
    """Derivative of the cost along one variable."""
    s: float = g[i]
    for j in range(i):
        s += H[i, j] * x[j]
    for j in range(i, len(x)):
        s += H[j, i] * x[j]
    return s


@jit
def advance(
    x: Array, y: Array, index: Indices, free: int, low: Array, high: Array, held: Indices
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
    x[blocking], held[blocking] = bound, 1
    return True


@jit
def leaving(H: Array, g: Array, x: Array, low: Array, high: Array, held: Indices) -> int:
    """The held variable that gains most from leaving its bound; -1 when none does."""
    most, best = LEAST_GAIN, -1
    for i in range(len(x)):
        if held[i] and low[i] < high[i]:
            gain = slope(H, g, x, i)
            gain = -gain if x[i] == low[i] else gain
            if gain > most:
                most, best = gain, i
    return best
