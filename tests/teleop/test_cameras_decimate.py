"""Decimation: shapes keep their place, collisions keep their meshes, the cache changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleop.cameras.decimate import cache_dir, decimate_visuals
from teleop.cameras.mesh import area, crease_normals, simplify

N_SPHERE = 20 * 4**4


def compile_scene() -> mujoco.MjModel:
    """Three visual spheres (one drawn twice), a colliding one, a textured one, a hidden one."""
    spec = mujoco.MjSpec()
    for name in ("a", "b", "collides", "hidden"):
        mesh = spec.add_mesh(name=name)
        mesh.make_sphere(subdivision=4)
        mesh.scale = [0.1, 0.2, 0.05]
    textured = spec.add_mesh(name="textured")
    textured.make_sphere(subdivision=3)
    textured.usertexcoord = np.zeros(2 * (len(textured.uservert) // 3))
    spec.add_texture(
        name="t",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        width=8,
        height=8,
    )
    material = spec.add_material(name="m")
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "t"
    for k, name in enumerate(["a", "a", "b", "collides", "hidden", "textured"]):
        contact = int(name == "collides")
        geom = spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=name,
            pos=[k, 0, 0],
            contype=contact,
            conaffinity=contact,
            group=4 if name == "hidden" else 1,
        )
        if name == "textured":
            geom.material = "m"
    return spec.compile()


def arrays(model: mujoco.MjModel, name: str) -> tuple[np.ndarray, ...]:
    i = model.mesh(name).id
    v, f, n = model.mesh_vertadr[i], model.mesh_faceadr[i], model.mesh_normaladr[i]
    faces = slice(f, f + model.mesh_facenum[i])
    return (
        model.mesh_vert[v : v + model.mesh_vertnum[i]].copy(),
        model.mesh_face[faces].copy(),
        model.mesh_normal[n : n + model.mesh_normalnum[i]].copy(),
        model.mesh_facenormal[faces].copy(),
    )


def test_drawn_triangles_respect_the_budget(tmp_path: Path) -> None:
    model = compile_scene()
    done = decimate_visuals(model, 12_000, tmp_path)
    fixed = len(arrays(model, "collides")[1]) + len(arrays(model, "textured")[1])
    assert done.before == 4 * N_SPHERE + len(arrays(model, "textured")[1])
    assert done.after <= 12_000 * 1.02
    assert 2 * len(arrays(model, "a")[1]) + len(arrays(model, "b")[1]) + fixed == done.after


def test_bounding_boxes_stay_within_two_percent(tmp_path: Path) -> None:
    before, after = compile_scene(), compile_scene()
    decimate_visuals(after, 8_500, tmp_path)
    for name in ("a", "b"):
        old, new = arrays(before, name)[0], arrays(after, name)[0]
        diagonal = np.linalg.norm(np.ptp(old, axis=0))
        assert len(new) < len(old) / 2
        np.testing.assert_allclose(new.min(axis=0), old.min(axis=0), atol=0.02 * diagonal)
        np.testing.assert_allclose(new.max(axis=0), old.max(axis=0), atol=0.02 * diagonal)


@pytest.mark.parametrize("name", ["collides", "textured"])
def test_collision_and_textured_meshes_are_not_touched(tmp_path: Path, name: str) -> None:
    before, after = compile_scene(), compile_scene()
    decimate_visuals(after, 100, tmp_path)
    for old, new in zip(arrays(before, name), arrays(after, name), strict=True):
        np.testing.assert_array_equal(old, new)


def test_meshes_never_drawn_lose_their_triangles(tmp_path: Path) -> None:
    model = compile_scene()
    decimate_visuals(model, 12_000, tmp_path)
    assert model.mesh_facenum[model.mesh("hidden").id] == 0


def test_cached_result_is_identical(tmp_path: Path) -> None:
    first, second = compile_scene(), compile_scene()
    assert not decimate_visuals(first, 9_000, tmp_path).cached
    assert decimate_visuals(second, 9_000, tmp_path).cached
    for field in ("mesh_vert", "mesh_face", "mesh_normal", "mesh_facenormal", "mesh_facenum"):
        np.testing.assert_array_equal(getattr(first, field), getattr(second, field))


def test_another_budget_is_another_cache_entry(tmp_path: Path) -> None:
    decimate_visuals(compile_scene(), 9_000, tmp_path)
    assert not decimate_visuals(compile_scene(), 12_000, tmp_path).cached


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_damaged_cache_is_made_anew(tmp_path: Path, damage: bytes | None) -> None:
    done = decimate_visuals(compile_scene(), 9_000, tmp_path)
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(entry.read_bytes()[:-2000] if damage is None else damage)
    again = decimate_visuals(compile_scene(), 9_000, tmp_path)
    assert (again.cached, again.after) == (False, done.after)
    assert decimate_visuals(compile_scene(), 9_000, tmp_path).cached


def test_unwritable_cache_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not decimate_visuals(compile_scene(), 9_000, tmp_path / "file" / "cache").cached


def test_concurrent_writers_leave_one_whole_entry(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        models = [compile_scene() for _ in range(4)]
        done = list(pool.map(lambda m: decimate_visuals(m, 9_000, tmp_path), models))
    assert len({d.after for d in done}) == 1
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


def test_cache_directory_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "telecap" / "meshes"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "telecap" / "meshes"


CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
CUBE_FACES = np.array(
    [
        [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
        [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3],
    ],
    np.int32,
)  # fmt: skip


def test_sharp_edges_keep_one_normal_a_side() -> None:
    normals, rows = crease_normals(CUBE, CUBE_FACES)
    assert len(normals) == 6
    a, b, c = (CUBE[CUBE_FACES[:, k]] for k in range(3))
    for corner in range(3):
        np.testing.assert_allclose(normals[rows[:, corner]], np.cross(b - a, c - a), atol=1e-6)


def test_smooth_surfaces_share_normals_at_their_vertices() -> None:
    spec = mujoco.MjSpec()
    spec.add_mesh(name="ball").make_sphere(subdivision=3)
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname="ball")
    vertices, faces, _, _ = arrays(spec.compile(), "ball")
    normals, rows = crease_normals(vertices, faces)
    of_vertex = np.empty((len(vertices), 3))
    of_vertex[faces] = normals[rows]
    np.testing.assert_allclose(normals[rows], of_vertex[faces], atol=1e-6)


def test_a_mesh_within_its_target_keeps_its_triangles() -> None:
    mesh = simplify(CUBE, CUBE_FACES, 12)
    assert len(mesh.faces) == 12
    assert area(mesh.vertices, mesh.faces) == pytest.approx(6.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 300), st.integers(10, 400))
def test_any_triangle_soup_gives_valid_indices_and_unit_normals(
    seed: int, n_vertices: int, target: int
) -> None:
    rng = np.random.default_rng(seed)
    vertices = rng.normal(size=(n_vertices, 3)).astype(np.float32)
    faces = rng.integers(0, n_vertices, (n_vertices, 3)).astype(np.int32)
    mesh = simplify(vertices, faces, target)
    assert mesh.face_normals.shape == mesh.faces.shape
    if len(mesh.faces):
        assert mesh.faces.min() >= 0
        assert mesh.faces.max() < len(mesh.vertices)
        assert mesh.face_normals.max() < len(mesh.normals)
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1.0, atol=1e-5)
