"""Where words go: a baseline that may turn and bend, a place for each letter, and the outline around all of them.

A baseline is an arc that turns by `bend` degrees from end to end (0: straight), with its middle at (x, y) and the angle
`turn` there. The outline follows it at the distance of the highest and the lowest ink.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import ImageFont
from shapely.geometry import Polygon
from shapely.prepared import prep

from data_prep.words.config import WordsConfig, font_file

_TEXTS = """
    open exit stop taxi hotel cafe bank park school police market pizza fresh sale free new city north
    south west east road bridge station museum garden music books coffee bread milk sugar tea water fire
    danger slow left right push pull men women staff only no smoking parking ticket price total cash
    change phone email street center house world river summer winter sport radio video photo print shop
    store table chair light power energy oil gas tire auto rent gold
"""
TEXTS = _TEXTS.split()
ATTEMPTS = 60  # to place a word before the picture has one fewer
MEASURE = 200  # font size at which letters are measured
LETTER_BEND = 15.0  # degrees that a baseline turns under one letter, at most: short words bend less
STEP = 12.0  # degrees of bend between two points of an outline
SLACK = 0.04  # of the font size, around the ink


class Letter(NamedTuple):
    """A letter's place: where its advance box has its middle on the baseline, picture sides, and its angle, degrees."""

    text: str
    x: float
    y: float
    turn: float


@dataclass(frozen=True)
class Word:
    text: str
    font: str
    height: float  # font size, picture sides
    letters: tuple[Letter, ...]
    outline: tuple[tuple[float, float], ...]  # picture sides, clockwise from the top left
    illegible: bool


class Measure(NamedTuple):
    """Of a text at font size 1: where its letters have their middles, ink above and below the baseline."""

    middles: tuple[float, ...]
    widest: float  # advance of the widest letter
    width: float  # of all advances
    before: float  # ink that stands out on the left, as of an italic
    after: float  # and on the right
    above: float
    below: float


@lru_cache(maxsize=4096)
def measure(text: str, font: str) -> Measure:
    face = ImageFont.truetype(font_file(font), MEASURE, layout_engine=ImageFont.Layout.BASIC)
    middles, at, widest = [], 0.0, 0.0
    for letter in text:
        advance = face.getlength(letter) / MEASURE
        middles.append(at + advance / 2)
        at, widest = at + advance, max(widest, advance)
    left, top, right, bottom = face.getbbox(text, anchor="ls")
    before, after = max(0.0, -left / MEASURE), max(0.0, right / MEASURE - at)
    return Measure(tuple(middles), widest, at, before, after, -top / MEASURE, bottom / MEASURE)


def place(config: WordsConfig, rng: np.random.Generator, heldout: bool) -> list[Word]:
    """The words of one picture; their outlines lie in the frame and `gap` apart."""
    wanted = int(rng.integers(int(config.words.low), int(config.words.high) + 1))
    placed: list[Word] = []
    taken: list[Polygon] = []
    for _ in range(wanted):
        for _ in range(ATTEMPTS):
            word = _draw(config, rng, heldout)
            area = Polygon(word.outline)
            if _inside(word) and area.is_valid and not any(prep(area).intersects(other) for other in taken):
                placed.append(word)
                taken.append(area.buffer(config.gap))
                break
    return placed


def _draw(config: WordsConfig, rng: np.random.Generator, heldout: bool) -> Word:
    text = _text(rng)
    if config.line.draw(rng):
        text += f" {_text(rng)}"
    fonts = config.fonts.heldout if heldout else config.fonts.train
    font, height = fonts.draw(rng), config.height.draw(rng)
    bend = min(config.bend.draw(rng), LETTER_BEND * len(text)) * (1 if rng.random() < 0.5 else -1)
    x, y = rng.uniform(0, 1, size=2)
    return lay_out(
        text, font, height, float(x), float(y), config.turn.draw(rng), bend, config.illegible.draw(rng)
    )


def _text(rng: np.random.Generator) -> str:
    word = TEXTS[int(rng.integers(len(TEXTS)))]
    style = rng.random()
    return word.upper() if style < 0.4 else word.capitalize() if style < 0.7 else word


def lay_out(
    text: str, font: str, height: float, x: float, y: float, turn: float, bend: float, illegible: bool
) -> Word:
    """The word with the middle of its letters' height at (x, y)."""
    size = measure(text, font)
    lift = (size.above - size.below) / 2  # the baseline lies below the middle by this
    down = math.radians(turn + 90)
    x, y = x + lift * height * math.cos(down), y + lift * height * math.sin(down)

    def at(along: float) -> tuple[float, float, float]:
        """x, y and angle in degrees of the baseline, `along` font sizes from its middle."""
        return on_arc(along * height, size.width * height, x, y, turn, bend)

    letters = []
    for letter, middle in zip(text, size.middles, strict=True):
        where = at(middle - size.width / 2)
        letters.append(Letter(letter, *where))
    count = max(2, math.ceil(abs(bend) / STEP) + 1)
    stations = [size.width * (k / (count - 1) - 0.5) for k in range(count)]
    # At the ends of a bent baseline the outline turns inwards, while a letter's edge stays as it is.
    leaning = max(size.above, size.below) * math.tan(math.radians(abs(bend)) * size.widest / size.width / 2)
    stations[0] -= SLACK + size.before + leaning
    stations[-1] += SLACK + size.after + leaning
    # Letters are rigid: on a bent baseline their corners stand off the arc by up to this.
    off = SLACK + abs(math.radians(bend)) / size.width * (size.widest / 2) ** 2 / 2
    chord = (1 - math.cos(math.radians(bend / max(1, count - 1) / 2))) * _radius(size.width, bend)
    top = [_off(at(s), -(size.above + off + chord) * height) for s in stations]
    bottom = [_off(at(s), (size.below + off + chord) * height) for s in stations]
    return Word(text, font, height, tuple(letters), (*top, *reversed(bottom)), illegible)


def on_arc(
    along: float, width: float, x: float, y: float, turn: float, bend: float
) -> tuple[float, float, float]:
    """x, y and angle (degrees) of an arc of length `width` that turns by `bend`, `along` from its middle (x, y)."""
    start = math.radians(turn)
    curve = math.radians(bend) / width  # radians a unit of length
    if abs(curve) < 1e-9:
        return x + along * math.cos(start), y + along * math.sin(start), turn
    end = start + curve * along
    return (
        x + (math.sin(end) - math.sin(start)) / curve,
        y - (math.cos(end) - math.cos(start)) / curve,
        math.degrees(end),
    )


def _radius(width: float, bend: float) -> float:
    return width / abs(math.radians(bend)) if abs(bend) > 1e-6 else 0.0


def _off(where: tuple[float, float, float], distance: float) -> tuple[float, float]:
    """A point `distance` below the baseline (negative: above)."""
    x, y, angle = where
    down = math.radians(angle + 90)
    return x + distance * math.cos(down), y + distance * math.sin(down)


def _inside(word: Word) -> bool:
    return all(0.0 <= x <= 1.0 and 0.0 <= y <= 1.0 for x, y in word.outline)
