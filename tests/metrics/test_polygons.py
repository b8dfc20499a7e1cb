"""Polygon overlap against counting pixels, and the ignore rules by hand."""

import math
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from ntil.metrics.polygons import count, iou, region

SCALE = 8


def rasterised(points: list[tuple[float, float]]) -> np.ndarray:
    image = Image.new("L", (100 * SCALE, 100 * SCALE))
    ImageDraw.Draw(image).polygon([(x * SCALE, y * SCALE) for x, y in points], fill=1)
    return np.asarray(image, dtype=bool)


def star(draw: random.Random) -> list[tuple[float, float]]:
    """A simple polygon about a random centre, convex or not."""
    x, y = draw.uniform(30, 70), draw.uniform(30, 70)
    angles = sorted(draw.uniform(0, 2 * math.pi) for _ in range(draw.randint(5, 12)))
    return [(x + (r := draw.uniform(8, 28)) * math.cos(a), y + r * math.sin(a)) for a in angles]


@pytest.mark.parametrize("seed", range(20))
def test_iou_counts_pixels(seed: int) -> None:
    draw = random.Random(seed)
    one, other = star(draw), star(draw)
    a, b = rasterised(one), rasterised(other)
    assert iou(one, other) == pytest.approx((a & b).sum() / (a | b).sum(), abs=0.01)
    assert iou(one, other) == pytest.approx(iou(other, one))
    assert iou(one, one[::-1]) == pytest.approx(1)


def test_an_outline_that_crosses_itself_encloses_its_loops() -> None:
    bow_tie = [(0, 0), (4, 4), (4, 0), (0, 4)]  # two triangles of area 4 each
    assert region(bow_tie).area == pytest.approx(8)
    assert region([(0, 0), (5, 5)]).area == 0
    assert iou([(0, 0), (5, 5), (9, 9)], square(0, 0, 5)) == 0


def square(x: float, y: float, side: float = 10) -> list[tuple[float, float]]:
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]


def test_matching_and_ignoring_by_hand() -> None:
    words = [square(0, 0), square(20, 0), square(40, 0)]
    # Nothing ignored: one right, one far off, one target missed twice.
    assert count([square(0, 1), square(70, 70)], words, [False] * 3) == (1, 2, 3)
    # The same target cannot be hit twice: the second detection counts as wrong.
    assert count([square(0, 1), square(0, 2)], words, [False] * 3) == (1, 2, 3)
    # A detection over an ignored region counts neither way, and the region is no target.
    assert count([square(0, 1), square(20, 3)], words, [False, True, False]) == (1, 1, 2)
    # It lies over it by its own area: a large detection that merely holds a small ignored region counts.
    assert count([square(20, 0, side=20)], words, [True, True, True]) == (0, 1, 0)
    assert count([square(22, 2, side=5)], words, [True, True, True]) == (0, 0, 0)
    # Exactly half over it is not more than half.
    assert count([square(25, 0)], words, [True, True, True]) == (0, 1, 0)
    # Several regions do not add up.
    assert count([square(6, 0, side=18)], words, [True, True, False]) == (0, 1, 1)


def test_the_threshold_is_reached_at_a_half() -> None:
    half = [(0, 0), (10, 0), (10, 5), (0, 5)]
    assert iou(half, square(0, 0)) == pytest.approx(0.5)
    assert count([half], [square(0, 0)], [False]).hits == 1
    assert count([half], [square(0, 0)], [False], threshold=0.51).hits == 0


def test_better_overlaps_choose_first() -> None:
    target = square(0, 0)
    poor, good = square(0, 3), square(0, 1)
    both = [target, square(0, 3.4)]
    assert count([poor, good], both, [False, False]).hits == 2  # poor takes the second target


def test_no_words_and_no_detections() -> None:
    assert count([], [], []) == (0, 0, 0)
    assert count([square(0, 0)], [], []) == (0, 1, 0)
    assert count([], [square(0, 0)], [False]) == (0, 0, 1)
