"""What must not touch: capsules on a robot's joints, boxes it stands among, pairs that count."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retarget.distances import box_distance, segment_distance
from retarget.frames import Array

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class CollisionShapes:
    """Capsules on joints, boxes in the robot root, and the pairs of them that count.

    Attributes:
        joints: Pinocchio joint of each capsule, (c,).
        ends: Both ends of each capsule in that joint's frame, (c, 2, 3) [m].
        radii: (c,) [m].
        pairs: Capsules that must not touch, (p, 2).
        allowances: Added to the distance of each pair, (p,) [m].
        boxes: Pose `[R | p]` of each box in the robot root, (b, 3, 4).
        box_sizes: Half sizes, (b, 3) [m].
        box_pairs: Capsule and box that must not touch, (r, 2).
        parts: Part of each capsule, (c,) names.
        box_names: (b,) names.
        chosen: Numbers of the pairs among those they were chosen from; see `within`.
    """

    joints: Indices
    ends: Array
    radii: Array
    pairs: Indices
    allowances: Array
    boxes: Array
    box_sizes: Array
    box_pairs: Indices
    parts: NDArray[np.str_]
    box_names: NDArray[np.str_]
    chosen: Indices = field(default_factory=lambda: np.zeros(0, dtype=np.intp))

    def arrays(self) -> tuple[Any, ...]:
        """What kernels need."""
        return (
            self.joints,
            self.ends,
            self.radii,
            self.pairs,
            self.allowances,
            self.boxes,
            self.box_sizes,
            self.box_pairs,
            self.spans(),
        )

    def spans(self) -> Array:
        """What distances of middles exceed those of pairs by at most, (p + r,) [m]."""
        halves = self.radii + 0.5 * np.linalg.norm(self.ends[:, 1] - self.ends[:, 0], axis=1)
        i, j = self.pairs.T
        return np.concatenate(
            [halves[i] + halves[j] - self.allowances, halves[self.box_pairs[:, 0]]]
        )

    def name(self, pair: int) -> tuple[str, str]:
        """What meets in a pair; pairs of capsules are counted first, then those with boxes."""
        if pair < len(self.pairs):
            i, j = self.pairs[pair]
            return str(self.parts[i]), str(self.parts[j])
        i, b = self.box_pairs[pair - len(self.pairs)]
        return str(self.parts[i]), str(self.box_names[b])

    def segments(self, data: Any) -> Array:
        """Ends of the capsules in the robot root, (c, 2, 3), after Pinocchio's kinematics."""
        placed = [data.oMi[k] for k in self.joints.tolist()]
        R = np.array([pose.rotation for pose in placed]).reshape(-1, 3, 3)
        p = np.array([pose.translation for pose in placed]).reshape(-1, 1, 3)
        ends: Array = self.ends @ R.transpose(0, 2, 1) + p
        return ends

    def within(self, segments: Array, near: float) -> CollisionShapes:
        """The same with those pairs only that may be nearer than `near`, by their middles."""
        middles = segments.mean(axis=1)
        spans = self.spans() + near
        i, j = self.pairs.T
        together = np.linalg.norm(middles[i] - middles[j], axis=1) <= spans[: len(i)]
        k, b = self.box_pairs.T
        off = ((middles[k] - self.boxes[b, :, 3])[:, None] @ self.boxes[b, :, :3])[:, 0]
        beside = (np.abs(off) - self.box_sizes[b]).max(axis=1, initial=-np.inf) <= spans[len(i) :]
        return replace(
            self,
            pairs=self.pairs[together],
            allowances=self.allowances[together],
            box_pairs=self.box_pairs[beside],
            chosen=np.flatnonzero(np.concatenate([together, beside])),
        )

    def distances(self, data: Any, near: float = np.inf) -> Array:
        """Distance of every pair [m], (p + r,); negative where they overlap.

        Those beyond `near` are given as `near`.
        """
        segments = self.segments(data)
        found = np.full(len(self.pairs) + len(self.box_pairs), near)
        some = self.within(segments, near)
        between, *_ = some.between(segments)
        beside, *_ = some.beside(segments)
        found[some.chosen] = np.minimum(np.concatenate([between, beside]), near)
        return found

    def between(self, segments: Array) -> tuple[Array, Array, Array]:
        """Distances of the pairs of capsules (p,), and their nearest points, (p, 3) each."""
        i, j = self.pairs.T
        distance, p, q = segment_distance(segments[i], segments[j])
        return distance + self.allowances - self.radii[i] - self.radii[j], p, q

    def beside(self, segments: Array) -> tuple[Array, Array, Array]:
        """Distances of capsules to boxes (r,), nearest points and ways out, (r, 3) each."""
        k, b = self.box_pairs.T
        distance, p, n = box_distance(segments[k], self.boxes[b], self.box_sizes[b])
        return distance - self.radii[k], p, n


EMPTY = CollisionShapes(
    joints=np.zeros(0, dtype=np.intp),
    ends=np.zeros((0, 2, 3)),
    radii=np.zeros(0),
    pairs=np.zeros((0, 2), dtype=np.intp),
    allowances=np.zeros(0),
    boxes=np.zeros((0, 3, 4)),
    box_sizes=np.zeros((0, 3)),
    box_pairs=np.zeros((0, 2), dtype=np.intp),
    parts=np.zeros(0, dtype=np.str_),
    box_names=np.zeros(0, dtype=np.str_),
)
"""Nothing that must not touch."""
