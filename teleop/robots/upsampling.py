"""From commands at the control rate to samples at the robot's own rate, limited in jerk.

A robot that reads set-points faster than control makes them sees a staircase. Here every command
begins a new plan, from the present position, velocity and acceleration to where the commands lead:
one control period behind them, so that there is always a next one to go to. The plan is a quintic
as long as that keeps every limit, which is nearly always; where it does not (a start far away, a
joint at its limit), Ruckig plans the fastest way that does (Berscheid and Kröger, "Jerk-limited
Real-time Trajectory Generation with Arbitrary Target States", RSS 2021). Ruckig alone would shake
the joints: it uses all the jerk there is in every plan.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import numpy as np
from ruckig import (
    ControlInterface,
    InputParameter,
    Result,
    Ruckig,
    RuckigError,
    Synchronization,
    Trajectory,
)

from retarget import Rig
from teleop.pacing import NS_PER_S
from teleop.robots.base import Array, JointCommand, RobotError
from teleop.robots.ways import Quintic, Sample, cubic_reach, stopping_way

log = logging.getLogger(__name__)

NUDGE = 1e-7
"""By how much a goal is moved for which no plan is found [rad]."""
SPARE = 1.0 - 1e-6
"""Share of the limits that targets may use: rounding must not put them outside."""
GRACE = 1e-9
"""By how much a plan may leave the position limits, for rounding [rad]."""
AHEAD = (2.0, 4.0, 8.0)
"""How far quintics reach, in control periods: beyond the last command they follow its velocity and
acceleration, and are replaced when the next command comes."""
DONE = (Result.Working, Result.Finished)


@dataclass(frozen=True, slots=True)
class UpsampleConfig:
    """Settings of an `Upsampler`.

    Attributes:
        ramp_s: Time in which a joint's acceleration may grow from 0 to its limit [s]; the limit
            of jerk is that of acceleration divided by it.
    """

    ramp_s: float = 0.005

    def __post_init__(self) -> None:
        if not self.ramp_s > 0:
            raise ValueError(f"ramp_s must be above 0, got {self.ramp_s}")


def upsampling_of(rig: Rig) -> UpsampleConfig | None:
    """What a rig says under `[adapter] upsample`: false, true, or a table of settings.

    Raises:
        RobotError: It says something else.
    """
    asked = rig.sections.get("adapter", {}).get("upsample", False)
    if isinstance(asked, bool):
        return UpsampleConfig() if asked else None
    try:
        if not isinstance(asked, Mapping) or set(asked) != {"ramp_s"}:
            raise ValueError(f"got {asked!r}")
        return msgspec.convert(dict(asked), UpsampleConfig)
    except (ValueError, msgspec.ValidationError) as error:
        raise RobotError(
            f"rig {rig.name!r}: [adapter] upsample is true, false or {{ ramp_s }}: {error}"
        ) from error


class Plan(Protocol):
    """A way of all joints.

    Attributes:
        duration: Time it takes [s].
    """

    duration: float

    def at(self, seconds: float) -> Sample:
        """State at a time; the last one from its end on."""

    def reach(self) -> tuple[Array, Array]:
        """Lowest and highest positions on it, (n,) each."""


class Upsampler:
    """Plans of all joints of a rig; position, velocity and acceleration never jump.

    Every plan ends within the position limits and can be braked from there within them; one that
    cannot is not taken. Without new commands the joints therefore come to rest, within limits.

    Attributes:
        period_ns: Length of a control period [ns].
        refused: Commands that could not be followed within the limits, so far.
    """

    def __init__(self, rig: Rig, rate_hz: int, config: UpsampleConfig | None = None) -> None:
        """Samples of commands that come `rate_hz` times a second."""
        self.config = config or UpsampleConfig()
        self.period_ns = NS_PER_S // rate_hz
        self.refused = 0
        self._n = n = len(rig.joint_names)
        self._lower, self._upper = np.array(rig.lower), np.array(rig.upper)
        self._velocity = np.array(rig.velocity_limit)
        self._acceleration = np.array(rig.acceleration_limit)
        self._jerk = self._acceleration / self.config.ramp_s
        self._solver = Ruckig(n)
        self._plan: Plan = _Resting(np.zeros(n))
        self._tail: Plan | None = None
        self._begin_ns = 0
        self._tick = -1
        self._tick_velocity = np.zeros(n)
        self._wanted_acceleration = np.zeros(n)

    def rest_at(self, position: Array) -> None:
        """Forget every plan: the joints rest at a position, (n,)."""
        self._plan = self._tail = _Resting(np.array(position, dtype=np.float64))
        self._tick, self._wanted_acceleration = -1, np.zeros(self._n)

    def moving(self, now_ns: int) -> bool:
        """Whether samples still change."""
        return (now_ns - self._begin_ns) * 1e-9 < self._plan.duration + self._stop().duration

    def aim(self, command: JointCommand, tick: int, t_tick_ns: int, now_ns: int) -> bool:
        """Go where a command leads.

        Args:
            command: What was commanded for a tick of the control grid.
            tick: Its number; a command of the same tick replaces the earlier one.
            t_tick_ns: Time of the tick [ns].
            now_ns: Host time [ns].

        Returns:
            Whether it can be followed within the limits; the plan before it goes on if not.
        """
        self._note_acceleration(command, tick)
        start = self.at(now_ns)
        for plan in self._plans(start, command, (now_ns - t_tick_ns) * 1e-9):
            if plan is not None and self._is_safe(plan, start):
                self._plan, self._begin_ns, self._tail = plan, now_ns, None
                return True
        self.refused += 1
        return False

    def at(self, now_ns: int) -> Sample:
        """The sample at a time not before the last command's [ns]."""
        seconds = max(now_ns - self._begin_ns, 0) * 1e-9
        if seconds <= self._plan.duration:
            return self._plan.at(seconds)
        return self._stop().at(seconds - self._plan.duration)

    def _stop(self) -> Plan:
        """The way to rest from the end of the plan; made when it is first needed."""
        if self._tail is None:
            self._tail = self._braking(self._plan.at(self._plan.duration))
        return self._tail

    # ------------------------------------------------------------------ plans
    def _note_acceleration(self, command: JointCommand, tick: int) -> None:
        """How commands change their velocity from tick to tick."""
        if tick == self._tick:
            return
        after = tick - self._tick
        change = command.velocity - self._tick_velocity
        known = 0 < after <= 2 and self._tick >= 0
        self._wanted_acceleration = (
            change / (after * self.period_ns * 1e-9) if known else np.zeros(self._n)
        )
        self._tick, self._tick_velocity = tick, command.velocity.copy()

    def _goal(self, command: JointCommand, beyond_s: float) -> Sample:
        """Where the motion of a command leads in a while, within limits."""
        v_most, a_most = SPARE * self._velocity, SPARE * self._acceleration
        wanted = np.clip(self._wanted_acceleration, -a_most, a_most)
        # a command's velocity is that of the tick before it: the middle of the way it made
        v = np.clip(command.velocity + 0.5 * self.period_ns * 1e-9 * wanted, -v_most, v_most)
        after = np.clip(v + wanted * beyond_s, -v_most, v_most)
        # an acceleration that can be taken back before the joint is too fast
        room = np.sqrt(2.0 * self._jerk * (v_most - np.abs(after)))
        a = np.clip(wanted, -room, room)
        return Sample(command.position + 0.5 * (v + after) * beyond_s, after, a)

    def _plans(self, start: Sample, command: JointCommand, age_s: float) -> Iterator[Plan | None]:
        """Plans to try, the smoothest and soonest first; the last one ends at rest."""
        period_s = self.period_ns * 1e-9
        for periods in AHEAD:
            goal = self._goal(command, max(age_s + (periods - 1.0) * period_s, 0.0))
            quintic = Quintic(start, goal, periods * period_s)
            if quintic.keeps(self._velocity, self._acceleration, self._jerk):
                yield quintic
        yield self._fastest(start, self._goal(command, age_s))
        yield self._fastest(start, Sample.rest(np.clip(command.position, self._lower, self._upper)))

    def _fastest(self, start: Sample, goal: Sample) -> Plan | None:
        asked = self._input(start)
        asked.target_position = goal.position.tolist()
        asked.target_velocity = goal.velocity.tolist()
        asked.target_acceleration = [0.0] * self._n  # joints that arrive early coast evenly
        asked.synchronization = Synchronization.No
        return self._solved(asked)

    def _is_safe(self, plan: Plan, start: Sample) -> bool:
        """Whether a plan keeps the position limits, and so does braking from its end.

        A joint found outside of them may stay there or come back.
        """
        end = plan.at(plan.duration)
        stop = stopping_way(end.velocity, end.acceleration, self._acceleration, self._jerk)
        low, high = plan.reach()
        lowest, highest = (
            np.minimum(low, end.position + stop[0]),
            np.maximum(high, end.position + stop[1]),
        )
        lower = np.minimum(self._lower, start.position) - GRACE
        upper = np.maximum(self._upper, start.position) + GRACE
        return bool((lowest >= lower).all() and (highest <= upper).all())

    def _braking(self, start: Sample) -> Plan:
        """The way to rest, as hard as the limits allow."""
        asked = self._input(start)
        asked.control_interface = ControlInterface.Velocity
        asked.synchronization = Synchronization.No
        plan = self._solved(asked)
        if plan is None:
            raise RobotError(f"no way to rest from {start}")
        return plan

    def _input(self, start: Sample) -> Any:
        asked = InputParameter(self._n)
        asked.current_position = start.position.tolist()
        asked.current_velocity = start.velocity.tolist()
        asked.current_acceleration = start.acceleration.tolist()
        asked.max_velocity = self._velocity.tolist()
        asked.max_acceleration = self._acceleration.tolist()
        asked.max_jerk = self._jerk.tolist()
        return asked

    def _solved(self, asked: Any) -> Plan | None:
        """A plan, None where there is none.

        Ruckig finds none where one piece of full jerk leads to the goal exactly; it does for a goal
        aside by less than anybody can see.
        """
        targets = np.array(asked.target_position)
        inwards = np.sign(0.5 * (self._lower + self._upper) - targets)
        for nudge in (0.0, NUDGE):
            asked.target_position = (targets + nudge * inwards).tolist()
            trajectory = Trajectory(self._n)
            try:
                if self._solver.calculate(asked, trajectory) in DONE:
                    return _Planned(trajectory)
            except RuckigError as error:
                log.debug("Ruckig: %s", error)
        return None


