"""Text detection: where is the text in this picture?

    prompt  Find the text.                                          (a config value)
    answer  (102,78),(391,207); (450,80),(700,205)                  in the model's coordinate format, "none" without text

Record: `target` = {"polygons": [[[x, y], …], …], "ignored": [false, …], "width": …, "height": …} in pixels. `shape` says
whether answers are upright boxes (two corners each) or polygons; with boxes the truth is each polygon's bounding box.

Reading order, in which answers list the words: a word belongs to the row of the highest word that is left if its middle
lies within half of that word's height from that word's middle; rows from top to bottom, words from left to right. Ignored
regions are not part of the answer.

Precision, recall and H-mean follow ICDAR 2015's script, IoU above 0.5 (ntil.metrics.polygons), over all items of a split.
"Acc@0.5" has no published definition for text detection. Ours: matched targets over all targets that are not ignored,
so on one set it is the recall; "Acc@0.5, mean of sets" averages it over the sets that `meta["set"]` names.

Version 1: first version.
Version 2: an IoU of exactly 0.5 is no match, and outlines that cross themselves count as in ICDAR 2015's script.
"""

from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any, ClassVar

from PIL import Image

from ntil.data.example import Example
from ntil.data.magnitude import Magnitude
from ntil.data.task import Item, Metric, Task
from ntil.metrics import polygons
from ntil.metrics.centre import Kind, most_probable
from tasks.coordinates import CoordinateFormat, Point, Size
from tasks.drawing import ANSWER, FAINT, TRUTH, corners, enlarged, outline
from tasks.lenient import as_box, as_polygon, read_shapes, says_nothing
from tasks.shapes import NONE, UNMATCHED, Shape, ShapesFormat, size_of, unmatched

Outline = list[Point]


