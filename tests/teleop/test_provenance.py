"""A take says what made it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy
import pytest

from teleop.provenance import digest, git_commit, provenance


def test_versions_are_those_that_run() -> None:
    found = provenance()
    assert found["packages"]["numpy"] == numpy.__version__
    assert all(found["packages"].values()), "everything it computes with is installed"
    assert json.loads(json.dumps(found)) == found


def test_a_working_copy_is_told_from_a_changed_one_and_from_a_package(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True)

    assert git_commit(tmp_path) == ""
    git("init", "-q")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "one")
    clean = git_commit(tmp_path)
    assert len(clean) == 40
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path) == f"{clean}+"


@pytest.mark.parametrize("other", [{"a": 1, "b": [1, 3]}, {}, {"a": "1", "b": [1, 2]}])
def test_a_digest_is_of_the_content_alone(other: object) -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1}) != digest(other)
    assert digest(None) == ""
