"""Laws of the device clock estimator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.clocks import ClockEstimator
from calibration.errors import ClockSampleError, NoClockFitError

SECOND = 1_000_000_000


def feed(
    estimator: ClockEstimator,
    *,
    offset_ns: int,
    drift_ppm: float,
    seed: int,
    base_ns: int = 400_000,
    jitter_ns: int = 3_000_000,
    pings: int = 60,
    start_ns: int = 50 * SECOND,
    forward_share: float = 0.5,
) -> int:
    """Ping a device whose host = device * (1 + drift) + offset; returns the last device time."""
    rng = np.random.default_rng(seed)
    t_device = 0
    for k in range(pings):
        t_send = start_ns + k * SECOND // 2
        there = base_ns + int(rng.exponential(2 * jitter_ns * forward_share))
        back = base_ns + int(rng.exponential(2 * jitter_ns * (1 - forward_share)))
        t_device = round((t_send + there - offset_ns) / (1 + drift_ppm * 1e-6))
        estimator.add(t_send, t_device, t_send + there + back)
    return t_device


@settings(max_examples=60, deadline=None)
@given(
    offset=st.integers(-(10**15), 10**15),
    drift=st.floats(-80, 80),
    share=st.floats(0.0, 1.0),
    jitter=st.integers(0, 20_000_000),
    seed=st.integers(0, 2**32 - 1),
)
def test_known_offset_and_drift_are_recovered_within_uncertainty(
    offset: int, drift: float, share: float, jitter: int, seed: int
) -> None:
    estimator = ClockEstimator()
    last = feed(
        estimator,
        offset_ns=offset,
        drift_ppm=drift,
        seed=seed,
        jitter_ns=jitter,
        forward_share=share,
    )
    truth = last * (1 + drift * 1e-6) + offset
    rounding = 1_000 + abs(last) * 1e-15
    assert abs(estimator.to_host_ns(last) - truth) <= estimator.uncertainty_ns + rounding
    assert estimator.uncertainty_ns >= 400_000


def test_drift_is_recovered_from_a_quiet_link() -> None:
    estimator = ClockEstimator()
    feed(estimator, offset_ns=123_456_789, drift_ppm=35.0, seed=1, jitter_ns=50_000, pings=200)
    assert estimator.drift_ppm == pytest.approx(35.0, abs=2.0)


def test_a_short_window_does_not_mistake_jitter_for_drift() -> None:
    estimator = ClockEstimator()
    feed(estimator, offset_ns=0, drift_ppm=0.0, seed=2, jitter_ns=10_000_000, pings=4)
    assert abs(estimator.drift_ppm) < 100.0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), steps=st.lists(st.integers(0, 10**8), min_size=2))
def test_mapping_is_monotone_while_the_fit_is_refined(seed: int, steps: list[int]) -> None:
    estimator = ClockEstimator()
    rng = np.random.default_rng(seed)
    feed(estimator, offset_ns=7, drift_ppm=0.0, seed=seed, pings=4, jitter_ns=20_000_000)
    t_device, t_before = 52 * SECOND, -(10**18)
    for step in steps:
        t_device += step
        t_host = estimator.to_host_ns(t_device)
        assert t_host >= t_before
        t_before = t_host
        delay = int(rng.exponential(5e6))
        estimator.add(t_device + 7 - delay, t_device, t_device + 7 + delay // 2)


def test_a_device_that_slept_gets_a_new_window() -> None:
    estimator = ClockEstimator()
    feed(estimator, offset_ns=0, drift_ppm=0.0, seed=3)
    feed(estimator, offset_ns=9 * SECOND, drift_ppm=0.0, seed=4, start_ns=90 * SECOND, pings=10)
    assert estimator.steps == 1
    assert estimator.offset_ns == pytest.approx(9 * SECOND, abs=estimator.uncertainty_ns + 10_000)


def test_one_wild_round_trip_changes_nothing() -> None:
    estimator = ClockEstimator()
    feed(estimator, offset_ns=0, drift_ppm=0.0, seed=5)
    before = estimator.fit()
    estimator.add(90 * SECOND, 5 * SECOND, 90 * SECOND + 1000)
    assert estimator.fit() == before


def test_no_fit_before_enough_round_trips() -> None:
    estimator = ClockEstimator(min_samples=3)
    estimator.add(0, 5, 10)
    assert not estimator.ready
    with pytest.raises(NoClockFitError, match="1 ping round trips seen, 3 needed"):
        estimator.to_host_ns(5)


def test_an_answer_before_its_question_is_refused() -> None:
    with pytest.raises(ClockSampleError, match="before it was sent"):
        ClockEstimator().add(10, 0, 9)
