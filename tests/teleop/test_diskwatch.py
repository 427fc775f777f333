"""A disk that fills or lags is told in time, and the take is ended before anything is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleop.diskwatch import END_BYTES, GB, LOW_BYTES, MB, START_BYTES, DiskWatch, free_bytes

S = 1_000_000_000


def watch(*left: float) -> DiskWatch:
    values = [int(v) for v in left]
    return DiskWatch(Path(), lambda _: values.pop(0) if len(values) > 1 else values[0])


@pytest.mark.parametrize(
    ("left", "can_start", "full", "warns"),
    [
        (100 * GB, True, False, False),
        (LOW_BYTES - 1, True, False, True),
        (START_BYTES - 1, False, False, True),
        (END_BYTES - 1, False, True, True),
        (0, False, True, True),
    ],
)
def test_what_is_left_decides(left: int, can_start: bool, full: bool, warns: bool) -> None:
    disk = watch(left)
    disk.look(0, False, 0.0)
    assert (disk.problem == "", disk.full, disk.warning != "") == (can_start, full, warns)


def test_the_time_left_is_that_of_the_running_take() -> None:
    disk = watch(*(50 * GB - k * 100 * MB for k in range(400)))
    for k in range(10):
        assert disk.look(k * S, True, 0.0) == []
    assert disk.warning == ""
    news = disk.look(11 * S, True, 0.0)
    assert [kind for kind, _ in news] == ["disk_low"]
    assert "enough for 9 min" in disk.warning
    assert disk.look(12 * S, True, 0.0) == [], "once a take"
    disk.look(13 * S, False, 0.0)
    assert disk.warning == "", "without a take nobody knows how long it lasts"


def test_a_slow_disk_is_told_each_time_it_becomes_slow() -> None:
    disk, told = watch(100 * GB), []
    for k, behind_s in enumerate([0.1, 0.6, 1.1, 1.6, 2.1, 0.0, 0.1, 1.2, 0.0]):
        told += [(kind, k) for kind, _ in disk.look(k * S, True, behind_s)]
        assert ("slow" in disk.warning) == (behind_s > 1.0)
    assert told == [("disk_slow", 2), ("disk_slow", 7)]


@given(st.lists(st.integers(0, 10 * GB), min_size=1, max_size=30), st.booleans())
def test_nothing_is_told_of_a_take_that_does_not_run(left: list[int], recording: bool) -> None:
    disk = watch(*left)
    kinds = [kind for k in range(len(left)) for kind, _ in disk.look(k * S, recording, 0.0)]
    assert len(kinds) <= recording


def test_without_the_dataset_no_take_begins_and_nothing_fails(tmp_path: Path) -> None:
    description = tmp_path / "dataset.json"
    disk = DiskWatch(description)
    assert disk.look(0, True, 0.0) == []
    assert "out of reach: No such file" in disk.problem
    assert (disk.warning, disk.full) == (disk.problem, False)
    description.touch()
    disk.look(1 * S, False, 0.0)
    assert "out of reach" not in disk.problem + disk.warning


def test_the_real_disk_has_room() -> None:
    assert free_bytes(Path("/")) > 0
