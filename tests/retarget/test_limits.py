from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retarget.limits import JointBox, braking_step

DT = 0.005


def stopping_distance(step, a):
    total = 0.0
    while step > 0:
        total += step
        step -= a
    return total


@given(st.floats(0, 3), st.floats(1e-5, 1e-1))
def test_braking_step_stops_exactly_within_the_room(room, a):
    step = float(braking_step(np.array([room]), np.array([a]))[0])
    assert stopping_distance(step, a) <= room + 1e-9
    assert stopping_distance(step * (1 + 1e-6) + 1e-9, a) > room - 1e-9


@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=200),
    st.floats(-2, 2),
    st.floats(0.5, 8),
    st.floats(5, 200),
)
def test_box_is_never_empty_and_holds_every_limit(wishes, q0, v_max, a_max):
    lower, upper = np.array([-1.0]), np.array([0.7])
    box = JointBox(lower, upper, np.array([v_max]), np.array([a_max]), DT)
    q, step = np.array([q0]), np.zeros(1)
    for wish in wishes:
        low, high = box.bounds(q, step)
        assert low[0] <= high[0]
        asked = np.clip(np.array([wish]), low, high)
        following = box.advance(q, asked)
        moved = following - q
        assert abs(moved[0]) <= v_max * DT + 1e-12
        assert abs(moved[0] - step[0]) <= a_max * DT * DT + 1e-12
        assert following[0] <= max(upper[0], q[0])
        assert following[0] >= min(lower[0], q[0])
        q, step = following, moved


@given(st.floats(0.8, 3))
def test_a_joint_outside_its_limits_is_kept_and_may_only_come_back(q0):
    box = JointBox(np.array([-1.0]), np.array([0.7]), np.array([4.0]), np.array([60.0]), DT)
    low, high = box.bounds(np.array([q0]), np.zeros(1))
    assert high[0] == 0.0
    assert low[0] < 0.0


@given(st.floats(-0.02, 0.02))
def test_braking_ends_at_rest(step):
    box = JointBox(np.array([-9.0]), np.array([9.0]), np.array([4.0]), np.array([60.0]), DT)
    speed = np.array([step])
    for _ in range(20):
        speed = box.brake(speed)
    assert speed[0] == 0.0
