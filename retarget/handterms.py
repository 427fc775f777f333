"""What a hand's objective compares: differences of points, of the human hand and of the robot's.

`vector` and `position` are those of AnyTeleop (Qin et al. 2023, section IV-B): chosen vectors, or
the tips as seen from the wrist. `dexpilot` is that of DexPilot (Handa et al. 2020, section V-C):
beside the tips, every pair of them; near pairs with the thumb are pulled together, and two fingers
that both pinch are kept a finger's width apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from retarget.errors import RigFileError, UnknownNameError
from retarget.handfile import HandSection, Objective
from retarget.kernels.anatomy import CROSS, PINCH, PLAIN, WRIST

TIPS = {"thumb": 5, "index": 10, "middle": 15, "ring": 20, "little": 25}
"""Joints of XR_EXT_hand_tracking."""


@dataclass(frozen=True, eq=False)
class Terms:
    """The vectors of an objective.

    Attributes:
        pairs: Start and end link, (terms, 2).
        human: Start and end human joint, (terms, 2).
        kinds: `PLAIN`, `PINCH` or `CROSS` of `kernels.anatomy`, (terms,).
        pinches: The two pinches that a `CROSS` depends on, (terms, 2); 0 for others.
    """

    pairs: Any
    human: Any
    kinds: Any
    pinches: Any


def terms_of(section: HandSection, objective: Objective, where: str) -> Terms:
    """The terms of an objective.

    Args:
        section: The hand.
        objective: Which one.
        where: The section's name in messages.

    Raises:
        UnknownNameError: A vector or tip names a link that does not exist.
        RigFileError: A human joint does not exist, or a tip that is needed is missing.
    """
    if objective == "vector":
        rows = _vectors(section)
    elif objective == "position":
        rows = _positions(section)
    else:
        rows = _dexpilot(section, where)
    links = list(section.links)
    for human, robot, _, _ in rows:
        for name in robot:
            if name not in links:
                raise UnknownNameError("link", name, links, where)
        if not all(0 <= joint < 26 for joint in human):
            raise RigFileError(f"{where}: human joints are 0 to 25 in OpenXR's order, not {human}")
    pairs = [[links.index(start), links.index(end)] for _, (start, end), _, _ in rows]
    columns = (pairs, [row[0] for row in rows], [row[2] for row in rows], [row[3] for row in rows])
    return Terms(*(np.array(column, dtype=np.intp) for column in columns))


_Row = tuple[tuple[int, int], tuple[str, str], int, tuple[int, int]]


def _positions(section: HandSection) -> list[_Row]:
    base = section.base
    return [((WRIST, TIPS[f]), (base, tip), PLAIN, (0, 0)) for f, tip in section.tips.items()]


def _vectors(section: HandSection) -> list[_Row]:
    if not section.vectors:
        return _positions(section)
    return [(v.human, v.robot, PINCH if v.pinch else PLAIN, (0, 0)) for v in section.vectors]


def _dexpilot(section: HandSection, where: str) -> list[_Row]:
    tips: Mapping[str, str] = {str(finger): link for finger, link in section.tips.items()}
    if "thumb" not in tips or len(tips) < 2:
        raise RigFileError(f"{where}: dexpilot needs the tips of the thumb and of a finger")
    fingers: Sequence[str] = [finger for finger in tips if finger != "thumb"]
    rows: list[_Row] = [
        ((TIPS["thumb"], TIPS[f]), (tips["thumb"], tips[f]), PINCH, (0, 0)) for f in fingers
    ]
    for a, b in combinations(range(len(fingers)), 2):
        one, other = fingers[a], fingers[b]
        rows.append(((TIPS[one], TIPS[other]), (tips[one], tips[other]), CROSS, (a, b)))
    return rows + _positions(section)