class TextDetectionTask(Task):
    """See the module's docstring. shape: "box" or "polygon"."""

    name: ClassVar[str] = "text_detection"
    version: ClassVar[int] = 2
    headline: ClassVar[str] = "h_mean"
    groups: ClassVar[Sequence[str]] = ("set", "words")
    metrics: ClassVar[Mapping[str, Metric]] = {
        "acc_50": Metric("Acc@0.5", "higher", "share", ratio=(("hits",), ("targets",))),
        "precision": Metric("precision@0.5", "higher", "share", ratio=(("hits",), ("found",))),
        "recall": Metric("recall@0.5", "higher", "share", ratio=(("hits",), ("targets",))),
        "h_mean": Metric("H-mean@0.5", "higher", "share", ratio=(("hits", "hits"), ("found", "targets"))),
        "acc_50_sets": Metric("Acc@0.5, mean of sets", "higher", "share", of_split=True),
        "parsed": Metric("parsed", "higher", "share"),
    }
    magnitude: ClassVar[Magnitude] = UNMATCHED
    format: ShapesFormat

    def __init__(
        self,
        coordinates: str = "integers_1000",
        question: str = "Find the text.",
        shape: str = "box",
        max_new_tokens: int = 160,
    ) -> None:
        self.coordinates = CoordinateFormat.of(coordinates)
        self.format = ShapesFormat(self.coordinates, shape)
        self.question, self.shape, self.max_new_tokens = question, shape, max_new_tokens

    def prompt(self, example: Example) -> str:
        return self.question

    def truth(self, example: Example) -> list[Shape]:
        shown = [points for points, skip in _regions(example) if not skip]
        return [self._steps(points, size_of(example)) for points in reading_order(shown)]

    def parse_otherwise(self, text: str, example: Example) -> list[Shape] | None:
        """Shapes in another format (tasks.lenient); as boxes their bounding boxes, as polygons a box's four corners."""
        if says_nothing(text):
            return []
        as_asked = as_box if self.shape == "box" else as_polygon
        found = [as_asked(shape) for shape in read_shapes(text, self.coordinates, size_of(example))]
        return found if found and all(map(self.format.takes, found)) else None

    def centre(self, parsed: Sequence[list[Shape]], weights: Sequence[float], kind: Kind) -> Any | None:
        """Of boxes coordinate by coordinate; of polygons, whose corners have no fixed order, the most probable answer."""
        if self.shape == "polygon":
            return most_probable(parsed, weights)
        return super().centre(parsed, weights, kind)

    def score(self, parsed: list[Shape] | None, example: Example) -> dict[str, float | None]:
        truth = [self._truth(points) for points, _ in _regions(example)]
        found = [self._outline(shape, size_of(example)) for shape in parsed or ()]
        counts = polygons.count(found, truth, [skip for _, skip in _regions(example)])
        scores = {name: float(value) for name, value in counts._asdict().items()}
        return {**scores, "parsed": float(parsed is not None)}

    def split_metrics(self, items: Sequence[Item]) -> dict[str, float | None]:
        sums: dict[str, list[float]] = {}
        for item in items:
            pair = sums.setdefault(str(item.example.meta.get("set", "")), [0.0, 0.0])
            pair[0] += item.scores["hits"] or 0.0
            pair[1] += item.scores["targets"] or 0.0
        shares = [hits / targets for hits, targets in sums.values() if targets]
        return {"acc_50_sets": mean(shares) if shares else None}

    def constant(self, train: Sequence[Example]) -> str:
        """One box of each edge's median share of the picture."""
        shares = []
        for example in train:
            for points, skip in _regions(example):
                if not skip:
                    sides = size_of(example) * 2
                    shares.append([v / side for v, side in zip(_bounds(points), sides, strict=True)])
        if not shares:
            return NONE
        size = size_of(train[0])
        x1, y1, x2, y2 = (
            median(column) * side for column, side in zip(zip(*shares, strict=True), size * 2, strict=True)
        )
        return self.format.write([self._steps(corners((x1, y1, x2, y2)), size)])

    def error(self, scores: Mapping[str, float | None]) -> float:
        return unmatched(scores) + (0.0 if scores["parsed"] else 1.0)

    def draw(self, image: Image.Image, parsed: Any | None, example: Example | None) -> Image.Image:
        """The picture at least 256 pixels large: targets green, ignored regions grey, the answer orange."""
        size = image.size
        image, scale = enlarged(image)
        if example is not None:
            across, down = (scale * now / was for now, was in zip(size, size_of(example), strict=True))
            for points, skip in _regions(example):
                shown = [(x * across, y * down) for x, y in self._truth(points)]
                outline(image, shown, FAINT if skip else TRUTH, 4)
        for shape in parsed or ():
            outline(image, [(x * scale, y * scale) for x, y in self._outline(shape, size)], ANSWER, 2)
        return image

    def _truth(self, points: Outline) -> Outline:
        return corners(_bounds(points)) if self.shape == "box" else points

    def _steps(self, points: Outline, size: Size) -> Shape:
        return (
            self.coordinates.box_to_steps(_bounds(points), size)
            if self.shape == "box"
            else self.coordinates.outline_to_steps(points, size)
        )

    def _outline(self, shape: Shape, size: Size) -> Outline:
        """Pixels of an answered shape's outline."""
        points = self.coordinates.to_pixels(shape, size)
        return corners((*points[0], *points[1])) if self.shape == "box" else points


def reading_order(outlines: Sequence[Outline]) -> list[Outline]:
    """The module's rule; outlines in pixels."""
    left = sorted(outlines, key=lambda points: (_bounds(points)[1], _bounds(points)[0]))
    ordered: list[Outline] = []
    while left:
        _, top, _, bottom = _bounds(left[0])
        row = [points for points in left if abs(_middle(points) - (top + bottom) / 2) <= (bottom - top) / 2]
        ordered += sorted(row, key=lambda points: _bounds(points)[0])
        left = [points for points in left if not any(points is member for member in row)]
    return ordered


def _middle(points: Outline) -> float:
    _, top, _, bottom = _bounds(points)
    return (top + bottom) / 2


def _bounds(points: Outline) -> tuple[float, float, float, float]:
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _regions(example: Example) -> list[tuple[Outline, bool]]:
    """(outline in pixels, whether it is ignored) of each region."""
    target = example.target
    return [
        ([(float(x), float(y)) for x, y in points], bool(skip))
        for points, skip in zip(target["polygons"], target["ignored"], strict=True)
    ]
