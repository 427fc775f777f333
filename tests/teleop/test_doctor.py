"""The doctor says what is wrong and what to do, and does no harm itself."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import tempfile
from pathlib import Path

import pytest

from teleop.cli import main
from teleop.doctor import devices, link, machine
from teleop.doctor.items import Item

NOBODY = 65534


def run(*args: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(a) for a in args])
    return int(end.value.code or 0)


def test_it_looks_at_everything_and_leaves_nothing_behind(tmp_path: Path, capsys) -> None:
    code = run("doctor", "--dataset", tmp_path / "new" / "dataset", "--json")
    items = json.loads(capsys.readouterr().out)
    names = [item["name"] for item in items]
    assert len(names) == len(set(names)) > 10
    assert {"disk", "OpenGL", "port", "clock", "certificate"} <= set(names)
    assert code == any(item["level"] == "fail" for item in items)
    assert all(item["found"] for item in items)
    assert all(item["todo"] for item in items if item["level"] != "ok")
    assert list(tmp_path.iterdir()) == []


def test_for_people_it_prints_what_to_do(tmp_path: Path, capsys) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run("doctor", "--dataset", tmp_path, "--port", port)
    text = capsys.readouterr().out
    assert f"{port} is taken" in text
    assert f"--port {port + 1}" in text


def test_a_disk_that_cannot_be_written_fails(tmp_path: Path, monkeypatch) -> None:
    def refuse(folder: Path) -> tuple[float, float]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(machine, "_try_disk", refuse)
    item = machine.look_at_disk(tmp_path)
    assert item.level == "fail"
    assert "Permission denied" in item.found


@pytest.mark.parametrize(("speed", "commit", "level"), [(5, 0.01, "warn"), (500, 0.5, "warn")])
def test_a_slow_disk_is_said_to_be(tmp_path: Path, monkeypatch, speed, commit, level) -> None:
    monkeypatch.setattr(machine, "_try_disk", lambda folder: (float(speed), commit))
    item = machine.look_at_disk(tmp_path)
    assert item.level == level
    assert f"{speed} MB/s" in item.found


def test_a_governor_that_saves_power_is_found(tmp_path: Path) -> None:
    for k, governor in enumerate(("performance", "powersave")):
        folder = tmp_path / f"cpu{k}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(governor + "\n")
    item = machine.look_at_cores(tmp_path)
    assert item.level == "warn"
    assert "powersave" in item.found
    assert "performance" in item.todo


def test_a_slow_clock_is_found(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("hpet\n")
    assert machine.look_at_clock(tmp_path / "source").level == "warn"


def test_no_room_for_the_bus_fails(tmp_path: Path, monkeypatch) -> None:
    assert machine.look_at_shared_memory(tmp_path / "none").level == "fail"
    monkeypatch.setattr(machine, "SHARED_BYTES", 1 << 60)
    item = machine.look_at_shared_memory(tmp_path)
    assert (item.level, "--shm-size" in item.todo) == ("fail", True)


def test_a_key_that_others_can_read_fails(tmp_path: Path) -> None:
    assert link.look_at_certificate(tmp_path).level == "ok"
    for name in ("ca.pem", "ca.key"):
        (tmp_path / name).write_text("x")
    (tmp_path / "ca.key").chmod(0o644)
    assert link.look_at_certificate(tmp_path).level == "fail"
    (tmp_path / "ca.key").chmod(0o600)
    assert link.look_at_certificate(tmp_path).level == "ok"


@pytest.mark.parametrize(
    ("states", "level", "words"),
    [([], "ok", "none"), (["device"], "ok", "1 connected"), (["unauthorized"], "warn", "unauth")],
)
def test_headsets_on_a_cable_are_told_by_their_state(tmp_path: Path, states, level, words) -> None:
    lines = "".join(f"echo 'serial{k} {s}'\n" for k, s in enumerate(states))
    adb = tmp_path / "adb"
    adb.write_text(f"#!/bin/sh\necho 'List of devices attached'\n{lines}")
    adb.chmod(0o755)
    item = link.look_at_cable(str(adb))
    assert item.level == level
    assert words in item.found


def test_an_adb_that_cannot_run_is_said_to_be(tmp_path: Path) -> None:
    assert link.look_at_cable(str(tmp_path / "no-adb")).level == "warn"


def test_the_openxr_runtime_is_named_or_its_fault(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("XR_RUNTIME_JSON", raising=False)
    folders = (tmp_path,)
    assert "none" in devices.look_at_openxr(folders).found
    path = tmp_path / devices.RUNTIME_FILES[0]
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"runtime": {"name": "Monado"}}))
    assert "Monado" in devices.look_at_openxr(folders).found
    path.write_text("{")
    assert devices.look_at_openxr(folders).level == "warn"
    monkeypatch.setenv("XR_RUNTIME_JSON", str(tmp_path / "gone.json"))
    assert devices.look_at_openxr(folders).level == "warn"


def _cameras_as_nobody(folder: Path) -> str:
    if os.geteuid() == 0:  # who may open everything
        os.setuid(NOBODY)
    return devices.look_at_cameras(folder).found


def test_cameras_without_a_right_to_them_are_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "video0").touch(mode=0o000)
        with multiprocessing.get_context("fork").Pool(1) as pool:
            found = pool.apply_async(_cameras_as_nobody, (Path(folder),)).get(30)
    assert found == "no right to open video0"


def test_cameras_are_listed(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    (tmp_path / "video2").touch()
    item = devices.look_at_cameras(tmp_path)
    assert item == Item("ok", "cameras", "video0, video2")


def test_no_opengl_fails_with_the_packages_that_bring_it(monkeypatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    item = devices.look_at_pictures()
    assert item.level == "fail"
    assert "apt install" in item.todo
