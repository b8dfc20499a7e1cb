"""Localization: where is what the expression names?

    prompt  Where is the small red ring left of the blue square?     (a config value; the expression is example.query)
    answer  (412,388),(587,612)                                      in the model's coordinate format

Record: `target` = {"boxes": [[x1, y1, x2, y2], …], "width": …, "height": …} in pixels. `LocalizationTask` takes one
box; `DetectionTask` lists all boxes of a category, left to right and then top to bottom, or says "none". A detection
target may hold "ignored": [[x1, y1, x2, y2], …], regions such as crowds that are not part of the answer; as in COCO, a box
that matches no target and lies in one of them by half of its own area or more counts neither way.

An answer is parsed when it is exactly one box (or a list of boxes) in the format, each with x1 < x2 and y1 < y2.
Anything else is wrong and gets no invented box: it counts as 0 in every accuracy and in the mean IoU, and is left out
of the centre distance; its share is 1 − "parsed". IoU is computed without rounding, so that 1/2 is 1/2.

localization, version 1: first version.
detection, version 1: first version. Version 2: ignored regions.
"""

from collections.abc import Mapping, Sequence
from math import hypot
from statistics import median
from typing import Any, ClassVar

from PIL import Image

from ntil.data.example import Example
from ntil.data.magnitude import Magnitude, Scores
from ntil.data.task import Item, Metric, Task
from ntil.metrics import boxes
from ntil.metrics.exact import Number
from tasks.coordinates import CoordinateFormat, Size
from tasks.drawing import ANSWER, FAINT, TRUTH, corners, enlarged, outline
from tasks.lenient import read_shapes, says_nothing
from tasks.shapes import UNMATCHED, BoxFormat, Shape, ShapesFormat, is_box, size_of, unmatched


class _BoxTask(Task):
    """What one box and lists of boxes share."""

    groups: ClassVar[Sequence[str]] = ("category",)

    def __init__(
        self,
        coordinates: str = "integers_1000",
        question: str = "Where is {query}?",
        max_new_tokens: int = 32,
    ) -> None:
        self.coordinates = CoordinateFormat.of(coordinates)
        self.question, self.max_new_tokens = question, max_new_tokens

    def prompt(self, example: Example) -> str:
        return self.question.replace("{query}", example.query or "the object")

    def read_other_boxes(self, text: str, example: Example) -> list[Shape]:
        """The boxes of a text in another format (tasks.lenient); [] where it holds none, or other shapes."""
        found = read_shapes(text, self.coordinates, size_of(example))
        return found if all(map(is_box, found)) else []

    def pixels(self, shape: Shape, size: Size) -> list[Number]:
        """[x1, y1, x2, y2] in pixels, without rounding."""
        (x1, y1), (x2, y2) = self.coordinates.to_pixels(shape, size)
        return [x1, y1, x2, y2]

    def _drawn(self, image: Image.Image, shapes: Sequence[Shape], example: Example | None) -> Image.Image:
        size = image.size
        image, scale = enlarged(image)
        if example is not None:
            known = size_of(example)
            for colour, known_boxes in ((FAINT, _ignored(example)), (TRUTH, example.target["boxes"])):
                for box in known_boxes:
                    sides = zip(box, size * 2, known * 2, strict=True)
                    outline(
                        image,
                        corners([value * scale * side / full for value, side, full in sides]),
                        colour,
                        4,
                    )
        for shape in shapes:
            outline(image, corners([value * scale for value in self.pixels(shape, size)]), ANSWER, 2)
        return image


def _overlap(scores: Scores) -> float | None:
    return scores["iou"] if scores["parsed"] else None


