from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retarget import Clutch
from retarget.errors import ClutchError
from tests.retarget.helpers import random_pose

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.floats(0.2, 3))
def test_engage_does_not_move_target(seed, scale):
    rng = np.random.default_rng(seed)
    hand, tip = random_pose(rng, 0, 2), random_pose(rng, 0, 2)
    clutch = Clutch(scale)
    clutch.engage(hand, tip)
    assert np.array_equal(clutch.target(hand), tip)


@given(seeds)
def test_reengaging_elsewhere_does_not_move_target(seed):
    rng = np.random.default_rng(seed)
    clutch = Clutch()
    clutch.engage(random_pose(rng, 0, 1), random_pose(rng, 0, 1))
    target = clutch.target(random_pose(rng, 0, 1))
    clutch.release()
    assert not clutch.engaged
    elsewhere = random_pose(rng, 0, 1)
    clutch.engage(elsewhere, target)
    assert np.array_equal(clutch.target(elsewhere), target)


@given(seeds, st.floats(0.2, 3))
def test_translation_is_scaled_and_rotation_is_not(seed, scale):
    rng = np.random.default_rng(seed)
    hand, tip, moved = (random_pose(rng, 0, 1) for _ in range(3))
    clutch = Clutch(scale)
    clutch.engage(hand, tip)
    target = clutch.target(moved)
    assert np.allclose(target[:3, 3] - tip[:3, 3], scale * (moved[:3, 3] - hand[:3, 3]))
    assert np.allclose(target[:3, :3] @ tip[:3, :3].T, moved[:3, :3] @ hand[:3, :3].T)


def test_an_open_clutch_has_no_target():
    with pytest.raises(ClutchError, match="before engage"):
        Clutch().target(np.eye(4))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_senseless_scale_is_refused(scale):
    with pytest.raises(ClutchError, match="scale"):
        Clutch(scale)
