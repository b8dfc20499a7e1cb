"""How a model writes points and boxes. One format for a model, converted exactly both ways.

    integers_1000   (412,388),(587,612)                          0–1000 of the picture's width and height (Qwen2-VL)
    qwen_box        <|box_start|>(412,388),(587,612)<|box_end|>  the same, in the marks that Qwen2-VL was trained with
    decimals_2      [0.41, 0.39, 0.59, 0.61]                     0–1 of the picture padded to a square (LLaVA, Yi-VL)
    loc_1024        <loc0397><loc0422><loc0626><loc0600>         1,024 bins, y before x (PaliGemma)
    pixels          (26,25),(38,39)                              the picture's own pixels

A shape is a list of points: two corners for a box, three or more for a polygon; several shapes stand with "; " between
them. In a format's own units a coordinate is a whole number of steps from 0 to `steps`, so that what is written is
what is read, and a pixel coordinate comes back within half a step. Which bin's value PaliGemma's tokens stand for is
our reading: bin k of 1,024 is k/1023 of the side.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from ntil.errors import UserError, did_you_mean
from ntil.metrics.exact import Number, exact
from ntil.metrics.polygons import region

Point = tuple[Number, Number]  # x to the right, y down
Step = int | Fraction
Steps = tuple[Step, Step]  # a point in steps of its format; whole where it is in this format's text
Size = tuple[int, int]  # width and height of the picture, pixels

BETWEEN = "; "  # shapes
_LOC = re.compile(r"<loc([0-9]{4})>")


@dataclass(frozen=True)
class CoordinateFormat:
    """Between pixels, steps and text; get one with `CoordinateFormat.of("integers_1000")`.

    steps: of a side; None: one for each pixel. square: sides are those of the picture padded to a square about its middle.
    """

    name: str
    steps: int | None
    style: str  # "tuples", "list" or "loc"
    square: bool = False
    marks: tuple[str, str] = ("", "")  # around each shape

    @classmethod
    def of(cls, name: str) -> "CoordinateFormat":
        if name not in FORMATS:
            near = did_you_mean(name, FORMATS)
            raise UserError(f"There is no coordinate format {name!r}.{near} Formats: {', '.join(FORMATS)}.")
        return FORMATS[name]

    def to_steps(self, points: Sequence[Point], size: Size) -> list[Steps]:
        """Pixels → the nearest steps inside the picture's frame."""
        (wide, high), (left, top) = self._frame(size)
        x_steps, y_steps = self.steps or wide, self.steps or high
        return [
            (_nearest((x + left) / wide, x_steps), _nearest((y + top) / high, y_steps)) for x, y in points
        ]

    def to_exact_steps(self, points: Sequence[Point], size: Size) -> list[Steps]:
        """Pixels → steps inside the picture's frame, without rounding."""
        (wide, high), (left, top) = self._frame(size)
        x_steps, y_steps = self.steps or wide, self.steps or high
        return [
            (
                _within((exact(x) + left) * x_steps / wide, x_steps),
                _within((exact(y) + top) * y_steps / high, y_steps),
            )
            for x, y in points
        ]

    def to_pixels(self, points: Sequence[Steps], size: Size) -> list[Point]:
        """Steps → pixels, without rounding."""
        (wide, high), (left, top) = self._frame(size)
        x_steps, y_steps = self.steps or wide, self.steps or high
        return [(Fraction(x * wide, x_steps) - left, Fraction(y * high, y_steps) - top) for x, y in points]

    def box_to_steps(self, box: Sequence[Number], size: Size) -> list[Steps]:
        """[x1, y1, x2, y2] in pixels → its two corners, at least one step apart."""
        (x1, y1), (x2, y2) = self.to_steps([(box[0], box[1]), (box[2], box[3])], size)
        wide, high = (self.steps or side for side in self._frame(size)[0])
        (x1, x2), (y1, y2) = _apart(x1, x2, wide), _apart(y1, y2, high)
        return [(x1, y1), (x2, y2)]

    def outline_to_steps(self, points: Sequence[Point], size: Size) -> list[Steps]:
        """A polygon without the corners that fall together; its bounding box's four where no area is left of it."""
        apart = [point for point, _ in groupby(self.to_steps(points, size))]
        while len(apart) > 1 and apart[-1] == apart[0]:
            apart.pop()
        if region(apart).area > 0:
            return apart
        xs, ys = zip(*points, strict=True)
        (x1, y1), (x2, y2) = self.box_to_steps((min(xs), min(ys), max(xs), max(ys)), size)
        return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]

    def write(self, shapes: Sequence[Sequence[Steps]]) -> str:
        """Shapes in steps as text."""
        before, after = self.marks
        return BETWEEN.join(f"{before}{self._write(shape)}{after}" for shape in shapes)

    def read(self, text: str) -> list[list[Steps]] | None:
        """The shapes of a text that holds shapes and nothing else; None where it does not, or leaves the frame."""
        shapes = [self._read(part.strip()) for part in text.strip().split(BETWEEN.strip())]
        if any(shape is None for shape in shapes):
            return None
        found = [shape for shape in shapes if shape is not None]
        inside = self.steps is None or all(max(point) <= self.steps for shape in found for point in shape)
        return found if inside else None

    @property
    def box_pattern(self) -> str:
        """A regular expression of one box as `write` writes it."""
        return self._pattern("{1}")

    @property
    def polygon_pattern(self) -> str:
        """A regular expression of one polygon as `write` writes it: three points or more."""
        return self._pattern("{2,}")

    def _pattern(self, more: str) -> str:
        """Of one shape: its first point, and `more` of them."""
        before, after = map(re.escape, self.marks)
        if self.style == "loc":
            point = r"(?:<loc(?:0[0-9]{3}|10[01][0-9]|102[0-3])>){2}"
            return before + f"{point}(?:{point}){more}" + after
        if self.style == "list":
            number = r"(?:0\.[0-9]{2}|1\.00)"
            return before + rf"\[{number}, {number}(?:, {number}, {number}){more}\]" + after
        number = r"(?:0|[1-9][0-9]{0,2}|1000)" if self.steps == 1000 else r"(?:0|[1-9][0-9]{0,8})"
        return before + rf"\({number},{number}\)(?:,\({number},{number}\)){more}" + after

    def _frame(self, size: Size) -> tuple[Size, tuple[int, int]]:
        """Width and height that the steps divide, and where the picture's corner lies in there."""
        width, height = size
        if width < 1 or height < 1:
            raise ValueError(f"a picture of {width} × {height} pixels has no coordinates")
        if not self.square:
            return size, (0, 0)
        side = max(size)
        return (side, side), ((side - width) // 2, (side - height) // 2)

    def _write(self, shape: Sequence[Steps]) -> str:
        if self.style == "loc":
            return "".join(f"<loc{y:04d}><loc{x:04d}>" for x, y in shape)
        if self.style == "list":
            return "[" + ", ".join(f"{value / 100:.2f}" for point in shape for value in point) + "]"
        return ",".join(f"({x},{y})" for x, y in shape)

    def _read(self, text: str) -> list[Steps] | None:
        before, after = self.marks
        if not (text.startswith(before) and text.endswith(after) and len(text) > len(before) + len(after)):
            return None
        pattern, number = _PATTERNS[self.style]
        text = text[len(before) : len(text) - len(after)]
        if not pattern.fullmatch(text):
            return None
        values = [int(digits.replace(".", "")) for digits in number.findall(text)]
        if len(values) % 2 or len(values) < 4:
            return None
        pairs: list[Steps] = list(zip(values[::2], values[1::2], strict=True))
        return [(x, y) for y, x in pairs] if self.style == "loc" else pairs


def _pattern(item: str, between: str, opening: str = "", closing: str = "") -> re.Pattern[str]:
    return re.compile(f"{opening}{item}(?:{between}{item})*{closing}", re.ASCII)


# style → (the whole shape, one number of it)
_PATTERNS = {
    "tuples": (_pattern(r"\(\d{1,9}, ?\d{1,9}\)", ", ?"), re.compile(r"[0-9]+")),
    "list": (_pattern(r"[01]\.\d\d", ", ?", r"\[", r"\]"), re.compile(r"[01]\.[0-9]{2}")),
    "loc": (_pattern(_LOC.pattern, ""), _LOC),
}
FORMATS = {
    made.name: made
    for made in (
        CoordinateFormat("integers_1000", 1000, "tuples"),
        CoordinateFormat("qwen_box", 1000, "tuples", marks=("<|box_start|>", "<|box_end|>")),
        CoordinateFormat("decimals_2", 100, "list", square=True),
        CoordinateFormat("loc_1024", 1023, "loc"),
        CoordinateFormat("pixels", None, "tuples"),
    )
}


def _nearest(share: Number, steps: int) -> int:
    return min(steps, max(0, round(share * steps)))


def _within(step: Fraction, steps: int) -> Step:
    step = min(Fraction(steps), max(Fraction(0), step))
    return step if step.denominator > 1 else int(step)


def _apart(low: Step, high: Step, most: int) -> tuple[Step, Step]:
    """A thin box keeps an extent of one step."""
    return (low, high) if high > low else (low, low + 1) if low < most else (low - 1, low)
