"""A take whose parts touched is found by convex hulls; one whose parts did not is left alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import numpy as np
import pytest

from recorder import Dataset, Episode, StreamSpec
from retarget import Retargeter, Rig
from retarget.hullcheck import NEAR_M, HullChecker
from retarget.rigfile import ObstacleSection
from teleop.collisions import CollisionCheck, check_take
from teleop.samples import robot_state_dtype
from tests.retarget.conftest import cached_rig
from tests.retarget.test_repulsion import crossing_hands

STEP_NS = 5_000_000


@pytest.fixture(scope="module")
def rig() -> Rig:
    return cached_rig("openarm")


@pytest.fixture(scope="module")
def crossing(rig: Rig) -> np.ndarray:
    """Hands that go through one another: nothing keeps them apart."""
    r = Retargeter(rig, 200, collision="off")
    return np.array([r.step(crossing_hands(rig, k)).q for k in range(0, 900)])


def take(root: Path, rig: Rig, positions: np.ndarray, name: str = "openarm") -> Episode:
    dataset = Dataset.open(root, create=True)
    rows = np.zeros(len(positions), robot_state_dtype(len(rig.joint_names), 2))
    rows["t_ns"] = 10**12 + STEP_NS * np.arange(len(rows))
    rows["position"] = positions
    fields = {"position": {"names": list(rig.joint_names)}}
    writer = dataset.begin([StreamSpec("state", rows.dtype, 200.0, fields)], [], {"rig": name})
    writer.append("state", rows)
    writer.finish({"outcome": "success"})
    return dataset[writer.id]


def test_an_overlap_is_measured_named_and_timed(rig: Rig, crossing: np.ndarray, tmp_path) -> None:
    (finding,), metrics = CollisionCheck(rig).judge(take(tmp_path, rig, crossing))
    found = metrics["collisions"]
    assert finding.level == "fail"
    assert finding.value == found["clearance_m"] < -0.005
    assert all(part in finding.message for part in found["parts"])
    at = crossing[round(found["at_s"] * 200)]
    assert rig.clearance(at) == pytest.approx(found["clearance_m"], abs=2e-3)


def test_repulsion_leaves_nothing_to_find(rig: Rig, tmp_path) -> None:
    r = Retargeter(rig, 200)
    kept_apart = np.array([r.step(crossing_hands(rig, k)).q for k in range(0, 900)])
    findings, metrics = CollisionCheck(rig).judge(take(tmp_path, rig, kept_apart))
    assert findings == []
    assert metrics["collisions"]["checked"] >= 89


def test_the_verdict_is_part_of_the_check_of_a_take(rig: Rig, crossing, tmp_path) -> None:
    bad = check_take(take(tmp_path / "a", rig, crossing), {})
    assert bad.verdict == "fail"
    assert [f.code for f in bad.findings].count("collision") == 1
    unknown = check_take(take(tmp_path / "b", rig, crossing[:50], "no such rig"), {})
    assert unknown.metrics["collisions"]["checked"] == 0
    assert "no such rig" in unknown.metrics["collisions"]["reason"]


def test_another_robot_of_the_same_name_is_not_judged(rig: Rig, crossing, tmp_path) -> None:
    check = CollisionCheck(cached_rig("aloha"))
    findings, metrics = check.judge(take(tmp_path, rig, crossing[:20]))
    assert findings == []
    assert "joints" in metrics["collisions"]["reason"]


def test_the_checker_agrees_with_all_distances(rig: Rig, crossing: np.ndarray) -> None:
    import pinocchio as pin

    checker = HullChecker(rig)
    data, hulls = rig.model.createData(), checker.geometry.createData()
    for q in crossing[::60]:
        pin.computeDistances(rig.model, data, checker.geometry, hulls, q)
        least = min(r.min_distance for r in hulls.distanceResults)
        nearest = checker.nearest(q)
        if nearest is None:
            assert least > NEAR_M - 1e-6
        else:
            assert nearest.clearance_m == pytest.approx(least, abs=1e-6)


def test_obstacles_of_the_rig_file_count(rig: Rig) -> None:
    at = rig.forward(rig.q_home)["right_wrist"][:3, 3]
    box = ObstacleSection("shelf", tuple(at.tolist()), (0.2, 0.2, 0.2))
    file = msgspec.structs.replace(rig.file, obstacles=(box,))
    nearest = HullChecker(dataclasses.replace(rig, file=file)).nearest(rig.q_home)
    assert nearest is not None
    assert "shelf" in nearest.parts
    assert nearest.clearance_m < 0.0
