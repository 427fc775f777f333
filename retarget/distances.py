"""Distances between segments, and of segments to boxes, many at a time.

The compiled kernels compute the same numbers in the same way, one at a time.
"""

from __future__ import annotations

import numpy as np

from retarget.frames import Array

HALVINGS = 48
"""Of a segment, in search of its point nearest to a box: to the last bit."""
PARALLEL = 1e-9
"""Squared sine below which two segments count as parallel."""


def segment_distance(first: Array, second: Array) -> tuple[Array, Array, Array]:
    """Nearest points of pairs of segments (Ericson 2005, section 5.1.9).

    Args:
        first: Ends, (k, 2, 3) [m].
        second: Ends, (k, 2, 3) [m].

    Returns:
        Distances (k,), points on the first, (k, 3), points on the second, (k, 3).
    """
    u, v = first[:, 1] - first[:, 0], second[:, 1] - second[:, 0]
    w = first[:, 0] - second[:, 0]
    a, e = _dot(u, u), _dot(v, v)
    b, c, f = _dot(u, v), _dot(u, w), _dot(v, w)
    sine2 = a * e - b * b
    skew = sine2 > PARALLEL * a * e
    s = np.where(skew, np.clip(_over(b * f - c * e, sine2), 0.0, 1.0), 0.5 * (a > 0.0))
    t = _over(b * s + f, e)
    inside = np.clip(t, 0.0, 1.0)
    again = (t != inside) | (e == 0.0)
    s = np.where(again, np.clip(_over(b * inside - c, a), 0.0, 1.0), s)
    p, q = first[:, 0] + s[:, None] * u, second[:, 0] + inside[:, None] * v
    return np.sqrt(_dot(p - q, p - q)), p, q


def box_distance(segments: Array, boxes: Array, sizes: Array) -> tuple[Array, Array, Array]:
    """Signed distance of segments to boxes: negative inside, by the depth below the nearest face.

    Along a segment the signed distance to a convex body is a convex function, so halving finds
    its least value.

    Args:
        segments: Ends, (k, 2, 3) [m].
        boxes: Poses `[R | p]`, (k, 3, 4).
        sizes: Half sizes, (k, 3) [m].

    Returns:
        Distances (k,), points on the segments, (k, 3), directions away from the boxes, (k, 3).
    """
    R, p = boxes[:, :, :3], boxes[:, :, 3]
    start = _turned_back(R, segments[:, 0] - p)
    way = _turned_back(R, segments[:, 1] - segments[:, 0])
    low, high = np.zeros(len(way)), np.ones(len(way))
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        _, outward = _signed(start + middle[:, None] * way, sizes)
        falls = _dot(outward, way) < 0.0
        low, high = np.where(falls, middle, low), np.where(falls, high, middle)
    t = (0.5 * (low + high))[:, None]
    distance, outward = _signed(start + t * way, sizes)
    n = (R @ outward[:, :, None])[:, :, 0]
    return distance, segments[:, 0] + t * (segments[:, 1] - segments[:, 0]), n


def _signed(x: Array, sizes: Array) -> tuple[Array, Array]:
    """Signed distance of points in the frames of boxes, and its gradient."""
    beyond = np.abs(x) - sizes
    sign = np.where(x < 0.0, -1.0, 1.0)
    out = np.maximum(beyond, 0.0)
    distance = np.sqrt(_dot(out, out))
    inside = distance == 0.0
    deepest = np.argmax(beyond, axis=1)
    face = np.eye(3)[deepest]
    gradient = np.where(inside[:, None], face, _over(out, distance[:, None])) * sign
    return np.where(inside, beyond.max(axis=1, initial=-np.inf), distance), gradient


def _turned_back(R: Array, v: Array) -> Array:
    turned: Array = (v[:, None, :] @ R)[:, 0, :]
    return turned


def _dot(a: Array, b: Array) -> Array:
    product: Array = (a * b).sum(axis=1)
    return product


def _over(a: Array, b: Array) -> Array:
    """A / b, zero where b is zero."""
    return np.divide(a, b, out=np.zeros(np.broadcast(a, b).shape), where=b != 0.0)
