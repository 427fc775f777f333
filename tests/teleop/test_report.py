"""Laws of the report: complete in itself, honest, and legible whatever an episode lacks."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from recorder import CameraSpec, Dataset, Episode, StreamSpec
from teleop.plots import Curve, Mark, histogram, line_plot, timeline
from teleop.report import write_report
from teleop.samples import SESSION_STATE, command_dtype, robot_state_dtype, solution_dtype

JOINTS = [f"openarm_{side}_joint{i}" for side in ("left", "right") for i in range(1, 8)]
VOID = {"meta", "img", "br", "i", "link"}


def make_episode(dataset: Dataset, *, seconds: float = 2.0, cameras: bool = True) -> Episode:
    """A small invented take of a 14-joint robot."""
    rng = np.random.default_rng(0)
    n, t0 = 14, 5_000_000_000

    def times(rate_hz: float) -> np.ndarray:
        return t0 + (np.arange(int(seconds * rate_hz)) * 1e9 / rate_hz).astype(np.int64)

    joints = {"position": {"names": JOINTS, "unit": "rad"}}
    grippers = {"gripper": {"names": ["left", "right"]}}
    specs = [
        StreamSpec("state", robot_state_dtype(n, 2), 500.0, {**joints, **grippers}),
        StreamSpec("command/sent", command_dtype(n, 2), 0.0, joints),
        StreamSpec("command/requested", command_dtype(n, 2), 0.0, joints),
        StreamSpec("solution", solution_dtype(n), 0.0),
        StreamSpec("session", SESSION_STATE, 0.0),
    ]
    names = ("head_left", "wrist_right") if cameras else ()
    writer = dataset.begin(
        specs,
        [CameraSpec(name=c, width=160, height=120, rate_hz=30) for c in names],
        attributes={"task": "pick <up> the cube", "operator": "ana", "rig": "openarm", "take": 1},
        wall_time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    phase = np.linspace(0, 2, n)
    for spec, rate in zip(specs, (500, 200, 200, 200, 50), strict=True):
        t = times(rate)
        rows = np.zeros(len(t), spec.dtype)
        rows["t_ns"] = t
        wave = 0.6 * np.sin((t[:, None] - t0) / 1e9 * 2 + phase)
        if "position" in (spec.dtype.names or ()):
            lag = 0.02 if spec.name == "state" else 0.0
            rows["position"] = wave - lag
        if "first_use" in (spec.dtype.names or ()):
            rows["first_use"] = rng.random(len(t)) < 0.45
            rows["t_operator_receive_ns"] = t - (rng.gamma(3, 0.25, len(t)) * 1e6).astype(np.int64)
        if spec.name == "solution":
            rows["residual"][:, :2, 0] = np.abs(rng.normal(0, 0.0008, (len(t), 2)))
            rows["residual"][:, 2] = np.nan
        if spec.name == "session":
            rows["engaged"][:, 1] = (t > t0 + 0.3e9) & (t < t0 + 1.8e9)
            rows["engaged"][:, 0] = t > t0 + 0.6e9
        writer.append(spec.name, rows)
    for c in names:
        for k, t_ns in enumerate(times(30)):
            picture = np.full((120, 160, 3), 60, np.uint8)
            picture[30:90, (4 * k) % 120 : (4 * k) % 120 + 40] = 230, 110, 30
            jpeg = simplejpeg.encode_jpeg(picture)
            writer.append_picture(
                c, jpeg, t_ns=int(t_ns), t_device_ns=int(t_ns), t_receive_ns=int(t_ns), seq=k
            )
    writer.event(t0 + 300_000_000, "engage", {"side": "right"})
    writer.event(t0 + 600_000_000, "engage", {"side": "left"})
    writer.drop("operator/head", 3, t0 + 900_000_000)
    writer.event(t0 + 1_200_000_000, "pause", {})
    writer.event(t0 + 1_400_000_000, "resume", {})
    return writer.finish({"outcome": "success"})


class Balance(HTMLParser):
    """Checks that every element is closed in order, and collects addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [v for k, v in attrs if k in ("src", "href") and v]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset.open(tmp_path / "data", create=True)


