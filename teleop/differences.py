"""How commands made offline differ from those of the take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from recorder import Episode
from retarget import Rig, Saturation, load_rig
from retarget.errors import RetargetError
from retarget.frames import log3
from teleop.offline import Call, OfflineTake
from teleop.samples import command_dtype, row_sizes

Array = npt.NDArray[np.float64]
TIP_RATE_HZ = 50
"""Tips are compared this often: forward kinematics of two robots costs more than the ticks."""


@dataclass(slots=True)
class Differences:
    """What `telecap replay --retarget` reports.

    Attributes:
        rig: Robot used.
        recorded_rig: Robot of the take.
        as_recorded: Rig and settings are those of the take.
        calls: Calls of the control law made again.
        compared: Commands that have a recorded one to compare with.
        missing: Commands without one, or the other way round.
        gaps: Times that a row was missing and the run went on from a later memory.
        identical: Every command equals the recorded one, bit for bit.
        first_different_tick: None when all are equal.
        joints: By joint that both robots have: `max` and `rms` difference [rad or m].
        tips: By tip: `position_mm_max`, `position_mm_rms`, `rotation_deg_max`, `rotation_deg_rms`;
            of another robot, between the motions since the first command.
        saturation: Share of joint-ticks at a limit, by kind: `recorded` and `offline`.
        jerk_rms: Of the commands on the grid [rad/s³]: `recorded` and `offline`.
    """

    rig: str
    recorded_rig: str
    as_recorded: bool
    calls: int
    compared: int
    missing: int
    gaps: int
    identical: bool
    first_different_tick: int | None
    joints: dict[str, dict[str, float]] = field(default_factory=dict)
    tips: dict[str, dict[str, float]] = field(default_factory=dict)
    saturation: dict[str, dict[str, float]] = field(default_factory=dict)
    jerk_rms: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def compare(episode: Episode, take: OfflineTake, calls: Sequence[Call]) -> Differences:
    """Commands made again beside those recorded."""
    made = [call for call in calls if call.outputs is not None]
    recorded = episode.stream("command/requested").rows()
    at = _matches(recorded, made)
    pairs = [(k, call) for k, call in zip(at, made, strict=True) if k >= 0]
    rows = recorded[[k for k, _ in pairs]]
    offline = commands(take.rig, [call for _, call in pairs])
    differs = np.zeros(len(rows), bool)
    if take.same_rig:
        for name in _asked(rows):
            differs |= (rows[name] != offline[name]).any(axis=1)
    answered = sum(bool(call.row["answered"]) for call in calls)
    missing = len(made) - len(pairs) + abs(answered - len(made))
    tick = int(rows["tick"][differs.argmax()]) if differs.any() else None
    found = Differences(
        rig=take.rig.name,
        recorded_rig=str(episode.attributes["rig"]),
        as_recorded=take.as_recorded,
        calls=len(calls),
        compared=len(pairs),
        missing=missing,
        gaps=take.gaps,
        identical=take.same_rig and bool(pairs) and not missing and tick is None,
        first_different_tick=tick,
    )
    names = tuple(episode.stream("command/requested").fields["position"]["names"])
    if pairs:
        saturation = np.array([c.outputs.answer.saturation for _, c in pairs if c.outputs])
        _fill(found, episode, take, rows, offline, saturation, names)
    return found


def _asked(rows: npt.NDArray[np.void]) -> list[str]:
    """Fields that ask something of the robot."""
    every = ("position", "velocity", "gripper", "finger", "finger_velocity")
    return [name for name in every if name in (rows.dtype.names or ())]


def commands(rig: Rig, calls: Sequence[Call]) -> npt.NDArray[np.void]:
    """`command/requested` rows of calls that gave one; `t_ns` is when each call was made."""
    rows = [call.outputs.command for call in calls if call.outputs is not None]
    return np.array(rows, command_dtype(*row_sizes(rig)))


def _matches(recorded: npt.NDArray[np.void], made: Sequence[Call]) -> list[int]:
    """Recorded row of each command, -1 where there is none.

    A command is published at once after its call, so it is the first one at or after it.
    """
    found = []
    for call in made:
        k = int(np.searchsorted(recorded["t_ns"], call.row["t_ns"]))
        stamp = call.outputs.stamp if call.outputs is not None else None
        same = (
            stamp is not None
            and k < len(recorded)
            and (int(recorded["tick"][k]), int(recorded["revision"][k]))
            == (stamp.tick, stamp.revision)
        )
        found.append(k if same else -1)
    return found


def _fill(
    found: Differences,
    episode: Episode,
    take: OfflineTake,
    rows: npt.NDArray[np.void],
    offline: npt.NDArray[np.void],
    saturation: npt.NDArray[np.uint8],
    names: tuple[str, ...],
) -> None:
    for joint in sorted(set(names) & set(take.rig.joint_names), key=names.index):
        apart = (
            offline["position"][:, take.rig.joint_names.index(joint)]
            - rows["position"][:, names.index(joint)]
        )
        found.joints[joint] = _spread(apart)
    rate_hz = take.config.rate_hz
    found.jerk_rms = {
        "recorded": jerk_rms(rows, rate_hz),
        "offline": jerk_rms(offline, rate_hz),
    }
    live = _saturations(episode, rows)
    found.saturation = {
        "recorded": saturation_shares(live),
        "offline": saturation_shares(saturation),
    }
    try:
        recorded_rig = take.rig if take.same_rig else load_rig(found.recorded_rig)
    except RetargetError:
        return  # the take's robot is not installed here: its tips are not known
    every = max(1, rate_hz // TIP_RATE_HZ)
    found.tips = _tips(
        recorded_rig, rows["position"][::every], take.rig, offline["position"][::every]
    )


def _spread(apart: Array) -> dict[str, float]:
    return {"max": float(np.abs(apart).max()), "rms": float(np.sqrt(np.mean(apart**2)))}


def _tips(a: Rig, q_a: Array, b: Rig, q_b: Array) -> dict[str, dict[str, float]]:
    """Distances and angles between the tips; of two robots, between their motions so far."""
    tips = [tip for tip in a.tips if tip in b.tips]
    poses_a, poses_b = _poses(a, q_a, tips), _poses(b, q_b, tips)
    found = {}
    for tip in tips:
        one, other = poses_a[tip], poses_b[tip]
        if a is not b:
            one, other = _since_start(one), _since_start(other)
        position = _spread(np.linalg.norm(one[:, :3, 3] - other[:, :3, 3], axis=1) * 1e3)
        rotation = _spread(np.array([_angle_deg(*pair) for pair in zip(one, other, strict=True)]))
        found[tip] = {f"position_mm_{k}": v for k, v in position.items()}
        found[tip] |= {f"rotation_deg_{k}": v for k, v in rotation.items()}
    return found


def _poses(rig: Rig, q: Array, tips: Sequence[str]) -> dict[str, Array]:
    """(N, 4, 4) of each tip."""
    forward = [rig.forward(row) for row in q]
    return {tip: np.array([poses[tip] for poses in forward]) for tip in tips}


def _since_start(Ts_robot_tip: Array) -> Array:
    """How a tip moved and turned from its first pose, about the axes of the robot root."""
    moved = Ts_robot_tip.copy()
    moved[:, :3, 3] -= Ts_robot_tip[0, :3, 3]
    moved[:, :3, :3] = Ts_robot_tip[:, :3, :3] @ Ts_robot_tip[0, :3, :3].T
    return moved


def _angle_deg(T_a: Array, T_b: Array) -> float:
    if np.array_equal(T_a, T_b):
        return 0.0  # not the round-off of R' R
    return float(np.degrees(np.linalg.norm(log3(T_a[:3, :3].T @ T_b[:3, :3]))))


def _saturations(episode: Episode, rows: npt.NDArray[np.void]) -> npt.NDArray[np.uint8]:
    """Recorded bits of the commands compared; both rows of a call carry the same time."""
    solution = episode.stream("solution")
    at = np.flatnonzero(np.isin(solution.t_ns, rows["t_ns"]))
    bits: npt.NDArray[np.uint8] = solution["saturation"][at]
    return bits


def saturation_shares(saturation: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Share of joint-ticks at each kind of limit, of (N, nq) bits."""
    return {
        bit.name.lower(): float(np.mean((saturation & bit.value) != 0))
        for bit in Saturation
        if bit.name is not None
    }


def jerk_rms(rows: npt.NDArray[np.void], rate_hz: int) -> float:
    """Of the last command of each tick, where ticks follow each other [rad/s³]."""
    last = np.append(np.diff(rows["tick"].astype(np.int64)) != 0, True)
    tick, q = rows["tick"][last].astype(np.int64), rows["position"][last]
    whole = (tick[3:] - tick[:-3]) == 3 if len(tick) > 3 else np.zeros(0, bool)
    if not whole.any():
        return float("nan")
    jerk = np.diff(q, 3, axis=0)[whole] * rate_hz**3
    return float(np.sqrt(np.mean(jerk**2)))
