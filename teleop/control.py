"""The control law: session, operator frame and robot state in, targets and joint commands out.

Pure: no bus, no clock; times are arguments. One `tick` a slot of the control grid; `revise` makes
the present tick again when a newer pose arrives before the next slot, inside the same limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from retarget import (
    FilterConfig,
    GripConfig,
    Retargeter,
    RetargeterConfig,
    Rig,
    Solution,
    Targets,
    Verdict,
)
from retarget.frames import pose_to_matrix
from retarget.targets import TIPS
from teleop.alignment import ArmGeometry, ClutchMode
from teleop.control_rows import Row, Stamp, command_row, solution_row, target_row
from teleop.deviation import DeviationWatch, has_fault
from teleop.driving import base_velocity
from teleop.fingering import FingerControl
from teleop.following import Follower, HandSample, hand_sample, head_sample
from teleop.motion import SideName
from teleop.pacing import NS_PER_S, SlotTimes
from teleop.samples import SIDES, Motion

Array = npt.NDArray[np.float64]
TOLD = (Verdict.JUMPED, Verdict.FROZEN, Verdict.EMULATED)
"""What the operator should know of a hand; other verdicts pass within a sample or two."""
WRISTS = tuple(f"{side}_wrist" for side in SIDES)


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """Settings of a `ControlCore`.

    Attributes:
        rate_hz: Ticks per second.
        stale_ns: Session, frame or state older than this stops the arms [ns].
        deviation_rad: Farthest the measured joints may be from the commanded ones.
        deviation_ns: For how long [ns].
        rest_rad_s: Joints slower than this are at rest; a clutch closes only at rest.
        homing_speed: Share of the rig's limits used to go home.
        home_rad: Joints this near to home have arrived.
        filters: What happens to the operator's poses; by default bad ones are held, no more.
        grip: How triggers and pinches work the grippers.
        retargeter: Costs, damping and posture of the retargeter.
    """

    rate_hz: int = 200
    stale_ns: int = 100_000_000
    deviation_rad: float = 0.35
    deviation_ns: int = 50_000_000
    rest_rad_s: float = 0.02
    homing_speed: float = 0.3
    home_rad: float = 2e-3
    filters: FilterConfig = field(default_factory=FilterConfig.gate_only)
    grip: GripConfig = field(default_factory=GripConfig)
    retargeter: RetargeterConfig = field(default_factory=RetargeterConfig)


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What one tick or revision produced.

    Attributes:
        rig: The robot.
        command: `command/requested` row.
        targets: What was asked of the retargeter.
        answer: Its answer.
        stamp: What the rows of this tick have in common.
        events: (kind, data) pairs for `events/control`.
    """

    rig: Rig
    command: Row
    targets: Targets
    answer: Solution
    stamp: Stamp
    events: tuple[tuple[str, dict[str, Any]], ...]

    @property
    def target(self) -> Row:
        """A new `target` row; made on demand, as the command must not wait for it."""
        return target_row(self.targets, self.stamp)

    @property
    def solution(self) -> Row:
        """A new `solution` row; `t_solve_ns` is left to the caller, who has a clock."""
        return solution_row(self.rig, self.answer, self.stamp)


