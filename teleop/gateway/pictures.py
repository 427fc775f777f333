"""From a `camera/<name>` message of the bus to a video message of the protocol."""

from __future__ import annotations

import numpy as np

from teleop.protocol import Codec, VideoPicture, encode_video
from teleop.samples import CAMERA_HEADER


def video_message(stream_id: int, message: bytes) -> tuple[int, bytes]:
    """Sequence number and bytes of the video message.

    Args:
        stream_id: As in `welcome.streams`.
        message: CAMERA_HEADER and the encoded picture.
    """
    header = np.frombuffer(message, CAMERA_HEADER, count=1)[0]
    seq = int(header["seq"]) & 0xFFFFFFFF
    picture = VideoPicture(
        stream_id,
        Codec(int(header["codec"])),
        bool(header["key"]) or header["codec"] == Codec.JPEG,
        seq,
        int(header["t_ns"]),
        message[CAMERA_HEADER.itemsize :],
    )
    return seq, encode_video(picture)
