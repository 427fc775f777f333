"""From a `camera/<name>` message of the bus to a picture of the protocol."""

from __future__ import annotations

import numpy as np

from teleop.protocol import Codec, VideoPicture
from teleop.samples import CAMERA_HEADER


def video_picture(stream_id: int, message: bytes) -> VideoPicture:
    """The picture of a camera's message.

    Args:
        stream_id: As in `welcome.streams`.
        message: CAMERA_HEADER and the encoded picture.
    """
    header = np.frombuffer(message, CAMERA_HEADER, count=1)[0]
    return VideoPicture(
        stream_id,
        Codec(int(header["codec"])),
        bool(header["key"]) or header["codec"] == Codec.JPEG,
        int(header["seq"]) & 0xFFFFFFFF,
        int(header["t_ns"]),
        message[CAMERA_HEADER.itemsize :],
    )
