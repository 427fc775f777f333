"""Random operators on every rig, for millions of ticks: no limit is ever broken.

usage: python -m bench.soak [--steps 1000000] [--rigs openarm g1-dex3] [--seed 0]

The run is cut into episodes of 500 ticks, each with a seed of its own. A failure prints the
command that repeats its episode alone. Exit code 1 when anything was violated.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.hand_motion import hand
from retarget import Retargeter, Rig, Solution, Targets, builtin_rigs, load_rig
from retarget.errors import RetargetError
from retarget.frames import exp3

Array = NDArray[np.float64]

EPISODE = 500
"""Ticks in one episode."""
RATES_HZ = (200.0, 72.0)
SLACK = 1e-9
"""Round-off allowed on a step [rad]."""
OUTSIDE_RAD = 0.2
"""A reset may lie so far outside the limits."""


@dataclass(slots=True)
class Tally:
    """What a run found.

    Attributes:
        steps: Ticks and revisions made.
        seconds: CPU time of making and checking them.
        failures: A line each, with the command that repeats it.
    """

    steps: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)


class Wanderer:
    """An operator nobody would want: reaches anywhere, jumps, vanishes, sends rubbish.

    Most of the time it goes on smoothly, so that arms gather speed before something happens.
    """

    def __init__(self, rig: Rig, rng: np.random.Generator) -> None:
        self._rig, self._rng = rig, rng
        self._centre = rig.forward(rig.q_home)
        self._poses = {tip: T.copy() for tip, T in self._centre.items()}
        self._twist = {tip: rng.normal(0, 1, 6) for tip in rig.tips}
        self._mood = "smooth"

    def targets(self) -> Targets:
        """What it asks for in the next tick."""
        rng = self._rng
        if rng.random() < 0.03:
            moods = ("smooth", "fast", "teleport", "reachable", "lost", "rubbish", "flicker")
            self._mood = str(rng.choice(moods))
        poses = {f"T_robot_{tip}": self._pose(tip) for tip in self._rig.tips}
        weights = {tip: float(10.0 ** rng.uniform(-3, 3)) for tip in self._rig.tips}
        valid = {tip: bool(rng.random() < 0.5) for tip in self._rig.tips}
        return Targets(
            **{name: T for name, T in poses.items() if T is not None},
            grippers={s: float(rng.choice([-3, 0, 0.5, 1, np.nan])) for s in ("left", "right")},
            hands=self._hands(),
            grasps=self._grasps(),
            weights=weights if rng.random() < 0.1 else {},
            validity=valid if self._mood == "flicker" else {},
        )

    def _hands(self) -> dict[str, Array]:
        """Hands in any posture, now and then none or one that cannot be."""
        rng, found = self._rng, {}
        for side in self._rig.finger_slices:
            if rng.random() < 0.4:
                continue
            curls, spread = rng.uniform(-0.3, 1.6, 5), rng.uniform(-0.3, 0.5)
            joints = rng.uniform(0.6, 1.4) * hand(curls, spread, rng.uniform(-0.2, 1.2))
            if self._mood == "rubbish":
                joints[rng.integers(26), rng.integers(3)] = rng.choice([np.nan, np.inf, 9.0])
            found[side] = joints if side == "right" else joints * [1, -1, 1]
        return found

    def _grasps(self) -> dict[str, float]:
        rng, sides = self._rng, self._rig.finger_slices
        return {s: float(rng.choice([-3, 0, 0.7, 1, np.nan])) for s in sides if rng.random() < 0.5}

    def _pose(self, tip: str) -> Array | None:
        rng, mood = self._rng, self._mood
        if mood == "lost":
            return None
        if mood == "rubbish":
            return _rubbish(rng)
        if mood == "teleport" and rng.random() < 0.1:
            self._poses[tip] = _random_pose(rng, self._centre[tip][:3, 3], 3.0)
        if mood == "reachable" and rng.random() < 0.1:
            q = rng.uniform(self._rig.lower, self._rig.upper)
            self._poses[tip] = self._rig.forward(q)[tip]
        if mood in ("smooth", "fast"):
            self._drift(tip, 5e-3 if mood == "smooth" else 5e-2)
        return self._poses[tip]

    def _drift(self, tip: str, speed: float) -> None:
        """A twist that changes slowly, drawn back towards home."""
        T, twist = self._poses[tip].copy(), self._twist[tip]
        twist += self._rng.normal(0, 0.1, 6) - 0.02 * twist
        twist[:3] -= 0.05 * (T[:3, 3] - self._centre[tip][:3, 3])
        T[:3, 3] += speed * twist[:3]
        T[:3, :3] = exp3(speed * twist[3:]) @ T[:3, :3]
        self._poses[tip] = T


def _rubbish(rng: np.random.Generator) -> Array:
    """Not a pose: not finite, all zero (of a zero quaternion), sheared, mirrored, or far away."""
    T = np.eye(4)
    kind = rng.integers(5)
    if kind == 0:
        T[rng.integers(3), rng.integers(4)] = rng.choice([np.nan, np.inf, -np.inf])
    elif kind == 1:
        T[:3, :3] = 0.0
    elif kind == 2:
        T[:3, :3] = rng.normal(0, 1, (3, 3))
    elif kind == 3:
        T[0, 0] = -1.0
    else:
        T[:3, 3] = rng.normal(0, 1, 3) * 10.0 ** rng.uniform(1, 300)
    return T


def _random_pose(rng: np.random.Generator, centre: Array, spread: float) -> Array:
    T = np.eye(4)
    T[:3, :3] = exp3(rng.normal(0, 2, 3))
    T[:3, 3] = centre + rng.uniform(-spread, spread, 3)
    return T


def violations(
    rig: Rig, dt: float, before: tuple[Array, Array], solution: Solution, grippers: Array
) -> Iterator[str]:
    """What one tick from (q, last step) broke; nothing for a good one."""
    q, last = before
    step = solution.q - q
    if not (np.isfinite(solution.q).all() and np.isfinite(solution.dq).all()):
        yield "not finite"
        return
    if (over := np.abs(step) - rig.velocity_limit * dt).max() > SLACK:
        yield f"velocity {rig.joint_names[over.argmax()]} by {over.max():.3g} rad a tick"
    if (over := np.abs(step - last) - rig.acceleration_limit * dt**2).max() > SLACK:
        yield f"acceleration {rig.joint_names[over.argmax()]} by {over.max():.3g} rad a tick²"
    # outside the limits it may stay, and come back, but go no farther
    beyond = solution.q - np.maximum(rig.upper, q)
    short = np.minimum(rig.lower, q) - solution.q
    if (over := np.maximum(beyond, short)).max() > SLACK:
        yield f"position {rig.joint_names[over.argmax()]} by {over.max():.3g} rad"
    if np.abs(solution.dq * dt - step).max() > SLACK:
        yield "dq is not the step taken"
    for i, side in enumerate(rig.gripper_names):
        if abs(solution.grippers[i] - grippers[i]) > rig.grippers[side].velocity * dt + SLACK:
            yield f"gripper speed {side}"
        if not -SLACK <= solution.grippers[i] <= 1 + SLACK:
            yield f"gripper opening {side}"


def finger_violations(
    rig: Rig, dt: float, before: dict[str, tuple[Array, Array]], solution: Solution
) -> Iterator[str]:
    """What one tick from (q, last step) of each hand broke."""
    for side, answer in solution.hands.items():
        limits, (q, last) = rig.hands[side], before[side]
        step = answer.q - q
        if not np.isfinite(answer.q).all():
            yield f"{side} hand not finite"
        elif (answer.q < limits.lower - SLACK).any() or (answer.q > limits.upper + SLACK).any():
            yield f"{side} hand beyond its limits"
        elif (np.abs(step) > limits.velocity_limit * dt + SLACK).any():
            yield f"{side} hand too fast"
        elif (np.abs(step - last) > limits.acceleration_limit * dt**2 + SLACK).any():
            yield f"{side} hand accelerates too fast"


def _at_rest(retargeter: Retargeter) -> dict[str, tuple[Array, Array]]:
    return {side: (q, np.zeros(len(q))) for side, q in retargeter.fingers.items()}


def run_episode(rig: Rig, retargeter: Retargeter, seed: int, ticks: int = EPISODE) -> list[str]:
    """What was broken in one episode, a line each."""
    rng = np.random.default_rng(seed)
    operator, dt, found = Wanderer(rig, rng), retargeter.dt, []
    q, step, grippers = _reset(rig, retargeter, rng)
    fingers, k = _at_rest(retargeter), 0
    while k < ticks:
        if rng.random() < 0.004:
            q, step, grippers = _reset(rig, retargeter, rng)
            fingers = _at_rest(retargeter)
        solution = _tick(rig, retargeter, operator, rng)
        revisions = int(rng.integers(1, 4)) if rng.random() < 0.2 else 0
        for number in range(1 + revisions):
            if number:
                solution = retargeter.revise(operator.targets())
            wrong = [*violations(rig, dt, (q, step), solution, grippers)]
            wrong += finger_violations(rig, dt, fingers, solution)
            found += [f"tick {k} revision {number}: {what}" for what in wrong]
        k += 1
        step, q, grippers = solution.q - q, solution.q, solution.grippers
        fingers = {s: (a.q, a.q - fingers[s][0]) for s, a in solution.hands.items()}
    return found


def _tick(
    rig: Rig, retargeter: Retargeter, operator: Wanderer, rng: np.random.Generator
) -> Solution:
    if rng.random() < 0.02:
        goal = rng.uniform(rig.lower, rig.upper)
        openings = rng.uniform(0, 1, len(rig.gripper_names))
        return retargeter.step_joints(goal, openings, speed=float(rng.uniform(0, 1)))
    return retargeter.step(operator.targets())


def _reset(
    rig: Rig, retargeter: Retargeter, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """At rest anywhere, now and then with joints outside their limits."""
    q = rng.uniform(rig.lower, rig.upper)
    if rng.random() < 0.5:
        q = rig.q_home + 0.3 * (q - rig.q_home)
    if rng.random() < 0.5:
        which = rng.random(len(q)) < 0.3
        side = np.where(rng.random(len(q)) < 0.5, rig.lower, rig.upper)
        q = np.where(which, side + rng.uniform(-OUTSIDE_RAD, OUTSIDE_RAD, len(q)), q)
    grippers = rng.uniform(0, 1, len(rig.gripper_names))
    retargeter.reset(q, grippers)
    return q, np.zeros(len(q)), grippers


def installed_rigs() -> list[Rig]:
    """Built-in rigs with arms whose models are installed."""
    found = []
    for name in builtin_rigs():
        try:
            found.append(load_rig(name))
        except RetargetError as error:
            print(f"left out {name}: {error}", file=sys.stderr)
    return [rig for rig in found if rig.joint_names]


def soak(
    rigs: Sequence[Rig],
    steps: int,
    seed: int,
    rates_hz: Sequence[float] = RATES_HZ,
    say: bool = False,
) -> Tally:
    """At least `steps` ticks over all rigs and rates in turn."""
    tally = Tally()
    cases = [(rig, rate_hz, Retargeter(rig, rate_hz)) for rig in rigs for rate_hz in rates_hz]
    for number in range(-(-steps // EPISODE)):
        rig, rate_hz, retargeter = cases[number % len(cases)]
        began, own = time.process_time(), seed + number
        ticks = min(EPISODE, steps - tally.steps)
        for what in run_episode(rig, retargeter, own, ticks):
            again = f"python -m bench.soak --rigs {rig.name} --rates {rate_hz:g} --seed {own}"
            tally.failures.append(f"{rig.name} {rate_hz:g} Hz: {what}; {again} --steps {ticks}")
        tally.steps += ticks
        tally.seconds += time.process_time() - began
        if say and number % 50 == 49:
            rate = tally.steps / tally.seconds
            print(
                f"{tally.steps} ticks, {rate:.0f}/s, {len(tally.failures)} violations", flush=True
            )
    return tally


def main(arguments: list[str] | None = None) -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--rigs", nargs="+", help="all that are installed by default")
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES_HZ))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    rigs = [load_rig(name) for name in args.rigs] if args.rigs else installed_rigs()
    print(f"{args.steps} ticks on {', '.join(rig.name for rig in rigs)}, seed {args.seed}")
    tally = soak(rigs, args.steps, args.seed, args.rates, say=True)
    print(f"{tally.steps} ticks in {tally.seconds:.0f} s CPU: {len(tally.failures)} violations")
    for line in tally.failures[:20]:
        print(line)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
