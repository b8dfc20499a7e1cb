"""The answer formats of tasks that locate things: one box, or a list of boxes or polygons, in a model's coordinate format.

    BoxFormat        (412,388),(587,612)
    ShapesFormat     (102,78),(391,207); (450,80),(700,205)          "none" where there is nothing to list

Values are in whole steps of the coordinate format (tasks.coordinates). A box has x1 < x2 and y1 < y2, a polygon an area.
"""

from collections.abc import Sequence
from typing import Any

from ntil.data.answers import AnswerFormat
from ntil.data.example import Example
from ntil.data.magnitude import Magnitude, Scores
from ntil.errors import UserError
from ntil.metrics.polygons import region
from tasks.coordinates import BETWEEN, CoordinateFormat, Size, Steps

Shape = list[Steps]  # two corners of a box, top left and bottom right, or three points and more of a polygon
NONE = "none"
SHAPES = ("box", "polygon")
# Of a polygon. Where an outline crosses itself its crossings are looked for in pairs: 25,000 corners exhaust the memory.
MOST_CORNERS = 1000


class BoxFormat(AnswerFormat[Shape]):
    """Exactly one box."""

    def __init__(self, coordinates: CoordinateFormat) -> None:
        self.coordinates = coordinates

    @property
    def pattern(self) -> str:
        return self.coordinates.box_pattern

    def write(self, value: Shape) -> str:
        return self.coordinates.write([value])

    def read(self, text: str) -> Shape | None:
        found = self.coordinates.read(text)
        return found[0] if found is not None and len(found) == 1 and is_box(found[0]) else None


class ShapesFormat(AnswerFormat[list[Shape]]):
    """Any number of boxes, or of polygons. shape: "box" or "polygon"."""

    def __init__(self, coordinates: CoordinateFormat, shape: str = "box") -> None:
        if shape not in SHAPES:
            raise UserError(f"task.shape must be {' or '.join(SHAPES)}, not {shape!r}.")
        self.coordinates, self.shape = coordinates, shape

    @property
    def pattern(self) -> str:
        form = self.coordinates
        one = form.box_pattern if self.shape == "box" else form.polygon_pattern
        return f"(?:{NONE}|{one}(?:{BETWEEN}{one})*)"

    def write(self, value: list[Shape]) -> str:
        return self.coordinates.write(value) if value else NONE

    def read(self, text: str) -> list[Shape] | None:
        if text.strip() == NONE:
            return []
        found = self.coordinates.read(text)
        return found if found is not None and all(map(self.takes, found)) else None

    def takes(self, shape: Shape) -> bool:
        """Whether it is a shape of this kind: corners in their order, or an area within not too many corners."""
        if self.shape == "box":
            return is_box(shape)
        return 3 <= len(shape) <= MOST_CORNERS and region(shape).area > 0


def is_box(shape: Sequence[Any]) -> bool:
    """Two corners, of which the second lies right of and below the first."""
    return len(shape) == 2 and shape[0][0] < shape[1][0] and shape[0][1] < shape[1][1]


def size_of(example: Example) -> Size:
    """Width and height of a record's picture, in pixels."""
    return int(example.target["width"]), int(example.target["height"])


def unmatched(scores: Scores) -> float:
    """Targets missed and shapes invented; of scores `hits`, `found` and `targets`."""
    hits, found, targets = (scores[name] or 0.0 for name in ("hits", "found", "targets"))
    return found + targets - 2 * hits


UNMATCHED = Magnitude(
    "regions missed or invented",
    (0, 1, 2, 3, 5, 10),
    "no answer",
    lambda scores: unmatched(scores) if scores["parsed"] else None,
)
