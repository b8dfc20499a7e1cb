"""Polygons [[x, y], …] in pixels: overlap, and the counts behind precision, recall and H-mean with ignored regions.

The rules are ICDAR 2015's: a detection that lies over an ignored region by more than half of its own area counts neither
way; the others are matched one to one with the targets at an IoU of at least 0.5. Best overlaps choose first; for
targets that do not overlap each other this is the same as any other order, because no detection can then have an IoU
above 0.5 with two of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from ntil.metrics.boxes import pairs_by_overlap

Points = Sequence[Sequence[float]]
COVERED = 0.5  # share of a detection's area over an ignored region from which on it is ignored too


class Counts(NamedTuple):
    """Of one picture, without what is ignored."""

    hits: int
    found: int
    targets: int


def region(points: Points) -> BaseGeometry:
    """The area inside a closed outline. One that crosses itself becomes the union of the parts it encloses (even-odd)."""
    if len(points) < 3:
        return Polygon()
    outline = Polygon(points)
    return outline if outline.is_valid else shapely.make_valid(outline)


def iou(one: Points, other: Points) -> float:
    """Intersection over union, 0–1; 0 for outlines without an area."""
    return _iou(region(one), region(other))


def count(
    found: Sequence[Points], truth: Sequence[Points], ignored: Sequence[bool], threshold: float = 0.5
) -> Counts:
    """Match the detections of one picture; `ignored` says which entries of `truth` are ignored regions."""
    regions = [region(points) for points in truth]
    dropped = [area for area, skip in zip(regions, ignored, strict=True) if skip]
    targets = [area for area, skip in zip(regions, ignored, strict=True) if not skip]
    detections = [area for area in map(region, found) if not _is_over(area, dropped)]
    overlaps = [[_iou(a, b) for b in targets] for a in detections]
    return Counts(len(pairs_by_overlap(overlaps, threshold)), len(detections), len(targets))


def _is_over(detection: BaseGeometry, dropped: Sequence[BaseGeometry]) -> bool:
    return detection.area > 0 and any(
        detection.intersection(area).area / detection.area > COVERED for area in dropped
    )


def _iou(one: BaseGeometry, other: BaseGeometry) -> float:
    union = one.union(other).area
    return float(one.intersection(other).area / union) if union > 0 else 0.0
