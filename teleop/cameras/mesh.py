"""Triangle meshes for pictures: simplification, and normals that keep creases. Pure NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import fast_simplification
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]

CREASE_COS = np.cos(np.deg2rad(35.0))
"""Faces that meet at a sharper angle than this do not share a normal."""
AGGRESSIVENESS = 3.0
"""Of fast_simplification, 1 to 10: at its default of 7 curved finger edges become corners."""


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A triangle mesh with normals of its own per corner.

    Attributes:
        vertices: (V, 3) float32 [m].
        faces: (F, 3) int32, rows of `vertices`, counter-clockwise from outside.
        normals: (N, 3) float32, unit length.
        face_normals: (F, 3) int32, rows of `normals`, one per corner.
    """

    vertices: FloatArray
    faces: IntArray
    normals: FloatArray
    face_normals: IntArray


def area(vertices: FloatArray, faces: IntArray) -> float:
    """Surface [m²]."""
    return float(np.linalg.norm(_doubled_normals(vertices, faces), axis=1).sum()) / 2


def simplify(vertices: FloatArray, faces: IntArray, n_faces: int) -> Mesh:
    """At most about `n_faces` triangles of the same surface, by quadric edge collapse.

    A mesh that is small enough already keeps its triangles. Degenerate triangles go; each corner
    gets the mean normal of the faces around it that lie within the crease angle.
    """
    vertices, faces = _weld(vertices, faces)
    if len(faces) > n_faces:
        reduction = 1.0 - n_faces / len(faces)
        vertices, faces = fast_simplification.simplify(
            vertices, faces, reduction, agg=AGGRESSIVENESS
        )
        vertices, faces = _weld(vertices.astype(np.float32), faces.astype(np.int32))
    normals, face_normals = crease_normals(vertices, faces)
    return Mesh(vertices, faces, normals, face_normals)


def crease_normals(
    vertices: FloatArray, faces: IntArray, crease_cos: float = CREASE_COS
) -> tuple[FloatArray, IntArray]:
    """Corner normals, area-weighted over the faces around a vertex within the crease angle.

    Returns:
        Normals (N, 3) and their row per face corner (F, 3); equal normals are shared.
    """
    weighted = _doubled_normals(vertices, faces)
    unit = weighted / np.linalg.norm(weighted, axis=1, keepdims=True)
    corner, other = _faces_around(faces)
    own = corner // 3
    smooth = np.einsum("ij,ij->i", unit[own], unit[other]) > crease_cos
    sums = np.zeros((faces.size, 3))
    for axis in range(3):
        sums[:, axis] = np.bincount(
            corner[smooth], weights=weighted[other[smooth], axis], minlength=faces.size
        )
    sums /= np.linalg.norm(sums, axis=1, keepdims=True)
    normals, rows = np.unique(sums.round(3), axis=0, return_inverse=True)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return normals.astype(np.float32), rows.reshape(faces.shape).astype(np.int32)


def _faces_around(faces: IntArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Every (corner, face) pair where the face touches the corner's vertex."""
    flat = faces.ravel()
    order = np.argsort(flat, kind="stable")
    count = np.bincount(flat)
    start = np.cumsum(count) - count
    times = count[flat]
    corner = np.repeat(np.arange(flat.size), times)
    step = np.arange(corner.size) - np.repeat(np.cumsum(times) - times, times)
    return corner, order[start[flat[corner]] + step] // 3


def _weld(vertices: FloatArray, faces: IntArray) -> tuple[FloatArray, IntArray]:
    """Merge equal vertices, then drop triangles without area and vertices without triangles."""
    unique, rows = np.unique(vertices, axis=0, return_inverse=True)
    welded = rows.reshape(-1)[faces]
    doubled = np.linalg.norm(_doubled_normals(unique, welded), axis=1)
    welded = welded[doubled > 0]
    used, compact = np.unique(welded, return_inverse=True)
    return (
        np.ascontiguousarray(unique[used], np.float32),
        compact.reshape(welded.shape).astype(np.int32),
    )


def _doubled_normals(
    vertices: npt.NDArray[np.floating], faces: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Face normals, (F, 3), as long as twice the face's area."""
    a, b, c = (vertices[faces[:, k]].astype(np.float64) for k in range(3))
    return np.cross(b - a, c - a)
