"""Shared by the tests of this package."""

from __future__ import annotations

import numpy as np


def finite_difference(f, q, step=1e-6):
    """Jacobian of `f: (n,) -> (m,)` at `q` by central differences, (m, n)."""
    columns = []
    for i in range(len(q)):
        dq = np.zeros(len(q))
        dq[i] = step
        columns.append((f(q + dq) - f(q - dq)) / (2 * step))
    return np.stack(columns, axis=1)


def random_rotation(rng, angle=np.pi):
    from retarget.frames import exp3

    axis = rng.normal(size=3)
    return exp3(axis / np.linalg.norm(axis) * rng.uniform(0, angle))


def random_q(rig, rng):
    """Joints anywhere within their limits, a base up to a step away from home."""
    q = rng.uniform(rig.lower, rig.upper)
    base = [rig.joint_names.index(name) for name in rig.limbs.get("base", ())]
    q[base] = rig.q_home[base] + rng.uniform(-1, 1, len(base))
    return q


def random_pose(rng, centre, spread):
    T = np.eye(4)
    T[:3, :3] = random_rotation(rng)
    T[:3, 3] = centre + rng.uniform(-spread, spread, 3)
    return T
