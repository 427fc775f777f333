"""All hands of a rig in one tick, beside its arms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from retarget.errors import TargetError
from retarget.frames import Array
from retarget.handengine import HandConfig, HandState, HandTick, hold
from retarget.hands import hand_engine, hand_posture
from retarget.rig import Rig
from retarget.targets import Targets

States = Mapping[str, HandState]
Ticks = Mapping[str, HandTick]
"""By side."""


class FingerEngines:
    """Computes ticks of all hands; keeps nothing between them that an answer depends on.

    Args:
        rig: The robot.
        dt: Length of a tick [s].
        config: Settings.
        scales: By side; see `HandRetargeter`.
    """

    def __init__(
        self, rig: Rig, dt: float, config: HandConfig, scales: Mapping[str, float]
    ) -> None:
        self._hands = rig.hands
        unknown = sorted(set(scales) - set(rig.hands))
        if unknown:
            raise TargetError(f"hand scales {unknown}: this rig has hands {sorted(rig.hands)}")
        self._engines = {
            side: hand_engine(hand, dt, config, scales.get(side, 1.0))
            for side, hand in rig.hands.items()
        }
        # of hands that all rest: the next ticks are the same, and most ticks ask no hand
        self._rested: tuple[States, Ticks] = ({}, {})

    def __bool__(self) -> bool:
        return bool(self._engines)

    def rest(self, fingers: Mapping[str, ArrayLike]) -> States:
        """States at rest: at postures by side, at home where left out.

        Raises:
            TargetError: There is no such hand, or a posture has the wrong length.
        """
        unknown = sorted(set(fingers) - set(self._hands))
        if unknown:
            raise TargetError(f"fingers of {unknown}: this rig has hands {sorted(self._hands)}")
        return {
            side: HandState.rest(
                hand_posture(self._hands[side], fingers.get(side, self._hands[side].q_home)),
                engine.terms,
            )
            for side, engine in self._engines.items()
        }

    def follow(self, start: States, targets: Targets) -> tuple[States, Ticks]:
        """Move towards the hands, else the grasps that are asked; what is not asked brakes."""
        if start is self._rested[0] and not targets.hands and not targets.grasps:
            return self._rested
        ticks = {side: self._follow(side, start[side], targets) for side in self._engines}
        states = {side: tick.state for side, tick in ticks.items()}
        if all(state.resting is not None for state in states.values()):
            self._rested = states, ticks
        return states, ticks

    def _follow(self, side: str, start: HandState, targets: Targets) -> HandTick:
        joints, grasp = targets.hand(side), targets.grasps.get(side)
        if joints is None and grasp is not None and np.isfinite(grasp):
            hand = self._hands[side]
            share = min(max(grasp, 0.0), 1.0)
            goal = hand.q_home + share * (hand.q_closed - hand.q_home)
            return self._engines[side].approach(start, goal, 1.0)
        engine = self._engines[side]
        return hold(engine, start) if joints is None else engine.follow(start, joints)

    def approach(
        self, start: States, goals: Mapping[str, ArrayLike], speed: float
    ) -> tuple[States, Ticks]:
        """Move towards postures by side; hands that are left out brake."""
        ticks = {
            side: engine.approach(start[side], hand_posture(self._hands[side], goals[side]), speed)
            if side in goals
            else hold(engine, start[side])
            for side, engine in self._engines.items()
        }
        return {side: tick.state for side, tick in ticks.items()}, ticks


def grasp_of(q: Array, q_open: Array, q_closed: Array) -> float:
    """How far a hand at `q`, (n,), is closed, 0 to 1: its place on the way from open to closed."""
    way = q_closed - q_open
    length2 = float(way @ way)
    share = float((q - q_open) @ way) / length2 if length2 > 0.0 else 0.0
    return min(max(share, 0.0), 1.0)
