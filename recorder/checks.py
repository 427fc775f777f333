"""Measurements on an episode, each a pure function of its readers; `quality` judges them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from recorder.align import grid
from recorder.camera import CameraStream
from recorder.journal import Event
from recorder.numeric import Stream
from recorder.schema import H264

Array = np.ndarray[Any, Any]
Span = tuple[int, int]
_NS = 1e9

HOLDING = 1
"""Bit of `state/status`: the robot holds, there is no fresh command."""
VALID = 3
TRACKED = 12
"""Bits of an operator pose's `flags` (position and orientation valid, tracked)."""
SATURATIONS = (("position", 1), ("velocity", 2), ("acceleration", 4))
"""Bits of `solution/saturation`."""
_JERK_RATE_HZ = 100.0
_CLOCK_ROWS, _CLOCK_SPAN_NS = 20, 2 * 10**9
_SAMPLED_PICTURES = 5
_STILL_S = 0.1
_STILL_LEVELS = 2.0
"""Change of any block's mean [grey levels] below which two pictures show the same."""
_REBLUR_PX = 9


def pauses(events: Sequence[Event], end_ns: int) -> list[Span]:
    """Intervals between `pause` and `resume`; the last may run to the end."""
    found: list[Span] = []
    since: int | None = None
    for event in sorted(events, key=lambda e: e.t_ns):
        if event.kind == "pause" and since is None:
            since = event.t_ns
        elif event.kind == "resume" and since is not None:
            found.append((since, event.t_ns))
            since = None
    return found if since is None else [*found, (since, max(end_ns, since))]


def within(spans: Sequence[Span], first_ns: int, last_ns: int) -> list[Span]:
    """What of some intervals lies between two times."""
    return [
        (max(begin, first_ns), min(end, last_ns))
        for begin, end in spans
        if begin <= last_ns and end >= first_ns
    ]


def timing(t_ns: Array, paused: Sequence[Span]) -> dict[str, float]:
    """Rate and order of a stream's times.

    Args:
        t_ns: Times of the rows, `(n,)`.
        paused: Intervals in which no rows are expected.

    Returns:
        `rows`, `rate_hz` over the time that was not paused, `max_gap_s` outside pauses,
        `backward` and `repeated` steps of time.
    """
    n = len(t_ns)
    if n < 2:
        return {"rows": n, "rate_hz": 0.0, "max_gap_s": 0.0, "backward": 0, "repeated": 0}
    steps = np.diff(t_ns)
    gaps = steps.copy()
    off_ns = 0
    for first, last in paused:
        hit = (t_ns[:-1] <= last) & (t_ns[1:] >= first) & (steps > 0)
        off_ns += int(steps[hit].sum())
        gaps[hit] = 0
        n -= int(hit.sum())
    span_ns = int(t_ns[-1] - t_ns[0]) - off_ns
    return {
        "rows": len(t_ns),
        "rate_hz": (n - 1) * _NS / span_ns if span_ns > 0 else 0.0,
        "max_gap_s": float(gaps.max()) / _NS,
        "backward": int(np.count_nonzero(steps < 0)),
        "repeated": int(np.count_nonzero(steps == 0)),
    }


def clock_fit(t_ns: Array, t_device_ns: Array) -> tuple[float, float] | None:
    """How well one steady device clock explains the host times of a stream.

    Args:
        t_ns: Host times, `(n,)`.
        t_device_ns: The same on the device's clock; 0 where it is unknown.

    Returns:
        99th percentile of the distance from a line of device time (offset and drift) [s], and the
        drift [parts per million]; None with too little to say: fewer than 20 rows, or 2 s.
    """
    known = t_device_ns > 0
    host, device = t_ns[known], t_device_ns[known]
    if len(host) < _CLOCK_ROWS or np.ptp(host) < _CLOCK_SPAN_NS or not np.ptp(device):
        return None
    x, y = (device - device[0]) / _NS, (host - host[0]) / _NS
    slope, offset = np.polyfit(x, y, 1)
    residual = np.abs(y - slope * x - offset)
    return float(np.percentile(residual, 99)), float((slope - 1.0) * 1e6)


