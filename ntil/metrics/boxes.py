"""Boxes [x1, y1, x2, y2] in pixels: overlap, matching, and COCO's average precision. Ties are exact (ntil.metrics.exact)."""

import contextlib
import io
from collections.abc import Sequence
from fractions import Fraction
from itertools import chain
from math import hypot, inf
from typing import NamedTuple

from ntil.metrics.exact import Number, grid, steps

Box = Sequence[Number]


def iou(one: Box, other: Box) -> Fraction:
    """Intersection over union, 0–1, without rounding; 0 for boxes without an area."""
    (one,), (other,) = _on_one_grid([one], [other])
    return _iou(one, other)


def centre_distance(one: Box, other: Box) -> float:
    """Pixels between the boxes' centres."""
    return hypot(
        float(one[0] + one[2] - other[0] - other[2]) / 2,
        float(one[1] + one[3] - other[1] - other[3]) / 2,
    )


def matched(found: Sequence[Box], truth: Sequence[Box], threshold: float = 0.5) -> list[tuple[int, int]]:
    """Pairs (found, truth) one to one with an IoU of at least `threshold`; the best overlaps choose first."""
    found, truth = _on_one_grid(found, truth)
    overlaps = ((_iou(a, b), -i, -j) for i, a in enumerate(found) for j, b in enumerate(truth))
    pairs: list[tuple[int, int]] = []
    taken_found: set[int] = set()
    taken_truth: set[int] = set()
    for _, minus_i, minus_j in sorted((entry for entry in overlaps if entry[0] >= threshold), reverse=True):
        i, j = -minus_i, -minus_j
        if i not in taken_found and j not in taken_truth:
            pairs.append((i, j))
            taken_found.add(i)
            taken_truth.add(j)
    return sorted(pairs)


def covered(found: Sequence[Box], ignored: Sequence[Box], threshold: float = 0.5) -> list[int]:
    """Places in `found` of the boxes that lie in one ignored region by at least `threshold` of their own area, as COCO
    treats its crowds.
    """
    found, ignored = _on_one_grid(found, ignored)
    return [
        i
        for i, box in enumerate(found)
        if _area(box) and any(Fraction(_shared(box, region), _area(box)) >= threshold for region in ignored)
    ]


class Detections(NamedTuple):
    """The boxes of one picture. Answers written as text carry no confidence, so all of `found` count the same."""

    found: Sequence[Box]
    truth: Sequence[Box]
    ignored: Sequence[Box] = ()  # regions that are no targets and whose detections count neither way


def average_precision(pictures: Sequence[Detections]) -> dict[str, float | None]:
    """COCO's AP over IoU 0.50:0.95 ("ap"), and at 0.5 and 0.75 ("ap_50", "ap_75"), one category, by pycocotools.

    All detections have the score 1, so the precision–recall curve follows the order of pictures and boxes; the first 100
    of a picture count. None where there is no true box.
    """
    names = ("ap", "ap_50", "ap_75")
    if not any(picture.truth for picture in pictures):
        return dict.fromkeys(names)
    if not any(picture.found for picture in pictures):
        return dict.fromkeys(names, 0.0)
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, results = [], []
    for number, picture in enumerate(pictures, 1):
        found, targets, ignored = _on_one_grid(*picture)
        annotations += [_annotation(number, box, iscrowd=0) for box in targets]
        annotations += [_annotation(number, box, iscrowd=1) for box in ignored]
        results += [{**_annotation(number, box), "score": 1.0} for box in found]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": number} for number in range(1, len(pictures) + 1)],
            "categories": [{"id": 1, "name": "object"}],
            "annotations": [{"id": number, **annotation} for number, annotation in enumerate(annotations, 1)],
        }
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(results), "bbox")
        run.params.areaRng[0] = [
            0,
            inf,
        ]  # "all", which is up to 10¹⁰ square pixels, and these are steps of a grid
        run.evaluate()
        run.accumulate()
        run.summarize()
    return {name: float(value) for name, value in zip(names, run.stats[:3], strict=True)}


def _annotation(picture: int, box: Sequence[int], **more: int) -> dict[str, object]:
    corner = [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]
    return {"image_id": picture, "category_id": 1, "bbox": corner, "area": float(_area(box)), **more}


def _on_one_grid(*groups: Sequence[Box]) -> list[list[list[int]]]:
    cut = grid(chain.from_iterable(chain.from_iterable(groups)))
    return [[steps(box, cut) for box in group] for group in groups]


def _iou(one: Sequence[int], other: Sequence[int]) -> Fraction:
    shared = _shared(one, other)
    return Fraction(shared, _area(one) + _area(other) - shared) if shared else Fraction(0)


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height)


def _area(box: Sequence[int]) -> int:
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])
