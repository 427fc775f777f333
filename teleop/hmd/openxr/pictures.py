"""Encoded pictures to pixels, in a thread of its own; latest wins, per stream."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import simplejpeg

from teleop.protocol import Codec, StreamInfo, VideoPicture

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    Attributes:
        stream: What it is of.
        rgb: (height, width, 3) uint8.
        seq: Its number.
        t_capture_ns: Host clock of the exposure.
    """

    stream: StreamInfo
    rgb: npt.NDArray[np.uint8]
    seq: int
    t_capture_ns: int


class Decoder:
    """Decodes what is offered, and keeps the newest picture of each stream.

    Attributes:
        on_decoded: Called with the name and number of each picture once it is decoded, or has
            failed to: the server waits for the answer before it sends more.
        decoded: Pictures that were.
        skipped: Pictures a newer one replaced before they were.
        failed: Pictures that could not be.
    """

    def __init__(self) -> None:
        self.on_decoded: Callable[[str, int], None] = lambda *_: None
        self._waiting: dict[str, tuple[VideoPicture, StreamInfo]] = {}
        self._fresh: dict[str, Picture] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self.decoded = 0
        self.skipped = 0
        self.failed = 0
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
        self._thread.start()

    def offer(self, picture: VideoPicture, stream: StreamInfo) -> None:
        """Decode this one next; one of the same stream that still waits is left out."""
        with self._changed:
            self.skipped += stream.name in self._waiting
            self._waiting[stream.name] = (picture, stream)
            self._changed.notify()

    def take(self) -> list[Picture]:
        """Pictures decoded since the last call, at most one a stream."""
        with self._changed:
            fresh, self._fresh = self._fresh, {}
        return list(fresh.values())

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(2.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                name = next(iter(self._waiting))
                picture, stream = self._waiting.pop(name)
            self._decode(picture, stream)
            self.on_decoded(stream.name, picture.seq)

    def _decode(self, picture: VideoPicture, stream: StreamInfo) -> None:
        if picture.codec != Codec.JPEG:
            self.failed += 1
            return
        try:
            rgb = simplejpeg.decode_jpeg(picture.payload, colorspace="RGB")
        except ValueError as error:
            self.failed += 1
            log.warning("%s picture %d cannot be decoded: %s", stream.name, picture.seq, error)
            return
        self.decoded += 1
        with self._changed:
            found = Picture(stream, rgb, picture.seq, picture.t_capture_ns)
            self._fresh[stream.name] = found
