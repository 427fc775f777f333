"""A person in a headset: the native client against a real runtime and the whole real system."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorder import Dataset
from teleop.bus import Bus
from teleop.hmd.openxr.app import HmdApp, HmdSettings
from teleop.protocol import Status
from teleop.samples import OPERATOR_FRAME
from teleop.supervisor import Supervisor
from teleop.system import new_config
from tests.openxr.conftest import PREFIX_ONLY
from tests.openxr.monado import Controller, Devices, Monado


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Supervisor]:
    hidden = {name: os.environ.pop(name) for name in PREFIX_ONLY if name in os.environ}
    config = new_config(dataset=str(tmp_path / "dataset"), port=0, task="test", render="cpu")
    with Supervisor(config) as running:
        running.start()
        os.environ.update(hidden)
        yield running


@dataclass
class Operator:
    """The client in a thread of its own, and the devices it reads."""

    app: HmdApp
    monado: Monado
    said: list[str]

    @property
    def status(self) -> Status | None:
        return None if self.app.link is None else self.app.link.said.status

    def until(self, wanted: Callable[[Status], bool], what: str, timeout_s: float = 15.0) -> Status:
        end = time.monotonic() + timeout_s
        while True:
            status = self.status
            if status is not None and wanted(status):
                return status
            if time.monotonic() > end:
                raise TimeoutError(f"waited for {what}: {status}; {self.said}")
            time.sleep(0.02)

    def squeeze(self, value: float) -> None:
        for side in ("left", "right"):
            self.monado.change(side, squeeze=value)

    def engage(self) -> None:
        self.squeeze(0.0)
        self.until(lambda s: s.tracking.left == s.tracking.right == "ok", "both hands")
        for _ in range(5):
            self.squeeze(1.0)
            end = time.monotonic() + 2.0
            while time.monotonic() < end:
                if self.status is not None and self.status.motion == "engaged":
                    return
                time.sleep(0.02)
            self.squeeze(0.0)
            time.sleep(0.3)
        raise AssertionError(f"never engaged: {self.status}")

    def press(self, side: str, button: str) -> None:
        self.monado.change(side, **{button: True})
        time.sleep(0.15)
        self.monado.change(side, **{button: False})


@pytest.fixture
def operate(system: Supervisor) -> Iterator[Callable[[Monado, bool], Operator]]:
    running: list[tuple[HmdApp, threading.Thread]] = []

    def start(monado: Monado, headless: bool) -> Operator:
        said: list[str] = []
        app = HmdApp(HmdSettings(system.url, system.config.token, headless), said.append)
        thread = threading.Thread(target=app.run, name="hmd")
        running.append((app, thread))
        thread.start()
        return Operator(app, monado, said)

    yield start
    for app, thread in running:
        app.stop()
        thread.join(10.0)
        assert not thread.is_alive()


def get(system: Supervisor, path: str) -> Any:
    request = urllib.request.Request(
        system.url + path, headers={"Authorization": f"Bearer {system.config.token}"}
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


def tip(system: Supervisor, name: str) -> np.ndarray:
    return np.array(get(system, "/api/scene")["tips"][name][:3])


def test_a_take_is_made_with_a_headset_alone(
    monado: Monado, system: Supervisor, operate: Callable[[Monado, bool], Operator]
) -> None:
    operator = operate(monado, False)
    operator.engage()
    before = tip(system, "right_wrist")
    operator.press("right", "a")
    operator.until(lambda s: s.recording == "recording", "a take")
    for step in range(20):
        position = (0.2, 1.15 + 0.0025 * (step + 1), -0.3)
        operator.monado.change("right", position=position)
        time.sleep(0.05)
    time.sleep(0.6)
    status = operator.until(lambda s: s.recording == "recording", "the take")
    moved = tip(system, "right_wrist") - before
    np.testing.assert_allclose(moved, [0.0, 0.0, 0.05 * status.reach_scale], atol=4e-3)
    operator.press("right", "a")
    operator.until(lambda s: s.recording == "review", "a review")
    time.sleep(0.6)  # a person reads the question first
    operator.press("right", "a")
    operator.until(lambda s: s.recording == "idle", "saved")
    end = time.monotonic() + 10.0
    dataset = Path(system.config.dataset)
    while not Dataset.open(dataset, repair=False).episodes():
        assert time.monotonic() < end
        time.sleep(0.1)
    (record,) = Dataset.open(dataset, repair=False).episodes()
    assert record.outcome == "success"
    decoder = operator.app.decoder
    assert decoder is not None
    assert decoder.decoded > 20
    assert decoder.failed == 0


def test_sample_times_reach_the_gateway_within_a_millisecond(
    monado: Monado, system: Supervisor, operate: Callable[[Monado, bool], Operator]
) -> None:
    bus = Bus(system.config.instance)
    frames = bus.subscriber("operator/frame", OPERATOR_FRAME, depth=512)
    operator = operate(monado, True)
    operator.until(lambda s: s.tracking.head == "ok", "poses")
    time.sleep(3.0)  # the clock fit settles
    frames.drain()
    rows: list[Any] = []
    end = time.monotonic() + 10.0
    while len(rows) < 150:
        assert time.monotonic() < end, f"{len(rows)} poses in 10 s"
        time.sleep(0.1)
        rows += [message.data for message in frames.drain()]
    bus.close()
    # one host: mapped device time and device time are the same clock
    apart_ms = np.array([int(row["t_ns"]) - int(row["t_device_ns"]) for row in rows]) / 1e6
    assert np.abs(apart_ms).max() < 1.0
    assert (np.diff([int(row["seq"]) for row in rows]) >= 1).all()
    assert (np.diff([int(row["t_device_ns"]) for row in rows]) > 0).all()


def test_a_runtime_that_crashes_makes_the_robot_hold_until_a_fresh_deadman(
    monado: Monado, system: Supervisor, operate: Callable[[Monado, bool], Operator]
) -> None:
    operator = operate(monado, True)
    operator.engage()
    monado.kill()
    operator.until(lambda s: s.motion == "hold", "a hold")
    stood = tip(system, "right_wrist")
    monado.start()
    far = Controller((0.35, 1.3, -0.5), squeeze=1.0)
    monado.put(replace(Devices(), right=far, left=replace(Devices().left, squeeze=1.0)))
    operator.until(lambda s: s.tracking.right == "ok", "tracking again")
    time.sleep(0.5)
    np.testing.assert_allclose(tip(system, "right_wrist"), stood, atol=2e-3)
    assert operator.status is not None
    assert operator.status.motion == "hold", "a squeeze held through a crash engages nothing"
    operator.engage()


def test_the_compositor_shows_the_robots_pictures(
    start_monado: Callable[[dict[str, str]], Monado],
    screen: str,
    system: Supervisor,
    operate: Callable[[Monado, bool], Operator],
) -> None:
    from PIL import ImageGrab

    monado = start_monado(
        {
            "DISPLAY": screen,
            "XRT_COMPOSITOR_NULL": "0",
            "XRT_COMPOSITOR_FORCE_XCB": "1",
            "XRT_COMPOSITOR_SCALE_PERCENTAGE": "30",
            "XRT_COMPOSITOR_DEFAULT_FRAMERATE": "72",
        }
    )
    operator = operate(monado, False)
    operator.until(lambda s: s.tracking.head == "ok", "poses")
    decoder = operator.app.decoder
    assert decoder is not None
    end = time.monotonic() + 10.0
    while decoder.decoded < 60:
        assert time.monotonic() < end
        time.sleep(0.1)
    contrast = 0.0
    while contrast <= 25.0:  # the compositor's window is grey until it has shown a frame
        assert time.monotonic() < end + 10.0, f"no picture, contrast {contrast:.0f}"
        picture = ImageGrab.grab(xdisplay=screen)
        contrast = float(np.asarray(picture, float).std())
        time.sleep(0.1)
    if folder := os.environ.get("TELECAP_SCREENSHOTS"):
        picture.save(Path(folder) / "openxr.png")
