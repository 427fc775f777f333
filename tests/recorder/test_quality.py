"""A sound take passes; each fault is found, named, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg

from recorder import CameraSpec, Dataset, Episode, StreamSpec, check_episode
from recorder.checks import blur, clock_fit
from recorder.findings import Thresholds

HEAD = np.dtype([("t_ns", "i8"), ("seq", "u8"), ("flags", "u1"), ("pose", "f8", (7,))])
SESSION = np.dtype([("t_ns", "i8"), ("engaged", "?", (2,))])
STATE = np.dtype([("t_ns", "i8"), ("seq", "u8"), ("position", "f8", (4,)), ("status", "u4")])
SOLUTION = np.dtype([("t_ns", "i8"), ("saturation", "u1", (4,)), ("residual", "f8", (3, 2))])
REQUESTED = np.dtype(
    [("t_ns", "i8"), ("t_operator_receive_ns", "i8"), ("first_use", "?"), ("position", "f8", (4,))]
)
SPECS = {
    "operator/head": (HEAD, 90),
    "session": (SESSION, 50),
    "state": (STATE, 500),
    "solution": (SOLUTION, 200),
    "command/requested": (REQUESTED, 200),
}
SECONDS = 3.0


@dataclass
class Take:
    """All rows and pictures of a take, to be spoilt by a test."""

    rows: dict[str, np.ndarray[Any, Any]]
    pictures: dict[str, list[tuple[int, bytes]]]
    drops: list[tuple[str, int, int]] = field(default_factory=list)
    events: list[tuple[int, str]] = field(default_factory=list)
    late: dict[str, float] = field(default_factory=dict)
    """How much the delay from a camera's own time to the recorded one wanders [s]."""

    def record(self, path: Path) -> Episode:
        writer = Dataset.open(path, create=True).begin(
            [StreamSpec(n, d, r) for n, (d, r) in SPECS.items()],
            [CameraSpec(name, 32, 24, 30.0) for name in self.pictures],
        )
        for name, rows in self.rows.items():
            writer.append(name, rows)
        for name, frames in self.pictures.items():
            for i, (t_ns, data) in enumerate(frames):
                off_ns = round(self.late.get(name, 0.0) * 1e9 * np.sin(i / 9))
                writer.append_picture(name, data, t_ns, t_ns + 10**9 + off_ns, t_ns, i)
        for stream, count, t_ns in self.drops:
            writer.drop(stream, count, t_ns)
        for t_ns, kind in self.events:
            writer.event(t_ns, kind)
        return writer.finish()


