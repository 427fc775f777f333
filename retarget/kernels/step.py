"""Damped Gauss-Newton steps and drift; see `retarget.solver` for the method.

`A` is the weighted Jacobian, (rows, n), `e` the weighted residual, (rows,), `active` the joints
that answer to the tasks (indices).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retarget.compiling import jit
from retarget.frames import Array
from retarget.kernels.box_qp import cholesky_solve
from retarget.kernels.limits import HIGH, LOW

Indices = NDArray[np.intp]

Q_POSTURE, CENTRE, HALF = 0, 1, 2
"""Rows of a posture, (3, n): where joints like to be, middle of their range, half of it."""
NULL_DAMPING = 1e-6
"""Of the null space; next to a singularity it lets through micrometres."""


@jit
def add_gram(B: Array, first: int, last: int, G: Array, links: Indices) -> None:
    """Add the lower half of `B'B` of some rows; rows of one tip have zeros in the same places."""
    for begin in range(first, last, 6):
        end = min(begin + 6, last)
        count = 0
        for a in range(B.shape[1]):
            for r in range(begin, end):
                if B[r, a] != 0.0:
                    links[count] = a
                    count += 1
                    break
        for m in range(count):
            a = links[m]
            for w in range(m + 1):
                b = links[w]
                s = 0.0
                for r in range(begin, end):
                    s += B[r, a] * B[r, b]
                G[a, b] += s


@jit
def clear(G: Array) -> None:
    """Zero the lower half."""
    for a in range(len(G)):
        for b in range(a + 1):
            G[a, b] = 0.0


@jit
def drift(
    G: Array,
    active: Indices,
    q: Array,
    posture: Array,
    rates: Array,
    limit: float,
    bounds: Array,
    centre: Array,
    work: Any,
) -> None:
    """Write the drift of the active joints into `centre`, clipped to the bounds.

    The part of a motion that tips do not feel, `(I - A' (A A' + d I)^-1 A) wish`, is the same as
    `d (A' A + d I)^-1 wish`, and `A' A` is needed anyway.

    Args:
        G: Lower half of `A' A` of the tips at `q`, (m, m).
        active: Joints to write.
        q: Where the joints are, (n,).
        posture: Where they should be, (3, n).
        rates: Gains towards the posture and away from the stops, per tick, (2,).
        limit: Largest drift of any joint [rad].
        bounds: Bounds of the step, (2, n).
        centre: Written.
        work: See `layout.cut`.
    """
    m = len(active)
    index, wish = work[3], work[5]
    for a in range(m):
        i = active[a]
        half = posture[HALF, i]
        beyond = min(max((q[i] - posture[CENTRE, i]) / half, -1.0), 1.0)
        away = beyond * beyond * beyond * beyond * beyond
        wish[a] = rates[0] * (posture[Q_POSTURE, i] - q[i]) - rates[1] * half * away
        index[a] = a
    solved = cholesky_solve(G, NULL_DAMPING, index, m, wish, work)
    largest = 0.0
    for a in range(m):
        wish[a] = NULL_DAMPING * wish[a] if solved else 0.0
        largest = max(largest, abs(wish[a]))
    share = limit / largest if largest > limit else 1.0
    for a in range(m):
        i = active[a]
        centre[i] = min(max(share * wish[a], bounds[LOW, i]), bounds[HIGH, i])


@jit
def pack(A: Array, active: Indices, B: Array) -> None:
    """Write the columns of the active joints side by side."""
    for r in range(len(A)):
        for a in range(len(active)):
            B[r, a] = A[r, active[a]]


@jit
def damp(
    B: Array,
    e: Array,
    tip_rows: int,
    active: Indices,
    done: Array,
    centre: Array,
    effort: Array,
    damping: Array,
    withheld: float,
    H: Array,
    g: Array,
) -> None:
    """Complete the normal equations of the active joints' step from the tick's start.

    Args:
        B: Weighted Jacobian of the active joints after the step `done`, (rows, m).
        e: Weighted residual there.
        tip_rows: How many rows, the first ones, are of tips: their error makes the damping.
        active: Joints to solve for.
        done: Step that was made already, (n,).
        centre: Step the damping pulls towards, (n,).
        effort: Charge per joint, (n,).
        damping: At zero error, per squared error, error beyond which it grows no further, (3,).
        withheld: Squared weighted error that is missing from `e`.
        H: Lower half of `B' B`; the damping is added.
        g: Written, (m,).
    """
    rows, m = len(B), len(active)
    error2 = withheld
    g[:] = 0.0
    for r in range(rows):
        if r < tip_rows:
            error2 += e[r] * e[r]
        residual = e[r]  # as if the joints had not moved
        for a in range(m):
            residual -= B[r, a] * done[active[a]]
        for a in range(m):
            g[a] += B[r, a] * residual
    error2 = min(error2, damping[2] * damping[2])
    for a in range(m):
        i = active[a]
        charge = effort[i] * (damping[0] + damping[1] * error2)
        g[a] -= charge * centre[i]
        H[a, a] += charge
