from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retarget.capsules import fit_capsule, fit_capsules
from retarget.distances import box_distance, segment_distance
from retarget.kernels.repulsion import beside, nearest
from tests.retarget.helpers import random_rotation

seeds = st.integers(0, 2**32 - 1)
GRID = np.linspace(0.0, 1.0, 101)


def random_segment(rng):
    """Long, short, a point, or along an axis."""
    a = rng.uniform(-0.5, 0.5, 3)
    way = rng.normal(size=3) * rng.choice([0.3, 0.01, 0.0])
    if rng.random() < 0.3:
        way *= np.eye(3)[rng.integers(3)]
    return np.array([a, a + way])


def random_box(rng):
    size = rng.uniform(0.05, 0.3, 3)
    return np.column_stack([random_rotation(rng), rng.uniform(-0.3, 0.3, 3)]), size


@settings(deadline=None)
@given(seeds)
def test_no_points_of_two_segments_are_nearer_than_their_distance(seed):
    rng = np.random.default_rng(seed)
    first, second = random_segment(rng), random_segment(rng)
    distance, p, q = (x[0] for x in segment_distance(first[None], second[None]))
    one = first[0] + GRID[:, None, None] * (first[1] - first[0])
    other = second[0] + GRID[None, :, None] * (second[1] - second[0])
    sampled = np.linalg.norm(one - other, axis=2).min()
    assert distance <= sampled + 1e-12
    assert distance >= sampled - 0.02 * (np.ptp(first, axis=0).max() + np.ptp(second, axis=0).max())
    assert np.linalg.norm(p - q) == pytest.approx(distance, abs=1e-12)


@settings(deadline=None)
@given(seeds)
def test_signed_distance_to_a_box_is_the_least_along_the_segment(seed):
    rng = np.random.default_rng(seed)
    segment, (box, size) = random_segment(rng), random_box(rng)
    distance, p, n = (x[0] for x in box_distance(segment[None], box[None], size[None]))
    points = segment[0] + GRID[:, None] * (segment[1] - segment[0])
    beyond = np.abs((points - box[:, 3]) @ box[:, :3]) - size
    outside = np.linalg.norm(np.maximum(beyond, 0.0), axis=1)
    sampled = np.where(outside > 0.0, outside, beyond.max(axis=1)).min()
    assert distance <= sampled + 1e-9
    assert distance >= sampled - 0.02 * np.ptp(segment, axis=0).max()
    assert np.linalg.norm(n) == pytest.approx(1.0)
    away = p + 0.01 * n - box[:, 3]
    assert (np.abs(away @ box[:, :3]) - size).max() > (
        np.abs((p - box[:, 3]) @ box[:, :3]) - size
    ).max() - 1e-12


@settings(deadline=None)
@given(seeds)
def test_kernels_find_the_same_distances(seed):
    rng = np.random.default_rng(seed)
    segments = np.array([random_segment(rng), random_segment(rng)])
    p, q, n = np.empty(3), np.empty(3), np.empty(3)
    expected = segment_distance(segments[:1], segments[1:])[0][0]
    assert nearest(segments, 0, 1, p, q) == pytest.approx(expected, abs=1e-12)
    box, size = random_box(rng)
    expected = box_distance(segments[:1], box[None], size[None])[0][0]
    assert beside(segments, 0, box[None], size[None], 0, p, n) == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_capsules_hold_every_point(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(40, 3)) * rng.uniform(0.01, 0.2, 3)
    capsules = fit_capsules(points)
    assert np.max([c.depth(points) for c in capsules], axis=0).min() >= -1e-9
    between = points[rng.integers(40, size=200)]
    between += rng.uniform(size=(200, 1)) * (points[rng.integers(40, size=200)] - between)
    assert np.max([c.depth(between) for c in capsules], axis=0).min() >= -1e-9


def test_a_capsule_is_fitted_as_a_capsule():
    rng = np.random.default_rng(0)
    way = rng.normal(size=(4000, 3))
    ball = 0.05 * way / np.linalg.norm(way, axis=1, keepdims=True)
    axis = np.array([0.6, 0.0, 0.8])
    points = ball + rng.uniform(-0.1, 0.1, (4000, 1)) * axis
    found = fit_capsule(points)
    assert found.radius == pytest.approx(0.05, rel=0.05)
    assert np.linalg.norm(found.b - found.a) == pytest.approx(0.2, rel=0.1)
    assert abs((found.b - found.a) @ axis) == pytest.approx(
        np.linalg.norm(found.b - found.a), rel=0.01
    )