def read(page: Path) -> tuple[str, Balance]:
    text = page.read_text(encoding="utf-8")
    balance = Balance()
    balance.feed(text)
    assert balance.open == []
    return text, balance


def test_a_report_needs_nothing_outside_itself(dataset: Dataset, tmp_path: Path) -> None:
    page = write_report([make_episode(dataset)], tmp_path / "sub" / "report.html")
    text, parsed = read(page)
    assert "<script" not in text
    assert all(a.startswith(("data:image/jpeg;base64,", "#")) for a in parsed.addresses)
    assert "url(" not in text


def test_a_report_shows_what_was_recorded(dataset: Dataset, tmp_path: Path) -> None:
    episode = make_episode(dataset)
    text, _ = read(write_report([episode], tmp_path / "r.html", {"dataset": "here & there"}))
    assert episode.id in text
    assert "pick &lt;up&gt; the cube" in text
    assert "here &amp; there" in text
    assert text.count("data:image/jpeg") == 12
    for words in ("right_joint7", "head_left", "drop operator/head", "p99", "command/sent"):
        assert words in text


def test_a_report_says_why_a_take_is_not_perfect(dataset: Dataset, tmp_path: Path) -> None:
    text, _ = read(write_report([make_episode(dataset)], tmp_path / "r.html"))
    assert "3 rows or pictures were lost (operator/head)" in text


def test_takes_without_cameras_and_without_takes_are_reported(
    dataset: Dataset, tmp_path: Path
) -> None:
    text, _ = read(write_report([make_episode(dataset, cameras=False)], tmp_path / "r.html"))
    assert "data:image" not in text
    text, _ = read(write_report([], tmp_path / "none.html"))
    assert "0 takes" in text


def test_a_report_stays_light(dataset: Dataset, tmp_path: Path) -> None:
    page = write_report([make_episode(dataset, seconds=4.0)] * 2, tmp_path / "r.html")
    assert page.stat().st_size < 2_000_000


def test_a_curve_keeps_its_spikes() -> None:
    y = np.zeros(100_000)
    y[54_321] = 1.0
    svg = line_plot("spike", [Curve(np.arange(100_000) / 1e3, y)], y_span=(0.0, 1.0), height=100)
    assert len(svg) < 20_000
    heights = [float(v) for v in re.findall(r"[ML][\d.]+ ([\d.]+)", svg)]
    assert min(heights) == pytest.approx(22.0)


def test_plots_without_data_say_so() -> None:
    nothing = np.zeros(0)
    assert "no data" in line_plot("x", [])
    assert "no data" in line_plot("x", [Curve(np.arange(3.0), np.full(3, np.nan))])
    assert "no data" in histogram("x", nothing, unit="ms")


def test_event_labels_do_not_overlap() -> None:
    marks = [Mark(1.0, "engage left"), Mark(1.0, "engage right"), Mark(1.01, "hold")]
    svg = timeline(marks, [], (0.0, 10.0))
    rows = re.findall(r'<text class="tick" x="[\d.]+" y="([\d.]+)">', svg)
    assert len(set(rows)) == 3


def test_a_trimmed_take_is_reported_as_what_is_left_of_it(tmp_path: Path) -> None:
    dataset = Dataset.open(tmp_path / "dataset", create=True)
    episode = make_episode(dataset, seconds=3.0)
    dataset.trim(episode.id, 0.5, 2.0)
    page = write_report([dataset[episode.id]], tmp_path / "report.html").read_text()
    assert '<td class="n">1.5 s</td>' in page
    assert re.search(r"<td>state</td><td class=\"n\">751</td>", page), "500 Hz, both ends"
    shown = [float(t) for t in re.findall(r'<span class="t">([\d.]+) s</span>', page)]
    assert min(shown) >= 0.0 and max(shown) <= 1.5
    alts = [float(t) for t in re.findall(r'alt="head_left at ([\d.]+) s"', page)]
    assert alts and max(alts) <= 1.5
