"""Charts as pixels: each kind draws its data onto a page several times too large, which is averaged down."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_prep.charts.question import RULER, Question
from data_prep.words.config import font_file

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C6BB1", "#4d4d4d")
PAPERS = ("#ffffff", "#faf7ef", "#f1f5f9", "#f4f4f4")
INK = "#202020"
SMALLEST = 0.85  # of the picture that a chart fills
SMALL, PLAIN = 0.05, 0.07  # heights of text, picture sides


@dataclass
class Page:
    """A canvas on which (0, 0) is the top left corner and (1, 1) the bottom right of a square that nearly fills it.

    How much of the picture it fills, and where it lies, differs from picture to picture.
    """

    image: Image.Image
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.side = float(self.rng.uniform(SMALLEST, 1.0)) * self.image.width
        self.left, self.top = self.rng.uniform(0, self.image.width - self.side, size=2).tolist()
        self.pen = ImageDraw.Draw(self.image)
        self.colours = [str(colour) for colour in self.rng.permutation(PALETTE)]

    def line(self, points: list[tuple[float, float]], colour: str = INK, width: float = 0.012) -> None:
        self.pen.line(
            self._pixels(points), fill=colour, width=max(1, round(width * self.side)), joint="curve"
        )

    def box(
        self, x1: float, y1: float, x2: float, y2: float, fill: str | None, edge: str | None = None
    ) -> None:
        width = max(1, round(0.012 * self.side)) if edge else 0
        self.pen.rectangle(self._pixels([(x1, y1), (x2, y2)]), fill=fill, outline=edge, width=width)

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        self.pen.ellipse(self._pixels([(x - radius, y - radius), (x + radius, y + radius)]), fill=colour)

    def sector(self, start: float, end: float, colour: str) -> None:
        """Of the circle about the middle, from angle to angle in degrees clockwise from 3 o'clock."""
        corners = self._pixels([(0.1, 0.1), (0.9, 0.9)])
        self.pen.pieslice(
            corners, start, end, fill=colour, outline="#ffffff", width=max(1, round(self.side / 120))
        )

    def text(self, x: float, y: float, text: str, height: float = PLAIN, anchor: str = "mm") -> None:
        font = _font(max(6, round(height * self.side)))
        self.pen.text(self._pixels([(x, y)])[0], text, fill=INK, font=font, anchor=anchor)

    def _pixels(self, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(self.left + x * self.side, self.top + y * self.side) for x, y in points]


@lru_cache(maxsize=256)
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_file("DejaVuSans"), pixels, layout_engine=ImageFont.Layout.BASIC)


def render(question: Question, largest_value: int, size: int, rng: np.random.Generator) -> Image.Image:
    """The picture, RGB, size × size pixels."""
    factor = max(2, math.ceil(256 / size))
    paper = PAPERS[int(rng.integers(len(PAPERS)))]
    page = Page(Image.new("RGB", (size * factor, size * factor), paper), rng)
    DRAWERS[question.kind](page, question.data, largest_value)
    return page.image.reduce(factor)


def _scale(page: Page, largest: int) -> Callable[[float], float]:
    """Draw the value axis with labelled ticks; returns value → y."""
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500) if largest / s <= 6)
    top = math.ceil((largest + 1) / step) * step

    def height(value: float) -> float:
        return 0.88 - 0.8 * value / top

    for value in range(0, top + 1, step):
        page.line([(0.16, height(value)), (0.97, height(value))], "#c4c4c4", 0.006)
        page.text(0.14, height(value), str(value), SMALL, "rm")
    page.line([(0.16, height(0)), (0.97, height(0))])
    return height


def _columns(values: dict[str, int]) -> list[tuple[str, int, float]]:
    """(label, value, x of its middle)"""
    width = 0.8 / len(values)
    return [
        (label, value, 0.17 + (place + 0.5) * width) for place, (label, value) in enumerate(values.items())
    ]


def _bar(page: Page, data: dict[str, Any], largest: int) -> None:
    height, half = _scale(page, largest), 0.3 / len(data["values"])
    for place, (label, value, x) in enumerate(_columns(data["values"])):
        page.box(x - half, height(value), x + half, height(0), page.colours[place])
        page.text(x, 0.94, label)


