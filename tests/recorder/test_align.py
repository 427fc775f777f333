from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from recorder import CameraSpec, Dataset, Episode, Policy, StreamSpec, align
from recorder.align import grid, select, slerp
from recorder.errors import RecorderError, UnknownStreamError
from tests.recorder.takes import pictures

ROW = np.dtype(
    [("t_ns", "i8"), ("x", "f8", (2,)), ("pose", "f8", (7,)), ("flag", "?"), ("tick", "u8")]
)
times = hnp.arrays(np.int64, st.integers(1, 40), elements=st.integers(0, 10**9)).map(np.sort)
instants = hnp.arrays(np.int64, st.integers(1, 40), elements=st.integers(-(10**8), 11 * 10**8))


@given(times, instants)
def test_previous_is_the_last_row_at_or_before(t_ns: Any, at: Any) -> None:
    for row, instant in zip(select(at, t_ns, "previous"), at, strict=True):
        before = t_ns[t_ns <= instant]
        assert t_ns[row] == (before[-1] if before.size else t_ns[0])


@given(times, instants)
def test_nearest_has_no_nearer_row(t_ns: Any, at: Any) -> None:
    rows = select(at, t_ns, "nearest")
    best = np.abs(t_ns[None] - at[:, None]).min(axis=1)
    np.testing.assert_array_equal(np.abs(t_ns[rows] - at), best)


@given(st.integers(0, 10**18), st.integers(0, 10**11), st.floats(0.5, 1000))
def test_grid_never_drifts(start: int, span: int, fps: float) -> None:
    t_ns = grid(start, start + span, fps)
    assert t_ns[0] == start
    assert t_ns[-1] <= start + span < t_ns[-1] + 1e9 / fps + 1
    ideal = np.arange(len(t_ns)) * (1e9 / fps)
    assert np.abs((t_ns - start) - ideal).max() <= 1.0


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_slerp_turns_at_constant_rate_and_ignores_sign(seed: int, u: float) -> None:
    a, b = Rotation.random(2, rng=np.random.default_rng(seed))
    fraction = np.array([u])
    mixed = Rotation.from_quat(slerp(a.as_quat()[None], b.as_quat()[None], fraction)[0])
    angle = (a.inv() * b).magnitude()
    assert (a.inv() * mixed).magnitude() == pytest.approx(u * angle, abs=1e-6)
    other = slerp(a.as_quat()[None], -b.as_quat()[None], fraction)[0]
    np.testing.assert_allclose(np.abs(other @ mixed.as_quat()), 1.0, atol=1e-9)


def record(path: Path, t_ns: np.ndarray[Any, Any], rate_hz: float = 100.0) -> Episode:
    rows = np.zeros(len(t_ns), ROW)
    rows["t_ns"], rows["tick"] = t_ns, np.arange(len(t_ns))
    rows["x"] = (t_ns / 1e9)[:, None] * [1.0, -2.0]
    rows["flag"] = np.arange(len(t_ns)) % 2
    turn = Rotation.from_euler("z", (t_ns / 1e9)[:, None])
    rows["pose"] = np.hstack([rows["x"], rows["x"][:, :1], turn.as_quat()])
    writer = Dataset.open(path, create=True).begin(
        [StreamSpec("s", ROW, rate_hz)], [CameraSpec("front", 32, 24, 10.0)]
    )
    writer.append("s", rows)
    for i, frame in enumerate(pictures(8, np.random.default_rng(0))):
        writer.append_picture("front", frame, i * 100_000_000 + 3_000_000, 0, 0, i)
    return writer.finish()


def test_linear_streams_are_exact_at_every_instant(tmp_path: Path) -> None:
    episode = record(tmp_path, np.arange(0, 10**9, 10**7))
    aligned = align(episode, 30.0, {"s": "slerp", "cameras/front": Policy("nearest", 60_000_000)})
    seconds = aligned.t_ns / 1e9
    values = aligned.values["s"]
    np.testing.assert_allclose(values["x"], seconds[:, None] * [1.0, -2.0], atol=1e-12)
    turned = Rotation.from_quat(values["pose"][:, 3:]).as_euler("xyz")[:, 2]
    np.testing.assert_allclose(turned, seconds, atol=1e-9)
    np.testing.assert_array_equal(values["flag"], episode.stream("s")["flag"][aligned.index["s"]])
    assert aligned.all_valid.all()
    assert aligned.t_ns[0] == 3_000_000
    camera = episode.camera("front")
    np.testing.assert_array_equal(
        camera.t_ns[aligned.index["cameras/front"]] - aligned.t_ns,
        aligned.error_ns["cameras/front"],
    )
    assert np.abs(aligned.error_ns["cameras/front"]).max() <= 50_000_000


@pytest.mark.parametrize("method", ["previous", "nearest", "linear", "slerp"])
def test_values_in_a_gap_are_not_valid(tmp_path: Path, method: Any) -> None:
    t_ns = np.concatenate([np.arange(0, 3 * 10**8, 10**7), np.arange(6 * 10**8, 10**9, 10**7)])
    aligned = align(record(tmp_path, t_ns), 50.0, {"s": method})
    inside = (aligned.t_ns > 330_000_000) & (aligned.t_ns < 560_000_000)
    outside = (aligned.t_ns <= 290_000_000) | (aligned.t_ns >= 600_000_000)
    assert not aligned.valid["s"][inside].any()
    assert aligned.valid["s"][outside].all()


def test_stream_written_on_change_holds_its_value(tmp_path: Path) -> None:
    episode = record(tmp_path, np.array([0, 7 * 10**8]), rate_hz=0.0)
    aligned = align(episode, 10.0, {"s": Policy("previous", fields=("tick",))}, end_ns=10**9)
    assert aligned.values["s"]["tick"].tolist() == [0] * 7 + [1] * 4
    assert set(aligned.values["s"]) == {"tick"}
    assert aligned.all_valid.all()


def test_before_the_first_row_nothing_is_valid(tmp_path: Path) -> None:
    episode = record(tmp_path, np.arange(10**8, 10**9, 10**7))
    aligned = align(episode, 100.0, {"s": "previous"}, start_ns=0)
    assert not aligned.valid["s"][:10].any()
    assert aligned.valid["s"][10:].all()


def test_mistakes_are_told(tmp_path: Path) -> None:
    episode = record(tmp_path, np.arange(0, 10**9, 10**7))
    with pytest.raises(UnknownStreamError):
        align(episode, 30.0, {"nope": "previous"})
    with pytest.raises(RecorderError, match="frame rate"):
        align(episode, 0.0, {"s": "previous"})
    empty = record(tmp_path, np.zeros(0, np.int64))
    with pytest.raises(RecorderError, match="it has no rows"):
        align(empty, 30.0, {"s": "previous"})


def test_an_episode_gives_its_aligned_view_itself(tmp_path: Path) -> None:
    spec = StreamSpec("state", np.dtype([("t_ns", np.int64), ("x", np.float64)]), 100.0)
    writer = Dataset.open(tmp_path, create=True).begin([spec])
    rows = np.zeros(50, spec.dtype)
    rows["t_ns"], rows["x"] = 10**9 + np.arange(50) * 10**7, np.arange(50)
    writer.append("state", rows)
    episode = writer.finish()
    mine, theirs = episode.at(30, {"state": "linear"}), align(episode, 30, {"state": "linear"})
    np.testing.assert_array_equal(mine.values["state"]["x"], theirs.values["state"]["x"])
    assert len(mine) == len(theirs) > 10
