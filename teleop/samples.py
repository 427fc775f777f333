"""What travels on the bus: one NumPy structured dtype per topic.

Times are host `time.monotonic_ns()` unless a name says device. Poses are `(7,)` float64
`[px, py, pz, qx, qy, qz, qw]`, metres, quaternion order xyzw. A pose named `T_a_b` is the pose of
b in a. Operator poses are in OpenXR STAGE (y up, -z forward); robot poses in the robot root
(z up, x forward).
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # clients know rows, but no robots
    from retarget import Rig

POSE = (np.float64, (7,))
N_HAND_JOINTS = 26


class Tracking(IntFlag):
    """Validity of one pose; the low bits are OpenXR's `XrSpaceLocationFlags`."""

    ORIENTATION_VALID = 1
    POSITION_VALID = 2
    ORIENTATION_TRACKED = 4
    POSITION_TRACKED = 8
    EMULATED = 16
    """WebXR `emulatedPosition`: the position is a guess of the arm model."""
    PALM_DERIVED = 32
    """The palm was computed by the client (WebXR has no palm joint)."""
    STAND_IN = 64
    """Of a controller: there is none, it stands in for a bare hand's deadman (a replay)."""
    VALID = 3
    TRACKED = 12


class Button(IntFlag):
    """Controller buttons, as bits."""

    TRIGGER = 1
    SQUEEZE = 2
    THUMBSTICK = 4
    PRIMARY = 8
    """A on the right, X on the left."""
    SECONDARY = 16
    """B on the right, Y on the left."""
    MENU = 32
    STICK_UP = 64
    """From here on read from a stick's position, not sent as bits."""
    STICK_DOWN = 128


class Source(IntEnum):
    """What produced an operator frame."""

    UNKNOWN = 0
    OPENXR = 1
    WEBXR = 2
    REPLAY = 3
    SYNTHETIC = 4


class Motion(IntEnum):
    """Motion state of the session."""

    IDLE = 0
    ALIGNING = 1
    ENGAGED = 2
    HOLD = 3
    HOMING = 4
    ESTOP = 5


class Recording(IntEnum):
    """Recording state of the session."""

    IDLE = 0
    COUNTDOWN = 1
    RECORDING = 2
    PAUSED = 3
    REVIEW = 4


SIDES = ("left", "right")

CONTROLLER = np.dtype(
    [
        ("flags", np.uint8),
        ("grip", *POSE),
        ("aim", *POSE),
        ("trigger", np.float32),
        ("squeeze", np.float32),
        ("thumbstick", np.float32, (2,)),
        ("buttons", np.uint32),
    ]
)
HAND = np.dtype(
    [
        ("flags", np.uint8),
        ("joints", np.float64, (N_HAND_JOINTS, 7)),
        ("radius", np.float32, (N_HAND_JOINTS,)),
    ]
)
OPERATOR_FRAME = np.dtype(
    [
        ("seq", np.uint64),
        ("t_device_ns", np.int64),
        ("t_receive_ns", np.int64),
        ("t_ns", np.int64),  # device time mapped to the host clock; t_receive_ns until a fit exists
        ("source", np.uint8),
        ("presence", np.uint8),  # bits: 1 head, 2 left controller, 4 right, 8 left hand, 16 right
        ("head_flags", np.uint8),
        ("head", *POSE),
        ("left_controller", CONTROLLER),
        ("right_controller", CONTROLLER),
        ("left_hand", HAND),
        ("right_hand", HAND),
    ]
)
"""One message of the operator, as received: topic `operator/frame`."""

SESSION_STATE = np.dtype(
    [
        ("t_ns", np.int64),
        ("seq", np.uint64),
        ("motion", np.uint8),
        ("recording", np.uint8),
        ("engaged", np.bool_, (2,)),  # left, right: this arm follows its hand
        ("engage_count", np.uint32, (2,)),  # changes at every engage: the clutch re-bases
        ("take", np.uint32),
        ("operator_connected", np.bool_),
        ("T_robot_stage", *POSE),  # calibrated; identity until captured
        ("reach_scale", np.float64),  # robot metres per operator metre
        ("home_count", np.uint32),  # changes at every request to go home
        ("clutch", np.uint8),  # 0 relative, 1 absolute
        ("eye_height_m", np.float64),  # of the operator, for the absolute clutch; 0 until captured
    ]
)
"""Topic `session/state`: gateway to control and recorder, at every change and 50 Hz."""

CAMERA_HEADER = np.dtype(
    [
        ("t_ns", np.int64),  # of the exposure; for a rendered picture, of the state it shows
        ("t_device_ns", np.int64),
        ("t_receive_ns", np.int64),
        ("seq", np.uint64),
        ("width", np.uint32),
        ("height", np.uint32),
        ("codec", np.uint8),  # 1 JPEG, 2 H.264, 3 PNG, 4 depth
        ("key", np.uint8),
    ]
)
"""Head of a `camera/<name>` message; the encoded picture follows."""


def row_sizes(rig: Rig) -> tuple[int, int, int]:
    """Joints, grippers and fingers of a rig: the arguments of the layouts below."""
    return len(rig.joint_names), len(rig.gripper_names), len(rig.finger_names)


def _fingers(n_fingers: int) -> list[Any]:
    """Fields of the joints of hands, in `rig.finger_names` order; none where there are none."""
    if not n_fingers:
        return []
    size = (np.float64, (n_fingers,))
    return [("finger", *size), ("finger_velocity", *size)]


