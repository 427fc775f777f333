"""Did parts touch in a take? Judged by convex hulls from the measured joints."""

from __future__ import annotations

from typing import Any

import numpy as np

from recorder import Episode
from recorder.findings import Finding, Level, QualityReport
from recorder.quality import check_episode
from retarget import Rig
from retarget.errors import RetargetError
from retarget.hullcheck import HullChecker
from retarget.rig import load_rig
from teleop.qualities import clearances_of, thresholds_of

PERIOD_NS = 50_000_000
"""Between postures that are looked at: parts move by centimetres in that time, not more."""


class CollisionCheck:
    """Judges takes of one rig; the model is made at the first one.

    Args:
        rig: The robot, or its name.
    """

    def __init__(self, rig: Rig | str) -> None:
        self._named = rig
        self._checker: HullChecker | None = None
        self._rig: Rig | None = None

    def judge(self, episode: Episode) -> tuple[list[Finding], dict[str, Any]]:
        """Findings and metrics of a take.

        Raises:
            RetargetError: The rig cannot be loaded.
        """
        rig, checker = self.prepare()
        state = episode.stream("state").between(*episode.span_ns)
        names = tuple(state.fields["position"].get("names", ()))
        if names != rig.joint_names:
            reason = f"its joints are not those of the rig {rig.name!r} as it is now"
            return [], {"collisions": {"checked": 0, "reason": reason}}
        return _judge(checker, state["t_ns"], state["position"], clearances_of(rig))

    def prepare(self) -> tuple[Rig, HullChecker]:
        """Make the model, which takes seconds on a large robot.

        Raises:
            RetargetError: The rig cannot be loaded.
        """
        if self._rig is None or self._checker is None:
            self._rig = load_rig(self._named) if isinstance(self._named, str) else self._named
            self._checker = HullChecker(self._rig)
        return self._rig, self._checker


def _judge(
    checker: HullChecker, t_ns: Any, positions: Any, limits: tuple[float, float]
) -> tuple[list[Finding], dict[str, Any]]:
    least, parts, when_ns, due_ns, checked = np.inf, ("", ""), 0, 0, 0
    for t, q in zip(np.asarray(t_ns).tolist(), positions, strict=True):
        if t < due_ns or not np.isfinite(q).all():
            continue
        due_ns, checked = t + PERIOD_NS, checked + 1
        nearest = checker.nearest(q)
        if nearest is not None and nearest.clearance_m < least:
            least, parts, when_ns = nearest.clearance_m, nearest.parts, t
    metrics: dict[str, Any] = {"checked": checked}
    if not np.isfinite(least):
        return [], {"collisions": metrics}
    seconds = (when_ns - int(t_ns[0])) * 1e-9
    metrics |= {"clearance_m": least, "parts": list(parts), "at_s": round(seconds, 3)}
    touch_m, deep_m = limits
    if least >= touch_m:
        return [], {"collisions": metrics}
    level: Level = "fail" if least < deep_m else "warn"
    limit = deep_m if level == "fail" else touch_m
    what = f"overlap by {-1e3 * least:.1f} mm" if least < 0 else f"are {1e3 * least:.1f} mm apart"
    message = f"{parts[0]} and {parts[1]} {what} at {seconds:.1f} s"
    return [Finding(level, "collision", message, least, limit)], {"collisions": metrics}


def check_take(episode: Episode, checks: dict[str, CollisionCheck]) -> QualityReport:
    """Everything that is checked of a take; `checks` keeps models by rig name between calls."""
    name = str(episode.attributes.get("rig", ""))
    check, thresholds = checks.setdefault(name, CollisionCheck(name)), None
    found: tuple[list[Finding], dict[str, Any]]
    try:
        thresholds = thresholds_of(check.prepare()[0])
        found = check.judge(episode)
    except (RetargetError, KeyError) as error:
        found = [], {"collisions": {"checked": 0, "reason": str(error) or repr(error)}}
    return check_episode(episode, thresholds).extended(*found)
