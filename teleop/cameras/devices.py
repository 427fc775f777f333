"""Camera group `devices`: real cameras, each read by a thread of its own at its own pace.

A camera that fails, stalls or is unplugged is told as an event and tried again every second; the
others go on. Times that jump are told as well, and never pass as good ones.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import msgspec

from recorder.h264 import is_key
from retarget import Rig
from teleop.cameras.base import CameraError, Codec, Picture, SimState
from teleop.cameras.encoding import PictureDecoder, PictureEncoder, Pixels
from teleop.cameras.profile import RenderProfile
from teleop.cameras.shots import Shot, Source
from teleop.cameras.sources import SourceSection, cropped, open_source
from teleop.config import CameraConfig

log = logging.getLogger(__name__)

RETRY_S = 1.0
STALL_NS = 1_000_000_000
JUMP_NS = 500_000_000
"""A device clock that differs by more from what passed on the host has jumped."""
LATE_NS = 2_000_000_000
"""A picture of the host's clock this old, or from the future, has no time of that clock."""
KEPT = 8
"""Pictures of a camera that wait; the bus wants them within a slot."""
POLL_HZ = 200
"""How often waiting pictures are asked for: devices keep their own time."""
News = tuple[str, dict[str, Any]]


class Stamper:
    """Gives each picture its host time, from the device's clock where that can be believed."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None
        self._offset_ns: int | None = None

    def stamp(self, shot: Shot, now_ns: int) -> tuple[int, str]:
        """Host time [ns] of a picture, and what was wrong with its clock; empty for nothing."""
        problem = self._jumped(shot.t_device_ns, now_ns)
        self._last = (shot.t_device_ns, now_ns)
        if problem:
            self._offset_ns = None
        if shot.same_clock:
            if not 0 <= now_ns - shot.t_device_ns <= LATE_NS:
                return now_ns, problem or "clock of the device is not the host's"
            return shot.t_device_ns, problem
        # the least delay ever seen is nearest to none
        offset_ns = now_ns - shot.t_device_ns
        self._offset_ns = offset_ns if self._offset_ns is None else min(self._offset_ns, offset_ns)
        return shot.t_device_ns + self._offset_ns, problem

    def _jumped(self, t_device_ns: int, now_ns: int) -> str:
        if self._last is None:
            return ""
        before_ns, heard_ns = self._last
        step_ns = t_device_ns - before_ns
        if step_ns == 0:
            return "same time twice"
        if step_ns < 0:
            return "time runs backwards"
        if abs(step_ns - (now_ns - heard_ns)) > JUMP_NS:
            return f"time jumped by {(step_ns - (now_ns - heard_ns)) / 1e9:.2f} s"
        return ""


class Reader:
    """One camera: its thread, its pictures that wait, and what there is to tell of it.

    Args:
        camera: What is captured.
        make: Opens the source, again after each failure.
        crop: Part of its pictures that is kept.
    """

    def __init__(
        self,
        camera: CameraConfig,
        make: Callable[[], Source],
        crop: tuple[int, int, int, int] | None = None,
    ) -> None:
        self.camera = camera
        self._make, self._crop = make, crop
        self._waiting: deque[Picture] = deque(maxlen=KEPT)
        self._news: deque[News] = deque(maxlen=64)
        self._heard_ns = time.monotonic_ns()
        self._state = "new"
        self.dropped = 0
        self._encoder = PictureEncoder(camera)
        self._decoder = PictureDecoder()
        self._broken = False
        self._source: Source | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=camera.name, daemon=True)
        self._thread.start()

    def take(self) -> list[Picture]:
        """Pictures since the last call, oldest first."""
        found = []
        while self._waiting:
            found.append(self._waiting.popleft())
        return found

    def news(self, now_ns: int) -> list[News]:
        """What happened since the last call."""
        if self._state == "live" and now_ns - self._heard_ns > STALL_NS:
            self._turn("stalled", {"silent_s": round((now_ns - self._heard_ns) / 1e9, 2)})
        found = []
        while self._news:
            found.append(self._news.popleft())
        return found

    def about(self) -> dict[str, Any]:
        """What the device tells of itself."""
        found: dict[str, Any] = getattr(self._source, "about", dict)()
        return found

    def close(self) -> None:
        """End the thread; a device that hangs keeps it until the process ends."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._source = self._make()
                self._read(self._source)
                self._turn("lost", {"reason": "the device gives no more pictures"})
            except CameraError as error:
                self._turn("lost", {"reason": str(error)})
            self._stop.wait(RETRY_S)

    def _read(self, source: Source) -> None:
        stamper = Stamper()
        for shot in source.shots():
            if self._stop.is_set():
                return
            now_ns = time.monotonic_ns()
            t_ns, problem = stamper.stamp(shot, now_ns)
            if shot.missed:
                self._drop(shot.missed)
            if problem:
                self._news.append(("camera_clock", self._named({"problem": problem})))
            picture = self._encoded(shot, t_ns, now_ns)
            if picture is not None:
                self._keep(picture)
            self._heard_ns = now_ns
            if self._state != "live":
                self._turn("live", {})

    def request_key(self) -> None:
        """The next picture must be decodable by itself, if it is encoded here."""
        self._encoder.request_key()

    def _encoded(self, shot: Shot, t_ns: int, now_ns: int) -> Picture | None:
        """The picture in the camera's codec; None while video has not come to a key picture."""
        camera = self.camera
        if shot.pixels is None and shot.codec is self._encoder.codec and self._crop is None:
            payload, key = shot.encoded, shot.codec is Codec.JPEG or _is_key(shot.encoded)
        else:
            pixels = shot.pixels if shot.pixels is not None else self._decoded(shot)
            if pixels is None:
                return None
            if self._crop is not None:
                pixels = cropped(pixels, self._crop)
            payload, key = self._encoder.encode(pixels)
        return Picture(
            camera.name,
            camera.width,
            camera.height,
            t_ns,
            shot.t_device_ns,
            now_ns,
            payload,
            codec=self._encoder.codec,
            key=key,
        )

    def _decoded(self, shot: Shot) -> Pixels | None:
        try:
            return self._decoder.decode(shot.encoded, shot.codec)
        except CameraError as error:  # one bad picture is no reason to open the device again
            log.warning("camera %s: %s", self.camera.name, error)
            self._drop(1)
            return None

    def _keep(self, picture: Picture) -> None:
        """Let a picture wait to be taken; when too many do, the oldest is dropped.

        Video that lost a picture goes on with the next key picture, for what lies between cannot
        be decoded.
        """
        if self._broken and not picture.key:
            self._drop(1)
            return
        self._broken = False
        if len(self._waiting) == KEPT:
            lost = 1
            if picture.codec is Codec.H264:
                lost = len(self._waiting)
                self._waiting.clear()
                self._broken = not picture.key
                self._encoder.request_key()
            self._drop(lost + self._broken)
        if not self._broken:
            self._waiting.append(picture)

    def _drop(self, pictures: int) -> None:
        self.dropped += pictures
        self._news.append(("camera_dropped", self._named({"pictures": pictures})))

    def _turn(self, state: str, data: dict[str, Any]) -> None:
        if state == self._state:
            return
        first, self._state = self._state == "new", state
        log.info("camera %s is %s %s", self.camera.name, state, data)
        if not (first and state == "live"):
            self._news.append((f"camera_{'back' if state == 'live' else state}", self._named(data)))

    def _named(self, data: dict[str, Any]) -> dict[str, Any]:
        return {"camera": self.camera.name, **data}


