"""How much each picture may cost: a ladder of encodings, and when to step on it. Pure.

The measure is the time pictures take to be shown, not the bandwidth: that is what an operator
feels, and it needs no guess about who else uses the link.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MS_NS = 1_000_000
SLOW_NS = 100 * MS_NS
"""Beyond the link's own distance: pictures queue, step down."""
QUICK_NS = 35 * MS_NS
DOWN_EVERY_NS = 400 * MS_NS
"""Between two steps down: the first must show in the delays before the next."""
UP_AFTER_NS = 2_000 * MS_NS
MAX_UP_AFTER_NS = 32_000 * MS_NS
RELAPSE_NS = 1_500 * MS_NS
"""A step up that is taken back this soon was one too many: the next try waits twice as long."""


@dataclass(frozen=True)
class Level:
    """One way to encode pictures.

    Attributes:
        codec: `source` sends what the camera encoded.
        divisor: Width and height are divided by it.
        quality: Of JPEG.
        kbit_s: Of H.264, for a stream of 640 × 480 at 30 Hz; others by their pixels.
    """

    codec: str
    divisor: int = 1
    quality: int = 0
    kbit_s: int = 0


SOURCE = Level("source")
PLAIN = Level("jpeg", 1, 85)
"""In place of `SOURCE` where a client cannot decode what the camera encoded."""
JPEG = (
    SOURCE,
    Level("jpeg", 1, 60),
    Level("jpeg", 2, 70),
    Level("jpeg", 2, 45),
    Level("jpeg", 4, 60),
    Level("jpeg", 4, 35),
)
H264 = (
    SOURCE,
    Level("h264", 1, kbit_s=1600),
    Level("h264", 1, kbit_s=800),
    Level("h264", 1, kbit_s=400),
    Level("h264", 2, kbit_s=200),
    Level("h264", 4, kbit_s=100),
)


@dataclass(slots=True)
class LevelControl:
    """Which level a client's pictures have.

    Attributes:
        ladder: Best first.
        index: The level in use.
    """

    ladder: tuple[Level, ...] = JPEG
    index: int = 0
    _t_changed_ns: int = 0
    _t_slow_ns: int = 0
    _went_up: bool = False
    _up_after_ns: int = field(default=UP_AFTER_NS)

    @property
    def level(self) -> Level:
        """The level in use."""
        return self.ladder[self.index]

    def update(self, delay_ns: int | None, distance_ns: int | None, now_ns: int) -> None:
        """Step where it is time to.

        Args:
            delay_ns: From sending to the answer just now; None while nothing is sent.
            distance_ns: The same at best.
            now_ns: Now.
        """
        if delay_ns is None or distance_ns is None:
            return
        queued_ns = delay_ns - distance_ns
        since_ns = now_ns - self._t_changed_ns
        if queued_ns > QUICK_NS:
            self._t_slow_ns = now_ns
        if queued_ns > SLOW_NS and self.index < len(self.ladder) - 1 and since_ns >= DOWN_EVERY_NS:
            relapse = self._went_up and since_ns < RELAPSE_NS
            self._up_after_ns = (
                min(2 * self._up_after_ns, MAX_UP_AFTER_NS) if relapse else UP_AFTER_NS
            )
            self._step(1, now_ns)
        elif self.index and now_ns - max(self._t_slow_ns, self._t_changed_ns) >= self._up_after_ns:
            self._step(-1, now_ns)

    def _step(self, by: int, now_ns: int) -> None:
        self.index += by
        self._went_up = by < 0
        self._t_changed_ns = now_ns
