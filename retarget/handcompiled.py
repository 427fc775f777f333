"""Ticks of a hand in one call of compiled code; same answers as `handreference`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from retarget.frames import Array
from retarget.handengine import HandConfig, HandState, HandTick
from retarget.handmodel import Hand
from retarget.handreference import supports_of
from retarget.kernels.handlayout import HAND_SIZES, cut_hand_views, hand_lengths
from retarget.kernels.hands import hand_approach, hand_tick
from retarget.targets import Status
from retarget.treedata import describe_tree

STATUSES: Mapping[int, Status] = {int(status): status for status in Status}
JOINTS = Status.JOINTS


class CompiledHand:
    """Compute ticks with compiled kernels.

    Attributes:
        terms: How many vectors are compared.
    """

    def __init__(self, hand: Hand, dt: float, config: HandConfig, scale: float = 1.0) -> None:
        compared = hand.terms(config.objective)
        self._n, self.terms = len(hand.joint_names), len(compared.kinds)
        self._left, self._iterations = hand.side == "left", config.iterations
        sizes = [self._n, hand.model.njoints, len(hand.link_joints), self.terms]
        floats, ints = hand_lengths(*sizes)
        self._floats, self._ints = np.zeros(floats), np.zeros(ints, dtype=np.intp)
        self._ints[:HAND_SIZES] = sizes
        tree, parts, terms, settings, work, _ = cut_hand_views(self._floats, self._ints)
        for array, value in zip(tree, describe_tree(hand.model, ()), strict=True):
            array[...] = value
        for array, value in zip(parts, _describe(hand, dt), strict=True):
            array[...] = value
        values = (compared.pairs, compared.human, compared.kinds, compared.pinches)
        for array, value in zip(terms, values, strict=True):
            array[...] = value
        settings[:] = _settings(config, hand.scale * scale)
        self._joints, self._goal = work[0], work[14]
        self._warm_up(hand)

    def _warm_up(self, hand: Hand) -> None:
        """Call every kernel once: the first real tick must not wait for a compiler."""
        start = HandState.rest(hand.q_home, self.terms)
        self.follow(start, np.zeros((26, 3)))
        self.approach(start, hand.q_home, 1.0)

    def follow(self, start: HandState, joints: Array | None) -> HandTick:
        """See `HandEngine.follow`."""
        count = 0
        if joints is not None:
            count = len(joints)
            self._joints[26 - count :] = joints
        memory = start.memory
        after, bits = np.empty_like(memory), np.empty(self._n, dtype=np.uint8)
        status, value = hand_tick(
            self._floats, self._ints, memory, after, bits, count, self._left, self._iterations
        )
        return HandTick(HandState(after, self._n), STATUSES[status], bits, value)

    def approach(self, start: HandState, goal: Array, speed: float) -> HandTick:
        """See `HandEngine.approach`."""
        self._goal[:] = goal
        memory = start.memory
        after, bits = np.empty_like(memory), np.empty(self._n, dtype=np.uint8)
        hand_approach(self._floats, self._ints, memory, after, bits, float(speed))
        return HandTick(HandState(after, self._n), JOINTS, bits, float("nan"))


def _describe(hand: Hand, dt: float) -> tuple[Any, ...]:
    """The group `hand` of `handlayout.cut_hand`."""
    v, a = hand.velocity_limit * dt, hand.acceleration_limit * dt * dt
    driven = np.abs(hand.E).argmax(axis=1)
    ratio = hand.E[np.arange(len(driven)), driven]
    turn = hand.T_palm_root[:3, :3].T @ hand.R_palm_hand
    box = np.stack([hand.lower, hand.upper, v, a])
    return (
        box, hand.offset, ratio, driven, hand.link_joints, hand.link_points, supports_of(hand), turn
    )  # fmt: skip


def _settings(c: HandConfig, scale: float) -> list[float]:
    """The group `settings` of `handlayout.cut_hand`."""
    return [
        c.huber_m, c.rest, c.pinch_m, c.release_m, c.pinch_weight, c.pinch_gap_m, c.cross_weight,
        c.cross_gap_m, scale, c.enough_rad, float(c.normalise),
    ]  # fmt: skip