class _Planned:
    """A plan of Ruckig's."""

    def __init__(self, trajectory: Any) -> None:
        self._trajectory = trajectory
        self.duration: float = trajectory.duration

    def at(self, seconds: float) -> Sample:
        q, v, a = self._trajectory.at_time(min(seconds, self.duration))[:3]
        return Sample(np.array(q), np.array(v), np.array(a))

    def reach(self) -> tuple[Array, Array]:
        """Lowest and highest of all phases; `position_extrema` misses some that begin in motion."""
        phases = [_phases(profile) for profile in self._trajectory.profiles[0]]
        low, high = cubic_reach(*np.moveaxis(np.array(phases), -1, 0))
        end = self.at(self.duration).position  # joints that arrived early have coasted since
        return np.minimum(low.min(axis=1), end), np.maximum(high.max(axis=1), end)


def _phases(profile: Any) -> list[tuple[float, float, float, float, float]]:
    """Position, velocity, acceleration, jerk and duration of a profile's 9 phases."""
    brake = profile.brake
    first = zip(brake.p, brake.v, brake.a, brake.j, brake.t, strict=True)
    rest = zip(profile.p[:7], profile.v[:7], profile.a[:7], profile.j, profile.t, strict=True)
    held = (profile.p[0], 0.0, 0.0, 0.0, 0.0)  # a phase that is not used holds rubbish
    return [phase if phase[4] > 0.0 else held for phase in (*first, *rest)]


class _Resting:
    """No motion at all."""

    duration = 0.0

    def __init__(self, position: Array) -> None:
        self._sample = Sample.rest(position)

    def at(self, seconds: float) -> Sample:
        del seconds
        return self._sample

    def reach(self) -> tuple[Array, Array]:
        return self._sample.position, self._sample.position
