"""Replay: a recorded operator, streamed again through the real protocol.

Poses and triggers go out exactly as they were received, at the device's original spacing. Deadmen
are held exactly while the arm followed in the original, whatever interrupted it then: a hold, a
headset taken off, an e-stop, a lost link. Face buttons do not go out: a take is started, ended and
labelled by the replay itself, so that an e-stop or a discard of the original does not end the copy.

The clutch is relative, so the copy equals the original only if each clutch closes on what it
closed on then. Where an arm starts to follow, the replay therefore waits until the robot is at
rest, lets the clutch close with the hand held just so that the recorded hand will mean the recorded
target, and glides there before it goes on (`hand_for`). Without recorded targets, or on another
robot, clutches close where the robot happens to be.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from recorder import Episode
from retarget.frames import distance, matrix_to_pose, pose_to_matrix
from teleop.following import hand_sample
from teleop.hmd.api import Api, ApiError
from teleop.hmd.client import Client, ClientError
from teleop.hmd.recorded import followed, hand_for, operator_frames, spacing_ns
from teleop.hmd.shown import Shown, between, hold, pull_of, stand_in
from teleop.intents import Intent, IntentArgs, Outcome
from teleop.motion import SIDES
from teleop.samples import Source

logger = logging.getLogger(__name__)

STILL_M, STILL_S = 2e-4, 0.25
"""A robot that is commanded less than this in this time is at rest."""
GLIDE_M_S, GLIDE_RAD_S, MIN_GLIDE_S = 0.12, 0.6, 0.3
SETTLE_S = 0.15
"""Held still after an engage: the clutch closes a moment after the session says so."""
WAKE = 0.1
"""Travel of the trigger that takes a gripper over."""
STEERED = 0.1
"""A gripper within this of its trigger was steered by it: a pinch leaves play."""
_IDLE_PERIOD_S = 1 / 72
Matrix = npt.NDArray[np.float64]
Progress = Callable[[float, str], None]


@dataclass(slots=True)
class ReplayResult:
    """What a replay did.

    Attributes:
        episode_id: Of the new take; empty if none was recorded.
        source_id: Of the episode replayed.
        frames: Messages of the original.
        sent: Messages put on the socket.
        duration_s: Of the replayed motion.
        late_ms: Worst lateness of a message against the original spacing.
        engages: Times an arm began to follow, as in the original or again.
        interruptions: Times an arm let go that did not in the original.
        given_up: Times an arm could not be engaged and was left behind.
    """

    episode_id: str
    source_id: str
    frames: int
    sent: int = 0
    duration_s: float = 0.0
    late_ms: float = 0.0
    engages: int = 0
    interruptions: int = 0
    given_up: int = 0


class ReplayOperator:
    """Streams a recorded operator to a running system.

    Args:
        episode: What to replay.
        url: Address of the server, `http(s)://HOST:PORT`.
        token: Bearer token of the run.
        record: Record the copy as a take, labelled with the original's outcome.
        tls: For https addresses with a private certificate authority.
    """

    def __init__(
        self,
        episode: Episode,
        url: str,
        token: str,
        *,
        record: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._frames = operator_frames(episode)
        self._followed = followed(episode, self._frames)
        self._attributes = episode.attributes
        self._source_id = episode.id
        self._outcome: Outcome = (
            "success" if episode.attributes.get("outcome") == "success" else "failure"
        )
        self._record = record
        self._api = Api(url, token, tls)
        self._client = Client(url, token, kind="replay", device=f"replay of {episode.id}", tls=tls)
        self._seq = 0
        self._adopted: tuple[float, ...] | None = None
        self._held = [False, False]
        self._left_behind = [False, False]
        self._result = ReplayResult("", episode.id, len(self._frames))

    @classmethod
    def open(cls, url: str, token: str, options: Mapping[str, str]) -> Self:
        """For `telecap operate replay --option episode=DIR [--option record=no]`.

        Raises:
            ClientError: An option is missing or unknown.
        """
        unknown = sorted(set(options) - {"episode", "record"})
        if "episode" not in options or unknown:
            raise ClientError(f"replay takes the options episode and record; got {sorted(options)}")
        record = options.get("record", "yes") not in ("no", "false", "0")
        return cls(Episode(Path(options["episode"])), url, token, record=record)

    async def perform(self, on_progress: Progress | None = None) -> dict[str, Any]:
        """Replay once; returns the fields of `ReplayResult`.

        Raises:
            TimeoutError: The system did not do in time what was asked.
            ClientError: The connection failed for good.
        """
        tell = on_progress or (lambda share, what: None)
        async with self._client:
            await self._client.claim()
            tell(0.0, "home")
            await self._prepare()
            tell(0.05, "engaging")
            await self._engage_where_due(0)
            if self._record:
                await self._client.event(Intent.RECORD_START)
                await self._rest(lambda: self._recording("recording"), "the take to start", 20.0)
            await self._play(lambda share: tell(0.1 + 0.85 * share, "replaying"))
            if self._record:
                await self._end_take()
            tell(1.0, "done")
            await self._client.release()
        self._result.sent = self._client.count.sent
        return asdict(self._result)

    async def _prepare(self) -> None:
        """Relative clutch, robot home and, where the original names its scene, objects as then."""
        await self._rest(lambda: self._client.status is not None, "the robot's state", 10.0)
        if self._client.status is not None and self._client.status.clutch != "relative":
            await self._api.post("/api/clutch", {"mode": "relative"})
        await self._client.event(Intent.HOME)
        await self._hold_still(0.3, 0)
        await self._rest(lambda: self._motion("idle"), "the robot to go home", 30.0)
        seed = self._attributes.get("scene_seed")
        if seed is not None:
            await self._client.event(Intent.SCENE_RESET, IntentArgs(seed=int(seed)))
            await self._hold_still(1.0, 0)

    async def _play(self, tell: Callable[[float], None]) -> None:
        due = spacing_ns(self._frames)
        start_ns = time.monotonic_ns()
        for i, after_ns in enumerate(due):
            paused_ns = time.monotonic_ns()
            if await self._engage_where_due(i):
                start_ns += time.monotonic_ns() - paused_ns
            wait_ns = start_ns + int(after_ns) - time.monotonic_ns()
            if wait_ns > 0:
                await asyncio.sleep(wait_ns * 1e-9)
            self._result.late_ms = max(self._result.late_ms, -wait_ns / 1e6)
            await self._send(i, start_ns + int(after_ns))
            if i % 32 == 0:
                tell(i / len(due))
        self._result.duration_s = float(due[-1]) / 1e9

    # --------------------------------------------------------------- engaging
    async def _engage_where_due(self, i: int) -> bool:
        """Engage the arms that follow from frame i on but do not yet; whether there were any."""
        engaged = self._engaged()
        for k in range(2):
            if not self._wanted(i)[k]:
                self._held[k] = self._left_behind[k] = False
            elif self._held[k] and not engaged[k]:
                self._held[k] = False
                self._result.interruptions += 1
                logger.info("the %s arm let go at frame %d; engaging again", SIDES[k], i)
        due = [
            k
            for k in range(2)
            if self._wanted(i)[k] and not (self._held[k] or self._left_behind[k])
        ]
        if due:
            await self._engage(i, due)
        return bool(due)

    async def _engage(self, i: int, arms: list[int]) -> None:
        """Close the clutches of some arms so that frame i means its recorded targets."""
        await self._wait_for_rest(i)
        calibrated = await self._adopt_calibration(i)
        start = {k: self._closing(i, k) for k in arms} if calibrated else {}
        shown = {k: hand for k, hand in start.items() if hand is not None}
        await self._hold_still(0.1, i, shown=shown)
        for k in arms:
            self._held[k] = True
        follows = lambda: all(self._engaged()[k] for k in arms)  # noqa: E731
        try:
            await self._rest(follows, "the arms to follow", 5.0, at=i, shown=shown)
        except TimeoutError:
            logger.warning("the arms do not follow at frame %d; going on without", i)
            self._result.given_up += 1
            for k in arms:
                self._held[k], self._left_behind[k] = False, True
            return
        self._result.engages += len(arms)
        await self._hold_still(SETTLE_S, i, shown=shown)
        await self._glide(i, shown)

    async def _wait_for_rest(self, i: int) -> None:
        """Let the robot come to rest: a clutch that closes on a moving arm closes late."""
        await self._hold_still(0.1, i)
        seen = self._tip_positions()
        since = time.monotonic()

        def at_rest() -> bool:
            nonlocal seen, since
            now = self._tip_positions()
            if now.shape != seen.shape or float(np.abs(now - seen).max(initial=0.0)) > STILL_M:
                seen, since = now, time.monotonic()
            return time.monotonic() - since > STILL_S

        await self._rest(at_rest, "the robot to come to rest", 10.0, at=i)

    async def _adopt_calibration(self, i: int) -> bool:
        """Make the server map the hands as it did then; whether it does."""
        profile = self._attributes.get("calibration")
        T_robot_stage, scale = self._followed.T_robot_stage[i], self._followed.reach_scale[i]
        status = self._client.status
        if profile is None or not np.isfinite(scale) or status is None or not status.tips:
            return False
        key = (*T_robot_stage.tolist(), float(scale))
        if key == self._adopted and status.calibrated:
            return True
        matrix = pose_to_matrix(T_robot_stage).tolist()
        try:
            await self._api.post(
                "/api/calibration",
                {**profile, "T_robot_stage": matrix, "reach_scale": float(scale)},
            )
        except ApiError as error:
            logger.warning("the server does not take the calibration: %s", error)
            return False
        self._adopted = key
        return True

    def _closing(self, i: int, k: int) -> Shown | None:
        """Where the clutch of an arm has to close; None where that is not known."""
        j = self._followed.meaning(i, k, self._frames["t_receive_ns"])
        hand = hand_sample(self._frames[j], SIDES[k])
        target, status = self._followed.target[j, k], self._client.status
        welcome = self._client.welcome
        tip = None if status is None else status.tips.get(f"{SIDES[k]}_wrist")
        same = welcome is not None and welcome.rig.name == self._attributes.get("rig")
        if hand is None or not hand.valid or tip is None or not same or np.isnan(target).any():
            return None
        T_stage_hand = hand_for(
            pose_to_matrix(hand.pose),
            pose_to_matrix(self._followed.T_robot_stage[i]),
            float(self._followed.reach_scale[i]),
            pose_to_matrix(target),
            pose_to_matrix(tip),
        )
        trigger = self._hand_at(i, k).trigger
        return Shown(T_stage_hand, self._trigger_before(trigger, i, k))

    def _trigger_before(self, trigger: float, i: int, k: int) -> float:
        """A trigger that takes the gripper over on its way to the recorded one, if that did."""
        steered = abs(self._followed.opening[i, k] - (1.0 - trigger)) < STEERED
        if not steered:
            return trigger
        return trigger + WAKE if trigger < 0.5 else trigger - WAKE

    async def _glide(self, i: int, shown: Mapping[int, Shown]) -> None:
        """Bring hands that are held elsewhere to where frame i has them."""
        end = {k: self._hand_at(i, k) for k in shown}
        duration_s = MIN_GLIDE_S if shown else 0.0
        for k, hand in shown.items():
            metres, radians = distance(hand.T_stage_hand, end[k].T_stage_hand)
            duration_s = max(duration_s, metres / GLIDE_M_S, radians / GLIDE_RAD_S)
        start = time.monotonic()
        while (share := (time.monotonic() - start) / max(duration_s, 1e-9)) < 1.0:
            u = share * share * (3.0 - 2.0 * share)
            now = {k: between(hand, end[k], u) for k, hand in shown.items()}
            await self._send(i, time.monotonic_ns(), shown=now)
            await asyncio.sleep(_IDLE_PERIOD_S)

    def _hand_at(self, i: int, k: int) -> Shown:
        hand = hand_sample(self._frames[i], SIDES[k])
        if hand is None:
            raise ClientError(f"frame {i} has no {SIDES[k]} hand")
        return Shown(pose_to_matrix(hand.pose), pull_of(hand))

    async def _end_take(self) -> None:
        last = len(self._frames) - 1
        await self._client.event(Intent.RECORD_STOP)
        await self._rest(lambda: self._recording("review"), "the take to end", 10.0, at=last)
        notes = f"replay of {self._source_id}; outcome copied from it"
        await self._client.event(Intent.SAVE, IntentArgs(outcome=self._outcome, notes=notes))
        await self._rest(lambda: bool(self._last_take()), "the take to be saved", 10.0, at=last)
        self._result.episode_id = self._last_take()

    # ------------------------------------------------------------------ frames
    def _wanted(self, i: int) -> tuple[bool, bool]:
        left, right = self._followed.arm[i].tolist()
        return left, right

    async def _send(
        self, i: int, t_device_ns: int, *, shown: Mapping[int, Shown] | None = None
    ) -> None:
        frame = self._frames[i].copy()
        self._seq += 1
        frame["seq"], frame["t_device_ns"], frame["source"] = self._seq, t_device_ns, Source.REPLAY
        for k, side in enumerate(SIDES):
            block = frame[f"{side}_controller"]
            stand_in(frame, side)
            if shown and k in shown:
                block["grip"] = matrix_to_pose(shown[k].T_stage_hand)
                block["trigger"] = shown[k].trigger
            hold(block, self._held[k])
        await self._client.send_frame(frame)

    async def _hold_still(
        self, duration_s: float, at: int, *, shown: Mapping[int, Shown] | None = None
    ) -> None:
        end = time.monotonic() + duration_s
        done = lambda: time.monotonic() >= end  # noqa: E731
        await self._rest(done, "a moment", duration_s + 5.0, at=at, shown=shown)

    async def _rest(
        self,
        done: Callable[[], bool],
        what: str,
        timeout_s: float,
        *,
        at: int = 0,
        shown: Mapping[int, Shown] | None = None,
    ) -> None:
        """Hold one recorded frame, deadmen as they are held now, until something is done."""
        end = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {timeout_s:g} s for {what}")
            await self._send(at, time.monotonic_ns(), shown=shown)
            await asyncio.sleep(_IDLE_PERIOD_S)

    # ------------------------------------------------------------------ status
    def _engaged(self) -> tuple[bool, bool]:
        status = self._client.status
        return status.engaged if status is not None else (False, False)

    def _tip_positions(self) -> Matrix:
        tips = {} if self._client.status is None else self._client.status.tips
        return np.array([pose[:3] for _, pose in sorted(tips.items())])

    def _motion(self, motion: str) -> bool:
        return self._client.status is not None and self._client.status.motion == motion

    def _recording(self, recording: str) -> bool:
        return self._client.status is not None and self._client.status.recording == recording

    def _last_take(self) -> str:
        status = self._client.status
        if status is None or status.recording != "idle" or status.last_take is None:
            return ""
        return status.last_take.id
