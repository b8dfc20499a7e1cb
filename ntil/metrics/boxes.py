"""Boxes [x1, y1, x2, y2] in pixels: overlap, matching, and COCO's average precision."""

import contextlib
import io
from collections.abc import Sequence
from math import hypot
from typing import NamedTuple

Box = Sequence[float]


def iou(one: Box, other: Box) -> float:
    """Intersection over union, 0–1; 0 for boxes without an area."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, width) * max(0.0, height)
    union = area(one) + area(other) - shared
    return shared / union if union > 0 else 0.0


def area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def centre_distance(one: Box, other: Box) -> float:
    """Pixels between the boxes' centres."""
    return hypot(
        (one[0] + one[2] - other[0] - other[2]) / 2,
        (one[1] + one[3] - other[1] - other[3]) / 2,
    )


def matched(found: Sequence[Box], truth: Sequence[Box], threshold: float = 0.5) -> list[tuple[int, int]]:
    """Pairs (found, truth) one to one with an IoU of at least `threshold`; the best overlaps choose first."""
    return pairs_by_overlap([[iou(a, b) for b in truth] for a in found], threshold)


def pairs_by_overlap(overlaps: Sequence[Sequence[float]], threshold: float) -> list[tuple[int, int]]:
    """Pairs (row, column) one to one where overlaps [found][truth] reach `threshold`; the largest choose first."""
    order = sorted(
        ((value, -i, -j) for i, row in enumerate(overlaps) for j, value in enumerate(row)), reverse=True
    )
    pairs: list[tuple[int, int]] = []
    taken_found: set[int] = set()
    taken_truth: set[int] = set()
    for overlap, minus_i, minus_j in order:
        i, j = -minus_i, -minus_j
        if overlap >= threshold and i not in taken_found and j not in taken_truth:
            pairs.append((i, j))
            taken_found.add(i)
            taken_truth.add(j)
    return sorted(pairs)


class Detections(NamedTuple):
    """The boxes of one picture. Answers written as text carry no confidence, so all of `found` count the same."""

    found: Sequence[Box]
    truth: Sequence[Box]


def average_precision(pictures: Sequence[Detections]) -> dict[str, float | None]:
    """COCO's AP over IoU 0.50:0.95 ("ap"), and at 0.5 and 0.75 ("ap_50", "ap_75"), one category, by pycocotools.

    All detections have the score 1, so the precision–recall curve follows the order of pictures and boxes. None where
    there is no true box.
    """
    names = ("ap", "ap_50", "ap_75")
    if not any(picture.truth for picture in pictures):
        return dict.fromkeys(names)
    if not any(picture.found for picture in pictures):
        return dict.fromkeys(names, 0.0)
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": number} for number in range(1, len(pictures) + 1)],
            "categories": [{"id": 1, "name": "object"}],
            "annotations": [
                {"id": number, "iscrowd": 0, **_annotation(picture, box)}
                for number, (picture, box) in enumerate(
                    ((p, box) for p, content in enumerate(pictures, 1) for box in content.truth), 1
                )
            ],
        }
        truth.createIndex()
        found = truth.loadRes(
            [
                {"score": 1.0, **_annotation(number, box)}
                for number, content in enumerate(pictures, 1)
                for box in content.found
            ]
        )
        run = COCOeval(truth, found, "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return {name: float(value) for name, value in zip(names, run.stats[:3], strict=True)}


def _annotation(picture: int, box: Box) -> dict[str, object]:
    wide, high = float(box[2] - box[0]), float(box[3] - box[1])
    corner = [float(box[0]), float(box[1]), wide, high]
    return {"image_id": picture, "category_id": 1, "bbox": corner, "area": wide * high}
