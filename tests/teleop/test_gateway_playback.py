"""What the console is given of a take: within a trim, thinned curves, pictures as recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from starlette.applications import Starlette
from starlette.testclient import TestClient

from recorder import CameraSpec, Dataset, StreamSpec
from teleop.gateway.playback import MAX_POINTS, Playback

S = 1_000_000_000
STATE = np.dtype([("t_ns", np.int64), ("position", np.float64, (2,)), ("gripper", "<f8", (0,))])


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset = Dataset.open(tmp_path, create=True)
    writer = dataset.begin(
        [StreamSpec("state", STATE, 500.0, {"position": {"names": ["a", "b"]}})],
        [CameraSpec("front", 16, 16, 10.0)],
        {"task": "t"},
    )
    rows = np.zeros(2000, STATE)
    rows["t_ns"] = S + np.arange(2000) * S // 500
    rows["position"][:, 0] = np.arange(2000)
    rows["position"][5, 1] = np.nan
    writer.append("state", rows)
    for k in range(40):
        encoded = simplejpeg.encode_jpeg(np.full((16, 16, 3), 5 * k, np.uint8), quality=90)
        writer.append_picture("front", encoded, S + k * S // 10, k, S + k * S // 10, k)
    writer.event(2 * S, "pause")
    writer.finish()
    writer.wait_settled()
    return dataset


@pytest.fixture
def http(dataset: Dataset) -> TestClient:
    return TestClient(Starlette(routes=Playback(dataset.path).routes(lambda handler: handler)))


def test_a_take_is_described_in_its_own_time(dataset: Dataset, http: TestClient) -> None:
    name = dataset.episodes()[0].id
    take = http.get(f"/api/episodes/{name}/take").json()
    assert take["duration_s"] == pytest.approx(3.998)
    assert take["cameras"]["front"]["t_s"][:3] == [0.0, 0.1, 0.2]
    measured = take["curves"]["measured"]
    assert measured["names"] == ["a", "b"]
    assert len(measured["t_s"]) <= MAX_POINTS
    assert len(measured["values"]) == 2
    assert "grippers" not in take["curves"], "a field without columns has no curve"
    assert take["events"] == [{"t_s": 1.0, "kind": "pause"}]
    assert measured["values"][0][1] == pytest.approx(500 * measured["t_s"][1])


def test_pictures_are_those_that_were_recorded(dataset: Dataset, http: TestClient) -> None:
    name = dataset.episodes()[0].id
    camera = dataset[name].camera("front")
    for index in (0, 17, 39):
        answer = http.get(f"/api/episodes/{name}/pictures/front/{index}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content == camera.encoded(index)
    assert http.get(f"/api/episodes/{name}/pictures/front/40").status_code == 404
    assert http.get(f"/api/episodes/{name}/pictures/back/0").status_code == 404


@pytest.mark.parametrize("name", ["gone", "..", "%2e%2e%2fsecret"])
def test_what_is_no_episode_is_not_found(http: TestClient, name: str) -> None:
    assert http.get(f"/api/episodes/{name}/take").status_code == 404


def test_more_takes_than_are_kept_open_play(dataset: Dataset, http: TestClient) -> None:
    names = [dataset.episodes()[0].id]
    for _ in range(6):
        writer = dataset.begin([StreamSpec("state", STATE, 500.0)], [], {})
        names.append(writer.finish().id)
        writer.wait_settled()
    for name in names * 2:
        assert http.get(f"/api/episodes/{name}/take").status_code == 200
