"""Episodes of robot learning data: append-only Zarr v3 recording, reading, alignment and checks."""

from recorder.align import Aligned, Policy, align
from recorder.camera import CameraStream
from recorder.catalog import EpisodeRow
from recorder.dataset import Dataset
from recorder.episode import Episode
from recorder.errors import DiskFull, RecorderError
from recorder.findings import QualityReport, Thresholds
from recorder.journal import Event
from recorder.numeric import Stream
from recorder.quality import check_episode
from recorder.query import Filter
from recorder.schema import CameraSpec, StreamSpec
from recorder.torch import as_torch
from recorder.windows import Window, Windows
from recorder.writer import EpisodeWriter

__all__ = [
    "Aligned",
    "CameraSpec",
    "CameraStream",
    "Dataset",
    "DiskFull",
    "Episode",
    "EpisodeRow",
    "EpisodeWriter",
    "Event",
    "Filter",
    "Policy",
    "QualityReport",
    "RecorderError",
    "Stream",
    "StreamSpec",
    "Thresholds",
    "Window",
    "Windows",
    "align",
    "as_torch",
    "check_episode",
]
