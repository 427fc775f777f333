"""Laws of the profile store."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.errors import ProfileFormatError, ProfileNameError, ProfileNotFoundError
from calibration.operator import OperatorProfile
from calibration.store import ProfileStore


@pytest.fixture
def profile() -> OperatorProfile:
    return OperatorProfile(
        name="ana",
        created="2026-01-01T00:00:00.000+00:00",
        version=0,
        T_robot_stage=np.eye(4),
        reach_scale=1.1,
        operator_reach_m=0.66,
        eye_height_m=1.6,
        reach_source="stature",
    )


def test_what_is_saved_is_loaded(tmp_path: Path, profile: OperatorProfile) -> None:
    saved = ProfileStore(tmp_path / "profiles").save(profile)
    loaded = ProfileStore(tmp_path / "profiles").load("ana")
    assert saved.version == 1
    assert loaded.to_dict() == saved.to_dict()


def test_every_version_is_kept(tmp_path: Path, profile: OperatorProfile) -> None:
    store = ProfileStore(tmp_path)
    for scale in (0.9, 1.0, 1.1):
        store.save(replace(profile, reach_scale=scale))
    assert store.history("ana") == [1, 2, 3]
    assert store.load("ana").reach_scale == 1.1
    assert store.load("ana", 1).reach_scale == 0.9


def test_an_older_version_can_be_used_again(tmp_path: Path, profile: OperatorProfile) -> None:
    store = ProfileStore(tmp_path)
    store.save(profile)
    store.save(replace(profile, reach_scale=0.8))
    store.use("ana", 1)
    assert store.current("ana") == 1
    assert store.load("ana").reach_scale == 1.1
    assert store.save(profile).version == 3


def test_a_lost_or_foreign_current_falls_back_to_the_newest(
    tmp_path: Path, profile: OperatorProfile
) -> None:
    store = ProfileStore(tmp_path)
    store.save(profile)
    store.save(profile)
    (tmp_path / "ana" / "current").write_text("0099\n")
    assert store.current("ana") == 2
    (tmp_path / "ana" / "current").unlink()
    assert store.current("ana") == 2


def test_names_lists_operators(tmp_path: Path, profile: OperatorProfile) -> None:
    store = ProfileStore(tmp_path / "none")
    assert store.names() == []
    store.save(replace(profile, name="zoe"))
    store.save(profile)
    assert store.names() == ["ana", "zoe"]


def test_no_temporary_file_stays(tmp_path: Path, profile: OperatorProfile) -> None:
    ProfileStore(tmp_path).save(profile)
    assert sorted(p.name for p in (tmp_path / "ana").iterdir()) == ["0001.json", "current"]


def test_unknown_operator_says_who_exists(tmp_path: Path, profile: OperatorProfile) -> None:
    store = ProfileStore(tmp_path)
    store.save(profile)
    with pytest.raises(ProfileNotFoundError, match=r"'bob'; profiles: \['ana'\]"):
        store.load("bob")
    with pytest.raises(ProfileNotFoundError, match=r"no version 7; versions: \[1\]"):
        store.load("ana", 7)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": 99}', '{"schema": 1, "name": "ana"}'], ids=str
)
def test_a_damaged_file_is_refused(tmp_path: Path, profile: OperatorProfile, text: str) -> None:
    store = ProfileStore(tmp_path)
    store.save(profile)
    (tmp_path / "ana" / "0001.json").write_text(text)
    with pytest.raises(ProfileFormatError, match=r"0001\.json"):
        store.load("ana")


def test_a_profile_that_is_no_rotation_is_refused(tmp_path: Path, profile: OperatorProfile) -> None:
    store = ProfileStore(tmp_path)
    store.save(profile)
    path = tmp_path / "ana" / "0001.json"
    document = json.loads(path.read_text())
    document["T_robot_stage"][0][0] = 3.0
    path.write_text(json.dumps(document))
    with pytest.raises(ProfileFormatError, match="rotation"):
        store.load("ana")


@settings(max_examples=50)
@given(st.one_of(st.sampled_from(["", ".", "..", "a/b", "a\\b", "é", "a b", "x" * 65]), st.text()))
def test_no_name_leaves_the_directory(name: str) -> None:
    store = ProfileStore("profiles")
    if name.isascii() and name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        return
    with pytest.raises(ProfileNameError):
        store.load(name)
