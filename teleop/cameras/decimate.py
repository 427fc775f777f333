"""Fewer triangles for software rendering: a compiled model's visual meshes, simplified in place.

Software OpenGL is bound by triangles: the default rig's 219,000 cost about 30 ms a view, whatever
the picture's size. The result depends on nothing but the meshes and the budget, so it is computed
once and kept in the user's cache directory under the hash of both.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from teleop.cameras.mesh import Mesh, area, simplify

log = logging.getLogger(__name__)

FORMAT = 2
"""Raised whenever the same meshes and budget would give another result."""
MIN_FACES = 60
ROUNDS = 3
DRAWN_GROUPS = 3
"""MuJoCo draws geom groups 0 to 2 unless asked otherwise; collision hulls lie above."""
_FIELDS = ("vertices", "faces", "normals", "face_normals")


@dataclass(frozen=True, slots=True)
class Decimation:
    """What was done: triangles drawn before and after, and whether the cache had it."""

    before: int
    after: int
    cached: bool


def cache_dir() -> Path:
    """Where decimated meshes are kept: `$XDG_CACHE_HOME/telecap`, else `~/.cache/telecap`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "telecap" / "meshes"


def decimate_visuals(model: Any, budget: int, cache: Path | None = None) -> Decimation:
    """Simplify the visual meshes of a compiled `MjModel` in place to about `budget` triangles.

    Only meshes that no colliding geom uses and that carry no texture are simplified. Meshes that
    are never drawn lose their triangles, so afterwards the model is good for pictures only.

    Args:
        model: `mujoco.MjModel`, changed.
        budget: Triangles of all drawn mesh geoms together; textured meshes count but stay.
        cache: Directory of earlier results; the user's cache directory by default.
    """
    drawn = _drawn_meshes(model)
    chosen = sorted(set(drawn) - _fixed_meshes(model))
    before = sum(int(model.mesh_facenum[i]) * n for i, n in drawn.items())
    fixed = sum(int(model.mesh_facenum[i]) * n for i, n in drawn.items() if i not in chosen)
    sources = [_source(model, i) for i in chosen]
    targets = _targets(sources, [drawn[i] for i in chosen], max(0, budget - fixed))
    path = (cache or cache_dir()) / f"{_key(sources, targets)}.npz"
    meshes = _load(path, len(chosen))
    cached = meshes is not None
    if meshes is None:
        meshes = _simplify_all(sources, [drawn[i] for i in chosen], max(0, budget - fixed))
        _store(path, meshes)
    _install(model, dict(zip(chosen, meshes, strict=True)), set(drawn))
    after = sum(int(model.mesh_facenum[i]) * n for i, n in drawn.items())
    log.info("visual meshes: %d triangles, %d after decimation", before, after)
    return Decimation(before, after, cached)


def _simplify_all(sources: Sequence[Any], instances: Sequence[int], budget: int) -> list[Mesh]:
    """Simplify every mesh; where some cannot shrink as far as asked, the others give more."""
    asked = budget
    for _ in range(ROUNDS):
        targets = _targets(sources, instances, asked)
        meshes = [simplify(v, f, n) for (v, f), n in zip(sources, targets, strict=True)]
        spent = sum(n * len(m.faces) for n, m in zip(instances, meshes, strict=True))
        if spent <= budget:
            break
        asked -= spent - budget
    return meshes


def _drawn_meshes(model: Any) -> dict[int, int]:
    """Mesh id -> number of geoms that draw it."""
    mask = (model.geom_type == mujoco.mjtGeom.mjGEOM_MESH) & (model.geom_group < DRAWN_GROUPS)
    ids, counts = np.unique(model.geom_dataid[mask], return_counts=True)
    return {int(i): int(n) for i, n in zip(ids, counts, strict=True)}


def _fixed_meshes(model: Any) -> set[int]:
    """Meshes that something else depends on: contacts, or the coordinates of a texture."""
    is_mesh = model.geom_type == mujoco.mjtGeom.mjGEOM_MESH
    collides = (model.geom_contype | model.geom_conaffinity) != 0
    material = model.geom_matid
    textured = (material >= 0) & (model.mat_texid[material].max(axis=-1, initial=-1) >= 0)
    has_coordinates = model.mesh_texcoordadr[np.where(is_mesh, model.geom_dataid, 0)] >= 0
    keep = is_mesh & (collides | (textured & has_coordinates))
    return {int(i) for i in model.geom_dataid[keep]}


