from __future__ import annotations

import multiprocessing
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tensorstore
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder import CameraSpec, Dataset, StreamSpec
from recorder.errors import SchemaError, UnknownStreamError
from recorder.shard import ShardWriter
from tests.recorder.takes import (
    CAMERAS,
    HEAD,
    STATE,
    STREAMS,
    encoded,
    feed,
    pictures,
    random_rows,
    same_bits,
)

SCALARS = st.sampled_from(["?", "i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8"])
SHAPES = st.sampled_from([(), (1,), (3,), (0,), (2, 3), (26, 7)])


@st.composite
def dtypes(draw: st.DrawFn) -> np.dtype[np.void]:
    columns = draw(st.lists(st.tuples(SCALARS, SHAPES), max_size=5))
    fields = [(f"f{i}", base, shape) for i, (base, shape) in enumerate(columns)]
    return np.dtype([("t_ns", "<i8"), *fields])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    dtype=dtypes(),
    n=st.integers(0, 700),
    batch=st.integers(1, 300),
    seed=st.integers(0, 2**32 - 1),
    start=st.integers(0, 700),
    stop=st.integers(0, 700),
)
def test_read_of_write_is_identity(
    tmp_path: Path,
    dtype: np.dtype[np.void],
    n: int,
    batch: int,
    seed: int,
    start: int,
    stop: int,
) -> None:
    rows = random_rows(dtype, n, np.random.default_rng(seed))
    writer = Dataset.open(tmp_path, create=True).begin([StreamSpec("a/b", dtype)])
    for first in range(0, n, batch):
        writer.append("a/b", rows[first : first + batch])
    stream = writer.finish().stream("a/b")
    assert len(stream) == n
    assert same_bits(stream.rows(), rows)
    assert same_bits(stream.rows(start, stop), rows[start : max(stop, start)])


def test_other_readers_see_the_same_numbers_and_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    state, head = random_rows(STATE, 600, rng), random_rows(HEAD, 120, rng)
    frames = pictures(20, rng)
    writer = Dataset.open(tmp_path, create=True).begin(STREAMS, CAMERAS, {"task": "stack"})
    for _ in feed(writer, state, head, frames):
        pass
    writer.event(7, "pause", {"why": "ä"})
    episode = writer.finish({"outcome": "success"})
    writer.wait_settled()
    for consolidated in (True, False):
        group = zarr.open_group(str(episode.path), mode="r", use_consolidated=consolidated)
        assert group.attrs["task"] == "stack"
        for name in STATE.names or ():
            assert same_bits(np.asarray(group[f"state/{name}"][:]), state[name])
        assert same_bits(np.asarray(group["operator/head/pose"][:]), head["pose"])
        assert group["operator/head/pose"].attrs["quaternion"] == "xyzw"
        image = group["cameras/front/image"]
        assert image.shape == (20, 24, 32, 3)
        np.testing.assert_array_equal(image[13], episode.camera("front")[13])
        assert list(group["events/kind"][:]) == ["pause"]
        assert list(group["events/data"][:]) == ['{"why": "\\u00e4"}']
    for name in ("t_ns", "position", "hand", "flags", "engaged"):
        driver = {"driver": "zarr3", "kvstore": f"file://{episode.path}/state/{name}/"}
        array = tensorstore.open(driver, read=True).result()
        assert same_bits(np.asarray(array.read().result()), state[name])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 700), st.integers(0, 700), st.integers(0, 700), st.integers(0, 700))
def test_rows_between_two_times_are_a_stream_of_their_own(
    tmp_path_factory: pytest.TempPathFactory, a: int, b: int, start: int, stop: int
) -> None:
    rows = random_rows(STATE, 600, np.random.default_rng(4))
    writer = Dataset.open(tmp_path_factory.mktemp("cut"), create=True).begin(STREAMS[:1])
    writer.append("state", rows)
    whole = writer.finish().stream("state")
    t_ns = 1_000_000_000 + 2_000_000 * np.array([a, b])
    cut = whole.between(int(t_ns[0]), int(t_ns[1]))
    expected = rows[a : b + 1]
    assert len(cut) == len(expected)
    assert same_bits(cut.rows(), expected)
    assert same_bits(cut.rows(start, stop), expected[start : max(start, stop)])
    for field in STATE.names or ():
        assert same_bits(cut[field], expected[field])
    assert same_bits(whole.rows(), rows), "the whole stays whole"
    inner = cut.between(int(t_ns[0]) + 20_000_000, int(t_ns[1]))
    assert same_bits(inner.rows(), rows[a + 10 : b + 1] if a + 10 <= b else rows[:0])


def test_events_wait_on_the_disk_and_not_in_memory(tmp_path: Path) -> None:
    writer = Dataset.open(tmp_path, create=True).begin(STREAMS[:1])
    writer.event(1, "start")
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for k in range(3000):
        writer.event(2 + k, "link", {"text": "x" * 3000, "k": k})
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 500_000, "an hour of reports each second is 10 MB"
    events = writer.finish().events
    assert [event.kind for event in events] == ["start", *["link"] * 3000]
    assert [event.data["k"] for event in events[1:]] == list(range(3000))


