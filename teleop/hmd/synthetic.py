"""The synthetic operator: a scripted person who works through the real protocol.

It connects as a headset would, claims the robot, holds the deadmen, starts and stops takes with
the controller's buttons and judges them, so that a system can be tried and tested with nobody in
VR. Everything it sends is marked as synthetic; it is not a recording of a person.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from retarget.frames import pose_to_matrix
from teleop.hmd.api import Api
from teleop.hmd.body import NO_BUTTON, BodyNoise, SyntheticBody
from teleop.hmd.client import Client, ClientError
from teleop.hmd.task import Matrix, PickHandOverPlace, Scene, TaskPlan, cube_in_tray
from teleop.intents import Intent, IntentArgs
from teleop.protocol import LastTake, Status
from teleop.samples import SIDES, Button

logger = logging.getLogger(__name__)

DEVICE = "synthetic operator"
PRESS_S = 0.15
HOLD_S = 1.25
"""Longer than the 1 s that makes a press a hold."""
ENGAGE_TRIES = 8
MAX_INTERRUPTIONS = 30
"""A busy computer lets go of the arms now and then; a person would press again, too."""
TASK_TIMEOUT_S = 150.0
VERDICT_PATIENCE_S = 4.0
WAKE_GRIPPER = 0.08
"""After an engage a trigger counts only once it has moved; this is the nudge."""
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class TakeResult:
    """One take, as the operator saw it.

    Attributes:
        episode_id: Of the saved episode; empty if none was saved.
        seed: Of the scene.
        success: The operator judged it a success, and it was saved so.
        cube_in_tray: The cube lay in the tray at the end.
        placing_m: Distance of the cube from the tray's centre at the end [m].
        duration_s: From the first to the last row, by the operator's clock [s].
        interruptions: Times the arms let go in the middle and had to be engaged again.
        verdict: Quality verdict the recorder gave, empty if it has not come yet.
    """

    episode_id: str
    seed: int
    success: bool
    cube_in_tray: bool
    placing_m: float
    duration_s: float
    interruptions: int
    verdict: str


class SyntheticOperator:
    """A scripted operator of one running system with the `openarm` rig.

    Args:
        url: Address of the server, `http(s)://HOST:PORT`.
        token: Bearer token of the run.
        seed: Of scene and person; the same seed gives the same wanted motion.
        episodes: Takes to record.
        rate_hz: Frames per second, as of a headset (72 to 120).
        plan: Geometry and manner of the task.
        noise: How unsteady hands and trackers are.
        tls: For https addresses with a private certificate authority.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        seed: int = 0,
        episodes: int = 1,
        rate_hz: int = 90,
        plan: TaskPlan | None = None,
        noise: BodyNoise | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if not 30 <= rate_hz <= 240:
            raise ClientError(f"a headset's rate is 30 to 240 Hz, got {rate_hz}")
        self._seed = seed
        self._episodes = episodes
        self._rate_hz = rate_hz
        self._plan = plan or TaskPlan()
        self._api = Api(url, token, tls)
        self._client = Client(url, token, kind="synthetic", device=DEVICE, tls=tls)
        self._body = SyntheticBody(seed=seed, noise=noise, rate_hz=rate_hz)
        self._tips: dict[str, Matrix] = {side: np.eye(4) for side in SIDES}
        self._task: PickHandOverPlace | None = None
        self._task_s = 0.0
        self._paused = True
        self._tell: Progress = lambda share, what: None

    @classmethod
    def open(cls, url: str, token: str, options: Mapping[str, str]) -> Self:
        """For `telecap operate synthetic [--option seed=N] [--option episodes=N]`.

        Raises:
            ClientError: An option is unknown or not a number.
        """
        unknown = sorted(set(options) - {"seed", "episodes", "rate_hz"})
        if unknown:
            raise ClientError(f"synthetic has no options {unknown}; seed, episodes, rate_hz exist")
        try:
            numbers = {key: int(value) for key, value in options.items()}
        except ValueError as error:
            raise ClientError(f"the options of synthetic are whole numbers: {error}") from error
        return cls(
            url,
            token,
            seed=numbers.get("seed", 0),
            episodes=numbers.get("episodes", 1),
            rate_hz=numbers.get("rate_hz", 90),
        )

    async def perform(self, on_progress: Progress | None = None) -> list[TakeResult]:
        """Do the task as many times as asked for, one take each.

        Args:
            on_progress: Called with the share done, 0..1, and what is being done.

        Raises:
            TimeoutError: The system did not do in time what was asked; says what.
            ClientError: The connection or a request failed for good.
        """
        self._tell = on_progress or self._tell
        async with self._client:
            streaming = asyncio.create_task(self._stream(), name="synthetic-frames")
            working = asyncio.create_task(self._work(self._episodes), name="synthetic-operator")
            both: set[asyncio.Task[Any]] = {streaming, working}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for task in both:
                task.cancel()
            outcomes = await asyncio.gather(streaming, working, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
            return working.result()

    # ------------------------------------------------------------------ frames
    async def _stream(self) -> None:
        """Send a frame at every instant of a fixed grid; late instants are skipped."""
        start_ns = time.monotonic_ns()
        k = 0
        while True:
            due_ns = start_ns + k * 1_000_000_000 // self._rate_hz
            now_ns = time.monotonic_ns()
            if now_ns < due_ns:
                await asyncio.sleep((due_ns - now_ns) * 1e-9)
                now_ns = time.monotonic_ns()
            self._move(1.0 / self._rate_hz)
            frame = self._body.frame((due_ns - start_ns) * 1e-9, now_ns, self._tips)
            if frame is not None:
                await self._client.send_frame(frame)
            missed = (time.monotonic_ns() - start_ns) * self._rate_hz // 1_000_000_000
            k = max(k + 1, missed)

    def _move(self, dt_s: float) -> None:
        """Let the task go on by one frame, unless it waits for the arms."""
        task = self._task
        if task is None or self._paused:
            return
        self._task_s += dt_s
        task.advance(self._task_s)
        for side in SIDES:
            self._tips[side] = task.hands[side].pose(self._task_s)
            self._body.inputs[side].opening = task.hands[side].opening(self._task_s)

    # -------------------------------------------------------------------- work
    async def _work(self, episodes: int) -> list[TakeResult]:
        await self._client.claim()
        await self._until(lambda s: s.tracking.right == "ok", "tracking to arrive")
        results = []
        for k in range(episodes):
            results.append(await self._take(k, episodes))
            logger.info("take %d of %d: %s", k + 1, episodes, results[-1])
        self._tell(1.0, "done")
        await self._client.release()
        return results

    async def _take(self, k: int, episodes: int) -> TakeResult:
        """One take, from setting the scene to its label."""

        def tell(share: float, what: str) -> None:
            self._tell((k + share) / episodes, f"take {k + 1} of {episodes}: {what}")

        seed = self._seed + k
        tell(0.0, "home")
        await self._go_home()
        scene = await self._set_scene(seed)
        await self._engage()
        tell(0.1, "recording")
        await self._press("right", Button.PRIMARY)
        status = await self._until(lambda s: s.recording == "recording", "the take to start", 20.0)
        before = status.last_take.id if status.last_take is not None else ""
        started = time.monotonic()
        interruptions = await self._do_task(scene, seed, tell)
        await self._press("right", Button.PRIMARY)
        duration_s = time.monotonic() - started
        await self._until(lambda s: s.review, "the take to end")
        self._release()
        tell(0.93, "judging")
        final = await self._look()
        good = cube_in_tray(final, self._plan)
        await self._press("right", Button.PRIMARY if good else Button.SECONDARY)
        await self._until(lambda s: s.recording == "idle", "the take to be saved")
        saved = await self._saved_take(before)
        offset = final.objects["cube"][:2, 3] - final.objects["tray"][:2, 3]
        return TakeResult(
            episode_id=saved.id,
            seed=seed,
            success=good,
            cube_in_tray=good,
            placing_m=float(np.linalg.norm(offset)),
            duration_s=duration_s,
            interruptions=interruptions,
            verdict=saved.verdict,
        )

    async def _saved_take(self, before: str) -> LastTake:
        """The take just saved, with its verdict if that comes within a few seconds."""

        def known(s: Status) -> bool:
            return s.last_take is not None and s.last_take.id != before

        status = await self._until(known, "the saved take's id")
        try:
            status = await self._until(
                lambda s: s.last_take is not None and s.last_take.verdict != "",
                "the take's verdict",
                VERDICT_PATIENCE_S,
            )
        except TimeoutError:
            logger.info("no verdict within %g s", VERDICT_PATIENCE_S)
        return status.last_take or LastTake(id="", verdict="")

    async def _do_task(self, scene: Scene, seed: int, tell: Progress) -> int:
        """Perform; returns how often the arms let go in between."""
        task = PickHandOverPlace(scene, self._plan, seed=seed)
        self._task, self._task_s, self._paused = task, 0.0, False
        deadline = time.monotonic() + TASK_TIMEOUT_S
        interruptions = 0
        try:
            while not task.done and interruptions <= MAX_INTERRUPTIONS:
                if time.monotonic() > deadline:
                    logger.warning("the task took too long, in %r", task.phase)
                    break
                tell(0.1 + 0.8 * min(1.0, self._task_s / (14.5 * self._plan.pace)), task.phase)
                status = self._client.status
                if status is None or not all(status.engaged):
                    interruptions += 1
                    await self._resume_after_hold(task)
                elif task.wants_look:
                    task.look(await self._look(), self._task_s)
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
        finally:
            self._task, self._paused = None, True
        return interruptions

    async def _resume_after_hold(self, task: PickHandOverPlace) -> None:
        """The arms let go: release, engage again and finish the stroke from where they are."""
        logger.info("the arms let go in %r; engaging again", task.phase)
        self._paused = True
        scene = await self._engage()
        await self._nudge_triggers()
        task.rebase(scene.tips, self._task_s)
        self._paused = False

    # ----------------------------------------------------------------- actions
    async def _go_home(self) -> None:
        self._release()
        await asyncio.sleep(0.2)
        await self._press("left", Button.PRIMARY, HOLD_S)
        # Home may have been reached before the next status: idle is what counts.
        await self._until(lambda s: s.motion == "idle", "the robot to go home", 30.0)
        for side in SIDES:
            self._body.inputs[side].opening = 1.0

    async def _set_scene(self, seed: int) -> Scene:
        """Put the objects back and wait until they lie still."""
        await self._client.event(Intent.SCENE_RESET, IntentArgs(seed=seed))
        await asyncio.sleep(0.3)
        before = await self._look()
        for _ in range(50):
            await asyncio.sleep(0.2)
            scene = await self._look()
            if _still(before, scene):
                return scene
            before = scene
        raise TimeoutError("waited 10 s for cube and arms to lie still after a scene reset")

    async def _engage(self) -> Scene:
        """Press both deadmen until both arms follow; returns the scene just before.

        Raises:
            TimeoutError: The arms did not follow after several tries.
        """
        for attempt in range(ENGAGE_TRIES):
            self._release()
            await asyncio.sleep(0.3)
            scene = await self._look()
            for side in SIDES:
                self._body.inputs[side].squeeze = 1.0
            try:
                status = await self._until(lambda s: all(s.engaged), "both arms to follow", 2.5)
            except TimeoutError:
                if attempt == ENGAGE_TRIES - 1:
                    raise
                continue
            for side in SIDES:
                self._tips[side] = scene.tips[side]
                self._body.clutches[side].engage(scene.tips[side], status.reach_scale)
            return scene
        raise TimeoutError("the arms did not follow")

    async def _nudge_triggers(self) -> None:
        """Let both triggers be taken over again, without opening a hand that holds something."""
        before = {side: self._body.inputs[side].opening for side in SIDES}
        for side, opening in before.items():
            nudge = WAKE_GRIPPER if opening < 0.5 else -WAKE_GRIPPER
            self._body.inputs[side].opening = opening + nudge
        await asyncio.sleep(0.1)
        for side, opening in before.items():
            self._body.inputs[side].opening = opening

    def _release(self) -> None:
        for side in SIDES:
            self._body.inputs[side].squeeze = 0.0
            self._body.clutches[side].release()

    async def _press(self, side: str, button: Button, duration_s: float = PRESS_S) -> None:
        fingers = self._body.inputs[side]
        fingers.buttons = button
        await asyncio.sleep(duration_s)
        fingers.buttons = NO_BUTTON
        await asyncio.sleep(0.1)

    async def _look(self) -> Scene:
        answer = await self._api.get("/api/scene")
        return Scene(
            objects={name: pose_to_matrix(pose) for name, pose in answer["objects"].items()},
            tips={side: pose_to_matrix(answer["tips"][f"{side}_wrist"]) for side in SIDES},
            t_ns=int(answer["t_ns"]),
        )

    async def _until(
        self, wanted: Callable[[Status], bool], what: str, timeout_s: float = 10.0
    ) -> Status:
        return await self._client.wait_for_status(wanted, what, timeout_s)


def _still(before: Scene, after: Scene) -> bool:
    """Whether nothing moved by more than half a millimetre between two different looks."""
    if after.t_ns <= before.t_ns:
        return False
    moved = [after.objects[n][:3, 3] - T[:3, 3] for n, T in before.objects.items()]
    moved += [after.tips[s][:3, 3] - T[:3, 3] for s, T in before.tips.items()]
    return bool(np.abs(moved).max() < 0.0005)
