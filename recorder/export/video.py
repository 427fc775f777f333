"""H.264 in MP4, one growing file a camera, cut at episode borders when it becomes too large.

Settings suit random access by training code: yuv420p, no B-frames (presentation order is decode
order, no edit list), short closed GOPs, parameter sets in every key frame, and a key frame at the
start of every episode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream
from numpy.typing import NDArray

from recorder.export.errors import PictureSizeError

MAX_FILE_S = 1000.0
"""Longest video file [s]: LeRobot compares float32 seconds to 1e-4 s, which needs < 1024 s."""


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """How the videos of a dataset are encoded.

    Attributes:
        fps: Pictures per second.
        crf: x264 constant rate factor; lower is better and larger.
        threads: Encoder threads of one camera.
        max_file_bytes: A file that would become larger is closed before the next episode.
    """

    fps: int
    crf: int = 23
    threads: int = 1
    max_file_bytes: int = 200 * 1024 * 1024

    @property
    def gop(self) -> int:
        """Pictures from one key frame to the next: a third of a second at most."""
        return max(1, self.fps // 3)

    def options(self) -> dict[str, str]:
        """Options of the encoder `libx264`.

        Without its macroblock tree, whose vector code gives other bytes now and then: the same
        episodes make the same files.
        """
        closed = f"keyint={self.gop}:min-keyint=1:open-gop=0:repeat-headers=1:bframes=0:no-mbtree=1"
        return {
            "preset": "veryfast",
            "crf": str(self.crf),
            "g": str(self.gop),
            "bf": "0",
            "forced-idr": "1",
            "threads": str(self.threads),
            "x264-params": closed,
        }


@dataclass(frozen=True, slots=True)
class VideoSpan:
    """Where the pictures of one episode lie.

    Attributes:
        file_number: Which of the camera's files, counted from 0.
        first: Index of the episode's first picture in that file.
        length: Number of pictures.
    """

    file_number: int
    first: int
    length: int


class CameraVideo:
    """The video files of one camera, written episode after episode.

    Args:
        path_of: Path of the file with a given number.
        width: Picture width [px], even.
        height: Picture height [px], even.
        settings: How to encode.

    Raises:
        PictureSizeError: yuv420p halves both sides, so they must be even.
    """

    def __init__(
        self, path_of: Callable[[int], Path], width: int, height: int, settings: VideoSettings
    ) -> None:
        if width % 2 or height % 2:
            raise PictureSizeError(
                f"pictures of {width}x{height} px cannot become H.264 yuv420p; expected even sides"
            )
        self._path_of = path_of
        self._size = (width, height)
        self._settings = settings
        self._file_number = -1
        self._frames = 0
        self._bytes = self._packets = 0
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def write_episode(self, pictures: Iterable[NDArray[np.uint8]], length: int) -> VideoSpan:
        """Append the `length` RGB pictures of one episode, each (H, W, 3)."""
        if self._container is None or self._would_overflow(length):
            self._open_next()
        first = self._frames
        for k, picture in enumerate(pictures):
            self._encode(picture, is_first=k == 0)
        return VideoSpan(self._file_number, first, self._frames - first)

    def close(self) -> None:
        """Finish the current file."""
        if self._container is None or self._stream is None:
            return
        container, self._container = self._container, None
        try:
            if self._frames:
                container.mux(self._stream.encode(None))
        finally:
            container.close()

    def _would_overflow(self, length: int) -> bool:
        total = self._frames + length
        mean_bytes = self._bytes / max(self._packets, 1)  # the encoder holds some pictures back
        too_large = mean_bytes * total > self._settings.max_file_bytes
        return too_large or total > MAX_FILE_S * self._settings.fps

    def _open_next(self) -> None:
        self.close()
        self._file_number += 1
        self._frames = self._bytes = self._packets = 0
        path = self._path_of(self._file_number)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})
        stream = self._container.add_stream(
            "libx264", rate=self._settings.fps, options=self._settings.options()
        )
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, self._settings.fps)
        self._stream = stream

    def _encode(self, picture: NDArray[np.uint8], is_first: bool) -> None:
        assert self._container is not None and self._stream is not None
        width, height = self._size
        if picture.shape != (height, width, 3):
            raise PictureSizeError(
                f"a picture has shape {picture.shape}, its camera says {(height, width, 3)}"
            )
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(format="yuv420p")
        frame.pts = self._frames
        frame.time_base = Fraction(1, self._settings.fps)
        frame.pict_type = PictureType.I if is_first else PictureType.NONE
        for packet in self._stream.encode(frame):
            self._bytes += packet.size
            self._packets += 1
            self._container.mux(packet)
        self._frames += 1
