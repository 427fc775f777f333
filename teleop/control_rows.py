"""Rows the control process publishes, made from what the control law decided. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retarget import Rig, Solution, Targets
from retarget.frames import matrix_to_pose
from retarget.targets import TIPS
from teleop.samples import SIDES, command_dtype, row_sizes, solution_dtype, target_dtype

Row = npt.NDArray[np.void]
_target_dtype = functools.cache(target_dtype)
_solution_dtype = functools.cache(solution_dtype)
_command_dtype = functools.cache(command_dtype)
TRACKED, GRASPED = 1, 2
"""What was asked of a hand's fingers."""
IDENTITY_POSE = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the three rows of one tick have in common.

    Attributes:
        t_ns: When they were made [ns].
        tick: Slot of the control grid.
        revision: 0 on the grid, then counting revisions.
        operator_seq: Frame they follow, 0 when none.
    """

    t_ns: int
    tick: int
    revision: int
    operator_seq: int

    def put(self, row: Row) -> Row:
        """Write it into a row."""
        row["t_ns"], row["tick"], row["revision"] = self.t_ns, self.tick, self.revision
        row["operator_seq"] = self.operator_seq
        return row


def target_row(targets: Targets, stamp: Stamp) -> Row:
    """`target`: poses as asked; identity and not valid where nothing is asked."""
    row = np.zeros((), _target_dtype())
    for i, tip in enumerate(TIPS):
        T_robot_tip = targets.pose(tip)
        row["valid"][i] = T_robot_tip is not None
        pose = IDENTITY_POSE if T_robot_tip is None else matrix_to_pose(T_robot_tip)
        row[f"T_robot_{tip}"] = pose
    for i, side in enumerate(SIDES):
        opening = targets.grippers.get(side)
        row["gripper"][i] = np.nan if opening is None else opening
        grasp = targets.grasps.get(side)
        row["grasp"][i] = np.nan if grasp is None else grasp
        row["fingers"][i] = GRASPED if grasp is not None else 0
        if targets.hand(side) is not None:
            row["fingers"][i] = TRACKED
    return stamp.put(row)


def solution_row(rig: Rig, solution: Solution, stamp: Stamp) -> Row:
    """`solution`: residuals are NaN for tips that were not asked."""
    row = np.zeros((), _solution_dtype(len(rig.joint_names), len(rig.finger_names)))
    row["position"], row["velocity"] = solution.q, solution.dq
    row["status"], row["saturation"] = int(solution.status), solution.saturation
    row["residual"] = _residuals(solution.residuals)
    row["clearance_m"] = solution.clearance_m
    _put_fingers(rig, solution, row)
    for side, hand in solution.hands.items():
        row["finger_saturation"][rig.finger_slices[side]] = hand.saturation
    return stamp.put(row)


def _residuals(residuals: Mapping[str, tuple[float, float]]) -> list[tuple[float, float]]:
    return [residuals.get(tip, (np.nan, np.nan)) for tip in TIPS]


def command_row(
    rig: Rig, solution: Solution, stamp: Stamp, t_operator_receive_ns: int, first_use: bool
) -> Row:
    """`command/requested`."""
    row = np.zeros((), _command_dtype(*row_sizes(rig)))
    row["position"], row["velocity"] = solution.q, solution.dq
    row["gripper"] = solution.grippers
    _put_fingers(rig, solution, row)
    row["t_operator_receive_ns"] = t_operator_receive_ns
    row["first_use"] = first_use
    return stamp.put(row)


def _put_fingers(rig: Rig, solution: Solution, row: Row) -> None:
    for side, hand in solution.hands.items():
        where = rig.finger_slices[side]
        row["finger"][where], row["finger_velocity"][where] = hand.q, hand.dq
