"""A clock that is set is told; one that drifts, or is read late, is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from teleop.wallclock import STEP_NS, WallClockWatch

S = 1_000_000_000


@given(
    st.lists(
        st.tuples(
            st.integers(1, 10 * S), st.one_of(st.just(0), st.integers(-(10**6) * S, 10**6 * S))
        ),
        max_size=50,
    )
)
def test_each_step_is_told_once_and_nothing_else(course: list[tuple[int, int]]) -> None:
    watch, monotonic_ns, offset_ns = WallClockWatch(), 5 * S, 1_700_000_000 * S
    assert watch.step_ns(monotonic_ns + offset_ns, monotonic_ns) == 0
    for passed_ns, set_by_ns in course:
        monotonic_ns += passed_ns
        offset_ns += set_by_ns
        told = watch.step_ns(monotonic_ns + offset_ns, monotonic_ns)
        assert told == (set_by_ns if abs(set_by_ns) >= STEP_NS else 0)


def test_slewing_is_no_step() -> None:
    watch, offset_ns = WallClockWatch(), 0
    for k in range(1000):
        offset_ns += 10_000  # 0.5 ms a second, looked at every 20 ms
        assert watch.step_ns(k * 20_000_000 + offset_ns, k * 20_000_000) == 0
