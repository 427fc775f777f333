"""Pink (pip: pin-pink) as a contender: differential IK as a QP over Pinocchio."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pink
import pinocchio as pin
from pink.exceptions import NoSolutionFound
from pink.limits import AccelerationLimit, ConfigurationLimit, VelocityLimit
from pink.tasks import FrameTask, PostureTask

from bench.contender import LM_DAMPING, POSTURE_COST, Array, costs
from retarget import Rig


class Pink:
    """Configuration, velocity and (unless left out) acceleration limits; solved by daqp.

    Where the limits conflict pink raises `NoSolutionFound`. It is counted, and the frame solved
    again without the acceleration limit; if that fails as well, the joints stay where they are.
    """

    def __init__(self, rig: Rig, rate_hz: float, accelerations: bool = True) -> None:
        self.name = "pink" if accelerations else "pink without acceleration limit"
        self._dt = 1.0 / rate_hz
        model = self._model = pin.Model(rig.model)
        model.velocityLimit = np.array(rig.velocity_limit)
        model.lowerPositionLimit = np.array(rig.lower)
        model.upperPositionLimit = np.array(rig.upper)
        self._tasks = {
            tip: FrameTask(frame, *costs(tip), lm_damping=LM_DAMPING)
            for tip, frame in rig.tips.items()
        }
        self._posture = PostureTask(cost=POSTURE_COST)
        self._all = [*self._tasks.values(), self._posture]
        self._limits = [ConfigurationLimit(model), VelocityLimit(model)]
        self._acceleration = (
            AccelerationLimit(model, np.array(rig.acceleration_limit)) if accelerations else None
        )
        self.settings = (
            f"solve_ik(solver='daqp', safety_break=False); FrameTask(lm_damping={LM_DAMPING:g}), "
            f"PostureTask(cost={POSTURE_COST:g}); ConfigurationLimit, VelocityLimit"
            + (", AccelerationLimit" if accelerations else "")
        )
        self.exceptions = 0
        self.reset(rig.q_home)

    def reset(self, q: Array) -> None:
        self._configuration = pink.Configuration(self._model, self._model.createData(), np.array(q))
        self._posture.set_target(np.array(q))
        self._remember(np.zeros(self._model.nv))
        self.exceptions = 0

    def prepare(self, Ts_robot_tip: Mapping[str, Array]) -> None:
        for tip, T in Ts_robot_tip.items():
            self._tasks[tip].set_target(pin.SE3(T))

    def solve(self, prepared: None) -> Array:
        limits = self._limits if self._acceleration is None else [*self._limits, self._acceleration]
        try:
            velocity = self._velocity(limits)
        except NoSolutionFound:
            self.exceptions += 1
            velocity = self._without_acceleration()
        self._configuration.integrate_inplace(velocity, self._dt)
        self._remember(velocity)
        return np.array(self._configuration.q)

    def _without_acceleration(self) -> Array:
        try:
            return self._velocity(self._limits)
        except NoSolutionFound:
            return np.zeros(self._model.nv)

    def _velocity(self, limits: list[object]) -> Array:
        return pink.solve_ik(
            self._configuration, self._all, self._dt, "daqp", limits=limits, safety_break=False
        )

    def _remember(self, velocity: Array) -> None:
        if self._acceleration is not None:
            self._acceleration.set_last_integration(velocity, self._dt)
