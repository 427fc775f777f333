"""Which topic becomes which stream of an episode, with units and names. Pure: no bus, no files."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recorder import CameraSpec, StreamSpec
from recorder.schema import DEPTH, H264, JPEG, PNG
from retarget import Rig, Status
from teleop import samples
from teleop.config import CameraConfig
from teleop.robots.base import state_rate_hz

FASTEST_HZ = 500.0
"""No stream is faster than this; what a subscription must hold is counted by it."""
ON_CHANGE = 0.0
SECONDS_OF_BUFFER = 10
RECORDED = {"jpeg": JPEG, "png": PNG, "h264": H264, "depth": DEPTH}
"""Codecs of the recorder by their names in rig files."""
MAX_PICTURES = 320
"""The bus keeps no more messages of bytes for a reader."""

POSE_ATTRIBUTES: dict[str, Any] = {
    "unit": "m, quaternion",
    "columns": ["px", "py", "pz", "qx", "qy", "qz", "qw"],
    "quaternion_order": "xyzw",
}
STAGE = {"frame": "stage (y up, -z forward)"}
ROBOT = {"frame": "robot root (z up, x forward)"}
CLOCK = {"unit": "ns", "clock": "host monotonic"}
SATURATION_BITS = "1 position, 2 velocity, 4 acceleration"
DEVICE_CLOCK = {"unit": "ns", "clock": "device"}

_Plan = tuple[str, str, np.dtype[np.void], float, dict[str, dict[str, Any]]]
"""Topic, stream, row layout, rate, field attributes."""

TIMES: list[tuple[str, Any]] = [
    ("t_ns", np.int64),
    ("t_device_ns", np.int64),
    ("t_receive_ns", np.int64),
    ("seq", np.uint64),
    ("flags", np.uint8),
]
OPERATOR_PARTS: dict[str, tuple[int, np.dtype[np.void]]] = {
    "head": (1, np.dtype([*TIMES, ("pose", *samples.POSE)])),
    "left_controller": (2, np.dtype(TIMES + samples.CONTROLLER.descr[1:])),
    "right_controller": (4, np.dtype(TIMES + samples.CONTROLLER.descr[1:])),
    "left_hand": (8, np.dtype(TIMES + samples.HAND.descr[1:])),
    "right_hand": (16, np.dtype(TIMES + samples.HAND.descr[1:])),
}
"""Stream of the operator -> its presence bit and row layout."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic whose rows are recorded as they are.

    Attributes:
        topic: Bus topic.
        dtype: Row layout.
        spec: The stream it becomes.
        depth: Rows the recorder's subscription can hold while the disk stalls.
    """

    topic: str
    dtype: np.dtype[np.void]
    spec: StreamSpec
    depth: int


def picture_depth(rate_hz: float) -> int:
    """Pictures of a camera the recorder's subscription can hold while the disk stalls."""
    return min(max(64, round(rate_hz * SECONDS_OF_BUFFER)), MAX_PICTURES)


def _finger_fields(rig: Rig, saturation: str = "") -> dict[str, dict[str, Any]]:
    """Attributes of the joints of hands; none for a rig without."""
    names = list(rig.finger_names)
    if not names:
        return {}
    fields: dict[str, dict[str, Any]] = {
        "finger": {"names": names, "unit": "rad"},
        "finger_velocity": {"names": names, "unit": "rad/s"},
    }
    if saturation:
        fields[saturation] = {"names": names, "bits": SATURATION_BITS}
    return fields


def rig_channels(rig: Rig) -> list[Channel]:
    """Channels of everything that is recorded row by row for this rig."""
    sizes = samples.row_sizes(rig)
    commands = samples.command_dtype(*sizes)
    rate_hz = float(state_rate_hz(rig))
    joints = {"names": list(rig.joint_names), "unit": "rad"}
    rates = {"names": list(rig.joint_names), "unit": "rad/s"}
    grippers = {"names": list(rig.gripper_names), "unit": "1", "range": "0 closed, 1 open"}
    fingers = _finger_fields(rig)
    command: dict[str, dict[str, Any]] = {
        "position": joints,
        "velocity": rates,
        "gripper": grippers,
        "t_ns": CLOCK,
        **fingers,
    }
    pose = {**POSE_ATTRIBUTES, **ROBOT}
    tips = ["left_wrist", "right_wrist", "head"]
    plan: list[_Plan] = [
        # drained first: whatever it names was published before, so the take then holds that too
        ("control/input", "control/input", samples.CONTROL_INPUT, ON_CHANGE, {"t_ns": CLOCK}),
        (
            "robot/state",
            "state",
            samples.robot_state_dtype(*sizes),
            rate_hz,
            {
                "position": joints,
                "velocity": rates,
                "effort": {"names": list(rig.joint_names), "unit": "N m"},
                "gripper": grippers,
                "gripper_command": grippers,
                "gripper_effort": {"names": list(rig.gripper_names), "unit": "N m"},
                "status": {"bits": {b.name: int(b) for b in samples.RobotStatus}},
                "t_ns": CLOCK,
                "t_device_ns": DEVICE_CLOCK,
                **fingers,
            },
        ),
        ("command/requested", "command/requested", commands, ON_CHANGE, command),
        ("command/sent", "command/sent", commands, ON_CHANGE, command),
        (
            "target",
            "target",
            samples.target_dtype(),
            ON_CHANGE,
            {
                "T_robot_left_wrist": pose,
                "T_robot_right_wrist": pose,
                "T_robot_head": pose,
                "valid": {"names": tips},
                "t_ns": CLOCK,
                "gripper": {"names": ["left", "right"], "unit": "1"},
                "fingers": {
                    "names": ["left", "right"],
                    "enum": {"nothing": 0, "hand": 1, "grasp": 2},
                },
                "grasp": {"names": ["left", "right"], "unit": "1", "range": "0 open, 1 closed"},
            },
        ),
        (
            "solution",
            "solution",
            samples.solution_dtype(sizes[0], sizes[2]),
            ON_CHANGE,
            {
                "position": joints,
                "velocity": rates,
                "residual": {"names": tips, "unit": "m, rad"},
                "saturation": {
                    "names": list(rig.joint_names),
                    "bits": SATURATION_BITS,
                },
                "clearance_m": {"unit": "m"},
                **_finger_fields(rig, "finger_saturation"),
                "status": {"enum": {v.name: int(v) for v in Status}},
                "t_ns": CLOCK,
            },
        ),
        (
            "session/state",
            "session",
            samples.SESSION_STATE,
            ON_CHANGE,
            {
                "motion": {"enum": {m.name: int(m) for m in samples.Motion}},
                "recording": {"enum": {r.name: int(r) for r in samples.Recording}},
                "T_robot_stage": pose,
                "engaged": {"names": list(samples.SIDES)},
                "engage_count": {"names": list(samples.SIDES)},
                "t_ns": CLOCK,
            },
        ),
    ]
    if is_simulated(rig):
        nq = rig.compile(scene=True).nq
        plan.append(("sim/qpos", "sim/qpos", samples.sim_qpos_dtype(nq), rate_hz, {"t_ns": CLOCK}))
    return [
        Channel(
            topic,
            dtype,
            StreamSpec(name=name, dtype=dtype, rate_hz=rate, fields=fields),
            depth=int((rate or FASTEST_HZ) * SECONDS_OF_BUFFER),
        )
        for topic, name, dtype, rate, fields in plan
    ]


