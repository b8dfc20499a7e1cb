"""Polygons [[x, y], …] in pixels: overlap, and the counts behind precision, recall and H-mean with ignored regions.

The rules are those of ICDAR 2015's script for detection at IoU 0.5:

    ignored     a detection that shares more than half of its own area with one ignored region counts neither way
    matched     target by target in their order, each takes the first detection left whose IoU with it is above 0.5
    area        that of the outline by its signed sum (the shoelace formula), so that loops turned the other way count
                negative and a bow tie has none; what two outlines share is the area inside both (even-odd)

so a detection that crosses itself may have an IoU above that of what it covers, as in the script (its library Polygon2
counts so). Unlike there, coordinates aren't cut to whole pixels. A share of exactly one half is told from one above it:
where shapely's floats are too near to say, the area is computed in whole numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain, combinations, pairwise
from typing import NamedTuple

import shapely
from shapely.geometry import Point, Polygon
from shapely.geometry.base import BaseGeometry

from ntil.metrics.exact import Number, grid, steps

Points = Sequence[Sequence[Number]]
Corner = tuple[int, int]
COVERED = Fraction(1, 2)  # share of a detection's area over an ignored region above which it is ignored too
NEAR = 1e-9  # of the areas: float results this near to a threshold are computed again, exactly


class Counts(NamedTuple):
    """Of one picture, without what is ignored."""

    hits: int
    found: int
    targets: int


@dataclass(frozen=True)
class Outline:
    """A closed outline of whole-numbered corners."""

    corners: list[Corner]

    @cached_property
    def area(self) -> Fraction:
        """By the signed sum over the outline."""
        around = zip(self.corners, self.corners[1:] + self.corners[:1], strict=True)
        return Fraction(abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in around)), 2)

    @cached_property
    def _region(self) -> BaseGeometry:
        return region(self.corners)

    @cached_property
    def _bounds(self) -> tuple[int, int, int, int]:
        xs, ys = zip(*self.corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def shares_more(self, other: "Outline", share: Fraction) -> bool:
        """Whether more than `share` of its own area is inside the other."""
        limit = share * self.area
        return limit > 0 and self._shared(other, limit) > limit

    def overlaps_more(self, other: "Outline", threshold: Fraction) -> bool:
        """Whether intersection over union is above the threshold; not where the union has no area."""
        if self._is_apart(other):
            return False
        both = self.area + other.area
        limit = threshold * both / (1 + threshold)
        return limit < self._shared(other, limit, both) < both

    def iou(self, other: "Outline") -> float:
        shared = self._shared(other)
        union = self.area + other.area - shared
        return float(shared / union) if union > 0 else 0.0

    def _shared(self, other: "Outline", *limits: Fraction) -> Fraction | float:
        """The area inside both: in floats where that tells it from the limits, else exact."""
        if self._is_apart(other):
            return 0.0
        area = float(self._region.intersection(other._region).area)
        near = NEAR * float(self.area + other.area)
        if any(abs(area - float(limit)) <= near for limit in limits):
            return shared_area(self.corners, other.corners)
        return area

    def _is_apart(self, other: "Outline") -> bool:
        (left, top, right, bottom), (its_left, its_top, its_right, its_bottom) = self._bounds, other._bounds
        return right <= its_left or its_right <= left or bottom <= its_top or its_bottom <= top


def region(points: Points) -> BaseGeometry:
    """The area inside a closed outline; one that crosses itself encloses what is inside by the even-odd rule."""
    if len(points) < 3:
        return Polygon()
    corners = [(float(x), float(y)) for x, y in points]
    outline = Polygon(corners)
    if outline.is_valid:
        return outline
    cells = shapely.get_parts(shapely.polygonize([shapely.node(outline.exterior)]))
    return shapely.union_all([cell for cell in cells if _encloses(corners, cell.representative_point())])


def _encloses(corners: Sequence[tuple[float, float]], point: Point) -> bool:
    """Whether a ray from the point to the right crosses the outline an odd number of times."""
    edges = zip(corners, [*corners[1:], *corners[:1]], strict=True)
    return (
        sum(
            (y1 > point.y) != (y2 > point.y) and point.x < x1 + (x2 - x1) * (point.y - y1) / (y2 - y1)
            for (x1, y1), (x2, y2) in edges
        )
        % 2
        == 1
    )


def iou(one: Points, other: Points) -> float:
    """Intersection over union under the rules above; 0 for outlines without an area."""
    (first,), (second,) = _on_one_grid([one], [other])
    return first.iou(second)


def count(
    found: Sequence[Points], truth: Sequence[Points], ignored: Sequence[bool], threshold: float = 0.5
) -> Counts:
    """Match the detections of one picture; `ignored` says which entries of `truth` are ignored regions."""
    detections, regions = _on_one_grid(found, truth)
    dropped = [outline for outline, skip in zip(regions, ignored, strict=True) if skip]
    targets = [outline for outline, skip in zip(regions, ignored, strict=True) if not skip]
    left = [d for d in detections if not any(d.shares_more(outline, COVERED) for outline in dropped)]
    counted, hits = len(left), 0
    for target in targets:
        place = next((i for i, d in enumerate(left) if d.overlaps_more(target, Fraction(threshold))), None)
        if place is not None:
            del left[place]
            hits += 1
    return Counts(hits, counted, len(targets))


def shared_area(one: Sequence[Corner], other: Sequence[Corner]) -> Fraction:
    """The area inside both closed outlines (even-odd), exact.

    Between two neighbouring heights at which outlines turn or cross, edges don't meet: what is inside is a row of
    trapezoids, each as large as its width half way up times its height.
    """
    edges = [(edge, which) for which, outline in enumerate((one, other)) for edge in _edges(outline)]
    heights = {Fraction(y) for (_, y) in chain(one, other)}
    heights |= {y for (a, _), (b, _) in combinations(edges, 2) if (y := _crossing(a, b)) is not None}
    total = Fraction(0)
    for low, high in pairwise(sorted(heights)):
        middle = (low + high) / 2
        row = sorted(
            (_x_at(edge, middle), which) for edge, which in edges if edge[0][1] < middle < edge[1][1]
        )
        inside = [False, False]
        for (x, which), (following, _) in pairwise(row):
            inside[which] = not inside[which]
            if all(inside):
                total += (following - x) * (high - low)
    return total


def _edges(outline: Sequence[Corner]) -> list[tuple[Corner, Corner]]:
    """The edges that rise or fall, from their upper to their lower corner."""
    around = zip(outline, [*outline[1:], *outline[:1]], strict=True)
    return [(a, b) if a[1] < b[1] else (b, a) for a, b in around if a[1] != b[1]]


def _x_at(edge: tuple[Corner, Corner], y: Fraction) -> Fraction:
    (x1, y1), (x2, y2) = edge
    return x1 + (x2 - x1) * (y - y1) / (y2 - y1)


def _crossing(one: tuple[Corner, Corner], other: tuple[Corner, Corner]) -> Fraction | None:
    """The height at which the two edges meet; None where they don't, or lie on one line."""
    ((x1, y1), (x2, y2)), ((x3, y3), (x4, y4)) = one, other
    turn = (x2 - x1) * (y4 - y3) - (y2 - y1) * (x4 - x3)
    if turn == 0:
        return None
    along = Fraction((x3 - x1) * (y4 - y3) - (y3 - y1) * (x4 - x3), turn)
    height = y1 + along * (y2 - y1)
    return height if max(y1, y3) < height < min(y2, y4) else None


def _on_one_grid(*groups: Sequence[Points]) -> list[list[Outline]]:
    cut = grid(value for outlines in groups for points in outlines for point in points for value in point)
    return [
        [Outline([(x, y) for x, y in (steps(point, cut) for point in points)]) for points in outlines]
        for outlines in groups
    ]
