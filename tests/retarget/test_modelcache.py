"""A kept model is the compiled one, bit for bit; what changed since is compiled anew."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from retarget import load_rig, modelcache, rig
from retarget.spec import HOME_KEY, apply_keyframe
from tests.retarget.conftest import ARM_RIGS, cached_scene

MESH = """v 0 0 0
v {size} 0 0
v 0 1 0
v 0 0 1
f 1 3 2
f 1 2 4
f 1 4 3
f 2 3 4
"""
INCLUDED = '<mujoco><asset><mesh name="m" file="m.obj"/></asset></mujoco>'
ROBOT = """<mujoco><compiler meshdir="meshes"/><include file="parts.xml"/><worldbody>
  <body name="base"><geom type="mesh" mesh="m"/>
    <body name="arm"><joint name="j" range="-1 1" damping="{damping}"/>
    <geom type="mesh" mesh="m"/></body></body>
</worldbody></mujoco>"""
RIG = """name = "kept"
[model]
path = "robot.xml"
[arms.left]
joints = ["j"]
tip = { site = "tip", body = "arm" }
[limits]
velocity = { "*" = 1.0 }
acceleration = { "*" = 1.0 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "meshes").mkdir()
    write(tmp_path / "meshes" / "m.obj", MESH.format(size=1))
    write(tmp_path / "parts.xml", INCLUDED)
    write(tmp_path / "robot.xml", ROBOT.format(damping=1))
    (tmp_path / "kept.toml").write_text(RIG)
    return tmp_path


def write(file: Path, text: str, age_s: float = 100.0) -> None:
    file.write_text(text)
    changed_s = time.time() - age_s
    os.utime(file, (changed_s, changed_s))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with each compilation."""
    calls: list[str] = []
    real = rig.compile_spec

    def counted(spec: Any, where: str) -> Any:
        calls.append(where)
        return real(spec, where)

    monkeypatch.setattr(rig, "compile_spec", counted)
    return calls


def bits(model: Any) -> bytes:
    buffer = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return buffer.tobytes()


def test_a_second_load_compiles_nothing_and_gives_the_same_bits(
    folder: Path, compiled: list[str]
) -> None:
    first = load_rig(folder / "kept.toml")
    fresh = bits(first.compile())
    assert len(compiled) == 2
    second = load_rig(folder / "kept.toml")
    assert bits(second.compile()) == fresh
    assert second.model_hash == first.model_hash
    assert len(compiled) == 2


@pytest.mark.parametrize("changed", ["meshes/m.obj", "parts.xml", "robot.xml", "kept.toml"])
def test_what_it_reads_decides(folder: Path, compiled: list[str], changed: str) -> None:
    load_rig(folder / "kept.toml")
    if changed == "kept.toml":
        (folder / changed).write_text(RIG.replace('{ "*" = 1.0 }', '{ "*" = 2.0 }'))
    else:
        file = folder / changed
        state = file.stat()
        os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    load_rig(folder / "kept.toml")
    assert len(compiled) == 2


def test_a_changed_mesh_of_the_same_size_is_seen(folder: Path) -> None:
    before = load_rig(folder / "kept.toml")
    write(folder / "meshes" / "m.obj", MESH.format(size=2), age_s=50.0)
    assert load_rig(folder / "kept.toml").model_hash != before.model_hash


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_compiled_anew(
    folder: Path, compiled: list[str], damage: bytes | None
) -> None:
    before = load_rig(folder / "kept.toml")
    (kept,) = (folder / "cache" / "telecap").glob("models-*/model.mjb")
    kept.write_bytes(kept.read_bytes()[:-100] if damage is None else damage)
    assert load_rig(folder / "kept.toml").model_hash == before.model_hash
    assert len(compiled) == 2


def test_where_nothing_can_be_kept_it_is_compiled(
    folder: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "file"))
    load_rig(folder / "kept.toml")
    load_rig(folder / "kept.toml")
    assert len(compiled) == 2


def test_what_changed_just_now_is_not_kept(folder: Path, compiled: list[str]) -> None:
    write(folder / "meshes" / "m.obj", MESH.format(size=1), age_s=0.0)
    load_rig(folder / "kept.toml")
    load_rig(folder / "kept.toml")
    assert len(compiled) == 2


def test_a_file_that_is_nowhere_gives_no_key(tmp_path: Path) -> None:
    assert modelcache.key([tmp_path / "gone"], []) is None
    write(tmp_path / "there", "")
    assert modelcache.key([tmp_path / "there"], []) is not None


def test_only_so_many_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modelcache, "KEPT", 3)
    for damping in range(6):
        write(folder / "robot.xml", ROBOT.format(damping=damping))
        load_rig(folder / "kept.toml")
    assert len(list((folder / "cache" / "telecap").glob("models-*/model.mjb"))) == 3


@pytest.mark.parametrize("name", ARM_RIGS)
def test_joints_are_read_from_a_keyframe_in_the_order_of_the_compiled_model(name: str) -> None:
    model = cached_scene(name)
    spec = mujoco.MjSpec()
    parent = {0: spec.worldbody}
    for b in range(1, model.nbody):
        parent[b] = parent[model.body_parentid[b]].add_body(name=model.body(b).name, mass=1)
        parent[b].inertia = [1, 1, 1]
        for j in range(model.body_jntadr[b], model.body_jntadr[b] + model.body_jntnum[b]):
            parent[b].add_joint(name=model.joint(j).name, type=model.jnt_type[j])
    qpos = model.key(HOME_KEY).qpos
    spec.add_key(name=HOME_KEY, qpos=qpos)
    values = apply_keyframe(spec, HOME_KEY, "here")
    plain = [j for j in range(model.njnt) if model.jnt_type[j] in (2, 3)]
    assert values == {model.joint(j).name: qpos[model.jnt_qposadr[j]] for j in plain}
