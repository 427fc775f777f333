"""Distances of capsules and boxes, and the cost of coming near; see `retarget.repulsion`.

`shapes` is (joints, ends, radii, pairs, allowances, boxes, box_sizes, box_pairs, spans) as in
`retarget.shapes`; `M` the placements of all joints, `[R | p]`, (joints, 3, 4).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retarget.compiling import jit
from retarget.distances import HALVINGS, PARALLEL
from retarget.frames import Array
from retarget.kernels.limits import ACCELERATION, braking_step

LEAST_SLOWING = 1e-12
"""Of a pair that no joint moves [m per tick²]."""


@jit
def place(M: Array, shapes: Any, segments: Array) -> None:
    """Write ends and middle of the capsules in the robot root, (c, 3, 3)."""
    joints, ends = shapes[0], shapes[1]
    for k in range(len(joints)):
        j = joints[k]
        for end in range(2):
            x, y, z = ends[k, end, 0], ends[k, end, 1], ends[k, end, 2]
            for r in range(3):
                segments[k, end, r] = M[j, r, 0] * x + M[j, r, 1] * y + M[j, r, 2] * z + M[j, r, 3]
        for r in range(3):
            segments[k, 2, r] = 0.5 * (segments[k, 0, r] + segments[k, 1, r])


@jit
def nearest(segments: Array, i: int, j: int, p: Array, q: Array) -> float:
    """Write the nearest points of two segments; their distance."""
    a = b = c = e = f = 0.0
    for r in range(3):
        u, v = segments[i, 1, r] - segments[i, 0, r], segments[j, 1, r] - segments[j, 0, r]
        w = segments[i, 0, r] - segments[j, 0, r]
        a, b, c, e, f = a + u * u, b + u * v, c + u * w, e + v * v, f + v * w
    sine2 = a * e - b * b
    s = 0.5 if a > 0.0 else 0.0
    if sine2 > PARALLEL * a * e:
        s = min(max((b * f - c * e) / sine2, 0.0), 1.0)
    t = (b * s + f) / e if e != 0.0 else 0.0
    inside = min(max(t, 0.0), 1.0)
    if t != inside or e == 0.0:
        s = min(max((b * inside - c) / a, 0.0), 1.0) if a != 0.0 else 0.0
    d2 = 0.0
    for r in range(3):
        p[r] = segments[i, 0, r] + s * (segments[i, 1, r] - segments[i, 0, r])
        q[r] = segments[j, 0, r] + inside * (segments[j, 1, r] - segments[j, 0, r])
        d2 += (p[r] - q[r]) ** 2
    return math.sqrt(d2)


@jit
def outside(
    x: float, y: float, z: float, sizes: Array, b: int
) -> tuple[float, float, float, float]:
    """Signed distance of a point in the frame of box `b`, and its gradient."""
    u, v, w = abs(x) - sizes[b, 0], abs(y) - sizes[b, 1], abs(z) - sizes[b, 2]
    sx, sy, sz = math.copysign(1.0, x), math.copysign(1.0, y), math.copysign(1.0, z)
    if u <= 0.0 and v <= 0.0 and w <= 0.0:
        if u >= v and u >= w:
            return u, sx, 0.0, 0.0
        return (v, 0.0, sy, 0.0) if v >= w else (w, 0.0, 0.0, sz)
    u, v, w = max(u, 0.0), max(v, 0.0), max(w, 0.0)
    distance = math.sqrt(u * u + v * v + w * w)
    return distance, sx * u / distance, sy * v / distance, sz * w / distance


@jit
def beside(
    segments: Array, k: int, boxes: Array, sizes: Array, b: int, p: Array, n: Array
) -> float:
    """Signed distance of a segment to a box; writes its nearest point and the way out."""
    start, way = np.empty(3), np.empty(3)
    for r in range(3):
        start[r] = way[r] = 0.0
        for c in range(3):
            start[r] += boxes[b, c, r] * (segments[k, 0, c] - boxes[b, c, 3])
            way[r] += boxes[b, c, r] * (segments[k, 1, c] - segments[k, 0, c])
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        t = 0.5 * (low + high)
        x, y, z = start[0] + t * way[0], start[1] + t * way[1], start[2] + t * way[2]
        _, nx, ny, nz = outside(x, y, z, sizes, b)
        if nx * way[0] + ny * way[1] + nz * way[2] < 0.0:
            low = t
        else:
            high = t
    t = 0.5 * (low + high)
    x, y, z = start[0] + t * way[0], start[1] + t * way[1], start[2] + t * way[2]
    distance, nx, ny, nz = outside(x, y, z, sizes, b)
    for r in range(3):
        p[r] = segments[k, 0, r] + t * (segments[k, 1, r] - segments[k, 0, r])
        n[r] = boxes[b, r, 0] * nx + boxes[b, r, 1] * ny + boxes[b, r, 2] * nz
    return distance


@jit
def apart(segments: Array, i: int, j: int, far: float) -> bool:
    """Whether the middles of two segments are farther apart than `far`."""
    x = segments[i, 2, 0] - segments[j, 2, 0]
    y = segments[i, 2, 1] - segments[j, 2, 1]
    z = segments[i, 2, 2] - segments[j, 2, 2]
    distance2: float = x * x + y * y + z * z
    return distance2 > far * abs(far)


@jit
def aside(segments: Array, i: int, boxes: Array, sizes: Array, b: int, far: float) -> bool:
    """Whether the middle of a segment is farther from a box than `far`, along one of its axes."""
    x = segments[i, 2, 0] - boxes[b, 0, 3]
    y = segments[i, 2, 1] - boxes[b, 1, 3]
    z = segments[i, 2, 2] - boxes[b, 2, 3]
    for r in range(3):
        away = abs(boxes[b, 0, r] * x + boxes[b, 1, r] * y + boxes[b, 2, r] * z)
        if away - sizes[b, r] > far:
            return True
    return False


@jit
def clearance(M: Array, shapes: Any, most: float, segments: Array, hint: Any) -> float:
    """The smallest distance of any pair, `most` where all are farther apart.

    `hint` is the nearest pair lately: all farther ones are then dismissed at a glance.
    """
    radii, pairs, allowances, boxes, sizes, box_pairs, spans = shapes[2:]
    p, q = np.empty(3), np.empty(3)
    place(M, shapes, segments)
    least, first, count = most, hint[0], len(pairs)
    for turn in range(-1, len(spans)):
        k = first if turn < 0 else turn
        if turn == first or k >= len(spans):
            continue
        if k < count:
            i, j = pairs[k, 0], pairs[k, 1]
            if apart(segments, i, j, least + spans[k]):
                continue
            distance = nearest(segments, i, j, p, q) + allowances[k] - radii[i] - radii[j]
        else:
            i, b = box_pairs[k - count, 0], box_pairs[k - count, 1]
            if aside(segments, i, boxes, sizes, b, least + spans[k]):
                continue
            distance = beside(segments, i, boxes, sizes, b, p, q) - radii[i]
        if distance < least:
            least, hint[0] = distance, k
    return least


@jit
def gradient(
    J: Array,
    chains: Any,
    first: int,
    second: int,
    p: Array,
    q: Array,
    n: Array,
    rows: Array,
    c: int,
) -> None:
    """Write how joints change the distance of points fixed to two joints: row `c`, (n,).

    Args:
        J: Spatial Jacobian at the root's origin, (6, n).
        chains: Which columns move a joint, (joints, n).
        first: Joint of the point `p`.
        second: Joint of the point `q`; 0 stands still.
        p: (3,) [m].
        q: (3,) [m].
        n: From `q` to `p`, (3,), unit.
        rows: Written.
        c: Which row.
    """
    # n . (v + w x p) = n . v + w . (p x n)
    x, y, z = p[1] * n[2] - p[2] * n[1], p[2] * n[0] - p[0] * n[2], p[0] * n[1] - p[1] * n[0]
    d, e, f = q[1] * n[2] - q[2] * n[1], q[2] * n[0] - q[0] * n[2], q[0] * n[1] - q[1] * n[0]
    for i in range(rows.shape[1]):
        rows[c, i] = 0.0
        mine, other = chains[first, i], chains[second, i]
        if mine == other:  # moves both, or neither
            continue
        along = n[0] * J[0, i] + n[1] * J[1, i] + n[2] * J[2, i]
        if mine:
            rows[c, i] = along + x * J[3, i] + y * J[4, i] + z * J[5, i]
        else:
            rows[c, i] = -along - d * J[3, i] - e * J[4, i] - f * J[5, i]


@jit
def stop(went: float, slowing: float) -> float:
    """Way to stop from a change of distance per tick; nothing for what goes apart."""
    v = max(-went, 0.0)
    return 0.5 * v * v / slowing


@jit
def approaching(
    J: Array,
    M: Array,
    chains: Any,
    shapes: Any,
    settings: Array,
    last: Array,
    box: Array,
    before: Array,
    segments: Array,
    opened: Array,
    rows: Array,
    room: Array,
) -> int:
    """Write the pairs that matter: how joints change their distance, and the room they have.

    Those are the pairs within their band, or so fast that they will be before they can stop; with
    `hard` also those whose approach could become faster than can be stopped at the floor.

    Args:
        J: Spatial Jacobian, (6, n).
        M: Placements of the joints.
        chains: Which columns move a joint, (joints, n).
        shapes: Capsules, boxes, pairs.
        settings: Band [m], distance up to which pairs are watched [m], cost, whether the mode is
            `hard`, floor [m].
        last: Steps of the last tick, (at least n,).
        box: Limits of the joints, (4, at least n).
        before: Widest each pair has been, (pairs,); NaN where nothing was asked before.
        segments: Work space, (c, 3, 3).
        opened: Written: the same after this tick.
        rows: Written, (pairs, n).
        room: Written, (pairs, 3): distance, where the band ends, and how an approach can be
            slowed [m per tick²].

    Returns:
        How many rows were written.
    """
    band, watch = settings[0], max(settings[0], settings[1])
    joints, _, radii, pairs, allowances, boxes, sizes, box_pairs, spans = shapes
    p, q, n = np.empty(3), np.empty(3), np.empty(3)
    place(M, shapes, segments)
    found, count = 0, len(pairs)
    for k in range(len(spans)):
        opened[k] = band
        if k < count:
            i, j = pairs[k, 0], pairs[k, 1]
            if apart(segments, i, j, watch + spans[k]):
                continue
            d = nearest(segments, i, j, p, q)
            for r in range(3):
                n[r] = (p[r] - q[r]) / d if d > 0.0 else 0.0
            d += allowances[k] - radii[i] - radii[j]
            first, second = joints[i], joints[j]
        else:
            i, b = box_pairs[k - count, 0], box_pairs[k - count, 1]
            if aside(segments, i, boxes, sizes, b, watch + spans[k]):
                continue
            d = beside(segments, i, boxes, sizes, b, p, n) - radii[i]
            first, second = joints[i], 0
        if d >= watch:
            continue
        opened[k] = min(band, d if math.isnan(before[k]) else max(before[k], d))
        gradient(J, chains, first, second, p, q, n, rows, found)
        went = change = 0.0
        for c in range(rows.shape[1]):
            went += rows[found, c] * last[c]
            change += abs(rows[found, c]) * box[ACCELERATION, c]
        slowing = max(0.5 * change, LEAST_SLOWING)
        counts = d < opened[k] or d + went - stop(went, slowing) < opened[k]
        if settings[3] and not counts:
            spare = max(d - min(settings[4], opened[k]), 0.0)
            counts = braking_step(spare, slowing) < change - went
        if counts:
            room[found, 0], room[found, 1], room[found, 2] = d, opened[k], slowing
            found += 1
    return found


@jit
def resist(
    rows: Array,
    room: Array,
    count: int,
    settings: Array,
    active: Any,
    done: Array,
    guess: Array,
    H: Array,
    g: Array,
) -> None:
    """Add the cost of coming near to the normal equations of the active joints' whole step.

    `done` is what they did so far, and what the other joints will do; about `guess`, which holds
    the active joints only, the cost is linearised.

    The residual is k (band - d)² / (2 band √h), d being what the distance will be after the tick
    and the way to stop, and h how d changes with the step: its slope grows from zero at the edge
    of the band.
    """
    scale, m = settings[2], len(active)
    for c in range(count):
        went = back = 0.0
        for i in range(len(done)):
            went += rows[c, i] * done[i]
        for a in range(m):
            i = active[a]
            back += rows[c, i] * guess[i]
            went += rows[c, i] * (guess[i] - done[i])
        short = room[c, 1] - (room[c, 0] + went - stop(went, room[c, 2]))
        if short <= 0.0:
            continue
        change = 1.0 + max(-went, 0.0) / room[c, 2]
        steep = scale / (settings[0] * math.sqrt(change))
        slope = -steep * change * short
        residual = 0.5 * steep * short * short - slope * back
        for a in range(m):
            weight = slope * rows[c, active[a]]
            if weight != 0.0:
                g[a] += weight * residual
                for b in range(a + 1):
                    H[a, b] += weight * slope * rows[c, active[b]]
