"""Encoded pictures to pixels, in a thread of its own; latest wins, per stream."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import av
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
        turn_xyzw: How its camera had turned, in STAGE; None when it had not.
    """

    stream: StreamInfo
    rgb: npt.NDArray[np.uint8]
    seq: int
    t_capture_ns: int
    turn_xyzw: tuple[float, float, float, float] | None = None


class Decoder:
    """Decodes what is offered, and keeps the newest picture of each stream.

    JPEG pictures stand alone: of those that wait only the newest is decoded. H.264 pictures build
    on each other: all are, in order.

    Attributes:
        on_decoded: Called with the name and number of each picture once it is decoded, or has
            failed to: the server waits for the answer before it sends more. The third argument
            asks for a key picture: without one the stream cannot be decoded any more.
        decoded: Pictures that were.
        skipped: Pictures a newer one replaced before they were.
        failed: Pictures that could not be.
    """

    def __init__(self) -> None:
        self.on_decoded: Callable[[str, int, bool], None] = lambda *_: None
        self._waiting: dict[str, deque[tuple[VideoPicture, StreamInfo]]] = {}
        self._fresh: dict[str, Picture] = {}
        self._streams: dict[str, H264Decoder] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self.decoded = 0
        self.skipped = 0
        self.failed = 0
        self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
        self._thread.start()

    def offer(self, picture: VideoPicture, stream: StreamInfo) -> None:
        """Decode this one when its turn comes."""
        with self._changed:
            waiting = self._waiting.setdefault(stream.name, deque())
            if picture.codec == Codec.JPEG:
                self.skipped += len(waiting)
                waiting.clear()
            waiting.append((picture, stream))
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
                waiting = self._waiting.pop(name)
                picture, stream = waiting.popleft()
                if waiting:
                    self._waiting[name] = waiting  # behind the other streams
            whole = self._decode(picture, stream)
            self.on_decoded(stream.name, picture.seq, not whole and picture.codec == Codec.H264)

    def _decode(self, picture: VideoPicture, stream: StreamInfo) -> bool:
        try:
            rgb = self._pixels(picture, stream)
        except (ValueError, av.FFmpegError) as error:
            self.failed += 1
            log.warning("%s picture %d cannot be decoded: %s", stream.name, picture.seq, error)
            return False
        self.decoded += 1
        with self._changed:
            found = Picture(stream, rgb, picture.seq, picture.t_capture_ns, picture.turn_xyzw)
            self._fresh[stream.name] = found
        return True

    def _pixels(self, picture: VideoPicture, stream: StreamInfo) -> npt.NDArray[np.uint8]:
        if picture.codec == Codec.JPEG:
            self._streams.pop(stream.name, None)
            rgb: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(picture.payload, colorspace="RGB")
            return rgb
        decoder = self._streams.get(stream.name)
        if decoder is None or picture.key:
            decoder = self._streams[stream.name] = H264Decoder()
        try:
            return decoder.decode(picture)
        except (ValueError, av.FFmpegError):
            self._streams.pop(stream.name, None)
            raise


class H264Decoder:
    """One stream of H.264, from a key picture on."""

    def __init__(self) -> None:
        context: Any = av.CodecContext.create("h264", "r")
        context.flags |= av.codec.context.Flags.low_delay
        context.thread_count = 1  # threads would hold pictures back
        self._context = context
        self._begun = False

    def decode(self, picture: VideoPicture) -> npt.NDArray[np.uint8]:
        """Pixels (height, width, 3) of the next picture.

        Raises:
            ValueError: It builds on pictures that were not received.
        """
        self._begun = self._begun or picture.key
        if not self._begun:
            raise ValueError("it builds on pictures that were not received")
        frames = self._context.decode(av.Packet(picture.payload))
        if not frames:
            raise ValueError("the decoder holds it back")
        rgb: npt.NDArray[np.uint8] = frames[-1].to_ndarray(format="rgb24")
        return rgb
