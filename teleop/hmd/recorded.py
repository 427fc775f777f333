"""What a recorded episode says of its operator: frames, and what the arms made of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recorder import Episode
from retarget.absolute import BLEND_NS
from teleop.errors import TeleopError
from teleop.protocol import (
    HEAD_BIT,
    LEFT_CONTROLLER_BIT,
    LEFT_HAND_BIT,
    RIGHT_CONTROLLER_BIT,
    RIGHT_HAND_BIT,
    empty_frame,
)
from teleop.samples import OPERATOR_FRAME, SIDES

Rows = npt.NDArray[np.void]
Flags = npt.NDArray[np.bool_]

PARTS = {
    "head": HEAD_BIT,
    "left_controller": LEFT_CONTROLLER_BIT,
    "right_controller": RIGHT_CONTROLLER_BIT,
    "left_hand": LEFT_HAND_BIT,
    "right_hand": RIGHT_HAND_BIT,
}
SQUEEZED = 0.5
MAX_GAP_NS = 2_000_000_000
"""Longer silences of the original (a lost connection) are shortened to this."""
_NEAR_NS = 100_000_000
"""A target belongs to a frame that arrived at most this long before."""
_KEY = np.dtype([("t_receive_ns", np.int64), ("seq", np.uint64)])


class NothingToReplayError(TeleopError):
    """The episode holds no operator data."""


def operator_frames(episode: Episode) -> Rows:
    """OPERATOR_FRAME rows of an episode, in the order received, as they came from the device.

    Of a trimmed episode or a part, those that are left.

    Raises:
        NothingToReplayError: The episode has no head or controller data, or its trim leaves none.
    """
    parts = {
        name: episode.stream(f"operator/{name}").rows()
        for name in PARTS
        if f"operator/{name}" in episode.streams and len(episode.stream(f"operator/{name}"))
    }
    if not parts:
        raise NothingToReplayError(
            f"episode {episode.id} has no operator data; its streams: {sorted(episode.streams)}"
        )
    keys = np.unique(np.concatenate([_keys(rows) for rows in parts.values()]))
    frames = np.repeat(np.array([empty_frame()], OPERATOR_FRAME), len(keys))
    for name, rows in parts.items():
        _fill(frames, np.searchsorted(keys, _keys(rows)), name, rows)
    first_ns, last_ns = episode.span_ns
    kept = frames[(first_ns <= frames["t_ns"]) & (frames["t_ns"] <= last_ns)]
    if not len(kept):
        raise NothingToReplayError(f"of episode {episode.id} the trim leaves no operator data")
    return kept


def _keys(rows: Rows) -> Rows:
    """What tells messages apart: sequence numbers alone start again after a reconnect."""
    keys = np.zeros(len(rows), _KEY)
    keys["t_receive_ns"], keys["seq"] = rows["t_receive_ns"], rows["seq"]
    return keys


def _fill(frames: Rows, at: npt.NDArray[np.intp], name: str, rows: Rows) -> None:
    for field in ("seq", "t_device_ns", "t_receive_ns", "t_ns"):
        frames[field][at] = rows[field]
    frames["presence"][at] |= PARTS[name]
    if name == "head":
        frames["head_flags"][at], frames["head"][at] = rows["flags"], rows["pose"]
        return
    for field in frames.dtype[name].names or ():
        if field in (rows.dtype.names or ()):
            frames[name][field][at] = rows[field]


def spacing_ns(frames: Rows) -> npt.NDArray[np.int64]:
    """When each frame is due after the first [ns]: device time, without long silences."""
    steps = np.clip(np.diff(frames["t_device_ns"]), 0, MAX_GAP_NS)
    return np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """What the arms made of each of n frames; columns are left, right.

    Attributes:
        arm: (n, 2) the arm followed its hand.
        target: (n, 2, 7) `T_robot_tip` asked for, NaN where the frame has no target of its own.
        opening: (n, 2) gripper opening asked for, NaN likewise.
        T_robot_stage: (n, 7) calibrated map in force, NaN where no session was recorded.
        absolute: (n,) the clutch was absolute.
        reach_scale: (n,) robot metres per operator metre, NaN likewise.
    """

    arm: Flags
    target: npt.NDArray[np.float64]
    opening: npt.NDArray[np.float64]
    T_robot_stage: npt.NDArray[np.float64]
    reach_scale: npt.NDArray[np.float64]
    absolute: Flags

    def meaning(self, i: int, k: int, t_ns: npt.NDArray[np.int64]) -> int:
        """Frame whose target says what the hand of arm k means from frame i on.

        That is frame i itself, but for an absolute clutch whose offset fades first.

        Args:
            i: Frame from which the arm follows.
            k: Arm, 0 left, 1 right.
            t_ns: Times of the frames [ns].
        """
        if not self.absolute[i]:
            return i
        meant = i
        for j in range(i, len(t_ns)):
            if not self.arm[j, k] or t_ns[meant] - t_ns[i] >= BLEND_NS:
                break
            if not np.isnan(self.target[j, k]).any():
                meant = j
        return meant


def followed(episode: Episode, frames: Rows) -> Followed:
    """Read from `target` and `session`; without them an arm followed while its grip was held."""
    n = len(frames)
    found = Followed(
        np.stack([frames[f"{s}_controller"]["squeeze"] > SQUEEZED for s in SIDES], axis=1),
        np.full((n, 2, 7), np.nan),
        np.full((n, 2), np.nan),
        np.full((n, 7), np.nan),
        np.full(n, np.nan),
        np.zeros(n, dtype=np.bool_),
    )
    if "session" in episode.streams and len(episode.stream("session")):
        session = episode.stream("session")
        # The session speaks about a frame a moment after it arrived.
        at = np.searchsorted(session.t_ns, frames["t_receive_ns"], side="right") - 1
        rows = session.rows()[np.maximum(at, 0)]
        found.arm[:] = rows["engaged"]
        if "clutch" in (rows.dtype.names or ()):
            found.absolute[:] = rows["clutch"] == 1
        found.T_robot_stage[:], found.reach_scale[:] = rows["T_robot_stage"], rows["reach_scale"]
    if "target" in episode.streams and len(episode.stream("target")):
        _read_targets(found, frames, episode.stream("target").rows())
    return found


def _read_targets(found: Followed, frames: Rows, targets: Rows) -> None:
    """Put targets beside their frames.

    An engaged clutch closes only when the arm has come to rest: the first target, not the
    session, says from which frame on an arm followed.
    """
    engaged = found.arm.copy()
    own = np.zeros(len(frames), dtype=np.bool_)
    found.arm[:] = False
    for row, i in zip(targets, _frame_of(frames, targets), strict=True):
        if i < 0:
            continue
        own[i] = True
        for k, side in enumerate(SIDES):
            found.arm[i, k] = row["valid"][k]
            if row["valid"][k]:
                found.target[i, k] = row[f"T_robot_{side}_wrist"]
                found.opening[i, k] = row["gripper"][k]
    for i in range(1, len(frames)):  # frames that control skipped between two ticks
        if not own[i]:
            found.arm[i] = found.arm[i - 1] & engaged[i]


def _frame_of(frames: Rows, targets: Rows) -> list[int]:
    """Index of the frame each target follows, -1 for none."""
    last = np.searchsorted(frames["t_receive_ns"], targets["t_ns"], side="right") - 1
    seqs, times = frames["seq"].tolist(), frames["t_receive_ns"].tolist()
    wanted, stamps = targets["operator_seq"].tolist(), targets["t_ns"].tolist()
    found = []
    for i, seq, t_ns in zip(last.tolist(), wanted, stamps, strict=True):
        k = i
        while k >= 0 and seqs[k] != seq and t_ns - times[k] <= _NEAR_NS:
            k -= 1
        found.append(k if k >= 0 and seqs[k] == seq and t_ns - times[k] <= _NEAR_NS else -1)
    return found


def hand_for(
    T_stage_hand: Any, T_robot_stage: Any, scale: float, T_robot_want: Any, T_robot_tip: Any
) -> npt.NDArray[np.float64]:
    """Where to close a relative clutch so that a hand pose will mean a wanted target.

    A clutch closed on the returned pose with the tip at `T_robot_tip` asks for `T_robot_want`
    once the hand is at `T_stage_hand` (`retarget.clutch.Clutch`). All are (4, 4).

    Args:
        T_stage_hand: Where the hand will be.
        T_robot_stage: Calibrated map.
        scale: Robot metres per operator metre.
        T_robot_want: Target that pose shall mean.
        T_robot_tip: Where the tip is now.
    """
    R_robot_stage = T_robot_stage[:3, :3]
    turn = T_robot_tip[:3, :3] @ T_robot_want[:3, :3].T
    engage = np.eye(4)
    engage[:3, :3] = R_robot_stage.T @ turn @ R_robot_stage @ T_stage_hand[:3, :3]
    step = (T_robot_want[:3, 3] - T_robot_tip[:3, 3]) / scale
    engage[:3, 3] = T_stage_hand[:3, 3] - R_robot_stage.T @ step
    return engage
