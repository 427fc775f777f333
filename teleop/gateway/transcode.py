"""Camera pictures made smaller for a slow link: as JPEG or as H.264."""

from __future__ import annotations

import fractions
import logging
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import simplejpeg

from teleop.gateway.videolevel import Level
from teleop.protocol import Codec, VideoPicture

log = logging.getLogger(__name__)

RATE_HZ = 30
KEY_EVERY = 150
"""Pictures between key pictures: a client that lost its way asks for one at once."""
REFERENCE_PIXELS = 640 * 480
_OPTIONS = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}


class Transcoder:
    """Encodes the pictures of one client; its calls must not overlap.

    H.264 pictures build on those before: every picture that was encoded must be sent, in order.
    """

    def __init__(self) -> None:
        self._encoders: dict[int, H264Encoder] = {}
        self._keys: set[int] = set()

    def ask_key(self, stream_id: int) -> None:
        """The next picture of this stream must be decodable by itself."""
        self._keys.add(stream_id)

    def encode(self, picture: VideoPicture, level: Level, fresh: bool = False) -> VideoPicture:
        """The picture at this level; as it is, when it cannot be made smaller.

        Args:
            picture: As the camera encoded it.
            level: What it may cost.
            fresh: The client has not got the picture before from here: do not build on it.
        """
        if fresh or picture.codec != Codec.JPEG:
            self._encoders.pop(picture.stream_id, None)
        if picture.codec != Codec.JPEG:
            return picture
        try:
            rgb = shrunk(picture.payload, level.divisor)
        except ValueError as error:
            log.warning("a picture of stream %d cannot be decoded: %s", picture.stream_id, error)
            return picture
        if level.codec == "jpeg":
            self._encoders.pop(picture.stream_id, None)
            payload = simplejpeg.encode_jpeg(rgb, quality=level.quality, colorsubsampling="420")
            return _with(picture, Codec.JPEG, True, payload)
        return self._h264(picture, rgb, level)

    def _h264(
        self, picture: VideoPicture, rgb: npt.NDArray[np.uint8], level: Level
    ) -> VideoPicture:
        stream = picture.stream_id
        height, width = rgb.shape[:2]
        share = width * height * level.divisor**2 / REFERENCE_PIXELS
        wanted = (width, height, max(30, round(level.kbit_s * share)))
        encoder = self._encoders.get(stream)
        if encoder is None or encoder.shape != wanted:
            encoder = self._encoders[stream] = H264Encoder(*wanted)
        key, payload = encoder.encode(rgb, stream in self._keys)
        self._keys.discard(stream)
        return _with(picture, Codec.H264, key, payload)


class H264Encoder:
    """One stream as H.264 Annex B, one access unit a picture, without delay.

    Args:
        width: [px], even.
        height: [px], even.
        kbit_s: Bit rate.
    """

    def __init__(self, width: int, height: int, kbit_s: int) -> None:
        self.shape = (width, height, kbit_s)
        context: Any = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = fractions.Fraction(1, RATE_HZ)
        context.framerate = fractions.Fraction(RATE_HZ, 1)
        context.bit_rate = 1000 * kbit_s
        context.gop_size = KEY_EVERY
        context.thread_count = 1
        # a fifth of a second of buffer: key pictures then cannot stall a slow link
        rate = f"vbv-maxrate={kbit_s}:vbv-bufsize={max(1, kbit_s // 5)}:repeat-headers=1:annexb=1"
        context.options = {**_OPTIONS, "x264-params": rate}
        self._context = context
        self._pts = 0

    def encode(self, rgb: npt.NDArray[np.uint8], key: bool) -> tuple[bool, bytes]:
        """Whether it is a key picture, and its bytes.

        Args:
            rgb: (height, width, 3) uint8.
            key: It must be one.
        """
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        frame.pts = self._pts
        self._pts += 1
        frame.pict_type = av.video.frame.PictureType.I if key else av.video.frame.PictureType.NONE
        packets = self._context.encode(frame)
        is_key = any(packet.is_keyframe for packet in packets)
        return is_key, b"".join(bytes(packet) for packet in packets)


def shrunk(jpeg: bytes, divisor: int) -> npt.NDArray[np.uint8]:
    """Pixels (height, width, 3) of a JPEG, both sides divided and even.

    Raises:
        ValueError: It is no JPEG.
    """
    if divisor == 1:
        rgb = simplejpeg.decode_jpeg(jpeg, colorspace="RGB")
    else:
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
        rgb = simplejpeg.decode_jpeg(  # the transform itself leaves out what is not needed
            jpeg, colorspace="RGB", min_height=height // divisor, min_width=width // divisor,
            min_factor=1,
        )  # fmt: skip
    height, width = rgb.shape[:2]
    return np.ascontiguousarray(rgb[: height // 2 * 2, : width // 2 * 2])


def _with(picture: VideoPicture, codec: Codec, key: bool, payload: bytes) -> VideoPicture:
    return VideoPicture(picture.stream_id, codec, key, picture.seq, picture.t_capture_ns, payload)
