"""One adapter under its guards: commands in, states out. No bus, no clock, no sleeping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from retarget import Rig
from teleop.pacing import SlotTimes
from teleop.robots.base import JointCommand, RobotAdapter, RobotReading
from teleop.robots.guard import CommandGuard, GuardConfig
from teleop.robots.upsampling import Upsampler
from teleop.samples import Motion, RobotStatus, command_dtype, robot_state_dtype, row_sizes

Row = npt.NDArray[np.void]
STALE_NS = 100_000_000


class RobotDriver:
    """Lets checked, fresh commands through; holds otherwise.

    With an `Upsampler` a command is where the robot is led to, and `advance` sends the samples.

    Attributes:
        adapter: The robot.
        refused: Commands refused so far.
        refusal: Why the newest command was refused; empty when it was not.
        last_refusal: Why any command was last refused.
    """

    def __init__(
        self,
        rig: Rig,
        adapter: RobotAdapter,
        config: GuardConfig | None = None,
        upsampler: Upsampler | None = None,
    ) -> None:
        self.adapter = adapter
        self.refused = 0
        self.refusal = ""
        self.last_refusal = ""
        self._guard = CommandGuard(rig, config)
        self._upsampler = upsampler
        self._slots = None if upsampler is None else SlotTimes(upsampler.period_ns)
        n, g, f = row_sizes(rig)
        self._has_fingers = f > 0
        self._state_row = np.zeros((), robot_state_dtype(n, g, f))
        self._sent_row = np.zeros((), command_dtype(n, g, f))
        self._led: JointCommand | None = None
        self._holding = True
        self._stopped = False
        self._t_command_ns = 0
        self._frame_sent = (0, 0)
        self._reading: RobotReading | None = None
        self._last: npt.NDArray[np.float64] = np.zeros(n)
        self._gripper: npt.NDArray[np.float64] = np.zeros(g)

    def start(self, now_ns: int) -> None:
        """Connect; the robot holds until the first command."""
        self.adapter.start(now_ns)
        reading = self.adapter.read(now_ns)
        self._reading, self._last = reading, reading.position.copy()
        self._gripper = reading.gripper.copy()
        self._rest_at(reading.position)

    def command(self, row: np.void, now_ns: int) -> Row | None:
        """Check a `command/requested` row and send it.

        Returns:
            The `command/sent` row, or None when nothing was sent: the command was refused, is
            stale, or the robot is stopped; or it will be up-sampled.
        """
        reading = self._measured()
        if self._stopped or now_ns - int(row["t_ns"]) > STALE_NS:
            return None
        command = self._command_of(row)
        elapsed = None if self._holding else now_ns - self._t_command_ns
        reason = self._guard.refusal(command, reading.position, self._last, elapsed)
        if reason is None and not self._lead(command, row, now_ns):
            reason = "not to be followed within the limits"
        self.refusal = reason or ""
        if reason is not None:
            self.refused += 1
            self.last_refusal = reason
            return None
        self._holding = False
        self._t_command_ns = now_ns
        for name in ("tick", "revision", "operator_seq", "t_operator_receive_ns"):
            self._sent_row[name] = row[name]
        self._led = command
        if self._upsampler is not None:
            return None
        return self._apply(command, now_ns)

    def _command_of(self, row: np.void) -> JointCommand:
        parts = [row[name].copy() for name in ("position", "velocity", "gripper")]
        if self._has_fingers:
            parts += [row["finger"].copy(), row["finger_velocity"].copy()]
        return JointCommand(*parts)

    def advance(self, now_ns: int) -> Row | None:
        """Send the next sample of an up-sampled motion; call it in every slot of the robot.

        Returns:
            The `command/sent` row, or None without up-sampling, or when the joints rest.
        """
        up, led = self._upsampler, self._led
        if up is None or led is None or self._stopped:
            return None
        if self._holding and not up.moving(now_ns):
            return None
        sample = up.at(now_ns)
        joints = replace(led, position=sample.position, velocity=sample.velocity)
        return self._apply(joints, now_ns)

    def _apply(self, command: JointCommand, now_ns: int) -> Row:
        self._sent_row["first_use"] = self._is_first_use(self._sent_row)
        return self._sent(self.adapter.apply(command, now_ns), now_ns)

    def _lead(self, command: JointCommand, row: np.void, now_ns: int) -> bool:
        """Lead an up-sampled robot to a command; whether it can be followed."""
        up, slots = self._upsampler, self._slots
        if up is None or slots is None:
            return True
        measured = self._measured().position
        if self._holding and np.abs(up.at(now_ns).position - measured).max() > self._guard.near_rad:
            up.rest_at(measured)  # it sagged, or was moved by hand: begin where it is
        tick = int(row["tick"])
        if tick != slots.slot:
            slots.take(tick, int(row["t_ns"]))
        return up.aim(command, tick, slots.now_ns, now_ns)

    def _is_first_use(self, row: Row) -> bool:
        """Whether no earlier command that was sent used this operator frame.

        The request's own mark may lie on a command that a newer one overtook before it was sent.
        """
        frame = (int(row["operator_seq"]), int(row["t_operator_receive_ns"]))
        first = frame[1] > 0 and frame != self._frame_sent
        if frame[1] > 0:
            self._frame_sent = frame
        return first

    def watch(self, now_ns: int) -> Row | None:
        """Hold when no good command came for 100 ms; returns the row of what was sent, once."""
        if self._holding or self._stopped or now_ns - self._t_command_ns <= STALE_NS:
            return None
        if self._upsampler is not None and self._upsampler.moving(now_ns):
            return None  # it brakes within its limits
        self._holding = True
        return self._unasked(self.adapter.hold(now_ns), now_ns)

    def motion(self, motion: Motion, now_ns: int) -> Row | None:
        """Follow the session's e-stop: stop at once, and let commands through again after it."""
        was, self._stopped = self._stopped, motion == Motion.ESTOP
        if not self._stopped or was:
            return None
        self._holding = True
        sent = self._unasked(self.adapter.estop(now_ns), now_ns)
        self._rest_at(self._last)
        return sent

    def state(self, now_ns: int) -> Row:
        """Read the robot; the row of `robot/state`. The row is reused by the next call."""
        reading = self._reading = self.adapter.read(now_ns)
        row = self._state_row
        row["t_ns"], row["t_device_ns"] = reading.t_ns, reading.t_device_ns
        row["seq"] += np.uint64(1)
        row["position"], row["velocity"] = reading.position, reading.velocity
        row["effort"], row["gripper"] = reading.effort, reading.gripper
        row["gripper_effort"] = reading.gripper_effort
        row["gripper_command"] = self._gripper
        if self._has_fingers:
            row["finger"], row["finger_velocity"] = reading.finger, reading.finger_velocity
        status = RobotStatus.HOLDING if self._holding else RobotStatus.OK
        status |= RobotStatus.REFUSED if self.refusal else RobotStatus.OK
        status |= RobotStatus.FAULT if reading.fault else RobotStatus.OK
        row["status"] = int(status)
        return row

    def relocated(self, now_ns: int) -> None:
        """The robot was put somewhere else (a scene reset): commands continue from there."""
        reading = self._reading = self.adapter.read(now_ns)
        self._last = reading.position.copy()
        self._gripper = reading.gripper.copy()
        self._holding = True
        self.refusal = ""
        self._rest_at(reading.position)

    def _rest_at(self, position: npt.NDArray[np.float64]) -> None:
        if self._upsampler is not None:
            self._upsampler.rest_at(position)

    def _measured(self) -> RobotReading:
        if self._reading is None:
            raise RuntimeError("RobotDriver.command() before start()")
        return self._reading

    def _unasked(self, sent: JointCommand, now_ns: int) -> Row:
        self._sent_row["operator_seq"] = 0
        self._sent_row["t_operator_receive_ns"] = 0
        self._sent_row["first_use"] = False
        return self._sent(sent, now_ns)

    def _sent(self, sent: JointCommand, now_ns: int) -> Row:
        row = self._sent_row
        row["t_ns"] = now_ns
        row["position"], row["velocity"] = sent.position, sent.velocity
        row["gripper"] = sent.gripper
        if self._has_fingers:
            row["finger"], row["finger_velocity"] = sent.finger, sent.finger_velocity
        self._last, self._gripper = sent.position.copy(), sent.gripper.copy()
        return row
