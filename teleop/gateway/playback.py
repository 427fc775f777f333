"""A take for the console to play: what it holds, its curves, and each picture as recorded."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from recorder import Dataset, Episode, RecorderError
from recorder.camera import CameraStream
from teleop.gateway.answers import json_response, problem
from teleop.gateway.auth import Guard
from teleop.samples import QUIET_EVENTS

MAX_POINTS = 400
"""Points of a curve: about what a screen can show."""
KEPT = 4
CURVES = {
    "measured": ("state", "position"),
    "requested": ("command/requested", "position"),
    "grippers": ("state", "gripper"),
}
Array = npt.NDArray[np.float64]


class Playback:
    """Routes to play episodes.

    Args:
        dataset: Directory of the dataset.
    """

    def __init__(self, dataset: Path) -> None:
        self._dataset = dataset
        self._kept: OrderedDict[str, Episode] = OrderedDict()
        self._cameras: dict[tuple[str, str], CameraStream] = {}

    def routes(self, guarded: Guard) -> list[Route]:
        """What to mount."""
        return [
            Route("/api/episodes/{id}/take", guarded(self.take)),
            Route("/api/episodes/{id}/pictures/{camera}/{index:int}", guarded(self.picture)),
        ]

    async def take(self, request: Request) -> Response:
        """What an episode holds: times of its pictures, curves, events."""
        return await self._answer(request, lambda episode: json_response(describe(episode)))

    async def picture(self, request: Request) -> Response:
        """One picture: a JPEG as it was recorded, of other codecs one to be shown."""
        camera, index = str(request.path_params["camera"]), int(request.path_params["index"])

        def read(episode: Episode) -> Response:
            stream = self._cameras.get((episode.id, camera))
            if stream is None:
                stream = self._cameras[episode.id, camera] = episode.camera(camera)
            if not 0 <= index < len(stream):
                return problem(404, f"camera {camera!r} has {len(stream)} pictures")
            headers = {"Cache-Control": "private, max-age=3600"}  # a recording never changes
            return Response(stream.jpeg(index), media_type="image/jpeg", headers=headers)

        return await self._answer(request, read)

    async def _answer(self, request: Request, read: Callable[[Episode], Response]) -> Response:
        name = str(request.path_params["id"])

        def work() -> Response:
            return read(self._open(name))

        try:
            return await asyncio.to_thread(work)
        except RecorderError as error:
            return problem(404, str(error))

    def _open(self, name: str) -> Episode:
        kept = self._kept.get(name)
        if kept is None:
            kept = self._kept[name] = Dataset.open(self._dataset, repair=False)[name]
            if len(self._kept) > KEPT:
                gone, _ = self._kept.popitem(last=False)
                for key in [key for key in self._cameras if key[0] == gone]:
                    del self._cameras[key]
        return kept


def describe(episode: Episode) -> dict[str, Any]:
    """An episode as plain values; times are seconds from the beginning of what a trim leaves."""
    first_ns, last_ns = episode.span_ns
    return {
        "id": episode.id,
        "duration_s": round((last_ns - first_ns) / 1e9, 3),
        "task": episode.attributes.get("task", ""),
        "outcome": episode.attributes.get("outcome"),
        "quality": episode.attributes.get("quality"),
        "cameras": {
            name: {
                "width": camera.spec.width,
                "height": camera.spec.height,
                "t_s": seconds(camera.t_ns, first_ns),
            }
            for name in episode.cameras
            if len(camera := episode.camera(name))
        },
        "curves": {
            name: curve(episode, *source, first_ns, last_ns)
            for name, source in CURVES.items()
            if has(episode, *source)
        },
        "events": [
            {"t_s": round((event.t_ns - first_ns) / 1e9, 3), "kind": event.kind}
            for event in episode.events
            if event.kind not in QUIET_EVENTS and first_ns <= event.t_ns <= last_ns
        ],
    }


def has(episode: Episode, stream: str, field: str) -> bool:
    """Whether there are rows of this field."""
    if stream not in episode.streams:
        return False
    found = episode.stream(stream)
    return field in found and len(found) > 0 and found.dtype[field].itemsize > 0


def curve(episode: Episode, stream: str, field: str, first_ns: int, last_ns: int) -> dict[str, Any]:
    """Names and values of a field, thinned to what a screen shows; `values` by column."""
    found = episode.stream(stream)
    t_ns = found.t_ns
    inside = np.flatnonzero((t_ns >= first_ns) & (t_ns <= last_ns))
    rows = inside[:: max(1, -(-len(inside) // MAX_POINTS))]
    values = np.asarray(found[field][rows], float).reshape(len(rows), -1)
    names = found.fields[field].get("names") or [f"{field} {k}" for k in range(values.shape[1])]
    return {
        "names": list(names),
        "t_s": seconds(t_ns[rows], first_ns),
        "values": [[_plain(v) for v in column] for column in values.T],
    }


def seconds(t_ns: Any, first_ns: int) -> list[float]:
    """Times from the beginning [s]."""
    return [round(float(t), 4) for t in (np.asarray(t_ns) - first_ns) / 1e9]


def _plain(value: float) -> float | None:
    return round(float(value), 5) if np.isfinite(value) else None