def robot_state_dtype(n_joints: int, n_grippers: int, n_fingers: int = 0) -> np.dtype[np.void]:
    """Topic `robot/state`: joints in `rig.joint_names` order, grippers in `rig.gripper_names`.

    Positions in rad or m, velocities in rad/s or m/s, efforts in N m or N, gripper openings 0..1.
    """
    return np.dtype(
        [
            ("t_ns", np.int64),
            ("t_device_ns", np.int64),
            ("seq", np.uint64),
            ("position", np.float64, (n_joints,)),
            ("velocity", np.float64, (n_joints,)),
            ("effort", np.float64, (n_joints,)),
            ("gripper", np.float64, (n_grippers,)),
            ("gripper_effort", np.float64, (n_grippers,)),
            ("gripper_command", np.float64, (n_grippers,)),  # where they are being driven
            *_fingers(n_fingers),
            ("status", np.uint32),  # RobotStatus
        ]
    )


class RobotStatus(IntFlag):
    """Status bits of `robot/state`."""

    OK = 0
    HOLDING = 1
    """No fresh command: the robot holds where it is."""
    FAULT = 2
    REFUSED = 4
    """The last command was refused (not finite, or too far from the measured state)."""


def command_dtype(n_joints: int, n_grippers: int, n_fingers: int = 0) -> np.dtype[np.void]:
    """Topics `command/requested` (control to robot) and `command/sent` (robot, as applied)."""
    return np.dtype(
        [
            ("t_ns", np.int64),  # when it was published
            ("tick", np.uint64),
            ("revision", np.uint16),  # 0 on the grid; 1, 2, … when a newer pose revised the tick
            ("operator_seq", np.uint64),  # the frame it follows; 0 when none
            ("t_operator_receive_ns", np.int64),  # arrival of that frame at the gateway; 0 if none
            ("first_use", np.bool_),  # this command is the first that uses that frame
            ("position", np.float64, (n_joints,)),
            ("velocity", np.float64, (n_joints,)),
            ("gripper", np.float64, (n_grippers,)),
            *_fingers(n_fingers),
        ]
    )


def target_dtype() -> np.dtype[np.void]:
    """Topic `target`: where the tips should be, robot root frame, with per-target validity."""
    return np.dtype(
        [
            ("t_ns", np.int64),
            ("tick", np.uint64),
            ("revision", np.uint16),
            ("operator_seq", np.uint64),
            ("valid", np.bool_, (3,)),  # left wrist, right wrist, head
            ("T_robot_left_wrist", *POSE),
            ("T_robot_right_wrist", *POSE),
            ("T_robot_head", *POSE),
            ("gripper", np.float64, (2,)),  # asked opening left, right; NaN where not asked
            ("fingers", np.uint8, (2,)),  # asked of hands: 0 nothing, 1 hand tracking, 2 a grasp
            ("grasp", np.float64, (2,)),  # that grasp, 0 open to 1 closed; NaN where not asked
        ]
    )


def solution_dtype(n_joints: int, n_fingers: int = 0) -> np.dtype[np.void]:
    """Topic `solution`: the retargeter's answer and how well it could follow."""
    return np.dtype(
        [
            ("t_ns", np.int64),
            ("tick", np.uint64),
            ("revision", np.uint16),
            ("operator_seq", np.uint64),
            ("position", np.float64, (n_joints,)),
            ("velocity", np.float64, (n_joints,)),
            ("status", np.uint8),
            ("residual", np.float64, (3, 2)),  # per target: position [m], rotation [rad]
            ("saturation", np.uint8, (n_joints,)),  # bits: 1 position, 2 velocity, 4 acceleration
            ("clearance_m", np.float64),  # NaN where not computed
            *_fingers(n_fingers),
            *([("finger_saturation", np.uint8, (n_fingers,))] if n_fingers else []),
            ("t_solve_ns", np.int64),  # time spent in the solver
        ]
    )


CONTROL_INPUT = np.dtype(
    [
        ("t_ns", np.int64),  # the time the control law was given
        ("epoch", np.uint32),  # random for each start of the control process
        ("seq", np.uint64),  # counts the calls of a start
        ("tick", np.uint64),
        ("is_revision", np.bool_),  # `revise`, else `tick`
        ("restarted", np.bool_),  # `restart` was called before it
        ("answered", np.bool_),  # it gave a command
        ("frame_seq", np.uint64),
        ("t_frame_receive_ns", np.int64),
        ("frame_presence", np.uint8),  # a frame that shows nothing is not recorded elsewhere
        ("session_seq", np.uint64),
        ("t_session_ns", np.int64),
        ("state_seq", np.uint64),
        ("t_state_ns", np.int64),
    ]
)
"""Topic `control/input`: which rows each call of the control law was given; times 0 for none.

With the streams that hold those rows it makes every command again, bit for bit."""

MEMORY = "control_memory"
"""Kind of the events in which the control law writes what it remembers: long, for machines."""
QUIET_EVENTS = frozenset({MEMORY, "link", "cameras"})
"""Kinds of events that are data, not news."""


def sim_qpos_dtype(nq: int) -> np.dtype[np.void]:
    """Topic `sim/qpos`: the whole state of a simulated scene, (nq,) in MuJoCo's order."""
    return np.dtype([("t_ns", np.int64), ("seq", np.uint64), ("qpos", np.float64, (nq,))])


HEALTH = np.dtype(
    [
        ("t_ns", np.int64),
        ("pid", np.int64),
        ("ready", np.bool_),
        ("ticks", np.uint64),
        ("late", np.uint64),  # slots skipped
        ("dropped", np.uint64),  # samples this process lost on its inputs
    ]
)
"""Topic `health/<process>`, 10 Hz."""


class Health(IntEnum):
    """How the supervisor judges a process."""

    STARTING = 0
    RUNNING = 1
    STALLED = 2
    DEAD = 3
