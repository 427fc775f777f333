"""A synthetic person in a headset: from wanted robot tips to what a headset would report.

Everything is invented here: no recorded human motion is used. The hands move as the clutch's
inverse asks, with a physiological tremor and a tracker's noise on top; the head looks towards the
hands; now and then tracking drops out or a message is lost. Pure and deterministic by seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retarget.frames import exp3, matrix_to_pose, stage_to_robot
from teleop.protocol import HEAD_BIT, LEFT_CONTROLLER_BIT, RIGHT_CONTROLLER_BIT, empty_frame
from teleop.samples import SIDES, Button, Source, Tracking

Matrix = npt.NDArray[np.float64]

HEAD_REST_M = (0.0, 1.62, 0.0)
"""Head in STAGE: standing at the origin, looking along -z, so robot x is -z of STAGE."""
HAND_REST_M = {"left": (-0.20, 1.12, -0.38), "right": (0.20, 1.12, -0.38)}
HAND_REST_PITCH_RAD = np.deg2rad(-25.0)
NO_BUTTON = Button(0)
GOOD = int(Tracking.VALID | Tracking.TRACKED)
_BITS = {"left": LEFT_CONTROLLER_BIT, "right": RIGHT_CONTROLLER_BIT}


@dataclass(frozen=True, slots=True)
class BodyNoise:
    """How unsteady hands and trackers are.

    Attributes:
        tremor_m: Root mean square of the hands' tremor per axis; physiological tremor is 8 to
            12 Hz and a few tenths of a millimetre (Elble & Koller 1990).
        tremor_rad: The same in rotation.
        tracker_m: Noise of tracked positions per axis, standard deviation.
        tracker_rad: The same of rotations.
        tracker_s: Time over which that noise wanders: a runtime's fusion filter leaves slow error,
            not white noise.
        dropouts_per_s: How often one controller loses tracking, for one to three frames.
        losses_per_s: How often a whole message is lost.
    """

    tremor_m: float = 0.0003
    tremor_rad: float = np.deg2rad(0.1)
    tracker_m: float = 0.0003
    tracker_rad: float = np.deg2rad(0.1)
    tracker_s: float = 0.06
    dropouts_per_s: float = 0.1
    losses_per_s: float = 0.1


class ClutchInverse:
    """Where a hand must be for the clutch to put the tip where it is wanted.

    The inverse of `retarget.Clutch` seen through the calibrated map of an operator who faces -z of
    STAGE; only the map's rotation matters, because the clutch is relative.

    Args:
        T_stage_hand: (4, 4) the hand at rest.
    """

    def __init__(self, T_stage_hand: Matrix) -> None:
        self._R_robot_stage = stage_to_robot()[:3, :3]
        self._T_stage_hand = T_stage_hand
        self._T_robot_tip: Matrix | None = None
        self._scale = 1.0
        self.now = T_stage_hand

    @property
    def engaged(self) -> bool:
        """Whether the hand follows the wanted tip."""
        return self._T_robot_tip is not None

    def engage(self, T_robot_tip: Matrix, scale: float) -> None:
        """From here on the hand, where it is now, belongs to this tip pose.

        Args:
            T_robot_tip: (4, 4) tip when the clutch closed.
            scale: Robot metres per operator metre.
        """
        self._T_stage_hand, self._T_robot_tip, self._scale = self.now, T_robot_tip, scale

    def release(self) -> None:
        """The hand stays where it is."""
        self._T_robot_tip = None

    def hand(self, T_robot_tip: Matrix) -> Matrix:
        """T_stage_hand for a wanted tip, (4, 4); where it is while released."""
        if self._T_robot_tip is None:
            return self.now
        R = self._R_robot_stage
        start = self._T_robot_tip
        T = np.eye(4)
        turn = T_robot_tip[:3, :3] @ start[:3, :3].T
        T[:3, :3] = R.T @ turn @ R @ self._T_stage_hand[:3, :3]
        travel = (T_robot_tip[:3, 3] - start[:3, 3]) / self._scale
        T[:3, 3] = self._T_stage_hand[:3, 3] + R.T @ travel
        self.now = T
        return T


class _Tremor:
    """Six band-limited channels: three sinusoids each, 8 to 12 Hz, unit root mean square."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._omega = 2 * np.pi * rng.uniform(8.0, 12.0, (6, 3))
        self._phase = rng.uniform(0.0, 2 * np.pi, (6, 3))

    def __call__(self, t_s: float) -> npt.NDArray[np.float64]:
        waves = np.sin(self._omega * t_s + self._phase)
        return np.asarray(waves.sum(axis=1) * np.sqrt(2.0 / 3.0))


@dataclass(slots=True)
class ControllerInput:
    """What the fingers do: squeeze 0..1, gripper opening 0..1, pressed face buttons."""

    squeeze: float = 0.0
    opening: float = 1.0
    buttons: Button = NO_BUTTON


