"""The HTTP side: token, intents, episodes, pages."""

from __future__ import annotations

import hashlib
import ssl
import time
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from calibration.operator import OperatorProfile
from recorder import Dataset, StreamSpec
from retarget.frames import stage_to_robot
from teleop.gateway.api import Api
from teleop.gateway.app import build_app
from teleop.gateway.tls import make_certificates
from tests.teleop.gateway_rig import TOKEN, Rig, make_rig

AUTH = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = make_rig(tmp_path / "dataset")
    rig.hear()
    return rig


@pytest.fixture
def http(rig: Rig, tmp_path: Path) -> TestClient:
    return TestClient(build_app(rig.hub, Api(rig.hub, tmp_path / "dataset", None)))


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer no"}, {"Authorization": TOKEN}])
@pytest.mark.parametrize("path", ["/api/status", "/api/rig", "/api/scene", "/api/episodes"])
def test_every_call_needs_the_token(http: TestClient, path: str, headers: dict[str, str]) -> None:
    assert http.get(path, headers=headers).status_code == 401
    assert http.post("/api/session/estop", headers=headers).status_code == 401


def test_health_needs_none(http: TestClient) -> None:
    assert http.get("/healthz").text == "ok"


def test_status_and_rig(http: TestClient) -> None:
    assert http.get("/api/status", headers=AUTH).json()["motion"] == "idle"
    rig = http.get("/api/rig", headers=AUTH).json()
    assert (rig["name"], rig["simulated"]) == ("two", False)


def test_intents_over_http(http: TestClient, rig: Rig) -> None:
    answer = http.post("/api/session/estop", headers=AUTH)
    assert answer.json()["status"]["motion"] == "estop"
    refused = http.post("/api/session/home", headers=AUTH)
    assert refused.status_code == 409
    assert "estop" in refused.json()["error"]
    assert http.post("/api/session/estop_reset", headers=AUTH, json={}).status_code == 200
    seeded = http.post("/api/session/scene_reset", headers=AUTH, json={"seed": 5})
    assert seeded.status_code == 200
    assert rig.sent("robot/request") == [{"op": "scene_reset", "seed": 5}]


def test_scene_reset_without_a_seed_takes_the_next(http: TestClient, rig: Rig) -> None:
    for body in ({"seed": 5}, {}, {}):
        http.post("/api/session/scene_reset", headers=AUTH, json=body)
    assert [request["seed"] for request in rig.sent("robot/request")] == [5, 6, 7]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/session/dance", b"{}", 404),
        ("/api/session/save", b'{"outcome":"perhaps"}', 400),
        ("/api/session/save", b"[", 400),
        ("/api/session/save", b" " * 100_000, 413),
        ("/api/episodes/none/label", b'{"outcome":"success"}', 404),
        ("/api/episodes/none/discard", b"", 404),
    ],
)
def test_what_cannot_be_done_is_said(http: TestClient, path: str, body: bytes, status: int) -> None:
    answer = http.post(path, headers=AUTH, content=body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_real_robot_has_no_scene(http: TestClient) -> None:
    assert http.get("/api/scene", headers=AUTH).status_code == 404


def test_episodes_are_listed_labelled_and_discarded(http: TestClient, tmp_path: Path) -> None:
    assert http.get("/api/episodes", headers=AUTH).json() == {"episodes": []}
    dtype = np.dtype([("t_ns", np.int64), ("x", np.float64)])
    dataset = Dataset.open(tmp_path / "dataset", create=True)
    writer = dataset.begin([StreamSpec(name="state", dtype=dtype, rate_hz=100)], [], {"task": "t"})
    rows = np.zeros(3, dtype)
    rows["t_ns"] = time.monotonic_ns() + np.arange(3) * 10_000_000
    writer.append("state", rows)
    writer.finish({})
    label = {"outcome": "failure", "notes": "dropped"}
    assert http.post(f"/api/episodes/{writer.id}/label", headers=AUTH, json=label).is_success
    (row,) = http.get("/api/episodes", headers=AUTH).json()["episodes"]
    assert (row["id"], row["outcome"], row["notes"]) == (writer.id, "failure", "dropped")
    assert http.post(f"/api/episodes/{writer.id}/discard", headers=AUTH).is_success
    assert http.get("/api/episodes", headers=AUTH).json() == {"episodes": []}
    assert len(http.get("/api/episodes?discarded=1", headers=AUTH).json()["episodes"]) == 1


@pytest.mark.parametrize("path", ["/", "/xr", "/static/xr/main.js"])
def test_pages_are_served_and_always_revalidated(http: TestClient, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


def test_files_outside_the_pages_are_not_served(http: TestClient) -> None:
    for path in ("/static/xr/../../config.py", "/static/xr/%2e%2e/%2e%2e/config.py"):
        assert http.get(path).status_code == 404


def test_a_stored_calibration_is_adopted(http: TestClient) -> None:
    profile = OperatorProfile("ana", "2026-01-01", 1, stage_to_robot(), 1.25, 0.6, 1.6, "hands")
    answer = http.post("/api/calibration", headers=AUTH, json=profile.to_dict())
    status = answer.json()["status"]
    assert (status["calibrated"], status["reach_scale"]) == (True, 1.25)
    broken = profile.to_dict() | {"reach_scale": 100.0}
    refused = http.post("/api/calibration", headers=AUTH, json=broken)
    assert refused.status_code == 400
    assert "reach_scale" in refused.json()["error"]


def test_an_absolute_clutch_needs_the_robots_geometry(http: TestClient, rig: Rig) -> None:
    refused = http.post("/api/clutch", headers=AUTH, json={"mode": "absolute"})
    assert refused.status_code == 409
    assert "geometry" in refused.json()["error"]
    assert http.post("/api/clutch", headers=AUTH, json={"mode": "odd"}).status_code == 400
    answer = http.post("/api/clutch", headers=AUTH, json={"mode": "relative"})
    assert answer.json()["status"]["clutch"] == "relative"


def test_the_trust_page_shows_the_authoritys_fingerprint(rig: Rig, tmp_path: Path) -> None:
    authority = make_certificates(tmp_path / "tls", ["localhost"]).authority
    http = TestClient(build_app(rig.hub, Api(rig.hub, tmp_path, None), authority))
    der = ssl.PEM_cert_to_DER_cert(authority.read_text())
    digest = hashlib.sha256(der).hexdigest().upper()
    shown = ":".join(digest[i : i + 2] for i in range(0, 64, 2))
    page = http.get("http://testserver:8765/trust").text
    assert shown in page
    assert "adb reverse tcp:8765 tcp:8765" in page
    assert http.get("/ca.pem").content == authority.read_bytes()
