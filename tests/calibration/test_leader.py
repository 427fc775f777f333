"""Laws of leader calibration."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import LeaderCalibration, LeaderStore, estimate_offsets, estimate_sign
from calibration.errors import LeaderCaptureError, ProfileFormatError, ProfileNotFoundError
from retarget import LeaderConfig, LeaderJoint

NAMES = tuple("abcdefg")
seeds = st.integers(0, 2**32 - 1)


def truth(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Signs and offsets of a leader."""
    return rng.choice([1, -1], 7), rng.uniform(-3, 3, 7)


@given(seeds)
@settings(max_examples=50)
def test_wiggles_and_one_posture_give_signs_and_offsets_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    signs, offsets = truth(rng)
    q = rng.uniform(-2, 2, 7)
    found = []
    for i in range(7):
        way = np.zeros((50, 7))
        way[:, i] = 0.3 * np.sin(np.linspace(0, math.pi, 50))  # positive for the follower, and back
        readings = signs * (q + way - offsets) + rng.normal(0, 1e-3, (50, 7))
        found.append(estimate_sign(readings, i, NAMES))
    held = signs * (q - offsets) + rng.uniform(-1e-3, 1e-3, (40, 7))
    assert np.array_equal(found, signs)
    estimate = estimate_offsets(held, q, np.array(found), NAMES)
    assert np.allclose(estimate, offsets, atol=2e-3)


@given(seeds)
@settings(max_examples=50)
def test_rounding_to_quarter_turns_takes_the_operators_error_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    signs, _ = truth(rng)
    offsets = rng.integers(-3, 4, 7) * math.pi / 2
    q, error = rng.uniform(-2, 2, 7), rng.uniform(-0.3, 0.3, 7)
    held = np.tile(signs * (q + error - offsets), (5, 1))
    estimate = estimate_offsets(held, q, signs, NAMES, quarter_turns=True)
    assert np.array_equal(estimate, np.round(offsets / (math.pi / 2)) * (math.pi / 2))


def test_scales_are_taken_into_account() -> None:
    scales = np.linspace(0.5, 2.0, 7)
    held = np.tile(np.linspace(-1, 1, 7), (3, 1))
    offsets = estimate_offsets(held, np.zeros(7), np.ones(7), NAMES, scales=scales)
    assert np.allclose(scales * held[0] + offsets, 0.0)


def test_what_cannot_calibrate_says_what_to_do() -> None:
    still = np.zeros((20, 7))
    loose = still.copy()
    loose[10:, 2] = 0.1
    with pytest.raises(LeaderCaptureError, match=r"hold the leader still: \['c'\]"):
        estimate_offsets(loose, np.zeros(7), np.ones(7), NAMES)
    with pytest.raises(LeaderCaptureError, match=r"quarter turn: b by 0\.50 rad"):
        held = still + np.array([0, 0.5, 0, 0, 0, 0, 0])
        estimate_offsets(held, np.zeros(7), np.ones(7), NAMES, quarter_turns=True)
    with pytest.raises(LeaderCaptureError, match=r"d moved by 0\.00 rad only"):
        estimate_sign(still, 3, NAMES)
    wrong = still.copy()
    wrong[5:, 3], wrong[5:, 4] = 0.2, 0.4
    with pytest.raises(LeaderCaptureError, match="e moved more than d"):
        estimate_sign(wrong, 3, NAMES)
    with pytest.raises(LeaderCaptureError, match="not finite"):
        estimate_sign(still * np.nan, 3, NAMES)
    with pytest.raises(LeaderCaptureError, match="7 joints"):
        estimate_sign(np.zeros((20, 3)), 0, NAMES)


def calibration(**changes: object) -> LeaderCalibration:
    values: dict[str, object] = {
        "name": "gello",
        "rig": "openarm",
        "created": "2026-01-01T00:00:00+00:00",
        "signs": {"l1": -1, "l2": 1},
        "offsets": {"l1": 0.5, "l2": math.pi / 2},
    }
    return LeaderCalibration(**{**values, **changes})  # type: ignore[arg-type]


def test_calibrations_are_kept_version_by_version(tmp_path: Path) -> None:
    store = LeaderStore(tmp_path)
    store.save(calibration())
    store.save(calibration(rounded=True))
    assert store.load("gello").to_dict() == calibration(rounded=True, version=2).to_dict()
    assert store.load("gello", 1) == calibration(version=1)
    with pytest.raises(ProfileNotFoundError, match=r"no leader calibration 'other'"):
        store.load("other")
    (tmp_path / "gello" / "0001.json").write_text('{"schema": 1, "name": "gello"}')
    with pytest.raises(ProfileFormatError, match="not a leader calibration"):
        store.load("gello", 1)


def test_a_calibration_is_applied_to_a_leader_by_name() -> None:
    config = LeaderConfig((LeaderJoint("l2", "j2", scale=2.0), LeaderJoint("l1", "j1")))
    fitted = calibration().apply(config)
    assert fitted.joints == (
        LeaderJoint("l2", "j2", 1, math.pi / 2, 2.0),
        LeaderJoint("l1", "j1", -1, 0.5),
    )
    with pytest.raises(LeaderCaptureError, match="not for"):
        calibration().apply(LeaderConfig((LeaderJoint("l9", "j9"),)))


@pytest.mark.parametrize(
    "wrong", [{"signs": {"l1": 2, "l2": 1}}, {"offsets": {"l1": math.nan, "l2": 0}}, {"signs": {}}]
)
def test_senseless_calibrations_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"signs|finite"):
        calibration(**wrong)