class SyntheticBody:
    """Head and two hands, one message a frame.

    Args:
        seed: Of tremor, noise and dropouts.
        noise: How unsteady.
        rate_hz: Frames per second; rates of dropouts refer to it.

    Attributes:
        clutches: Side -> the inverse clutch that moves that hand.
        inputs: Side -> what the fingers do; change them freely between frames.
    """

    def __init__(
        self, *, seed: int = 0, noise: BodyNoise | None = None, rate_hz: float = 90.0
    ) -> None:
        self.noise = noise or BodyNoise()
        self._rng = np.random.default_rng(seed)
        self._dt = 1.0 / rate_hz
        self._tremor = {side: _Tremor(self._rng) for side in SIDES}
        self._sway = self._rng.uniform(0.0, 2 * np.pi, 3)
        self._gaze = np.zeros(2)
        self._lost = dict.fromkeys(SIDES, 0)
        self._error = {device: self._rng.normal(size=6) for device in ("head", *SIDES)}
        self._seq = 0
        self.clutches = {side: ClutchInverse(_rest(side)) for side in SIDES}
        self.inputs = {side: ControllerInput() for side in SIDES}

    def frame(self, t_s: float, t_device_ns: int, tips: dict[str, Matrix]) -> np.void | None:
        """The OPERATOR_FRAME row of this instant, or None when its message is lost.

        Args:
            t_s: Time since the start [s]; drives tremor and sway.
            t_device_ns: Device clock of the poses [ns].
            tips: Side -> wanted T_robot_tip, used where that clutch is engaged.
        """
        self._seq += 1
        row = empty_frame()
        row["seq"], row["t_device_ns"], row["source"] = self._seq, t_device_ns, Source.SYNTHETIC
        row["presence"] = HEAD_BIT | LEFT_CONTROLLER_BIT | RIGHT_CONTROLLER_BIT
        hands = {side: self.clutches[side].hand(tips[side]) for side in SIDES}
        row["head_flags"] = GOOD
        row["head"] = matrix_to_pose(self._measured("head", self._head(t_s, hands)))
        for side in SIDES:
            self._fill(row[f"{side}_controller"], side, self._trembling(side, t_s, hands[side]))
        lost = self._rng.random() < self.noise.losses_per_s * self._dt
        return None if lost else row

    def _fill(self, block: np.void, side: str, T_stage_hand: Matrix) -> None:
        fingers = self.inputs[side]
        pose = matrix_to_pose(self._measured(side, T_stage_hand))
        block["flags"] = 0 if self._dropped(side) else GOOD
        block["grip"] = block["aim"] = pose
        block["trigger"] = np.clip(1.0 - fingers.opening, 0.0, 1.0)
        block["squeeze"] = fingers.squeeze
        pressed = fingers.buttons
        if fingers.squeeze > 0.5:
            pressed |= Button.SQUEEZE
        if fingers.opening < 0.5:
            pressed |= Button.TRIGGER
        block["buttons"] = int(pressed)

    def _dropped(self, side: str) -> bool:
        if self._lost[side] == 0 and self._rng.random() < self.noise.dropouts_per_s * self._dt:
            self._lost[side] = int(self._rng.integers(1, 4))
        if self._lost[side]:
            self._lost[side] -= 1
            return True
        return False

    def _trembling(self, side: str, t_s: float, T_stage_hand: Matrix) -> Matrix:
        shake = self._tremor[side](t_s)
        T = T_stage_hand.copy()
        T[:3, 3] += self.noise.tremor_m * shake[:3]
        T[:3, :3] = exp3(self.noise.tremor_rad * shake[3:]) @ T[:3, :3]
        return T

    def _measured(self, device: str, T: Matrix) -> Matrix:
        """A pose as the tracker reports it: with first-order, low-pass noise of its own."""
        noise = self.noise
        keep = np.exp(-self._dt / noise.tracker_s)
        fresh = np.sqrt(1.0 - keep**2) * self._rng.normal(size=6)
        error = self._error[device] = keep * self._error[device] + fresh
        measured = T.copy()
        measured[:3, 3] += noise.tracker_m * error[:3]
        measured[:3, :3] = exp3(noise.tracker_rad * error[3:]) @ T[:3, :3]
        return measured

    def _head(self, t_s: float, hands: dict[str, Matrix]) -> Matrix:
        """T_stage_head: sways a little and turns, with a lag, towards the middle of the hands."""
        T = np.eye(4)
        sway = np.sin(2 * np.pi * np.array([0.23, 0.31, 0.17]) * t_s + self._sway)
        T[:3, 3] = HEAD_REST_M + np.array([0.006, 0.002, 0.006]) * sway
        if any(clutch.engaged for clutch in self.clutches.values()):
            aim = np.mean([hand[:3, 3] for hand in hands.values()], axis=0) - T[:3, 3]
            yaw = np.arctan2(-aim[0], -aim[2])
            pitch = 0.6 * np.arctan2(aim[1], np.hypot(aim[0], aim[2]))  # the eyes do the rest
            wanted = np.array([yaw, pitch])
        else:
            wanted = np.zeros(2)  # facing the robot: also the neutral pose
        self._gaze += (wanted - self._gaze) * min(1.0, self._dt / 0.35)
        T[:3, :3] = exp3([0.0, self._gaze[0], 0.0]) @ exp3([self._gaze[1], 0.0, 0.0])
        return T


def _rest(side: str) -> Matrix:
    T = np.eye(4)
    T[:3, :3] = exp3([HAND_REST_PITCH_RAD, 0.0, 0.0])
    T[:3, 3] = HAND_REST_M[side]
    return T