def _source(model: Any, mesh: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    vertex, n_vertices = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    face, n_faces = model.mesh_faceadr[mesh], model.mesh_facenum[mesh]
    return (
        model.mesh_vert[vertex : vertex + n_vertices].copy(),
        model.mesh_face[face : face + n_faces].copy(),
    )


def _targets(sources: Sequence[Any], instances: Sequence[int], budget: int) -> list[int]:
    """Triangles for each mesh: shares by √triangles · ⁴√area, nobody gets more than it has.

    Triangles stand for detail, area for the part of the picture a mesh fills. The area counts
    little because the small meshes are the fingers, which wrist cameras see from nearby.
    """
    faces = np.array([len(f) for _, f in sources], dtype=np.float64)
    count = np.array(instances, dtype=np.float64)
    weight = np.sqrt(faces * np.sqrt([area(v, f) for v, f in sources]))
    low, high = 0.0, 1.0 + faces.max(initial=0) / max(float(weight.min(initial=1)), 1e-12)
    for _ in range(60):  # the scale that spends the budget: bisection on a monotone sum
        scale = (low + high) / 2
        spent = float((count * np.clip(scale * weight, np.minimum(MIN_FACES, faces), faces)).sum())
        low, high = (scale, high) if spent <= budget else (low, scale)
    return [int(n) for n in np.clip(low * weight, np.minimum(MIN_FACES, faces), faces)]


def _key(sources: Sequence[Any], targets: Sequence[int]) -> str:
    digest = hashlib.sha256(f"{FORMAT} {list(targets)}".encode())
    for vertices, faces in sources:
        digest.update(vertices.tobytes())
        digest.update(faces.tobytes())
    return digest.hexdigest()


def _load(path: Path, count: int) -> list[Mesh] | None:
    """Meshes of an earlier run, None when there are none or the file is damaged."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            flat = {name: file[name] for name in _FIELDS}
            ends = {name: np.cumsum(file[f"{name}_count"])[:-1] for name in _FIELDS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        log.warning("ignoring the damaged mesh cache %s: %s", path, error)
        return None
    parts = {name: np.split(flat[name], ends[name]) for name in _FIELDS}
    if count and any(len(parts[name]) != count for name in _FIELDS):
        return None
    return [Mesh(*(parts[name][k] for name in _FIELDS)) for k in range(count)]


def _store(path: Path, meshes: Sequence[Mesh]) -> None:
    """Write aside, then rename: readers of other processes see all of it or none."""
    if not meshes:
        return
    arrays = {name: np.concatenate([getattr(m, name) for m in meshes]) for name in _FIELDS}
    counts = {f"{n}_count": np.array([len(getattr(m, n)) for m in meshes]) for n in _FIELDS}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            np.savez(file, allow_pickle=False, **arrays, **counts)
        Path(file.name).replace(path)
    except OSError as error:
        log.warning("cannot keep decimated meshes in %s: %s", path.parent, error)


def _install(model: Any, meshes: Mapping[int, Mesh], drawn: set[int]) -> None:
    """Pack the model's mesh arrays anew, with `meshes` in the place of the originals."""
    old = {
        name: getattr(model, name).copy()
        for name in (
            "mesh_vert",
            "mesh_normal",
            "mesh_face",
            "mesh_facenormal",
            "mesh_facetexcoord",
        )
    }
    packed: dict[str, list[Any]] = {name: [] for name in old}
    vertex = normal = face = 0
    for i in range(model.nmesh):
        block = _block(model, old, i, meshes.get(i), i in drawn)
        for name, rows in block.items():
            packed[name].append(rows)
        if i in meshes:
            model.mesh_texcoordadr[i] = -1
        if i in meshes or i not in drawn:
            model.mesh_graphadr[i] = -1  # the hull's indices are of the old vertices
        model.mesh_vertadr[i], model.mesh_vertnum[i] = vertex, len(block["mesh_vert"])
        model.mesh_normaladr[i], model.mesh_normalnum[i] = normal, len(block["mesh_normal"])
        model.mesh_faceadr[i], model.mesh_facenum[i] = face, len(block["mesh_face"])
        vertex += len(block["mesh_vert"])
        normal += len(block["mesh_normal"])
        face += len(block["mesh_face"])
    for name, blocks in packed.items():
        rows = np.concatenate(blocks) if blocks else old[name][:0]
        getattr(model, name)[: len(rows)] = rows


def _block(
    model: Any, old: Mapping[str, Any], i: int, mesh: Mesh | None, is_drawn: bool
) -> dict[str, Any]:
    """Rows of mesh `i` in each array: the new mesh's, the old ones, or none if never drawn."""
    if mesh is not None:
        return {
            "mesh_vert": mesh.vertices,
            "mesh_normal": mesh.normals,
            "mesh_face": mesh.faces,
            "mesh_facenormal": mesh.face_normals,
            "mesh_facetexcoord": np.zeros_like(mesh.faces),
        }
    n = 1 if is_drawn else 0
    vertices = slice(model.mesh_vertadr[i], model.mesh_vertadr[i] + n * model.mesh_vertnum[i])
    normals = slice(model.mesh_normaladr[i], model.mesh_normaladr[i] + n * model.mesh_normalnum[i])
    faces = slice(model.mesh_faceadr[i], model.mesh_faceadr[i] + n * model.mesh_facenum[i])
    return {
        "mesh_vert": old["mesh_vert"][vertices],
        "mesh_normal": old["mesh_normal"][normals],
        "mesh_face": old["mesh_face"][faces],
        "mesh_facenormal": old["mesh_facenormal"][faces],
        "mesh_facetexcoord": old["mesh_facetexcoord"][faces],
    }
