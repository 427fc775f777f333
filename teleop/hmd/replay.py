"""Replay: a recorded operator, streamed again through the real protocol.

Poses, triggers, squeezes and thumbsticks go out exactly as they were received, at the device's
original spacing. Face buttons do not: a take is started, ended and labelled by the replay itself,
so that an e-stop or a discard of the original does not end the copy.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recorder import Episode
from teleop.hmd.client import Client, ClientError
from teleop.intents import Intent, IntentArgs, Outcome
from teleop.protocol import (
    HEAD_BIT,
    LEFT_CONTROLLER_BIT,
    LEFT_HAND_BIT,
    RIGHT_CONTROLLER_BIT,
    RIGHT_HAND_BIT,
    empty_frame,
)
from teleop.samples import OPERATOR_FRAME, SIDES, Button, Source

logger = logging.getLogger(__name__)

PARTS = {
    "head": HEAD_BIT,
    "left_controller": LEFT_CONTROLLER_BIT,
    "right_controller": RIGHT_CONTROLLER_BIT,
    "left_hand": LEFT_HAND_BIT,
    "right_hand": RIGHT_HAND_BIT,
}
FACE_BUTTONS = int(Button.PRIMARY | Button.SECONDARY | Button.MENU)
SQUEEZED = 0.5
MAX_GAP_NS = 2_000_000_000
"""Longer silences of the original (a lost connection) are shortened to this."""
_LOST_NS = 250_000_000
"""An arm that does not follow for this long has let go; statuses are up to 100 ms old."""
_IDLE_PERIOD_S = 1 / 72
Progress = Callable[[float, str], None]


class NothingToReplayError(ClientError):
    """The episode holds no operator data."""


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
        interruptions: Times an arm let go that did not in the original.
    """

    episode_id: str
    source_id: str
    frames: int
    sent: int = 0
    duration_s: float = 0.0
    late_ms: float = 0.0
    interruptions: int = 0