def test_pictures_pass_through_unchanged(tmp_path: Path) -> None:
    frames = pictures(5, np.random.default_rng(2))
    writer = Dataset.open(tmp_path, create=True).begin([], CAMERAS[:1])
    for i, frame in enumerate(frames):
        writer.append_picture("front", frame, t_ns=i, t_device_ns=-i, t_receive_ns=i + 9, seq=3 * i)
    episode = writer.finish()
    camera = episode.camera("front")
    assert encoded(episode, "front") == frames
    assert camera[-1].shape == (24, 32, 3)
    assert camera.t_device_ns.tolist() == [0, -1, -2, -3, -4]
    assert camera.seq.tolist() == [0, 3, 6, 9, 12]
    assert camera.sizes.tolist() == [len(f) for f in frames]
    with pytest.raises(IndexError, match="picture 5 of camera 'front', which has 5"):
        camera.encoded(5)


def test_empty_streams_and_cameras_are_readable(tmp_path: Path) -> None:
    episode = Dataset.open(tmp_path, create=True).begin(STREAMS, CAMERAS).finish()
    assert len(episode.stream("state")) == 0
    assert episode.stream("state")["hand"].shape == (0, 26, 7)
    assert len(episode.camera("front")) == 0
    assert episode.camera("front").sizes.shape == (0,)
    assert episode.events == []
    group = zarr.open_group(str(episode.path), mode="r")
    assert group["cameras/front/image"].shape == (0, 24, 32, 3)
    assert group["state/position"][:].shape == (0, 3)


def test_bad_pictures_are_counted_and_marked(tmp_path: Path) -> None:
    good = pictures(1, np.random.default_rng(3))[0]
    dataset = Dataset.open(tmp_path, create=True)
    writer = dataset.begin([], [CameraSpec("front", 32, 24), CameraSpec("large", 64, 24)])
    writer.append_picture("front", b"no picture", 5, 0, 0, 0)
    writer.append_picture("large", good, 6, 0, 0, 0)
    writer.append_picture("front", good, 7, 0, 0, 1)
    episode = writer.finish()
    assert episode.attributes["drops"] == {"cameras/front": 1, "cameras/large": 1}
    assert [(e.t_ns, e.kind, e.data["stream"]) for e in episode.events] == [
        (5, "drop", "cameras/front"),
        (6, "drop", "cameras/large"),
    ]
    assert "32x24, expected 64x24" in episode.events[1].data["reason"]
    assert dataset.episodes()[0].drops == 2


def test_schema_mistakes_are_refused_with_the_reason(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path, create=True)
    with pytest.raises(SchemaError, match="needs an int64 field 't_ns'"):
        StreamSpec("a", np.dtype([("x", "f8")]))
    with pytest.raises(SchemaError, match="cannot store"):
        StreamSpec("a", np.dtype([("t_ns", "i8"), ("x", "S4")]))
    with pytest.raises(SchemaError, match="unknown fields"):
        StreamSpec("a", HEAD, fields={"nope": {}})
    with pytest.raises(SchemaError, match="used twice"):
        dataset.begin([StreamSpec("a", HEAD), StreamSpec("a/pose", HEAD)])
    with pytest.raises(SchemaError, match="kept for the recorder"):
        dataset.begin([StreamSpec("cameras/x", HEAD)])
    with pytest.raises(SchemaError, match="written by the recorder"):
        dataset.begin([], [], {"state": "complete"})
    with pytest.raises(SchemaError, match="not JSON"):
        dataset.begin([], [], {"x": object()})
    writer = dataset.begin(STREAMS)
    with pytest.raises(SchemaError, match="has rows of"):
        writer.append("state", np.zeros(1, HEAD))
    with pytest.raises(UnknownStreamError, match=r"no stream 'nope'.*operator/head"):
        writer.append("nope", np.zeros(1, HEAD))
    writer.close()


def _sum_of_episode(path: str, camera: object, out: multiprocessing.Queue[float]) -> None:
    del path
    out.put(float(camera[3].sum()))  # type: ignore[index]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_readers_cross_processes(tmp_path: Path, method: str) -> None:
    frames = pictures(5, np.random.default_rng(4))
    writer = Dataset.open(tmp_path, create=True).begin([], CAMERAS[:1])
    for i, frame in enumerate(frames):
        writer.append_picture("front", frame, i, i, i, i)
    episode = writer.finish()
    writer.wait_settled()
    camera = episode.camera("front")
    expected = float(camera[3].sum())
    assert len(pickle.dumps(camera)) < 4000
    context = multiprocessing.get_context(method)
    queue: multiprocessing.Queue[float] = context.Queue()
    child = context.Process(target=_sum_of_episode, args=(str(episode.path), camera, queue))
    child.start()
    assert queue.get(timeout=30) == expected
    child.join()


@pytest.mark.parametrize("per_chunk", [1, 10])
def test_a_long_shard_is_sealed_alike_though_its_index_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, per_chunk: int
) -> None:
    sealed = {}
    for kept in (3, 10_000):
        monkeypatch.setattr("recorder.shard.KEPT", kept)
        rng = np.random.default_rng(0)
        shard = ShardWriter(tmp_path / f"{kept}", per_chunk)
        for k in range(200):
            shard.append(rng.bytes(int(rng.integers(1, 90))), key=k % 7 == 0)
            assert len(shard._index) <= 2 * kept
        n_chunks = -(-200 // per_chunk)
        shard.seal(n_chunks)
        shard.publish(n_chunks)
        shard.close()
        sealed[kept] = (tmp_path / f"{kept}").read_bytes()
    assert sealed[3] == sealed[10_000]