def _line(page: Page, data: dict[str, Any], largest: int) -> None:
    height = _scale(page, largest)
    points = [(x, height(value)) for _, value, x in _columns(data["values"])]
    page.line(points, page.colours[0], 0.02)
    for (label, _, x), (_, y) in zip(_columns(data["values"]), points, strict=True):
        page.dot(x, y, 0.02, page.colours[0])
        page.text(x, 0.94, label)


def _pie(page: Page, data: dict[str, Any], largest: int) -> None:
    start = float(page.rng.uniform(0, 360))
    for place, (label, value) in enumerate(data["values"].items()):
        end = start + 3.6 * value
        page.sector(start, end, page.colours[place])
        middle = math.radians((start + end) / 2)
        page.text(0.5 + 0.27 * math.cos(middle), 0.5 + 0.27 * math.sin(middle), label, 0.08)
        start = end


def _table(page: Page, data: dict[str, Any], largest: int) -> None:
    high = min(0.16, 0.9 / len(data["values"]))
    for place, (label, value) in enumerate(data["values"].items()):
        y = 0.05 + place * high
        page.box(0.15, y, 0.85, y + high, "#ffffff" if place % 2 else "#e8eef5", INK)
        page.text(0.3, y + high / 2, label, 0.6 * high)
        page.text(0.8, y + high / 2, str(value), 0.6 * high, "rm")


def _ruler(page: Page, data: dict[str, Any], largest: int) -> None:
    def at(centimetres: float) -> float:
        return 0.06 + 0.88 * centimetres / RULER

    page.box(0.02, 0.55, 0.98, 0.8, "#f3dfa8", INK)
    for tick in range(int(RULER) * 10 + 1):
        length = 0.1 if tick % 10 == 0 else 0.07 if tick % 5 == 0 else 0.035
        page.line(
            [(at(tick / 10), 0.55), (at(tick / 10), 0.55 + length)], INK, 0.008 if tick % 5 == 0 else 0.003
        )
        if tick % 20 == 0:
            page.text(at(tick / 10), 0.72, str(tick // 10), 0.06)
    page.box(at(0), 0.38, at(data["value"]), 0.52, page.colours[0])


def _gauge(page: Page, data: dict[str, Any], largest: int) -> None:
    def at(value: float, radius: float) -> tuple[float, float]:
        angle = math.radians(150 + 2.4 * value)  # 0 at the lower left, 100 at the lower right
        return 0.5 + radius * math.cos(angle), 0.52 + radius * math.sin(angle)

    page.dot(0.5, 0.52, 0.46, "#fdfdfd")
    for tick in range(0, 101, 5):
        page.line([at(tick, 0.45), at(tick, 0.36 if tick % 20 == 0 else 0.41)], INK, 0.012)
        if tick % 20 == 0:
            page.text(*at(tick, 0.29), str(tick), SMALL)
    page.line([at(data["value"] + 50, -0.06), at(data["value"], 0.4)], page.colours[0], 0.03)
    page.dot(0.5, 0.52, 0.04, INK)


def _rectangle(page: Page, data: dict[str, Any], largest: int) -> None:
    scale = 0.6 / max(data["width"], data["height"])
    half_width, half_height = data["width"] * scale / 2, data["height"] * scale / 2
    page.box(
        0.55 - half_width, 0.45 - half_height, 0.55 + half_width, 0.45 + half_height, page.colours[0], INK
    )
    page.text(0.55, 0.45 + half_height + 0.06, str(data["width"]), 0.08)
    page.text(0.55 - half_width - 0.08, 0.45, str(data["height"]), 0.08)


def _dots(page: Page, data: dict[str, Any], largest: int) -> None:
    for x, y in data["points"]:
        page.dot(x, y, 0.06, page.colours[0])


DRAWERS: dict[str, Callable[[Page, dict[str, Any], int], None]] = {
    "bar": _bar,
    "line": _line,
    "pie": _pie,
    "table": _table,
    "ruler": _ruler,
    "gauge": _gauge,
    "rectangle": _rectangle,
    "dots": _dots,
}