def operator_frames(episode: Episode) -> npt.NDArray[np.void]:
    """OPERATOR_FRAME rows of an episode, in the order received, as they came from the device.

    Raises:
        NothingToReplayError: The episode has no head or controller data.
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
    return frames


_KEY = np.dtype([("t_receive_ns", np.int64), ("seq", np.uint64)])


def _keys(rows: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """What tells messages apart: sequence numbers alone start again after a reconnect."""
    keys = np.zeros(len(rows), _KEY)
    keys["t_receive_ns"], keys["seq"] = rows["t_receive_ns"], rows["seq"]
    return keys


def _fill(
    frames: npt.NDArray[np.void], at: npt.NDArray[np.intp], name: str, rows: npt.NDArray[np.void]
) -> None:
    for field in ("seq", "t_device_ns", "t_receive_ns", "t_ns"):
        frames[field][at] = rows[field]
    frames["presence"][at] |= PARTS[name]
    if name == "head":
        frames["head_flags"][at], frames["head"][at] = rows["flags"], rows["pose"]
        return
    for field in frames.dtype[name].names or ():
        if field in (rows.dtype.names or ()):
            frames[name][field][at] = rows[field]


def spacing_ns(frames: npt.NDArray[np.void]) -> npt.NDArray[np.int64]:
    """When each frame is due after the first [ns]: device time, without long silences."""
    steps = np.clip(np.diff(frames["t_device_ns"]), 0, MAX_GAP_NS)
    return np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)


def arms_that_followed(episode: Episode, frames: npt.NDArray[np.void]) -> list[tuple[bool, bool]]:
    """Left, right per frame: the arm followed then; without a session, its deadman was held."""
    if "session" in episode.streams and len(episode.stream("session")):
        session = episode.stream("session")
        at = np.searchsorted(session.t_ns, frames["t_receive_ns"], side="right") - 1
        engaged = session["engaged"][np.maximum(at, 0)]
    else:
        held = [frames[f"{side}_controller"]["squeeze"] > SQUEEZED for side in SIDES]
        engaged = np.stack(held, axis=1)
    return [(bool(left), bool(right)) for left, right in engaged]


class ReplayOperator:
    """Streams a recorded operator to a running system.

    The arms are first engaged with the hands held at the first recorded pose, because every engage
    needs a fresh press. The clutch is relative, so the copy equals the original where the robot
    starts where it started then: a take engaged away from home is replayed from home all the same.

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
        self._wanted = arms_that_followed(episode, self._frames)
        self._source_id = episode.id
        self._seed = episode.attributes.get("scene_seed")
        self._outcome: Outcome = (
            "success" if episode.attributes.get("outcome") == "success" else "failure"
        )
        self._record = record
        self._client = Client(url, token, kind="replay", device=f"replay of {episode.id}", tls=tls)
        self._seq = 0
        self._result = ReplayResult("", episode.id, len(self._frames))

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
            await self._engage()
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
        """Robot home and, where the original names its scene, objects as they were."""
        await self._rest(self._idle_known, "the robot's state", 10.0)
        await self._client.event(Intent.HOME)
        await self._hold_still(0.3)
        await self._rest(lambda: self._motion("idle"), "the robot to go home", 30.0)
        if self._seed is not None:
            await self._client.event(Intent.SCENE_RESET, IntentArgs(seed=int(self._seed)))
            await self._hold_still(1.0)

    async def _engage(self) -> None:
        """Press what is pressed in the first frame, hands still, until those arms follow."""
        await self._hold_still(0.3, released=True)
        if any(self._wanted[0]):
            await self._rest(lambda: self._follows(0), "the arms to follow", 5.0, released=False)

    async def _play(self, tell: Callable[[float], None]) -> None:
        due = spacing_ns(self._frames)
        start_ns = time.monotonic_ns()
        lost_since_ns: int | None = None
        for i, after_ns in enumerate(due):
            wait_ns = start_ns + int(after_ns) - time.monotonic_ns()
            if wait_ns > 0:
                await asyncio.sleep(wait_ns * 1e-9)
            self._result.late_ms = max(self._result.late_ms, -wait_ns / 1e6)
            await self._send(i, start_ns + int(after_ns))
            now_ns = time.monotonic_ns()
            if self._follows(i):
                lost_since_ns = None
            elif lost_since_ns is None:
                lost_since_ns = now_ns
            elif now_ns - lost_since_ns > _LOST_NS:
                await self._engage_again(i)
                start_ns += time.monotonic_ns() - now_ns
                lost_since_ns = None
            if i % 32 == 0:
                tell(i / len(due))
        self._result.duration_s = float(due[-1]) / 1e9

    def _follows(self, i: int) -> bool:
        """Whether every arm follows that followed in the original."""
        return all(e or not w for e, w in zip(self._engaged(), self._wanted[i], strict=True))

    async def _engage_again(self, i: int) -> None:
        """An arm let go that did not in the original: hold still, release, press, go on.

        Hand and tip rest meanwhile, so the relative clutch goes on where it was.
        """
        logger.info("an arm let go at frame %d; engaging again", i)
        self._result.interruptions += 1
        await self._hold_still(0.3, at=i, released=True)
        try:
            await self._rest(
                lambda: self._follows(i), "the arms to follow", 3.0, released=False, at=i
            )
        except TimeoutError:
            logger.warning("the arms do not follow; going on without")

    async def _end_take(self) -> None:
        last = len(self._frames) - 1
        await self._client.event(Intent.RECORD_STOP)
        await self._rest(lambda: self._recording("review"), "the take to end", 10.0, at=last)
        notes = f"replay of {self._source_id}; outcome copied from it"
        await self._client.event(Intent.SAVE, IntentArgs(outcome=self._outcome, notes=notes))
        await self._rest(lambda: bool(self._last_take()), "the take to be saved", 10.0, at=last)
        self._result.episode_id = self._last_take()

    # ------------------------------------------------------------------ frames
    async def _send(self, i: int, t_device_ns: int, *, released: bool = False) -> None:
        frame = self._frames[i].copy()
        self._seq += 1
        frame["seq"], frame["t_device_ns"], frame["source"] = self._seq, t_device_ns, Source.REPLAY
        for side in SIDES:
            block = frame[f"{side}_controller"]
            block["buttons"] = int(block["buttons"]) & ~FACE_BUTTONS
            if released:
                block["squeeze"] = 0.0
                block["buttons"] = int(block["buttons"]) & ~int(Button.SQUEEZE)
        await self._client.send_frame(frame)

    async def _hold_still(
        self, duration_s: float, *, at: int = 0, released: bool | None = None
    ) -> None:
        end = time.monotonic() + duration_s
        done = lambda: time.monotonic() >= end  # noqa: E731
        await self._rest(done, "a moment", duration_s + 5.0, at=at, released=released)

    async def _rest(
        self,
        done: Callable[[], bool],
        what: str,
        timeout_s: float,
        *,
        released: bool | None = None,
        at: int = 0,
    ) -> None:
        """Hold one recorded pose until something is done.

        Without `released`, the deadmen are held exactly when an arm follows already.
        """
        end = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {timeout_s:g} s for {what}")
            let_go = not any(self._engaged()) if released is None else released
            await self._send(at, time.monotonic_ns(), released=let_go)
            await asyncio.sleep(_IDLE_PERIOD_S)

    # ------------------------------------------------------------------ status
    def _engaged(self) -> tuple[bool, bool]:
        status = self._client.status
        return status.engaged if status is not None else (False, False)

    def _motion(self, motion: str) -> bool:
        return self._client.status is not None and self._client.status.motion == motion

    def _recording(self, recording: str) -> bool:
        return self._client.status is not None and self._client.status.recording == recording

    def _idle_known(self) -> bool:
        return self._client.status is not None

    def _last_take(self) -> str:
        status = self._client.status
        if status is None or status.recording != "idle" or status.last_take is None:
            return ""
        return status.last_take.id