class LocalizationTask(_BoxTask):
    """One box for each expression. See the module's docstring."""

    name: ClassVar[str] = "localization"
    version: ClassVar[int] = 1
    headline: ClassVar[str] = "acc_50"
    groups: ClassVar[Sequence[str]] = ("category", "colour", "needs")
    metrics: ClassVar[Mapping[str, Metric]] = {
        "acc_50": Metric("Acc@0.5", "higher", "share"),
        "acc_75": Metric("Acc@0.75", "higher", "share"),
        "iou": Metric("mean IoU", "higher", "share"),
        "centre": Metric("centre off by", "lower", "diagonals"),
        "parsed": Metric("parsed", "higher", "share"),
    }

    magnitude: ClassVar[Magnitude] = Magnitude(
        "IoU with the truth",
        (0.9, 0.75, 0.5, 0.25, 0),
        "no box",
        _overlap,
        hidden=0,
        names=("0.9–1", "0.75–0.9", "0.5–0.75", "0.25–0.5", "0–0.25"),
    )

    def __init__(
        self,
        coordinates: str = "integers_1000",
        question: str = "Where is {query}?",
        max_new_tokens: int = 32,
    ) -> None:
        super().__init__(coordinates, question, max_new_tokens)
        self.format = BoxFormat(self.coordinates)

    def truth(self, example: Example) -> Shape:
        return self.coordinates.box_to_steps(_box(example), size_of(example))

    def parse_otherwise(self, text: str, example: Example) -> Shape | None:
        """The one box of the text; the same box again is no other."""
        found = self.read_other_boxes(text, example)
        return found[0] if found and all(box == found[0] for box in found) else None

    def score(self, parsed: Shape | None, example: Example) -> dict[str, float | None]:
        if parsed is None:
            return {**dict.fromkeys(self.metrics, 0.0), "centre": None}
        size, truth = size_of(example), _box(example)
        found = self.pixels(parsed, size)
        overlap = boxes.iou(found, truth)
        return {
            "acc_50": float(overlap >= 0.5),
            "acc_75": float(overlap >= 0.75),
            "iou": float(overlap),
            "centre": boxes.centre_distance(found, truth) / hypot(*size),
            "parsed": 1.0,
        }

    def constant(self, train: Sequence[Example]) -> str:
        """The median box: each edge's median share of the picture, in a picture of the first example's size."""
        size = size_of(train[0])
        shares = [[value / side for value, side in zip(_box(e), size_of(e) * 2, strict=True)] for e in train]
        middle = [
            median(column) * side for column, side in zip(zip(*shares, strict=True), size * 2, strict=True)
        ]
        return self.format.write(self.coordinates.box_to_steps(middle, size))

    def error(self, scores: Mapping[str, float | None]) -> float:
        """0 from IoU 0.5 on, so that a right box is drawn as right."""
        if scores["acc_50"]:
            return 0.0
        return 1.0 - (scores["iou"] or 0.0) + (0.0 if scores["parsed"] else 1.0)

    def draw(self, image: Image.Image, parsed: Any | None, example: Example | None) -> Image.Image:
        """The picture at least 256 pixels large, with the box of the truth (green) and of the answer (orange)."""
        return self._drawn(image, [] if parsed is None else [parsed], example)


class DetectionTask(_BoxTask):
    """All boxes of a category as a list. See the module's docstring."""

    name: ClassVar[str] = "detection"
    version: ClassVar[int] = 2
    headline: ClassVar[str] = "h_mean"
    metrics: ClassVar[Mapping[str, Metric]] = {
        "h_mean": Metric("H-mean@0.5", "higher", "share", ratio=(("hits", "hits"), ("found", "targets"))),
        "precision": Metric("precision@0.5", "higher", "share", ratio=(("hits",), ("found",))),
        "recall": Metric("recall@0.5", "higher", "share", ratio=(("hits",), ("targets",))),
        "ap": Metric("COCO AP", "higher", "share", of_split=True),
        "ap_50": Metric("COCO AP@0.5", "higher", "share", of_split=True),
        "ap_75": Metric("COCO AP@0.75", "higher", "share", of_split=True),
        "parsed": Metric("parsed", "higher", "share"),
    }
    magnitude: ClassVar[Magnitude] = UNMATCHED

    def __init__(
        self,
        coordinates: str = "integers_1000",
        question: str = "Where is {query}?",
        max_new_tokens: int = 256,
    ) -> None:
        super().__init__(coordinates, question, max_new_tokens)
        self.format = ShapesFormat(self.coordinates)

    def truth(self, example: Example) -> list[Shape]:
        ordered = sorted(example.target["boxes"], key=lambda box: (box[0], box[1]))
        return [self.coordinates.box_to_steps(box, size_of(example)) for box in ordered]

    def parse_otherwise(self, text: str, example: Example) -> list[Shape] | None:
        return [] if says_nothing(text) else self.read_other_boxes(text, example) or None

    def score(self, parsed: list[Shape] | None, example: Example) -> dict[str, float | None]:
        truth = example.target["boxes"]
        found = [self.pixels(shape, size_of(example)) for shape in parsed or ()]
        pairs = boxes.matched(found, truth)
        hit = {place for place, _ in pairs}
        missed = [box for place, box in enumerate(found) if place not in hit]
        return {
            "hits": float(len(pairs)),
            "found": float(len(found) - len(boxes.covered(missed, _ignored(example)))),
            "targets": float(len(truth)),
            "parsed": float(parsed is not None),
        }

    def split_metrics(self, items: Sequence[Item]) -> dict[str, float | None]:
        return boxes.average_precision(
            [
                boxes.Detections(
                    [self.pixels(shape, size_of(item.example)) for shape in item.parsed or ()],
                    item.example.target["boxes"],
                    _ignored(item.example),
                )
                for item in items
            ]
        )

    def error(self, scores: Mapping[str, float | None]) -> float:
        return unmatched(scores) + (0.0 if scores["parsed"] else 1.0)

    def draw(self, image: Image.Image, parsed: Any | None, example: Example | None) -> Image.Image:
        """The picture at least 256 pixels large: targets green, ignored regions grey, the answer's boxes orange."""
        return self._drawn(image, parsed or [], example)


def _box(example: Example) -> list[float]:
    (box,) = example.target["boxes"]
    return [float(value) for value in box]


def _ignored(example: Example) -> list[list[float]]:
    return [[float(value) for value in box] for box in example.target.get("ignored") or ()]
