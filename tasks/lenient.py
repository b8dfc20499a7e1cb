r"""Shapes as models write them that were not trained here, for `evaluation.reading=lenient`.

    {"bbox_2d": [24, 310, 99, 373], "label": "cup"}     JSON, alone or in a list, in a Markdown fence, with text around
    [0.1, 0.35, 0.6, 0.9]    (24, 310), (99, 373)       other decimals, spaces, brackets; {"x": 24, "y": 310} for a point
    [10%, 35%, 60%, 90%]                                percentages
    x1=24, y1=310, x2=99, y2=373                        named edges, also x_min, left, top, …
    <loc0310><loc0024><loc0373><loc0099> cup            marks with text around: y before x; all others are x before y

Four numbers are a box, whichever corners come first; more are a polygon. In what they count is told from an answer's numbers
alone, once for all of them, and never by what fits the truth: percentages, and numbers of which none is above 1 and one has a
decimal point, are shares of the format's frame; numbers within the format's own range are its steps; others are pixels.
Nothing is rounded to the format's steps, and what leaves the frame is cut at its edge.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from tasks.coordinates import FORMATS, CoordinateFormat, Size, Steps

_NUMBER = r"[+-]?(?:[0-9]{1,9}(?:\.[0-9]{0,17})?|\.[0-9]{1,17})(?:[eE][+-]?[0-9]{1,2})?(?:\s?%)?"
_COMMA = r"\s{0,9},\s{0,9}"
_OPEN, _CLOSE = r"[(\[{]\s{0,9}", r"\s{0,9}[)\]}]"
_KEY = r"(?:[\"']?\b{}[\"']?\s{{0,9}}[:=]\s{{0,9}})"
_PAIR = f"{_OPEN}{_KEY.format('x')}?{_NUMBER}{_COMMA}{_KEY.format('y')}?{_NUMBER}{_CLOSE}"
_EDGE = _KEY.format("(?:[xy]_?(?:min|max|1|2)|left|top|right|bottom)") + _NUMBER
_LIST = f"{_NUMBER}(?:{_COMMA}{_NUMBER}){{3,}}"
_SHAPE = re.compile(
    r"(?P<marks>(?:<loc[0-9]{4}>){4,})"
    rf"|(?P<pairs>{_PAIR}(?:\s{{0,9}},?\s{{0,9}}{_PAIR})+)"
    rf"|(?P<list>{_OPEN}{_LIST}{_CLOSE})"
    rf"|(?P<edges>{_EDGE}(?:[,;\s]{{1,9}}{_EDGE}){{3}})",
    re.IGNORECASE | re.ASCII,
)
_BARE = re.compile(rf"(?P<list>{_LIST})", re.ASCII)
_VALUE = re.compile(_NUMBER, re.ASCII)
_NAMED = re.compile(
    rf"(?:([xy])_?(min|max|1|2)|(left|top|right|bottom))[\"']?\s*[:=]\s*({_NUMBER})", re.IGNORECASE | re.ASCII
)
_SIDES = {"left": "x1", "top": "y1", "right": "x2", "bottom": "y2"}
_FENCE = re.compile(r"```[a-z]*")
_NOTHING = ("none", "nothing", "null", "[]")


def says_nothing(text: str) -> bool:
    """Whether a text says in one word, or with an empty list, that there is nothing to list."""
    return _FENCE.sub("", text).casefold().strip(" \t\n.!*\"'`") in _NOTHING


def read_shapes(text: str, wanted: CoordinateFormat, size: Size) -> list[list[Steps]]:
    """The boxes (two corners) and polygons of a text, in steps of the format that need not be whole; [] where there is none.

    size: of the picture, in pixels.
    """
    found = list(_SHAPE.finditer(text))
    if not found and (bare := _BARE.fullmatch(text.strip(" \t\n*`").rstrip("."))):
        found = [bare]
    written = [_points(one) for one in found if one.lastgroup != "marks"]
    frame = _frame([number for points in written for point in points for number in point], wanted)
    unmarked = iter(written)
    shapes = []
    for one in found:
        marks = one.lastgroup == "marks"
        points, its_frame = (
            (_marked(one[0]), FORMATS["loc_1024"]) if marks else (_values(next(unmarked)), frame)
        )
        if len(points) < 2 or its_frame is None:
            return []
        steps = wanted.to_exact_steps(its_frame.to_pixels(points, size), size)
        shapes.append(as_box(steps) if len(steps) == 2 else steps)
    return shapes


def as_box(shape: Sequence[Steps]) -> list[Steps]:
    """The bounding box's two corners."""
    xs, ys = zip(*shape, strict=True)
    return [(min(xs), min(ys)), (max(xs), max(ys))]


def as_polygon(shape: list[Steps]) -> list[Steps]:
    """Of two corners the box's four."""
    if len(shape) != 2:
        return shape
    (x1, y1), (x2, y2) = shape
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def _points(found: re.Match[str]) -> list[tuple[str, str]]:
    """The numbers of a shape as they are written, by point; [] where they are no points."""
    if found.lastgroup == "edges":
        edges = {
            _SIDES.get(side.lower(), axis.lower() + {"min": "1", "max": "2"}.get(end.lower(), end)): number
            for axis, end, side, number in _NAMED.findall(found[0])
        }
        return [(edges["x1"], edges["y1"]), (edges["x2"], edges["y2"])] if len(edges) == 4 else []
    numbers = _VALUE.findall(found[0])
    return [] if len(numbers) % 2 else list(zip(numbers[::2], numbers[1::2], strict=True))


def _marked(text: str) -> list[Steps]:
    bins = [int(digits) for digits in re.findall(r"[0-9]{4}", text)]
    return [] if len(bins) % 2 else [(x, y) for y, x in zip(bins[::2], bins[1::2], strict=True)]


def _values(points: Sequence[tuple[str, str]]) -> list[Steps]:
    return [(_value(x), _value(y)) for x, y in points]


def _value(number: str) -> Fraction:
    return Fraction(number.rstrip("% "))


def _frame(numbers: Sequence[str], wanted: CoordinateFormat) -> CoordinateFormat | None:
    """What an answer's numbers count in, as a format; None where only some are percentages."""
    percent = ["%" in number for number in numbers]
    if any(percent):
        return replace(wanted, steps=100) if all(percent) else None
    shares, most = replace(wanted, steps=1), max(map(_value, numbers), default=0)
    own = shares if wanted.style == "list" else wanted
    if most <= 1 and any(not number.lstrip("+-").isdigit() for number in numbers):
        return shares
    return own if own.steps is None or most <= own.steps else FORMATS["pixels"]