def dropped_pictures(event: Mapping[str, Any], cameras: Container[str]) -> tuple[str, int] | None:
    """Stream and number of pictures an event says a camera lost; None for other events."""
    data = event.get("data", {})
    if event["kind"] != "camera_dropped" or data.get("camera") not in cameras:
        return None
    return f"cameras/{data['camera']}", int(data["pictures"])


def camera_specs(rig: Rig, cameras: Sequence[CameraConfig]) -> list[CameraSpec]:
    """Cameras as recorded: their size and, of the rig's own, where they look and how widely.

    The intrinsics are those of an ideal pinhole with square pixels, as the simulation renders.
    """
    known = {camera.name: camera for camera in rig.cameras}
    specs = []
    for camera in cameras:
        attributes: dict[str, Any] = {}
        depth = {"depth_unit_m": camera.depth_unit_m} if camera.codec == "depth" else {}
        mounted = known.get(camera.name)
        if mounted is not None:
            focal_px = 0.5 * camera.height / math.tan(math.radians(mounted.fovy_deg) / 2)
            centre = [camera.width / 2, camera.height / 2]
            attributes = {
                "eye": mounted.eye,
                "fovy_deg": mounted.fovy_deg,
                "intrinsics_px": {"fx": focal_px, "fy": focal_px, "cx": centre[0], "cy": centre[1]},
            }
        specs.append(
            CameraSpec(
                name=camera.name,
                width=camera.width,
                height=camera.height,
                rate_hz=camera.rate_hz,
                codec=RECORDED[camera.codec],
                attributes=attributes | depth,
            )
        )
    return specs


def is_simulated(rig: Rig) -> bool:
    """Whether the rig's adapter is the embedded MuJoCo robot, whose whole scene is known."""
    return str(rig.sections.get("adapter", {}).get("name", "mujoco")) == "mujoco"


def operator_channels() -> list[StreamSpec]:
    """Streams the operator's frames are split into."""
    times = {"t_ns": CLOCK, "t_receive_ns": CLOCK, "t_device_ns": DEVICE_CLOCK}
    pose = {**POSE_ATTRIBUTES, **STAGE}
    fields: dict[str, dict[str, Any]] = dict.fromkeys(("pose", "grip", "aim", "joints"), pose)
    fields["buttons"] = {"bits": {b.name: int(b) for b in samples.Button}}
    return [
        StreamSpec(
            name=f"operator/{part}",
            dtype=dtype,
            fields={**times, **{k: v for k, v in fields.items() if k in (dtype.names or ())}},
            attributes={"flags": {f.name: int(f) for f in samples.Tracking}},
        )
        for part, (_, dtype) in OPERATOR_PARTS.items()
    ]


def split_operator(frames: npt.NDArray[np.void]) -> list[tuple[str, npt.NDArray[np.void]]]:
    """Split operator frames into the rows of each device that was present.

    Args:
        frames: (N,) of `samples.OPERATOR_FRAME`.
    """
    parts = []
    for part, (bit, dtype) in OPERATOR_PARTS.items():
        present = frames[(frames["presence"] & bit) != 0]
        if not len(present):
            continue
        rows = np.zeros(len(present), dtype)
        for name in ("t_ns", "t_device_ns", "t_receive_ns", "seq"):
            rows[name] = present[name]
        if part == "head":
            rows["flags"], rows["pose"] = present["head_flags"], present["head"]
        else:
            device = present[part]
            for name in device.dtype.names or ():
                rows[name] = device[name]
        parts.append((f"operator/{part}", rows))
    return parts
