"""The HTTP API: what the console and scripts ask; every call needs the bearer token."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from calibration.operator import OperatorProfile
from recorder import Dataset, RecorderError
from recorder.catalog import EpisodeRow
from teleop.alignment import ClutchMode
from teleop.gateway.answers import json_response, problem, read_body
from teleop.gateway.auth import Handler, bearer_token, token_matches
from teleop.gateway.hub import Hub
from teleop.gateway.pairapi import PairingApi
from teleop.gateway.playback import Playback
from teleop.gateway.scene import SceneView
from teleop.intents import Intent, IntentArgs, Outcome


class LabelArgs(msgspec.Struct, frozen=True):
    """Body of `POST /api/episodes/{id}/label`."""

    outcome: Outcome | None = None
    notes: Annotated[str, msgspec.Meta(max_length=4096)] | None = None


class ClutchArgs(msgspec.Struct, frozen=True):
    """Body of `POST /api/clutch`."""

    mode: Literal["relative", "absolute"]


class Api:
    """Routes of the API.

    Args:
        hub: The hub.
        dataset: Directory of the dataset.
        scene: Poses in the simulated scene, None for a real robot.
        pairing: Codes for headsets; None serves none.
    """

    def __init__(
        self,
        hub: Hub,
        dataset: Path,
        scene: SceneView | None,
        pairing: PairingApi | None = None,
    ) -> None:
        self._hub = hub
        self._dataset = dataset
        self._scene = scene
        self._pairing = pairing
        self._playback = Playback(dataset)

    def routes(self) -> list[Route]:
        """What to mount."""
        return [
            Route("/api/status", self._guarded(self.status)),
            Route("/api/rig", self._guarded(self.rig)),
            Route("/api/scene", self._guarded(self.scene)),
            Route("/api/episodes", self._guarded(self.episodes)),
            Route("/api/episodes/{id}/label", self._guarded(self.label), methods=["POST"]),
            Route("/api/episodes/{id}/discard", self._guarded(self.discard), methods=["POST"]),
            Route("/api/calibration", self._guarded(self.calibration), methods=["POST"]),
            Route("/api/clutch", self._guarded(self.clutch), methods=["POST"]),
            Route("/api/session/{name}", self._guarded(self.session), methods=["POST"]),
            *self._playback.routes(self._guarded),
            *(self._pairing.routes(self._guarded) if self._pairing is not None else ()),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            given = bearer_token(request.headers.get("authorization"))
            if not token_matches(self._hub.serving.token, given):
                return problem(401, "wrong or missing bearer token")
            return await handler(request)

        return guarded

    async def status(self, _: Request) -> Response:
        """The status message."""
        return json_response(self._hub.status(time.monotonic_ns()))

    async def rig(self, _: Request) -> Response:
        """The robot and its streams."""
        serving = self._hub.serving
        return json_response(
            {
                **msgspec.to_builtins(serving.rig),
                "streams": serving.streams,
                "control_rate_hz": serving.control_rate_hz,
                "simulated": self._scene is not None,
            }
        )

    async def scene(self, _: Request) -> Response:
        """Objects and tips of the simulated scene."""
        if self._scene is None:
            return problem(404, "only simulated rigs have a scene")
        if self._hub.qpos is None:
            return problem(503, "the simulation has not reported yet")
        return json_response(self._scene.poses(self._hub.qpos))

    async def episodes(self, request: Request) -> Response:
        """The catalogue, newest first; `?discarded=1` lists discarded takes as well."""
        discarded = request.query_params.get("discarded") == "1"

        def read() -> list[EpisodeRow]:
            dataset = Dataset.open(self._dataset, repair=False)
            return dataset.episodes(include_discarded=discarded)

        try:
            rows = await asyncio.to_thread(read)
        except RecorderError:
            rows = []  # nothing recorded yet
        listed = [{**dataclasses.asdict(row), "path": str(row.path)} for row in reversed(rows)]
        return json_response({"episodes": listed})

    async def label(self, request: Request) -> Response:
        """Store outcome and notes of an episode."""
        args = await read_body(request, LabelArgs)
        if isinstance(args, Response):
            return args
        return await self._edit(
            lambda data, name: data.label(name, outcome=args.outcome, notes=args.notes), request
        )

    async def discard(self, request: Request) -> Response:
        """Leave an episode out of listings and exports."""
        return await self._edit(lambda data, name: data.discard(name), request)

    async def _edit(self, edit: Callable[[Dataset, str], None], request: Request) -> Response:
        name = str(request.path_params["id"])

        def work() -> None:
            # Edits are single locked appends to a sidecar: safe beside the recorder.
            edit(Dataset.open(self._dataset, repair=False), name)

        try:
            await asyncio.to_thread(work)
        except RecorderError as error:
            return problem(404, str(error))
        return json_response({"ok": True, "id": name})

    async def calibration(self, request: Request) -> Response:
        """Adopt an operator profile, as stored with takes: a replay maps as its original did."""
        document = await read_body(request, dict[str, Any])
        if isinstance(document, Response):
            return document
        try:
            profile = OperatorProfile.from_dict(document)
        except (KeyError, TypeError, ValueError) as error:
            return problem(400, f"not an operator profile: {error!r}")
        now_ns = time.monotonic_ns()
        self._hub.adopt(profile, now_ns)
        return json_response({"ok": True, "status": self._hub.status(now_ns)})

    async def clutch(self, request: Request) -> Response:
        """Choose how hands map to tips."""
        args = await read_body(request, ClutchArgs)
        if isinstance(args, Response):
            return args
        refused = self._hub.aligning.choose(ClutchMode[args.mode.upper()], self._hub.session)
        if refused:
            return problem(409, refused)
        return json_response({"ok": True, "status": self._hub.status(time.monotonic_ns())})

    async def session(self, request: Request) -> Response:
        """Ask something of the session."""
        name = str(request.path_params["name"])
        if name not in set(Intent):
            return problem(404, f"no intent {name!r}; intents: {[i.value for i in Intent]}")
        args = await read_body(request, IntentArgs)
        if isinstance(args, Response):
            return args
        now_ns = time.monotonic_ns()
        refused = self._hub.ask(Intent(name), args, "console", now_ns)
        if refused is not None:
            return problem(409, refused.reason)
        return json_response({"ok": True, "status": self._hub.status(now_ns)})
