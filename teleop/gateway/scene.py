"""Where things are in a simulated scene, computed from `sim/qpos`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
import numpy.typing as npt

from retarget import Rig
from retarget.frames import matrix_to_pose
from teleop.samples import sim_qpos_dtype


def is_simulated(rig: Rig) -> bool:
    """Whether the rig's adapter is the simulator."""
    adapter = rig.sections.get("adapter", {})
    return str(adapter.get("name", "")) == "mujoco"


class SceneView:
    """Poses of the scene's objects and of the robot's tips.

    Args:
        rig: A simulated rig.
    """

    def __init__(self, rig: Rig) -> None:
        self._model: Any = rig.compile(scene=True)
        self._data: Any = mujoco.MjData(self._model)
        robot = rig.compile(scene=False)
        known = {robot.body(b).name for b in range(robot.nbody)}
        names = (self._model.body(b).name for b in range(self._model.nbody))
        self.objects: tuple[str, ...] = tuple(n for n in names if n and n not in known)
        self._tip_sites: Mapping[str, str] = rig.tip_sites

    @property
    def dtype(self) -> np.dtype[np.void]:
        """Layout of `sim/qpos` for this scene."""
        return sim_qpos_dtype(int(self._model.nq))

    def poses(self, row: Any) -> dict[str, Any]:
        """Objects and tips as `[px, py, pz, qx, qy, qz, qw]` in the robot root.

        Args:
            row: Row of `sim/qpos`.
        """
        self._data.qpos[:] = row["qpos"]
        mujoco.mj_kinematics(self._model, self._data)
        bodies = {name: self._data.body(name) for name in self.objects}
        sites = {tip: self._data.site(site) for tip, site in self._tip_sites.items()}
        return {
            "t_ns": int(row["t_ns"]),
            "objects": {name: _pose(body.xpos, body.xmat) for name, body in bodies.items()},
            "tips": {tip: _pose(site.xpos, site.xmat) for tip, site in sites.items()},
        }


def _pose(position: npt.NDArray[np.float64], R_flat: npt.NDArray[np.float64]) -> list[float]:
    T = np.eye(4)
    T[:3, :3] = np.reshape(R_flat, (3, 3))
    T[:3, 3] = position
    return [float(value) for value in matrix_to_pose(T)]
