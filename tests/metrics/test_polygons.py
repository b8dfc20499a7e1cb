"""Polygon overlap against counting pixels, and the ignore rules by hand."""

import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from ntil.metrics.polygons import count, iou, region, shared_area

SCALE = 8
BOW_TIE = [(0, 0), (4, 4), (4, 0), (0, 4)]
OUTLINES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=7)


def square(x: float, y: float, side: float = 10) -> list[tuple[float, float]]:
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]


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
    assert region(BOW_TIE).area == pytest.approx(8)  # two triangles of area 4 each
    assert region(square(0, 0) * 2).area == 0  # drawn twice, everything is outside again
    assert region([(0, 0), (5, 5)]).area == 0
    assert iou([(0, 0), (5, 5), (9, 9)], square(0, 0, 5)) == 0


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


@given(st.tuples(*[st.integers(1, 400)] * 2), st.integers(1, 997), st.integers(0, 90))
def test_an_iou_of_exactly_a_half_is_no_match(side: tuple[int, int], cut: int, turns: int) -> None:
    """Half of a box, of a box that is moved by fractions without a finite binary form, and of a tilted one."""
    wide, high = side
    x, y = Fraction(turns, cut), Fraction(7 * turns, cut)
    whole = [
        (x + a * wide + b * turns, y + b * high - a * turns) for a, b in ((0, 0), (2, 0), (2, 1), (0, 1))
    ]
    half = [whole[0], middle(whole[0], whole[1]), middle(whole[2], whole[3]), whole[3]]
    assert count([half], [whole], [False]) == (0, 1, 1)
    assert count([whole], [half], [False]) == (0, 1, 1)
    wider = [whole[0], middle(half[1], whole[1]), middle(half[2], whole[2]), whole[3]]
    assert count([wider], [whole], [False]) == (1, 1, 1)
    # Half of a detection over an ignored region is not more than half of it.
    assert count([whole], [half], [True]) == (0, 1, 0)
    assert count([whole], [wider], [True]) == (0, 0, 0)


def middle(one: tuple[Fraction, Fraction], other: tuple[Fraction, Fraction]) -> tuple[Fraction, Fraction]:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2


def test_targets_choose_in_their_order() -> None:
    target, wide = square(0, 0), square(0, 3)
    near, nearer = square(0, 2), square(0, 1)
    assert count([near, nearer], [target, wide], [False, False]) == (2, 2, 2)
    # The second target would fit `nearer` alone, which the first one has taken although `near` was left for it.
    assert count([nearer, near], [target, square(0, -2)], [False, False]) == (1, 2, 2)


@pytest.mark.parametrize(
    ("outline", "other", "expected"),
    [
        (BOW_TIE, square(0, 0, 4), 1.0),  # no area of its own: 8 / (0 + 16 − 8)
        (square(0, 0, 4), BOW_TIE, 1.0),
        (BOW_TIE, square(-1, -1, 6), 8 / 28),
        (BOW_TIE, BOW_TIE, 0.0),  # the union would be 0 + 0 − 8
        ([(0, 0), (10, 6), (10, 0), (4, 4)], square(0, 0, 8), 0.1376632),
        (
            [(0, 0), (10, 7), (0, 7), (10, 0), (5, 11)],
            square(0, 0),
            0.2429613,
        ),  # a star whose middle is outside
        ([(0, 0), (0, 10), (10, 10), (10, 0), (5, 5), (20, 5)], square(0, 0), 0.6037736),
        (square(0, 0) * 2, square(0, 0), 0.0),
    ],
)
def test_outlines_that_cross_themselves_count_as_in_the_official_script(
    outline: list, other: list, expected: float
) -> None:
    """Values of its library (Polygon3 3.0.9.1): area by the signed sum, intersection even-odd."""
    assert iou(outline, other) == pytest.approx(expected, abs=1e-6)
    assert count([outline], [other], [False]).hits == (expected > 0.5)


@settings(deadline=None, max_examples=30)
@given(OUTLINES, OUTLINES)
def test_exact_areas_are_those_of_shapely_and_of_counting(one: list, other: list) -> None:
    shared = float(shared_area(one, other))
    assert shared == pytest.approx(region(one).intersection(region(other)).area, abs=1e-9)
    assert float(shared_area(one, one)) == pytest.approx(region(one).area, abs=1e-9)
    middles = [((x + 0.5) / 20, (y + 0.5) / 20) for x in range(120) for y in range(120)]
    counted = sum(is_inside(one, *at) and is_inside(other, *at) for at in middles) / 400
    assert shared == pytest.approx(counted, abs=1)


def is_inside(points: list, x: float, y: float) -> bool:
    """Even-odd: a ray to the right crosses the outline an odd number of times."""
    crossings = 0
    for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (x2 - x1) * (y - y1) / (y2 - y1):
            crossings += 1
    return crossings % 2 == 1


def test_no_words_and_no_detections() -> None:
    assert count([], [], []) == (0, 0, 0)
    assert count([square(0, 0)], [], []) == (0, 1, 0)
    assert count([], [square(0, 0)], [False]) == (0, 0, 1)
