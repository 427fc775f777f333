"""mink as a contender: differential IK as a QP over MuJoCo. It has no acceleration limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mink
import mujoco
import numpy as np

from bench.contender import LM_DAMPING, POSTURE_COST, Array, costs
from retarget import Rig
from retarget.assembly import assemble
from retarget.spec import prepare_robot


def driven_model(rig: Rig) -> Any:
    """`MjModel` of the rig with only its driven joints.

    Raises:
        ValueError: Its joints or tips are not where the rig's are.
    """
    spec = assemble(rig.file, rig.source.parent, f"rig {rig.name!r}").spec
    prepare_robot(spec, rig.file, f"rig {rig.name!r}")
    for name in [joint.name for joint in spec.joints if joint.name not in rig.joint_names]:
        spec.delete(spec.joint(name))  # what lies beyond keeps its zero; no tip is there
    for parts in (spec.actuators, spec.sensors, spec.equalities, spec.tendons):
        for part in list(parts):
            spec.delete(part)
    model = spec.compile()
    for name, lower, upper in zip(rig.joint_names, rig.lower, rig.upper, strict=True):
        model.joint(name).range = (lower, upper)
    _check(rig, model)
    return model


def order(rig: Rig, model: Any) -> Any:
    """qpos address of each joint of the rig."""
    return np.array([model.joint(name).qposadr[0] for name in rig.joint_names])


def _check(rig: Rig, model: Any) -> None:
    if model.nq != len(rig.joint_names):
        raise ValueError(
            f"{model.nq} joints are left of {rig.name}, expected {len(rig.joint_names)}"
        )
    data, at = mujoco.MjData(model), order(rig, model)
    for q in (rig.q_home, 0.3 * (rig.lower + rig.upper) + 0.1):
        data.qpos[at] = q
        mujoco.mj_kinematics(model, data)
        for tip, T in rig.forward(q).items():
            if not np.allclose(data.site(rig.tip_sites[tip]).xpos, T[:3, 3], atol=1e-9):
                raise ValueError(f"{tip} of the reduced {rig.name} is not where the rig's is")


class Mink:
    """Configuration and velocity limits; solved by daqp."""

    def __init__(self, rig: Rig, rate_hz: float) -> None:
        self.name = "mink"
        self._dt = 1.0 / rate_hz
        self._model = driven_model(rig)
        self._at = order(rig, self._model)
        self._tasks = {
            tip: mink.FrameTask(site, "site", *costs(tip), lm_damping=LM_DAMPING)
            for tip, site in rig.tip_sites.items()
        }
        self._posture = mink.PostureTask(self._model, cost=POSTURE_COST)
        self._all = [*self._tasks.values(), self._posture]
        speeds = {n: float(v) for n, v in zip(rig.joint_names, rig.velocity_limit, strict=True)}
        self._limits = [
            mink.ConfigurationLimit(self._model),
            mink.VelocityLimit(self._model, speeds),
        ]
        self.settings = (
            f"solve_ik(solver='daqp'); FrameTask(lm_damping={LM_DAMPING:g}), "
            f"PostureTask(cost={POSTURE_COST:g}); ConfigurationLimit, VelocityLimit"
        )
        self.exceptions = 0
        self.reset(rig.q_home)

    def reset(self, q: Array) -> None:
        qpos = np.zeros(self._model.nq)
        qpos[self._at] = q
        self._configuration = mink.Configuration(self._model, qpos)
        self._posture.set_target(qpos)
        self.exceptions = 0

    def prepare(self, Ts_robot_tip: Mapping[str, Array]) -> None:
        for tip, T in Ts_robot_tip.items():
            self._tasks[tip].set_target(mink.SE3.from_matrix(T))

    def solve(self, prepared: None) -> Array:
        try:
            velocity = mink.solve_ik(
                self._configuration, self._all, self._dt, "daqp", limits=self._limits
            )
            self._configuration.integrate_inplace(velocity, self._dt)
        except mink.NoSolutionFound:
            self.exceptions += 1  # the joints stay where they are
        return np.array(self._configuration.q[self._at])