def missing_numbers(seq: Array) -> int:
    """Sequence numbers skipped between rows."""
    steps = np.diff(seq.astype(np.int64))
    return int((steps[steps > 1] - 1).sum())


def start_end_skew_s(spans: Sequence[Span]) -> tuple[float, float]:
    """Spread of the streams' first and last times [s]."""
    if not spans:
        return 0.0, 0.0
    first, last = np.array(spans).T
    return float(np.ptp(first)) / _NS, float(np.ptp(last)) / _NS


def camera_skew_s(reference_ns: Array, other_ns: Array) -> float:
    """95th percentile of the distance from each picture to the other camera's nearest [s]."""
    if len(reference_ns) == 0 or len(other_ns) == 0:
        return 0.0
    other = np.sort(other_ns)
    after = np.clip(np.searchsorted(other, reference_ns), 0, len(other) - 1)
    before = np.maximum(after - 1, 0)
    distance = np.minimum(np.abs(other[after] - reference_ns), np.abs(other[before] - reference_ns))
    return float(np.percentile(distance, 95)) / _NS


def engaged_at(session: Stream, t_ns: Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether any arm followed the operator at each time, `(n,)` bool."""
    if len(session) == 0:
        return np.zeros(len(t_ns), dtype=np.bool_)
    rows = np.searchsorted(session.t_ns, t_ns, side="right") - 1
    engaged = np.asarray(session["engaged"].reshape(len(session), -1).any(axis=1))
    return np.asarray((rows >= 0) & engaged[np.maximum(rows, 0)])


def share(mask: Any, among: Array | None = None) -> float | None:
    """Share of rows in `mask`, of those in `among`; None when there are none."""
    chosen = np.asarray(mask) if among is None else np.asarray(mask)[among]
    return float(np.mean(chosen)) if chosen.size else None


def jerk(t_ns: Array, position: Array) -> tuple[float, float]:
    """Root mean square and maximum of the joints' jerk [rad/s³], on a 100 Hz grid.

    Third differences of the recorded times would amplify their jitter, so the positions `(n, k)`
    are first brought to the grid by linear interpolation.
    """
    t_grid = grid(int(t_ns[0]), int(t_ns[-1]), _JERK_RATE_HZ)
    if len(t_grid) < 4 or position.shape[1] == 0:
        return 0.0, 0.0
    order = np.argsort(t_ns, kind="stable")
    t_s = (t_ns[order] - t_ns[0]) / _NS
    at_s = (t_grid - t_ns[0]) / _NS
    columns = [np.interp(at_s, t_s, position[order, k]) for k in range(position.shape[1])]
    third = np.diff(np.array(columns), n=3, axis=1) * _JERK_RATE_HZ**3
    return float(np.sqrt(np.mean(third**2))), float(np.max(np.abs(third)))


def on_ticks(stream: Stream) -> tuple[Array, Array]:
    """Times and positions of a command stream on the grid of its ticks, one row a tick.

    A command belongs to its tick, whenever it happened to be published, and the last revision of
    a tick is the one that counted. Streams without ticks, or whose ticks started again because
    their process did, keep their own times.
    """
    t_ns, position = stream.t_ns, stream["position"]
    if "tick" not in stream or len(t_ns) < 2:
        return t_ns, position
    tick = stream["tick"].astype(np.int64)
    if (np.diff(tick) < 0).any() or tick[0] == tick[-1]:
        return t_ns, position
    last = np.append(np.diff(tick) > 0, True)
    period_ns = (t_ns[-1] - t_ns[0]) / (tick[-1] - tick[0])
    times: Array = (t_ns[0] + (tick[last] - tick[0]) * period_ns).astype(np.int64)
    return times, position[last]


def saturation_shares(saturation: Array, among: Array) -> dict[str, float | None]:
    """Share of ticks at which any joint met a limit, by kind."""
    return {name: share(((saturation & bit) > 0).any(axis=1), among) for name, bit in SATURATIONS}


def residual_m(residual: Array, among: Array) -> float | None:
    """95th percentile of the largest distance of a tip from its target [m]; None without rows.

    Args:
        residual: `(n, targets, 2)`, distance [m] and angle; NaN where there is no target.
        among: Which rows count, `(n,)` bool.
    """
    distance = np.nan_to_num(residual[among][..., 0]).reshape(int(np.count_nonzero(among)), -1)
    if not distance.size:
        return None
    return float(np.percentile(distance.max(axis=1), 95))


def latency_s(command: Stream) -> tuple[float, float] | None:
    """Median and 99th percentile from the arrival of a pose to the first command that uses it."""
    arrived = command["t_operator_receive_ns"]
    used = command["first_use"].astype(np.bool_) & (arrived > 0)
    if not used.any():
        return None
    p50, p99 = np.percentile((command.t_ns - arrived)[used] / _NS, [50, 99])
    return float(p50), float(p99)


@dataclass(frozen=True, slots=True)
class Look:
    """What a few pictures over a take look like.

    Attributes:
        brightest: Brightest grey level, 0 to 255.
        blur: Median blur, 0 sharp to 1; see `blur`. 0 for depth.
        still_share: Share of them that are like the picture 0.1 s later; None with too few.
    """

    brightest: int
    blur: float
    still_share: float | None


def look(camera: CameraStream) -> Look:
    """Decode a few pictures of a camera and judge them."""
    later = max(1, round(camera.rate_hz * _STILL_S))
    n = min(_SAMPLED_PICTURES, len(camera))
    picks = np.unique(np.linspace(0, max(len(camera) - 1 - later, 0), n).astype(int))
    levels: list[int] = []
    blurs: list[float] = []
    still: list[bool] = []
    for i in picks.tolist():
        luma = camera.grey(i)
        levels.append(int(luma.max()))
        if not camera.is_depth:
            blurs.append(blur(luma))
        if i + later < len(camera):
            change = np.abs(_blocks(camera.grey(i + later)) - _blocks(luma))
            still.append(bool(change.max() < _STILL_LEVELS))
    blurred = float(np.median(blurs)) if blurs else 0.0
    return Look(max(levels, default=0), blurred, share(still))


def _blocks(luma: Array) -> Array:
    """Means of blocks of about 8 px, which noise and compression hardly move."""
    height, width = luma.shape
    size = (max(width // 8, 1), max(height // 8, 1))
    means: Array = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return means


def blur(luma: Array) -> float:
    """Perceived blur of a picture, 0 sharp to 1, whatever it shows.

    How much of its differences between neighbours survives another blur (Crété, Dolmiere, Ladret,
    Nicolas: The blur effect, Human Vision and Electronic Imaging 2007). Noise counts as sharp.

    Args:
        luma: `(height, width)` uint8.
    """
    picture = luma.astype(np.float32)
    found = []
    for kernel, axis in (((1, _REBLUR_PX), 0), ((_REBLUR_PX, 1), 1)):
        before = np.abs(np.diff(picture, axis=axis))
        after = np.abs(np.diff(cv2.blur(picture, kernel), axis=axis))
        total = float(before.sum())
        lost = float(np.maximum(before - after, 0.0).sum())
        found.append(1.0 - lost / total if total > 0.0 else 0.0)
    return max(found)


def identical_share(camera: CameraStream) -> float | None:
    """Share of pictures that repeat the one before, byte for byte; None for H.264.

    Bytes of video differ even where the picture does not; see `Look.still_share`.
    """
    if camera.spec.codec == H264:
        return None
    sizes = camera.sizes
    same = [int(i) for i in np.flatnonzero(np.diff(sizes) == 0)]
    repeats = sum(camera.encoded(i) == camera.encoded(i + 1) for i in same)
    return repeats / max(len(sizes) - 1, 1)


def moved(state: Stream | None) -> bool:
    """Whether any joint of the state moved by more than 0.05 rad; true where none was recorded."""
    if state is None:
        return True
    position = state["position"]
    return bool(position.size) and bool(np.max(np.ptp(position, axis=0)) > 0.05)