class ControlCore:
    """Follows the operator where and when the session allows it; rests otherwise.

    Attributes:
        rig: The robot.
        config: Settings.
    """

    def __init__(self, rig: Rig, config: ControlConfig | None = None) -> None:
        self.rig = rig
        self.config = config or ControlConfig()
        self._retargeter = Retargeter(rig, self.config.rate_hz, self.config.retargeter)
        filters, grip = self.config.filters, self.config.grip
        self._followers = {tip: Follower(filters, grip) for tip in rig.tips}
        self._slots = SlotTimes(NS_PER_S // self.config.rate_hz)
        self._geometry = ArmGeometry.of(rig)
        self._engage_count: dict[str, int] = {}
        self._started = False
        self._grippers: Array = np.ones(len(rig.gripper_names))
        self._finger_control = FingerControl(rig)
        self._fingers: Mapping[str, Array] = dict(self._finger_control.home)
        self._q: Array = rig.q_home
        self._dq: Array = np.zeros(len(rig.joint_names))
        self._tick = -1
        self._revision = 0
        self._following = False
        self._frame: np.void | None = None
        self._frame_key = (-1, -1)
        self._frame_used = False
        self._watch = DeviationWatch(self.config.deviation_rad, self.config.deviation_ns)
        self._homed: int | None = None
        self._was_estop = False
        self._told: dict[str, Verdict] = {}
        self._events: list[tuple[str, dict[str, Any]]] = []

    # ------------------------------------------------------------------- API
    def tick(
        self,
        session: np.void | None,
        frame: np.void | None,
        state: np.void | None,
        now_ns: int,
        tick: int | None = None,
    ) -> Outputs | None:
        """One slot of the grid.

        Args:
            session: Newest `session/state` row, however old; None before the first.
            frame: Newest `operator/frame` row, however old; None before the first.
            state: Newest `robot/state` row, however old; None before the first.
            now_ns: Host time [ns].
            tick: Number of the slot; counted here when not given.

        Returns:
            None until the robot's state is known: there is nothing to start from.
        """
        self._tick = self._tick + 1 if tick is None else tick
        self._revision = 0
        self._slots.take(self._tick, now_ns)
        if not self._know_robot(state, now_ns):
            return None
        motion = self._motion(session, state, now_ns)
        self._leave_estop(motion, state)
        new_frame = self._take_frame(frame)
        self._following = motion == Motion.ENGAGED and self._frame_fresh(now_ns)
        if self._following and session is not None:
            self._follow(session, new_frame)
        else:
            self._release_all()
        targets = self._targets()
        self._tell_verdicts()
        if motion == Motion.HOMING and session is not None:
            solution = self._go_home(int(session["home_count"]))
        else:
            solution = self._retargeter.step(targets)
        return self._outputs(targets, solution, now_ns)

    def revise(self, frame: np.void, now_ns: int) -> Outputs | None:
        """The present tick again, with a pose that came after it.

        Returns:
            None when the frame changes nothing: no arm follows, or no pose of it is usable.
        """
        if not (self._started and self._following) or not self._take_frame(frame):
            return None
        if not self._update_followers():
            return None
        self._revision += 1
        targets = self._targets()
        return self._outputs(targets, self._retargeter.revise(targets), now_ns)

    def restart(self) -> None:
        """Forget where the robot is (it was put somewhere else) and start from the next state."""
        self._started = False
        self._release_all()

    def _motion(self, session: np.void | None, state: np.void | None, now_ns: int) -> Motion:
        """What the session allows; HOLD when it or the robot is silent, or at the robot's fault."""
        if session is None or not self._fresh(session, now_ns):
            return Motion.HOLD
        motion = Motion(int(session["motion"]))
        deaf = state is None or not self._fresh(state, now_ns) or has_fault(state)
        return Motion.HOLD if deaf and motion != Motion.ESTOP else motion

    # -------------------------------------------------------------- the robot
    def _know_robot(self, state: np.void | None, now_ns: int) -> bool:
        """Start from the measured state, and start again when the robot is elsewhere."""
        if state is None:
            return self._started
        if not self._fresh(state, now_ns):
            self._watch.restart()
            return self._started
        if not self._started:
            # not where they are: a gripper that holds something is driven beyond it
            self._grippers = np.clip(state["gripper_command"], 0.0, 1.0)
            self._fingers = self._finger_control.measured(state)
            self._rebase(state)
            self._started = True
            return True
        self._check_deviation(state, now_ns)
        return True

    def _check_deviation(self, state: np.void, now_ns: int) -> None:
        trouble = self._watch.check(state, self._q, now_ns)
        if trouble is None:
            return
        if trouble.is_new:
            joint = self.rig.joint_names[trouble.joint]
            data = {"reason": trouble.reason, "joint": joint, "rad": trouble.rad}
            self._events.append(("rebased", data))
        self._rebase(state)

    def _rebase(self, state: np.void) -> None:
        """Continue from where the robot is; hands keep their grip, clutches close again."""
        self._retargeter.reset(state["position"], self._grippers, self._fingers)
        self._q, self._dq = self._retargeter.q, np.zeros_like(self._dq)
        self._watch.restart()
        self._release_all()

    def _leave_estop(self, motion: Motion, state: np.void | None) -> None:
        """After an e-stop the robot is where its own stop left it."""
        if self._was_estop and motion != Motion.ESTOP and state is not None:
            self._rebase(state)
        self._was_estop = motion == Motion.ESTOP

    # ----------------------------------------------------------- the operator
    def _fresh(self, row: np.void, now_ns: int) -> bool:
        return now_ns - int(row["t_ns"]) <= self.config.stale_ns

    def _frame_fresh(self, now_ns: int) -> bool:
        frame = self._frame
        return frame is not None and now_ns - int(frame["t_receive_ns"]) <= self.config.stale_ns

    def _take_frame(self, frame: np.void | None) -> bool:
        """Keep a frame; whether it was a new one."""
        if frame is None:
            return False
        key = (int(frame["seq"]), int(frame["t_receive_ns"]))
        if key == self._frame_key:
            return False
        self._frame, self._frame_key, self._frame_used = frame, key, False
        return True

    def _sample(self, tip: str) -> HandSample | None:
        frame = self._frame
        if frame is None:
            return None
        if tip == "head":
            return head_sample(frame)
        return hand_sample(frame, "left" if tip == "left_wrist" else "right")

    def _follow(self, session: np.void, new_frame: bool) -> None:
        """Close and open clutches as the session says; move targets with a new frame."""
        if new_frame:
            self._update_followers()
        left, right = session["engaged"].tolist()
        wanted = {"left_wrist": left, "right_wrist": right, "head": left or right}
        counts = dict(zip(WRISTS, session["engage_count"].tolist(), strict=True))
        for tip, follower in self._followers.items():
            if not wanted[tip]:
                follower.release()
                continue
            count = counts.get(tip, 0)
            again = self._engage_count.get(tip) != count
            if again:
                follower.release()
            if not follower.following and (again or follower.verdict != Verdict.JUMPED):
                self._engage(tip, follower, session)
            if follower.following:
                self._engage_count[tip] = count

    def _engage(self, tip: str, follower: Follower, session: np.void) -> None:
        sample = self._sample(tip)
        if sample is None or not self._at_rest(tip):
            return
        scale = float(session["reach_scale"])
        scale = scale if tip != "head" and np.isfinite(scale) and scale > 0 else 1.0
        T_robot_tip = self.rig.forward(self._retargeter.q)[tip]
        T_robot_stage = pose_to_matrix(session["T_robot_stage"])
        to_tip = None
        if tip in WRISTS and session["clutch"] == ClutchMode.ABSOLUTE:
            side: SideName = "left" if tip == "left_wrist" else "right"
            eye_m = float(session["eye_height_m"])
            to_tip = self._geometry.map(side, T_robot_stage, scale, eye_m)
        opening, now_ns = self._opening(tip), self._slots.now_ns
        follower.engage(sample, T_robot_stage, T_robot_tip, scale, opening, now_ns, to_tip)

    def _at_rest(self, tip: str) -> bool:
        """Whether the limb of a tip stands still: a clutch closed on a moving arm would pull."""
        limbs = self.rig.limbs
        limb = limbs[tip.removesuffix("_wrist")] or limbs.get("torso", ())  # a fixed head's mover
        speed = [abs(self._dq[self.rig.joint_names.index(name)]) for name in limb]
        return bool(max(speed, default=0.0) <= self.config.rest_rad_s)

    def _opening(self, tip: str) -> float:
        names, side = self.rig.gripper_names, tip.removesuffix("_wrist")
        if side in names:
            return float(self._grippers[names.index(side)])
        return 1.0 - self._finger_control.grasp(side, self._fingers)

    def _update_followers(self) -> bool:
        shown_ns = self._slots.before_ns
        renewed = [f.update(self._sample(tip), shown_ns) for tip, f in self._followers.items()]
        return any(renewed)

    def _tell_verdicts(self) -> None:
        """Say once, for every tip that follows, that its hand is held, and that it is back."""
        for tip, follower in self._followers.items():
            verdict = follower.verdict if follower.following else Verdict.OK
            told = verdict if verdict in TOLD else Verdict.OK
            if told != self._told.get(tip, Verdict.OK):
                self._events.append(("tracking", {"tip": tip, "verdict": told.name.lower()}))
            self._told[tip] = told

    def _release_all(self) -> None:
        for follower in self._followers.values():
            follower.release()

    def _targets(self) -> Targets:
        for follower in self._followers.values():
            follower.aim(self._slots.now_ns)
        followers = [self._followers.get(tip) for tip in TIPS]
        left, right, head = (None if f is None else f.target for f in followers)
        by_side = {s: f for s, f in zip(SIDES, followers[:2], strict=True) if f is not None}
        openings = {s: f.opening for s, f in by_side.items() if f.opening is not None}
        hands, grasps = self._finger_control.asked(by_side, self._frame)
        driven = self._driven()
        return Targets(
            left, right, head, hands=hands, grippers=openings, grasps=grasps, base_velocity=driven
        )

    def _driven(self) -> Array | None:
        """Velocity asked of a mobile base: only while a hand holds a deadman."""
        hands = [self._followers.get(wrist) for wrist in WRISTS]
        if self._frame is None or not any(f is not None and f.following for f in hands):
            return None
        return base_velocity(self.rig, self._frame)

    # ------------------------------------------------------------------- home
    def _go_home(self, home_count: int) -> Solution:
        openings = np.array([self.rig.grippers[s].home for s in self.rig.gripper_names])
        solution = self._retargeter.step_joints(
            self.rig.q_home, openings, self.config.homing_speed, self._finger_control.home
        )
        off = float(np.abs(solution.q - self.rig.home_from(solution.q)).max())
        still = float(np.abs(solution.dq).max()) <= self.config.rest_rad_s
        if off <= self.config.home_rad and still and self._homed != home_count:
            self._homed = home_count
            self._events.append(("homed", {"home_count": home_count}))
        return solution

    # ---------------------------------------------------------------- outputs
    def _outputs(self, targets: Targets, solution: Solution, now_ns: int) -> Outputs:
        self._grippers, self._q, self._dq = solution.grippers, solution.q, solution.dq
        self._fingers = {side: hand.q for side, hand in solution.hands.items()}
        following = any(f.following for f in self._followers.values())
        frame = self._frame if following else None
        first_use = frame is not None and not self._frame_used
        self._frame_used |= first_use
        seq, t_receive_ns = (0, 0) if frame is None else (frame["seq"], frame["t_receive_ns"])
        stamp = Stamp(now_ns, self._tick, self._revision, int(seq))
        events, self._events = tuple(self._events), []
        command = command_row(self.rig, solution, stamp, int(t_receive_ns), bool(first_use))
        return Outputs(self.rig, command, targets, solution, stamp, events)
