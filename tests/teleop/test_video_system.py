"""The whole way of a picture over a link that becomes slow and lossy: real TCP, real losses."""

from __future__ import annotations

import time

import numpy as np
import pytest

from bench import video
from bench.lossy_link import OUTER_IP, LossyLink, unavailable

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(unavailable()), reason=f"no link of its own: {unavailable()}"),
]


def ages(pictures: list[dict], begin_s: float, end_s: float) -> np.ndarray:
    return np.array([p["age_ms"] for p in pictures if begin_s <= p["t_s"] < end_s])


@pytest.mark.parametrize("codec", ["jpeg", "h264"])
def test_on_a_slow_link_pictures_become_fewer_and_smaller_but_never_old(codec: str) -> None:
    with video.system("0.0.0.0", codec) as running, LossyLink() as cable:
        begin_s = time.monotonic()
        url = running.url.replace("127.0.0.1", OUTER_IP)
        child = video.start(list(cable.prefix), url, running.config.token, 13.0)
        time.sleep(4.0)
        bad_s = time.monotonic() - begin_s
        cable.throttle(2.0, 0.05)
        time.sleep(6.0)
        good_s = time.monotonic() - begin_s
        cable.throttle(float("inf"), 0.0)
        pictures = video.collected(child, begin_s)
        assert cable.dropped > 10
    throttled = ages(pictures, bad_s, good_s)
    assert throttled.max() < 500.0
    assert np.median(ages(pictures, bad_s + 2.0, good_s)) < 150.0
    assert len(ages(pictures, bad_s + 2.0, good_s)) > 40, "fewer, but not none"
    assert any(p["codec"] == 2 for p in pictures if p["t_s"] > bad_s), "H.264 where it pays"
    assert np.median(ages(pictures, good_s + 1.0, good_s + 3.0)) < 60.0
