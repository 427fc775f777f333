"""The wrist pictures as panels that can be moved: pointed at, held with the trigger, dragged.

Panels are fixed to the head, at angles to the right and down of straight ahead. They are moved only
while no arm follows, for the trigger is a gripper's otherwise. The page `/xr` has the same in
`page/panels.js`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from teleop.samples import SIDES, Tracking

PLACES = {"low": (0.42, 0.4), "high": (0.42, -0.32), "side": (0.6, 0.05)}
"""Angles to the right (left) and down of straight ahead [rad]."""
WIDTH = 0.25
WIDTHS = (0.12, 0.7)
FARTHEST = (0.85, 0.65)
"""How far to the side and up or down a panel may go [rad]: it must stay where eyes reach it."""
PULLED, LET_GO = 0.7, 0.4
GROWTH = 0.8
"""Growth of a held panel with the stick fully pushed [1/s]."""
FILE = "panels.json"

Point = tuple[float, float]
"""x, y on the plane 1 m ahead of the head."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel hangs, angles [rad].

    Attributes:
        right: Of straight ahead; negative to the left.
        down: Of straight ahead; negative up.
        width: Of the panel.
    """

    right: float
    down: float
    width: float = WIDTH


@dataclass(frozen=True, slots=True)
class _Hold:
    side: str
    by: str
    offset: tuple[float, float]


class WristPanels:
    """Places of the wrist pictures.

    Args:
        kind: `low`, `high`, `side` or `off`.
        file: Where moved panels are kept; None forgets them.

    Attributes:
        pointed: Panel that is pointed at, or held.
        cursor: Where, on the plane 1 m ahead.
    """

    def __init__(self, kind: str = "low", file: Path | None = None) -> None:
        self._kind, self._file = kind, file
        self._moved = _stored(file, kind)
        self._pulled: dict[str, bool] = {}
        self._hold: _Hold | None = None
        self.pointed: str | None = None
        self.cursor: Point | None = None

    def place(self, side: str) -> Place | None:
        """Where that wrist's picture hangs; None for nowhere."""
        if self._kind not in PLACES:
            return None
        right, down = PLACES[self._kind]
        return self._moved.get(side) or Place(-right if side == "left" else right, down)

    @property
    def held(self) -> str | None:
        """Panel that is held."""
        return None if self._hold is None else self._hold.side

    def update(
        self, head: Any, row: Any, aspects: Mapping[str, float], allowed: bool, seconds: float
    ) -> None:
        """Take the controllers.

        Args:
            head: (7,) pose of the head in STAGE.
            row: OPERATOR_FRAME row.
            aspects: Height over width of the pictures that are shown, by side.
            allowed: No arm follows.
            seconds: Since the last call.
        """
        self.pointed = self.cursor = None
        for by in SIDES:
            controller = row[f"{by}_controller"]
            seen = bool(int(controller["flags"]) & Tracking.POSITION_VALID)
            pulls = self._pulls(by, float(controller["trigger"]) if seen else None)
            hit = hit_point(head, controller["aim"]) if seen and allowed else None
            mine = self._hold is not None and self._hold.by == by
            if mine and (hit is None or pulls == "open"):
                self._drop()
                mine = False
            if hit is None:
                continue
            side = self.held if mine else self._under(hit, aspects)
            if side is None:
                continue
            if self.pointed is None:
                self.pointed, self.cursor = side, hit
            if pulls == "pulled" and self._hold is None:
                self._grab(side, by, hit)
                mine = True
            if mine:
                self._drag(hit, float(controller["thumbstick"][1]), seconds)

    def _pulls(self, by: str, trigger: float | None) -> str:
        """`pulled` once a pull, then `held`; `open`. What was pulled before it was seen is none."""
        before = self._pulled.get(by, True)
        if trigger is None:
            self._pulled[by] = True
            return "open"
        now = trigger > (LET_GO if before else PULLED)
        self._pulled[by] = now
        return ("held" if before else "pulled") if now else "open"

    def _under(self, hit: Point, aspects: Mapping[str, float]) -> str | None:
        for side, aspect in aspects.items():
            place = self.place(side)
            if place is None:
                continue
            half = math.tan(place.width / 2)
            across = abs(hit[0] - math.tan(place.right)) <= half
            if across and abs(hit[1] + math.tan(place.down)) <= half * aspect:
                return side
        return None

    def _grab(self, side: str, by: str, hit: Point) -> None:
        place = self.place(side)
        assert place is not None  # it was pointed at
        offset = (math.tan(place.right) - hit[0], -math.tan(place.down) - hit[1])
        self._hold = _Hold(side, by, offset)

    def _drag(self, hit: Point, stick_up: float, seconds: float) -> None:
        assert self._hold is not None
        place = self.place(self._hold.side)
        assert place is not None
        x, y = hit[0] + self._hold.offset[0], hit[1] + self._hold.offset[1]
        width = place.width * (1 + GROWTH * stick_up * seconds)
        self._moved[self._hold.side] = replace(
            place,
            right=_clamp(math.atan(x), -FARTHEST[0], FARTHEST[0]),
            down=_clamp(-math.atan(y), -FARTHEST[1], FARTHEST[1]),
            width=_clamp(width, *WIDTHS),
        )

    def _drop(self) -> None:
        self._hold = None
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            moved = {side: asdict(place) for side, place in self._moved.items()}
            self._file.write_text(json.dumps({"kind": self._kind, "moved": moved}))


def hit_point(head: Any, aim: Any) -> Point | None:
    """Where a ray meets the plane 1 m ahead of the head; None when it points elsewhere.

    Plain numbers: this runs in every frame, where NumPy's calls on three of them cost the most.

    Args:
        head: (7,) pose in STAGE.
        aim: (7,) pose in STAGE; it points along its -z.
    """
    hx, hy, hz, qx, qy, qz, qw = (float(v) for v in head)
    ax, ay, az, bx, by, bz, bw = (float(v) for v in aim)
    back = (-qx, -qy, -qz, qw)
    x, y, z = rotated(back, (ax - hx, ay - hy, az - hz))
    dx, dy, dz = rotated(back, rotated((bx, by, bz, bw), (0.0, 0.0, -1.0)))
    if dz > -0.05:
        return None
    along = (-1.0 - z) / dz
    return (x + along * dx, y + along * dy) if along > 0.0 else None


def rotated(
    quat_xyzw: tuple[float, float, float, float], vector: tuple[float, float, float]
) -> tuple[float, float, float]:
    """A vector turned by a quaternion."""
    (x, y, z, w), (a, b, c) = quat_xyzw, vector
    p, q, r = 2 * (y * c - z * b), 2 * (z * a - x * c), 2 * (x * b - y * a)
    return (a + w * p + y * r - z * q, b + w * q + z * p - x * r, c + w * r + x * q - y * p)


def panels_file() -> Path:
    """Where this user's panels are kept."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "telecap" / FILE


def _stored(file: Path | None, kind: str) -> dict[str, Place]:
    """What was moved, unless panels were asked for elsewhere meanwhile."""
    try:
        found = json.loads(file.read_text()) if file is not None else {}
        moved = found["moved"] if found.get("kind") == kind else {}
        places = {side: Place(**moved[side]) for side in SIDES if side in moved}
        return {side: place for side, place in places.items() if _is_fine(place)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # not there, or not ours
        return {}


def _is_fine(place: Place) -> bool:
    return (
        abs(place.right) <= FARTHEST[0]
        and abs(place.down) <= FARTHEST[1]
        and WIDTHS[0] <= place.width <= WIDTHS[1]
    )


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