def sound_take() -> Take:
    rows = {}
    for name, (dtype, rate) in SPECS.items():
        n = int(SECONDS * rate)
        found = np.zeros(n, dtype)
        found["t_ns"] = 10**9 + np.arange(n) * 10**9 // rate
        if "seq" in (dtype.names or ()):
            found["seq"] = np.arange(n)
        if "position" in (dtype.names or ()):
            t = found["t_ns"] / 1e9
            found["position"] = 0.3 * np.sin(t[:, None] * [1.0, 2.0, 3.0, 1.5])
        rows[name] = found
    rows["operator/head"]["flags"] = 15
    rows["session"]["engaged"] = True
    requested = rows["command/requested"]
    requested["t_operator_receive_ns"] = requested["t_ns"] - 800_000
    requested["first_use"] = np.arange(len(requested)) % 2
    rng = np.random.default_rng(0)
    frames = [_jpeg(rng.integers(0, 255, (24, 32, 3))) for _ in range(10)]
    stamps = [10**9 + i * 10**9 // 30 for i in range(int(SECONDS * 30))]
    pictures = {
        name: [(t, frames[i % 10]) for i, t in enumerate(stamps)] for name in ("front", "wrist")
    }
    return Take(rows, pictures)


def _jpeg(frame: np.ndarray[Any, Any]) -> bytes:
    data: bytes = simplejpeg.encode_jpeg(frame.astype(np.uint8), 90, "RGB", "420")
    return data


def test_sound_take_passes(tmp_path: Path) -> None:
    report = check_episode(sound_take().record(tmp_path))
    assert report.findings == ()
    assert report.verdict == "pass"
    metrics = report.metrics
    assert metrics["streams"]["state"]["rate_hz"] == pytest.approx(500.0)
    assert metrics["latency_s"]["p99"] == pytest.approx(0.0008)
    assert metrics["holding_share"] == 0.0
    assert metrics["cameras"]["wrist"]["skew_s"] == 0.0
    assert json.loads(json.dumps(report.to_dict()))["verdict"] == "pass"


def thin(take: Take) -> None:
    take.rows["state"] = take.rows["state"][::2]


def stop_clock(take: Take) -> None:
    take.rows["state"]["t_ns"][700] -= 10**8


def cut_gap(take: Take) -> None:
    rows = take.rows["state"]
    take.rows["state"] = np.concatenate([rows[:700], rows[730:]])


def lose_rows(take: Take) -> None:
    take.drops.append(("state", 3, 2_500_000_000))


def lose_pictures(take: Take) -> None:
    del take.pictures["front"][40:43]


def hold(take: Take) -> None:
    take.rows["state"]["status"][100:450] = 1


def lose_tracking(take: Take) -> None:
    take.rows["operator/head"]["flags"][50:] = 3


def lose_pose(take: Take) -> None:
    take.rows["operator/head"]["flags"][200:220] = 0


def jerk(take: Take) -> None:
    take.rows["command/requested"]["position"][::20] += 0.05
    take.rows["state"]["position"][::25] += 0.05


def saturate(take: Take) -> None:
    take.rows["solution"]["saturation"][:300, 2] = 1


def delay(take: Take) -> None:
    take.rows["command/requested"]["t_operator_receive_ns"] -= 40_000_000


def freeze(take: Take) -> None:
    take.pictures["wrist"] = [(t, take.pictures["wrist"][0][1]) for t, _ in take.pictures["wrist"]]


def blacken(take: Take) -> None:
    black = [_jpeg(np.full((24, 32, 3), i % 3)) for i in range(3)]
    take.pictures["wrist"] = [(t, black[i % 3]) for i, (t, _) in enumerate(take.pictures["wrist"])]


def defocus(take: Take) -> None:
    across, down = np.meshgrid(np.arange(32), np.arange(24))
    soft = [_jpeg(np.dstack([across * 5 + down * 3 + 2 * i] * 3)) for i in range(10)]
    take.pictures["wrist"] = [(t, soft[i % 10]) for i, (t, _) in enumerate(take.pictures["wrist"])]


def stray(take: Take) -> None:
    take.rows["solution"]["residual"][::4, 1, 0] = 0.09


def slip_clock(take: Take) -> None:
    """A camera whose times are those of arrival, after a delay that wanders."""
    take.pictures["wrist"] = [(t, data) for t, data in take.pictures["wrist"]]
    take.late = {"wrist": 0.05}


def start_late(take: Take) -> None:
    take.pictures["wrist"] = take.pictures["wrist"][8:]


def break_position(take: Take) -> None:
    take.rows["state"]["position"][5, 2] = np.nan


def lose_state(take: Take) -> None:
    take.rows["state"] = take.rows["state"][:0]


@pytest.mark.parametrize(
    ("spoil", "verdict", "codes"),
    [
        (thin, "fail", {"rate"}),
        (stop_clock, "fail", {"clock", "gap", "jerk"}),
        (cut_gap, "warn", {"gap"}),
        (lose_rows, "warn", {"drops"}),
        (lose_pictures, "warn", {"rate"}),
        (hold, "fail", {"holding"}),
        (lose_tracking, "warn", {"untracked"}),
        (lose_pose, "warn", {"invalid"}),
        (jerk, "warn", {"jerk"}),
        (saturate, "warn", {"saturation"}),
        (delay, "warn", {"latency"}),
        (freeze, "warn", {"frozen"}),
        (blacken, "fail", {"black"}),
        (defocus, "warn", {"blurred"}),
        (stray, "warn", {"residual"}),
        (slip_clock, "warn", {"clock_residual"}),
        (start_late, "warn", {"start_skew", "camera_skew"}),
        (break_position, "fail", {"not_finite"}),
        (lose_state, "fail", {"empty"}),
    ],
)
def test_each_fault_is_found_and_named(
    tmp_path: Path, spoil: Callable[[Take], None], verdict: str, codes: set[str]
) -> None:
    take = sound_take()
    spoil(take)
    report = check_episode(take.record(tmp_path))
    assert {f.code for f in report.findings} == codes, report.reasons
    assert report.verdict == verdict
    assert all(report.reasons)
    json.dumps(report.to_dict(), allow_nan=False)


def test_pause_is_no_fault(tmp_path: Path) -> None:
    take = sound_take()
    first, last = 10**9 + 10**9, 10**9 + 2 * 10**9
    for name, rows in take.rows.items():
        take.rows[name] = rows[(rows["t_ns"] < first) | (rows["t_ns"] > last)]
        if "seq" in (rows.dtype.names or ()):
            take.rows[name]["seq"] = np.arange(len(take.rows[name]))
    for name, frames in take.pictures.items():
        take.pictures[name] = [f for f in frames if not first <= f[0] <= last]
    take.events = [(first, "pause"), (last, "resume")]
    report = check_episode(take.record(tmp_path))
    assert report.findings == (), report.reasons
    assert report.metrics["paused_s"] == pytest.approx(1.0)


def test_hand_that_was_never_valid_is_not_in_use(tmp_path: Path) -> None:
    writer = Dataset.open(tmp_path, create=True).begin(
        [StreamSpec("operator/head", HEAD, 90), StreamSpec("operator/left_hand", HEAD, 90)]
    )
    head = sound_take().rows["operator/head"]
    writer.append("operator/head", head)
    head["flags"] = 0
    writer.append("operator/left_hand", head)
    assert check_episode(writer.finish()).verdict == "pass"


def test_thresholds_are_the_callers(tmp_path: Path) -> None:
    take = sound_take()
    hold(take)
    episode = take.record(tmp_path)
    lenient = Thresholds(holding_share=(None, None))
    assert check_episode(episode, lenient).verdict == "pass"


def test_empty_take_fails_without_an_error(tmp_path: Path) -> None:
    take = sound_take()
    take.rows = {name: rows[:0] for name, rows in take.rows.items()}
    take.pictures = {name: [] for name in take.pictures}
    report = check_episode(take.record(tmp_path))
    assert report.verdict == "fail"
    assert {"empty", "duration"} == {f.code for f in report.findings}


def test_cameras_that_are_late_together_are_one_finding(tmp_path: Path) -> None:
    take = sound_take()
    for name, frames in take.pictures.items():
        take.pictures[name] = [f for i, f in enumerate(frames) if i % 30 != 7]
    (finding,) = check_episode(take.record(tmp_path)).findings
    assert finding.code == "rate"
    assert finding.message.startswith("2 cameras at 29.0 Hz of 30: off by 0.0")


def test_blur_is_told_from_sharpness_whatever_is_seen() -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        picture = np.full((240, 320), 120, np.uint8)
        for _ in range(30):
            corner = rng.integers(0, 300, 2).tolist()
            size = rng.integers(10, 80, 2).tolist()
            shade = int(rng.integers(0, 255))
            far = (corner[0] + size[0], corner[1] + size[1])
            cv2.rectangle(picture, tuple(corner), far, shade, -1)
        blurs = [blur(cv2.GaussianBlur(picture, (0, 0), s)) for s in (0.5, 1, 2, 4)]
        assert blurs == sorted(blurs)
        assert blurs[0] < 0.4 < 0.75 < blurs[-1]
    assert blur(np.full((24, 32), 7, np.uint8)) == 0.0


def test_a_device_clock_is_fitted_with_its_drift_and_what_it_leaves() -> None:
    rng = np.random.default_rng(1)
    device = 77_000_000_000 + np.arange(900) * 33_000_000
    host = 5 * 10**12 + np.round(device * (1 + 60e-6)).astype(np.int64)
    noise = rng.normal(0, 2e6, 900).astype(np.int64)
    fit = clock_fit(host + noise, device)
    assert fit is not None
    assert fit[1] == pytest.approx(60.0, abs=20.0)
    assert fit[0] == pytest.approx(2.6 * 2e-3, rel=0.2)
    jumped = host.copy()
    jumped[450:] += 10**9
    found = clock_fit(jumped, device)
    assert found is not None and found[0] > 0.1
    assert clock_fit(host, np.zeros_like(host)) is None
    assert clock_fit(host[:10], device[:10]) is None


# ------------------------------------------------------------------- trims and parts
@pytest.mark.parametrize(
    ("spoil", "at_s", "code"),
    [
        (cut_gap, 1.43, "gap"),
        (stop_clock, 1.4, "clock"),
        (lose_rows, 1.5, "drops"),
        (break_position, 0.01, "not_finite"),
        (lose_pose, 2.3, "invalid"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_fault_counts_only_in_what_is_used(
    tmp_path: Path, spoil: Callable[[Take], None], at_s: float, code: str
) -> None:
    take = sound_take()
    spoil(take)
    episode = take.record(tmp_path)
    dataset = Dataset.open(tmp_path)
    assert code in {f.code for f in check_episode(episode).findings}
    used = [(0.1, 1.2), (1.7, 2.9), (max(at_s - 0.6, 0.0), min(at_s + 0.6, 2.95))]
    for begin_s, end_s in used:
        dataset.trim(episode.id, begin_s, end_s)
        report = check_episode(dataset[episode.id])
        found = {f.code for f in report.findings}
        if begin_s <= at_s <= end_s:
            assert code in found
        else:
            assert report.verdict == "pass", report.findings
        assert report.metrics["duration_s"] == pytest.approx(end_s - begin_s)


def test_a_loss_at_an_unknown_time_counts_in_every_part(tmp_path: Path) -> None:
    take = sound_take()
    take.drops.append(("state", 3, 0))
    episode = take.record(tmp_path)
    dataset = Dataset.open(tmp_path)
    for name in dataset.split(episode.id, [1.5]):
        assert check_episode(dataset[name]).metrics["drops"] == {"state": 3}


def test_a_pause_that_began_before_what_is_used_is_no_gap(tmp_path: Path) -> None:
    take = sound_take()
    for name, rows in take.rows.items():
        take.rows[name] = rows[(rows["t_ns"] < 1.8 * 10**9) | (rows["t_ns"] > 2.4 * 10**9)]
    take.events = [(1_800_000_000, "pause"), (2_400_000_000, "resume")]
    episode = take.record(tmp_path)
    dataset = Dataset.open(tmp_path)
    dataset.trim(episode.id, 1.0, 2.9)
    report = check_episode(dataset[episode.id])
    assert report.metrics["paused_s"] == pytest.approx(0.4)
    assert "gap" not in {f.code for f in report.findings}