class DeviceCameras:
    """Real cameras, files and patterns, as `[camera_group.sources]` of the rig file names them.

    Raises:
        CameraError: A camera has no source, or what a source needs is missing.
    """

    state_size = 0
    poll_hz = POLL_HZ

    def __init__(self, rig: Rig, cameras: Sequence[CameraConfig], profile: RenderProfile) -> None:
        sections = read_sources(rig)
        missing = [c.name for c in cameras if c.name not in sections]
        if missing:
            raise CameraError(
                f"rig {rig.name!r}: no [camera_group.sources] entry for {missing}; there are "
                f"{sorted(sections)}"
            )
        self.cameras = tuple(cameras)
        rig_dir = rig.source.parent
        for camera in cameras:  # what is missing is said at the start
            open_source(sections[camera.name], camera, rig_dir)
        self._readers = {}
        for camera in cameras:
            section = sections[camera.name]
            self._readers[camera.name] = Reader(
                camera,
                lambda section=section, camera=camera: open_source(section, camera, rig_dir),  # type: ignore[misc]
                section.crop,
            )

    def capture(self, names: Collection[str], state: SimState | None) -> Iterator[Picture]:
        """Pictures that arrived since the last call, of each named camera."""
        for name in names:
            yield from self._readers[name].take()

    def request_keys(self) -> None:
        """The next picture of each camera must be decodable by itself, where encoded here."""
        for reader in self._readers.values():
            reader.request_key()

    def news(self) -> list[News]:
        """What happened to cameras since the last call."""
        now_ns = time.monotonic_ns()
        return [news for reader in self._readers.values() for news in reader.news(now_ns)]

    def about(self) -> dict[str, dict[str, Any]]:
        """What the devices tell of themselves, by camera."""
        told = {name: reader.about() for name, reader in self._readers.items()}
        return {name: about for name, about in told.items() if about}

    def close(self) -> None:
        """End all threads."""
        for reader in self._readers.values():
            reader.close()


def _is_key(payload: bytes) -> bool:
    try:
        return is_key(payload)
    except ValueError:  # the recorder refuses it, with the reason
        return False


def read_sources(rig: Rig) -> dict[str, SourceSection]:
    """Sources by camera name.

    Raises:
        CameraError: The section of the rig file is wrong; the message says where.
    """
    section = rig.sections.get("camera_group", {}).get("sources", {})
    try:
        return msgspec.convert(section, dict[str, SourceSection])
    except msgspec.ValidationError as error:
        raise CameraError(f"rig {rig.name!r}: [camera_group.sources]: {error}") from error
