"""Training samples: exactly what was recorded, padded and marked at the edges."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from recorder import CameraSpec, Dataset, StreamSpec, Window, Windows, as_torch
from recorder.errors import RecorderError, UnknownStreamError

STATE = np.dtype([("t_ns", np.int64), ("position", np.float64, (2,)), ("count", np.int64)])
S = 1_000_000_000
WINDOWS = {
    "image": Window("cameras/front", offsets=(-1, 0)),
    "state": Window("state", "position"),
    "action": Window("state", "position", offsets=range(1, 9)),
}


def frame(number: int) -> np.ndarray:
    rgb = np.full((16, 16, 3), 20, np.uint8)
    rgb[:, : number % 16] = 200
    return rgb


def record(
    dataset: Dataset,
    seconds: float = 2.0,
    begin_ns: int = S,
    skip: range = range(0),
    pause_s: tuple[float, float] | None = None,
) -> str:
    writer = dataset.begin(
        [StreamSpec("state", STATE, 100.0)], [CameraSpec("front", 16, 16, 30.0)], {"task": "t"}
    )
    rows = np.zeros(round(seconds * 100), STATE)
    rows["t_ns"] = begin_ns + np.arange(len(rows)) * 10_000_000
    rows["position"][:, 0] = np.arange(len(rows))
    rows["count"] = np.arange(len(rows))
    writer.append("state", rows)
    for k in range(round(seconds * 30)):
        if k not in skip:
            t_ns = begin_ns + k * S // 30
            encoded = simplejpeg.encode_jpeg(frame(k), 95, "RGB", "444")
            writer.append_picture("front", encoded, t_ns, k, t_ns, k)
    for kind, at_s in zip(("pause", "resume"), pause_s or (), strict=False):
        writer.event(begin_ns + round(at_s * S), kind)
    episode = writer.finish()
    writer.wait_settled()
    return episode.id


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset = Dataset.open(tmp_path, create=True)
    record(dataset)
    record(dataset, 1.0, 50 * S)
    return dataset


def test_a_sample_is_what_was_recorded_around_its_instant(dataset: Dataset) -> None:
    windows = dataset.windows(10.0, WINDOWS)
    for i in (0, 7, len(windows) - 1):
        sample = windows[i]
        episode = dataset[sample["episode"]]
        at_s = (sample["t_ns"] - episode.start_ns) / 1e9
        assert sample["state"][0, 0] == pytest.approx(100 * at_s)
        camera = episode.camera("front")
        shown = int(np.searchsorted(camera.t_ns, sample["t_ns"], side="right")) - 1
        np.testing.assert_array_equal(sample["image"][1], camera[shown])
        ahead = np.arange(1, 9)
        inside = ~sample["action_is_pad"]
        np.testing.assert_allclose(
            sample["action"][inside, 0], 100 * at_s + 10 * ahead[inside], atol=1e-9
        )


def test_beyond_the_ends_the_nearest_row_is_repeated_and_marked(dataset: Dataset) -> None:
    windows = dataset.windows(10.0, WINDOWS)
    first = windows[0]
    assert first["image_is_pad"].tolist() == [True, False]
    np.testing.assert_array_equal(first["image"][0], first["image"][1])
    last = windows[len(windows) - 1]
    assert last["action_is_pad"].all()
    np.testing.assert_array_equal(last["action"], np.repeat(last["action"][:1], 8, axis=0))


def test_every_instant_of_every_episode_is_one_sample(dataset: Dataset) -> None:
    windows = dataset.windows(10.0, {"state": Window("state", "position")})
    episodes = [windows[i]["episode"] for i in range(len(windows))]
    assert [episodes.count(row.id) for row in dataset.episodes()] == [20, 10]
    with pytest.raises(IndexError):
        windows[len(windows)]
    assert windows[-1]["t_ns"] == windows[len(windows) - 1]["t_ns"]


def test_instants_in_a_gap_are_no_samples_and_offsets_into_it_are_marked(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path, create=True)
    record(dataset, skip=range(20, 40))
    windows = dataset.windows(30.0, {"image": Window("cameras/front", offsets=(0, 10))})
    episode = dataset[dataset.episodes()[0].id]
    numbers = [round((windows[i]["t_ns"] - episode.start_ns) * 30 / S) for i in range(len(windows))]
    assert not set(numbers) & set(range(23, 40)), "three periods after the last picture it ends"
    marked = {n for i, n in enumerate(numbers) if windows[i]["image_is_pad"][1]}
    assert set(range(13, 20)) <= marked


def test_a_pause_holds_no_samples_and_no_window_reaches_across_it(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path, create=True)
    name = record(dataset, pause_s=(0.8, 1.2))
    windows = dataset.windows(10.0, WINDOWS)
    start_ns = dataset[name].start_ns
    at = [round((windows[i]["t_ns"] - start_ns) * 10 / S) for i in range(len(windows))]
    assert at == [*range(8), *range(13, 20)]
    before = windows[at.index(7)]
    assert before["action_is_pad"].all()
    np.testing.assert_allclose(before["action"][:, 0], 70.0)
    after = windows[at.index(13)]
    assert after["image_is_pad"].tolist() == [True, False]


def test_a_trim_leaves_fewer_samples(dataset: Dataset) -> None:
    first = dataset.episodes()[0].id
    before = len(dataset.windows(10.0, WINDOWS))
    dataset.trim(first, 0.5, 1.0)
    assert len(dataset.windows(10.0, WINDOWS)) == before - 20 + 6


def test_whole_numbers_are_not_interpolated(dataset: Dataset) -> None:
    windows = dataset.windows(33.0, {"count": Window("state", "count")})
    values = [windows[i]["count"] for i in range(10)]
    assert all(value.dtype == np.int64 for value in values)


def test_what_cannot_be_is_refused_in_words(dataset: Dataset) -> None:
    with pytest.raises(RecorderError, match="no window"):
        dataset.windows(10.0, {})
    with pytest.raises(RecorderError, match="names no field"):
        dataset.windows(10.0, {"x": Window("state")})
    with pytest.raises(UnknownStreamError, match="velocity"):
        dataset.windows(10.0, {"x": Window("state", "velocity")})
    with pytest.raises(UnknownStreamError, match="side"):
        dataset.windows(10.0, {"x": Window("cameras/side")})
    with pytest.raises(RecorderError, match="differ"):
        dataset.windows(
            10.0,
            {"a": Window("state", "position"), "b": Window("state", "count", method="previous")},
        )


def sums(windows: Windows) -> list[float]:
    return [float(windows[i]["image"].sum()) for i in range(0, len(windows), 5)]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_worker_processes_read_the_same(dataset: Dataset, start: str) -> None:
    windows = dataset.windows(10.0, WINDOWS)
    expected = sums(windows)  # opened here before the workers begin
    with multiprocessing.get_context(start).Pool(2) as pool:
        assert pool.map_async(sums, [windows] * 2).get(60) == [expected, expected]


def test_pickling_carries_no_open_episode(dataset: Dataset) -> None:
    windows = dataset.windows(10.0, WINDOWS)
    sums(windows)
    assert len(pickle.dumps(windows)) < 20_000
    assert sums(pickle.loads(pickle.dumps(windows))) == sums(windows)


def test_more_episodes_than_are_kept_open_read_the_same(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dataset.windows(10.0, WINDOWS)
    expected = [whole[i]["t_ns"] for i in (0, 25, 1, 26)]
    monkeypatch.setattr("recorder.windows.KEPT_EPISODES", 1)
    small = dataset.windows(10.0, WINDOWS)
    assert [small[i]["t_ns"] for i in (0, 25, 1, 26)] == expected
    assert len(small._kept) == 1


def test_tensors_are_as_pytorch_wants_them(dataset: Dataset) -> None:
    torch = pytest.importorskip("torch")
    samples = as_torch(dataset.windows(10.0, WINDOWS))
    loader = torch.utils.data.DataLoader(samples, batch_size=4, num_workers=2)
    batch = next(iter(loader))
    assert batch["image"].shape == (4, 2, 3, 16, 16)
    assert batch["image"].dtype == torch.uint8
    assert batch["action"].dtype == torch.float32
    assert batch["action_is_pad"].dtype == torch.bool
