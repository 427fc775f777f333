"""Paints the HUD model with a transparent middle; paints anew only on change."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from teleop.hmd.hudmodel import BLUE, DIM, GREEN, GREY, RED, TEXT, Colour, HudModel, two_lines

WIDTH, HEIGHT = 1280, 1024
_PANEL = (12, 16, 22, 209)
_TRACKING = {"ok": GREEN, "lost": RED, "absent": GREY}
_KEYS = (("A", "success", GREEN), ("B", "failure", RED), ("X", "discard", GREY))
Box = tuple[float, float, float, float]


class HudImage:
    """The newest picture of the HUD.

    Attributes:
        rgba: (1024, 1280, 4) uint8, colours premultiplied by alpha.
        version: Counts repaints.
    """

    def __init__(self) -> None:
        self.rgba: npt.NDArray[np.uint8] = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        self.version = 0
        self._painted: HudModel | None = None

    def paint(self, model: HudModel) -> None:
        """Paint this model, unless it is painted already."""
        if model == self._painted:
            return
        self._painted = model
        self.version += 1
        image = Image.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
        _Painter(ImageDraw.Draw(image)).paint(model)
        rgba = np.array(image)
        rgba[..., :3] = rgba[..., :3] * (rgba[..., 3:].astype(np.uint16)) // 255
        self.rgba = rgba


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


class _Painter:
    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw

    def paint(self, model: HudModel) -> None:
        self._state(model)
        self._recording(model)
        self._quality(model)
        self._prompt(model)
        self._middle(model)
        self._gesture(model)
        self._lines(model)

    def _state(self, model: HudModel) -> None:
        self._pill((24, 24, 324, 100), model.motion.colour)
        self._text(model.motion.text, 174, 62, 40, TEXT, "mm", 280)
        for i, label in enumerate("LR"):
            left = 340 + i * 64
            self._pill((left, 24, left + 54, 100), GREEN if model.arms[i] else _PANEL)
            self._text(label, left + 27, 62, 34, TEXT if model.arms[i] else GREY, "mm")

    def _recording(self, model: HudModel) -> None:
        active = model.recording.colour != GREY
        self._pill((478, 24, 878, 100), model.recording.colour if active else _PANEL)
        start = 548 if model.is_rolling else 502
        if model.is_rolling:
            self._dot(518, 62, 15, TEXT)
        self._text(model.recording.text, start, 62, 34, TEXT if active else DIM, "lm", 866 - start)

    def _quality(self, model: HudModel) -> None:
        self._pill((892, 24, 1256, 100), _PANEL)
        for i, (label, word) in enumerate(model.tracking):
            x = 914 + i * 116
            self._dot(x + 8, 62, 12, _TRACKING.get(word, GREY))
            self._text(label, x + 28, 62, 26, GREY if word == "absent" else TEXT, "lm", 80)

    def _prompt(self, model: HudModel) -> None:
        rows = [text for text in (model.task, model.prompt) if text]
        if rows:
            self._pill((24, 112, 878, 112 + 12 + 46 * len(rows)), _PANEL)
        for i, text in enumerate(rows):
            colour = TEXT if text is model.task else DIM
            self._text(text, 46, 142 + 46 * i, 29, colour, "lm", 814)
        if model.latency:
            self._pill((1016, 112, 1256, 130 + 34 * len(model.latency)), _PANEL)
        for i, text in enumerate(model.latency):
            self._text(text, 1234, 138 + 34 * i, 24, DIM, "rm", 210)

    def _middle(self, model: HudModel) -> None:
        if model.banner is not None:
            self._pill((140, 400, 1140, 590), model.banner.colour)
            self._text(model.banner.title, 640, 460, 72, TEXT, "mm", 950)
            self._text(model.banner.text, 640, 542, 30, TEXT, "mm", 950)
        elif model.countdown:
            self._dot(640, 480, 120, _PANEL)
            self._text(model.countdown, 640, 480, 150, TEXT, "mm")
        elif model.review:
            self._review(model.grade, model.by_hand)

    def _review(self, grade: int | None, by_hand: bool) -> None:
        self._pill((220, 400, 1060, 590), _PANEL)
        if grade is None:
            self._text("How did it go?", 640, 440, 32, DIM, "mm")
        else:
            self._text(f"Grade {grade} of 5", 560, 440, 32, TEXT, "rm")
            for k in range(1, 6):
                self._dot(580 + 40 * k, 440, 14, GREEN if k <= grade else GREY)
        if by_hand:
            self._text("right palm: success, failure, grade", 640, 502, 32, TEXT, "mm")
            self._text("left palm: discard, once more", 640, 552, 32, TEXT, "mm")
            return
        how = "right stick up, down: grade     hold X: discard and record again"
        self._text(how, 640, 564, 24, DIM, "mm")
        for i, (key, word, colour) in enumerate(_KEYS):
            x = 300 + i * 270
            self._dot(x, 506, 30, colour)
            self._text(key, x, 506, 34, TEXT, "mm")
            self._text(word, x + 44, 506, 36, TEXT, "lm")

    def _gesture(self, model: HudModel) -> None:
        if model.gesture is None:
            return
        text, share = model.gesture
        lines = two_lines(text)
        end = 628 + 38 * len(lines)
        self._pill((190, 606, 1090, end), _PANEL)
        if share > 0.0:
            self._pill((190, 606, 190 + max(28.0, 900 * min(share, 1.0)), end), BLUE)
        for i, line in enumerate(lines):
            self._text(line, 640, 636 + 38 * i, 30, TEXT, "mm", 860)

    def _lines(self, model: HudModel) -> None:
        for i, line in enumerate(model.lines):
            y = 900 - (len(model.lines) - i) * 58
            self._pill((190, y, 1090, y + 50), line.colour)
            self._text(line.text, 640, y + 25, 28, TEXT, "mm", 860)

    def _pill(self, box: Box, colour: Colour | tuple[int, int, int, int]) -> None:
        self._draw.rounded_rectangle(box, 14, fill=(*colour, 255) if len(colour) == 3 else colour)

    def _dot(
        self, x: float, y: float, radius: float, colour: Colour | tuple[int, int, int, int]
    ) -> None:
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def _text(
        self, text: str, x: float, y: float, size: int, colour: Colour, anchor: str,
        width: float = WIDTH,
    ) -> None:  # fmt: skip
        """Smaller where it is too wide, down to two thirds; beyond that it is cut."""
        length = self._draw.textlength(text, _font(size))
        if length > width:
            size = max(round(size * width / length), round(size * 0.66))
        shown = text
        while len(shown) > 2 and self._draw.textlength(shown, _font(size)) > width:
            shown = f"{shown[:-2]}…"
        self._draw.text((x, y), shown, fill=colour, font=_font(size), anchor=anchor)
