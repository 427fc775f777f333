"""Writes planned episodes as a LeRobot v3 dataset: rows, videos, statistics, metadata.

Memory does not grow with the dataset, apart from a few kilobytes of metadata an episode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recorder.camera import CameraStream
from recorder.episode import Episode
from recorder.export import tables
from recorder.export.plan import EpisodePlan, Signature
from recorder.export.stats import PictureStats, RowStats, StatsDict, row_stats, sampled_rows
from recorder.export.video import CameraVideo, VideoSettings, VideoSpan

ACTION_COLUMN = "action"
STATE_COLUMN = "observation.state"
VALID_COLUMN = "valid"
ERROR_COLUMN = "time_error_s"
CAMERA_PREFIX = "observation.images."
CODEBASE_VERSION = "v3.0"
PROVENANCE = "telecap.json"
_REPORT_PERIOD_S = 0.25


@dataclass(frozen=True, slots=True)
class EpisodeExport:
    """One exported episode.

    Attributes:
        id: Name of the recorded episode.
        index: Its number in the export.
        task: Language instruction.
        frames: Rows.
        invalid_rows: Rows marked as outside the tolerance.
        paused_rows: Rows left out because the take was paused.
        max_time_error_s: Largest distance of a row to a source sample [s].
    """

    id: str
    index: int
    task: str
    frames: int
    invalid_rows: int
    paused_rows: int
    max_time_error_s: float


class DatasetWriter:
    """One dataset being written.

    Args:
        root: Directory to fill.
        shared: Columns and cameras of every episode.
        video: How pictures are encoded; its fps is that of the rows.

    Attributes:
        done: Episodes written so far.
    """

    def __init__(self, root: Path, shared: Signature, video: VideoSettings) -> None:
        self.done: list[EpisodeExport] = []
        self._root = root
        self._shared = shared
        self._fps = video.fps
        self._stack = ExitStack()
        self._data = tables.DataFiles(root, tables.DATA_FILES_SIZE_MB << 20)
        self._stack.callback(self._data.close)
        self._videos = {
            name: self._stack.enter_context(CameraVideo(self._path_of(name), *size, video))
            for name, size in shared.cameras
        }
        self._pool = ThreadPoolExecutor(max(1, len(self._videos)), "export")
        self._stack.callback(self._pool.shutdown)
        self._giving_up = Event()
        self._tasks: dict[str, int] = {}
        self._rows: list[dict[str, Any]] = []
        self._stats: dict[str, RowStats] = {}
        self._picture_stats = {name: PictureStats() for name in self._videos}
        self._sources: list[dict[str, Any]] = []
        self._rig = "unknown"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._giving_up.set()
        self._stack.close()

    def write(self, episode: Episode, plan: EpisodePlan, report: Callable[[float], None]) -> None:
        """Append one episode; `report` is called with the share of it that is done."""
        index, first = len(self.done), sum(e.frames for e in self.done)
        task = str(episode.attributes.get("task") or "")
        if index == 0:
            self._rig = str(episode.attributes.get("rig") or "unknown")
        columns = self._columns(plan, index, first, self._tasks.setdefault(task, len(self._tasks)))
        file_number = self._data.write_episode(columns)
        encoded = self._encode(episode, plan, report)
        stats = {name: row_stats(values) for name, values in columns.items()}
        for name, values in columns.items():
            self._stats.setdefault(name, RowStats()).add(values)
        for name, (_, counted) in encoded.items():
            stats[CAMERA_PREFIX + name] = counted.result()
            self._picture_stats[name].merge(counted)
        spans = {name: span for name, (span, _) in encoded.items()}
        self._rows.append(self._row(index, first, len(plan), task, file_number, spans, stats))
        self._sources.append(_source(episode, index, plan))
        self.done.append(_exported(episode, index, task, plan))

    def finish(self, options: Mapping[str, Any]) -> None:
        """Write the metadata; `options` are kept beside the sources of the rows."""
        tables.write_tasks(self._root, list(self._tasks))
        tables.write_episodes(self._root, self._rows)
        stats = {name: kept.result() for name, kept in self._stats.items()}
        stats |= {CAMERA_PREFIX + n: kept.result() for n, kept in self._picture_stats.items()}
        tables.write_json(self._root, "stats.json", stats)
        provenance = {"fps": self._fps, **options, "episodes": self._sources}
        tables.write_json(self._root, PROVENANCE, provenance)
        tables.write_json(self._root, "info.json", self._info())

    def _path_of(self, camera: str) -> Callable[[int], Path]:
        key = CAMERA_PREFIX + camera
        return lambda n: self._root / tables.VIDEO_PATH.format(video_key=key, **tables.place(n))

    def _columns(
        self, plan: EpisodePlan, index: int, first: int, task_index: int
    ) -> dict[str, NDArray[Any]]:
        n = len(plan)
        frame = np.arange(n, dtype=np.int64)
        return {
            STATE_COLUMN: plan.state,
            ACTION_COLUMN: plan.action,
            VALID_COLUMN: plan.valid,
            ERROR_COLUMN: plan.time_error_s,
            "timestamp": (frame / self._fps).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.full(n, index, np.int64),
            "index": frame + first,
            "task_index": np.full(n, task_index, np.int64),
        }

    def _encode(
        self, episode: Episode, plan: EpisodePlan, report: Callable[[float], None]
    ) -> dict[str, tuple[VideoSpan, PictureStats]]:
        """Encode all cameras at once, one thread each."""
        counts = dict.fromkeys(self._videos, 0)
        running: dict[str, Future[tuple[VideoSpan, PictureStats]]] = {}
        for name, video in self._videos.items():
            camera, rows = episode.camera(name), plan.pictures[name]
            running[name] = self._pool.submit(
                _encode_camera, video, camera, rows, counts, self._giving_up
            )
        pending = set(running.values())
        while pending:
            _, pending = wait(pending, timeout=_REPORT_PERIOD_S)
            report(sum(counts.values()) / (len(plan) * len(counts)))
        return {name: future.result() for name, future in running.items()}

    def _row(
        self,
        index: int,
        first: int,
        length: int,
        task: str,
        file_number: int,
        spans: Mapping[str, VideoSpan],
        stats: Mapping[str, StatsDict],
    ) -> dict[str, Any]:
        """One row of `meta/episodes`."""
        row: dict[str, Any] = {"episode_index": index, "tasks": [task], "length": length}
        row |= {f"data/{key}": value for key, value in tables.place(file_number).items()}
        row |= {"dataset_from_index": first, "dataset_to_index": first + length}
        for name, span in spans.items():
            where = {
                **tables.place(span.file_number),
                "from_timestamp": span.first / self._fps,
                "to_timestamp": (span.first + span.length) / self._fps,
            }
            row |= {f"videos/{CAMERA_PREFIX}{name}/{key}": v for key, v in where.items()}
        for name, figures in stats.items():
            row |= {f"stats/{name}/{figure}": value for figure, value in figures.items()}
        return row

    def _info(self) -> dict[str, Any]:
        names = self._shared.columns
        features = {
            STATE_COLUMN: tables.vector_feature("float32", names),
            ACTION_COLUMN: tables.vector_feature("float32", names),
            VALID_COLUMN: {"dtype": "bool", "shape": [1], "names": None},
            ERROR_COLUMN: {"dtype": "float32", "shape": [1], "names": None},
        }
        for name, size in self._shared.cameras:
            features[CAMERA_PREFIX + name] = tables.video_feature(*size, self._fps)
        return {
            "codebase_version": CODEBASE_VERSION,
            "robot_type": self._rig,
            "total_episodes": len(self.done),
            "total_frames": sum(e.frames for e in self.done),
            "total_tasks": len(self._tasks),
            "chunks_size": tables.CHUNKS_SIZE,
            "data_files_size_in_mb": tables.DATA_FILES_SIZE_MB,
            "video_files_size_in_mb": tables.VIDEO_FILES_SIZE_MB,
            "fps": self._fps,
            "splits": {"train": f"0:{len(self.done)}"},
            "data_path": tables.DATA_PATH,
            "video_path": tables.VIDEO_PATH if self._videos else None,
            "features": features | tables.INDEX_FEATURES,
        }


def _encode_camera(
    video: CameraVideo,
    camera: CameraStream,
    rows: NDArray[np.int64],
    counts: dict[str, int],
    giving_up: Event,
) -> tuple[VideoSpan, PictureStats]:
    counted = PictureStats()
    sampled = set(sampled_rows(len(rows)).tolist())

    def pictures() -> Iterator[NDArray[np.uint8]]:
        index, picture = -1, np.zeros((0, 0, 3), np.uint8)
        for row, wanted in enumerate(rows.tolist()):
            if giving_up.is_set():
                return
            if wanted != index:  # a slow camera's picture serves several rows
                index, picture = wanted, camera[wanted]
            if row in sampled:
                counted.add(picture)
            yield picture
            counts[camera.name] = row + 1

    return video.write_episode(pictures(), len(rows)), counted


def _source(episode: Episode, index: int, plan: EpisodePlan) -> dict[str, Any]:
    """Where the rows of an episode come from, for `meta/telecap.json`."""
    return {
        "episode_index": index,
        "id": episode.id,
        "outcome": episode.attributes.get("outcome"),
        "wall_time": episode.attributes.get("wall_time"),
        "model_hash": episode.attributes.get("model_hash"),
        "paused_rows": plan.paused_rows,
        "segments": [asdict(segment) for segment in plan.segments],
    }


def _exported(episode: Episode, index: int, task: str, plan: EpisodePlan) -> EpisodeExport:
    return EpisodeExport(
        id=episode.id,
        index=index,
        task=task,
        frames=len(plan),
        invalid_rows=int((~plan.valid).sum()),
        paused_rows=plan.paused_rows,
        max_time_error_s=float(plan.time_error_s.max()),
    )
