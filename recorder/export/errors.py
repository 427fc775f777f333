"""Why an export cannot be made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from recorder.errors import RecorderError


class ExportError(RecorderError):
    """Base of every error raised by `recorder.export`."""


class NoEpisodesError(ExportError):
    """Nothing is left to export."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        detail = f"; left out: {'; '.join(self.reasons)}" if self.reasons else ": none were given"
        super().__init__(f"no episodes to export{detail}")


class MissingCameraError(ExportError):
    """An asked camera is not in an episode."""

    def __init__(self, episode: str, missing: Iterable[str], existing: Iterable[str]) -> None:
        self.missing = tuple(missing)
        self.existing = tuple(existing)
        super().__init__(
            f"episode {episode} has no camera {list(self.missing)}; it has {list(self.existing)}"
        )


class DepthCameraError(ExportError):
    """An asked camera gives depth, which an 8-bit video cannot hold."""

    def __init__(self, episode: str, depth: Iterable[str]) -> None:
        super().__init__(
            f"cameras {list(depth)} of episode {episode} give depth, which this export cannot "
            "hold; leave them out and read them from the episode"
        )


class MissingDataError(ExportError):
    """An episode lacks a stream, a field or rows that the export needs."""


class MixedEpisodesError(ExportError):
    """Episodes differ in something that one dataset holds once."""

    def __init__(
        self, what: str, first: tuple[str, Sequence[object]], other: tuple[str, Sequence[object]]
    ) -> None:
        super().__init__(
            f"episodes cannot share a dataset, their {what} differ: "
            f"{first[0]} has {list(first[1])}, {other[0]} has {list(other[1])}"
        )


class PictureSizeError(ExportError):
    """A picture that H.264 yuv420p cannot hold, or that is not of its camera's size."""


class OutputExistsError(ExportError):
    """The destination holds something already."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"{path} {why}")
