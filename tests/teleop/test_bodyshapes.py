"""What a viewer draws of a rig is where MuJoCo has it, and closed surfaces face outward."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from teleop.bodyshapes import BUDGET, MIN_FACES, BodyShapes, _primitive
from tests.retarget.conftest import cached_rig

GEOM = mujoco.mjtGeom
A_CAPSULE = 4 * np.pi * 0.1**2 + 2 * np.pi * 0.1 * 0.6
RIGS = ("openarm", "g1-dex3", "mobile-aloha")


@pytest.mark.parametrize(
    ("kind", "size", "area_m2"),
    [
        (GEOM.mjGEOM_BOX, (0.1, 0.2, 0.3), 0.88),
        (GEOM.mjGEOM_SPHERE, (0.1, 0, 0), 4 * np.pi * 0.1**2),
        (GEOM.mjGEOM_ELLIPSOID, (0.1, 0.1, 0.1), 4 * np.pi * 0.1**2),
        (GEOM.mjGEOM_CAPSULE, (0.1, 0.3, 0), A_CAPSULE),
        (GEOM.mjGEOM_CYLINDER, (0.1, 0.3, 0), 2 * np.pi * 0.1 * (0.1 + 0.6)),
    ],
)
def test_surfaces_have_their_area_and_face_outward(
    kind: int, size: tuple[float, float, float], area_m2: float
) -> None:
    found = _primitive(kind, np.array(size))
    assert found is not None
    vertices, faces = found
    corners = vertices[faces]
    doubled = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("ij,ij->i", doubled, corners.mean(axis=1)) > 0).all()
    assert np.linalg.norm(doubled, axis=1).sum() / 2 == pytest.approx(area_m2, rel=0.03)


@pytest.mark.parametrize("name", RIGS)
def test_bodies_are_where_the_simulation_has_them_seen_from_the_robot(name: str) -> None:
    rig = cached_rig(name)
    shapes = BodyShapes(rig)
    rng = np.random.default_rng(0)
    q = np.clip(rig.q_home + rng.uniform(-0.3, 0.3, len(rig.q_home)), rig.lower, rig.upper)
    qpos = shapes.qpos(q, np.zeros(len(rig.gripper_names)))
    where, quats = shapes.poses(qpos)
    model = rig.compile(scene=True)
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_forward(model, data)
    # Everything is turned and moved by one transform, that which brings the tips to the robot's.
    tip, site = next(iter(rig.tip_sites.items()))
    T = rig.forward(q)[tip]
    R_world_robot = data.site(site).xmat.reshape(3, 3) @ T[:3, :3].T
    p = data.site(site).xpos - R_world_robot @ T[:3, 3]
    bodies = [model.body(shape.body) for shape in shapes.shapes]
    expected = (np.array([data.xpos[body.id] for body in bodies]) - p) @ R_world_robot
    np.testing.assert_allclose(where, expected, atol=1e-9)
    for quat, body in zip(quats, bodies, strict=True):
        R = R_world_robot.T @ data.xmat[body.id].reshape(3, 3)
        np.testing.assert_allclose(Rotation.from_quat(quat).as_matrix(), R, atol=1e-9)
    for other, site in rig.tip_sites.items():
        seen = (data.site(site).xpos - p) @ R_world_robot
        np.testing.assert_allclose(seen, rig.forward(q)[other][:3, 3], atol=1e-6)


@pytest.mark.parametrize("name", RIGS)
def test_a_rig_is_drawn_within_its_budget_with_colours_and_unit_normals(name: str) -> None:
    shapes = BodyShapes(cached_rig(name)).shapes
    n_geoms = cached_rig(name).compile(scene=True).ngeom
    assert 0 < sum(len(s.vertices) for s in shapes) / 3 <= BUDGET * 1.3 + n_geoms * 400 + MIN_FACES
    for shape in shapes:
        assert shape.vertices.shape == shape.normals.shape == (len(shape.colours), 3)
        np.testing.assert_allclose(np.linalg.norm(shape.normals, axis=1), 1.0, atol=1e-4)
        assert (shape.colours[:, 3] > 0).all()
    assert sum(shape.is_robot for shape in shapes) >= 10


def test_walls_around_the_robot_are_left_out_and_its_things_are_not() -> None:
    shapes = {shape.body: shape for shape in BodyShapes(cached_rig("openarm")).shapes}
    assert {"cube", "tray"} <= {name for name, shape in shapes.items() if not shape.is_robot}
    assert np.ptp(shapes["world"].vertices, axis=0).max() < 1.2, "the table, not the cell"


def test_grippers_and_what_is_coupled_to_them_follow_the_openings() -> None:
    rig = cached_rig("openarm")
    shapes = BodyShapes(rig)
    names = [shape.body for shape in shapes.shapes]

    def poses(*openings: float) -> np.ndarray:
        return np.hstack(shapes.poses(shapes.qpos(rig.q_home, np.array(openings))))

    changed = np.abs(poses(1.0, 0.0) - poses(0.0, 0.0)).max(axis=1) > 1e-3
    moved = {name for name, changes in zip(names, changed, strict=True) if changes}
    assert len(moved) == 2 and all("left" in n and "finger" in n for n in moved), moved
    home = [rig.grippers[name].home for name in rig.gripper_names]
    np.testing.assert_allclose(poses(), poses(*home), atol=1e-9)


def test_what_the_state_tells_is_what_the_simulation_holds() -> None:
    rig = cached_rig("openarm")
    shapes = BodyShapes(rig)
    model = rig.compile(scene=True)
    home = model.key("home").qpos
    np.testing.assert_allclose(shapes.qpos(rig.q_home), home, atol=1e-12)
    assert shapes.nq == model.nq == len(home)


def test_fingers_are_placed_without_grippers() -> None:
    rig = cached_rig("g1-dex3")
    shapes = BodyShapes(rig)
    assert not rig.gripper_names
    bent = rig.fingers_home.copy()
    bent[0] += 0.2
    moved = np.abs(
        np.hstack(shapes.poses(shapes.qpos(rig.q_home, finger=bent)))
        - np.hstack(shapes.poses(shapes.qpos(rig.q_home, finger=rig.fingers_home)))
    ).max(axis=1)
    names = [s.body for s, m in zip(shapes.shapes, moved, strict=True) if m > 1e-3]
    assert 0 < len(names) <= 5, names


@pytest.mark.parametrize("name", ["leap", "shadow"])
def test_a_hand_alone_is_drawn(name: str) -> None:
    rig = cached_rig(name)
    shapes = BodyShapes(rig)
    assert len(shapes.shapes) >= 15
    assert np.isfinite(np.hstack(shapes.poses(shapes.qpos(rig.q_home)))).all()
