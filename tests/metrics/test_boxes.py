"""IoU against counting pixels, matching against trying everything, AP against a direct reading of COCO's rules."""

import itertools
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.metrics.boxes import Detections, average_precision, centre_distance, covered, iou, matched

CORNERS = st.tuples(*[st.integers(0, 12)] * 4)


def box(corners: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    a, b, c, d = corners
    return min(a, b), min(c, d), max(a, b), max(c, d)


def pixels(shape: tuple[int, int, int, int]) -> np.ndarray:
    grid = np.zeros((12, 12), dtype=bool)
    grid[shape[1] : shape[3], shape[0] : shape[2]] = True
    return grid


@given(CORNERS.map(box), CORNERS.map(box))
def test_iou_counts_pixels(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> None:
    a, b = pixels(one), pixels(other)
    expected = (a & b).sum() / (a | b).sum() if (a | b).any() else 0.0
    assert iou(one, other) == pytest.approx(expected)
    assert iou(one, other) == iou(other, one)


@given(
    st.tuples(*[st.integers(1, 3000)] * 2),
    st.tuples(*[st.integers(-50, 5000)] * 2),
    st.sampled_from([1, 7, 1000, 1023]),
    st.sampled_from([(1, 2), (3, 4), (11, 20)]),
)
def test_ties_are_exact(
    side: tuple[int, int], corner: tuple[int, int], cut: int, share: tuple[int, int]
) -> None:
    """A box and its half (or other share), in fractions of a pixel that floats cannot hold."""
    part, parts = share
    x, y, wide, high = (Fraction(value, cut) for value in (*corner, *side))
    whole, some = (x, y, x + parts * wide, y + high), (x, y, x + part * wide, y + high)
    assert iou(some, whole) == iou(whole, some) == Fraction(part, parts)
    assert matched([some], [whole], 0.5) == [(0, 0)]
    assert matched([some], [whole], 0.75) == ([(0, 0)] if part / parts >= 0.75 else [])
    assert matched([some], [(x, y, x + parts * wide, y + high + Fraction(1, 10**12))], part / parts) == []
    tie = average_precision([Detections([some], [whole])])
    assert tie["ap_50"] == pytest.approx(1)
    assert tie["ap_75"] == pytest.approx(float(part / parts >= 0.75))


def test_coordinates_count_as_they_are_written() -> None:
    assert iou((0, 0, 0.1, 1), (0, 0, 0.2, 1)) == Fraction(1, 2)
    assert iou((0.3, 0, 0.4, 1), (0.3, 0, 0.5, 1)) == Fraction(1, 2)
    assert iou((0, 0, 1e-7, 1), (0, 0, 2e-7, 1)) == Fraction(1, 2)


def test_centres() -> None:
    assert centre_distance((0, 0, 2, 2), (3, 4, 5, 6)) == pytest.approx(5)


@given(st.lists(CORNERS.map(box), max_size=4), st.lists(CORNERS.map(box), max_size=4))
def test_matching_is_one_to_one_and_good(found: list, truth: list) -> None:
    pairs = matched(found, truth, 0.5)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert all(iou(found[i], truth[j]) >= 0.5 for i, j in pairs)
    most = max(
        (
            sum(iou(found[i], truth[j]) >= 0.5 for i, j in zip(order, range(len(truth)), strict=False))
            for order in itertools.permutations(range(len(found)), min(len(found), len(truth)))
        ),
        default=0,
    )
    # Best overlaps first is maximal: no further pair fits. It finds at least half of the best assignment.
    free = [
        (i, j)
        for i in range(len(found))
        for j in range(len(truth))
        if i not in {p[0] for p in pairs} and j not in {p[1] for p in pairs}
    ]
    assert all(iou(found[i], truth[j]) < 0.5 for i, j in free)
    assert len(pairs) * 2 >= most


def in_crowds(picture: Detections, threshold: float) -> list:
    """The boxes that lie in an ignored region by that share of their own pixels (whole-numbered boxes)."""

    def share(box: tuple, region: tuple) -> float:
        wide = min(box[2], region[2]) - max(box[0], region[0])
        high = min(box[3], region[3]) - max(box[1], region[1])
        return max(0, wide) * max(0, high) / ((box[2] - box[0]) * (box[3] - box[1]))

    return [
        box for box in picture.found if any(share(box, region) >= threshold for region in picture.ignored)
    ]


def slow_ap(pictures: list[Detections], threshold: float) -> float:
    """COCO: detections in order (all scores equal), greedily matched; precision made monotone; 101 recall levels."""
    hits = []
    for picture in pictures:
        taken: set[int] = set()
        for found in picture.found:
            overlaps = [(iou(found, t), j) for j, t in enumerate(picture.truth) if j not in taken]
            best = max((o for o in overlaps if o[0] >= threshold), default=None, key=lambda o: (o[0], o[1]))
            if best is not None:
                taken.add(best[1])
            elif found in in_crowds(picture, threshold):
                continue
            hits.append(best is not None)
    total = sum(len(p.truth) for p in pictures)
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    recall = right / total
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, np.linspace(0, 1, 101), side="left")
    return float(np.mean([precision[p] if p < len(hits) else 0.0 for p in places]))


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_follows_coco(seed: int) -> None:
    draw = random.Random(seed)
    pictures = []
    for _ in range(7):
        truth = [
            (
                x := draw.uniform(0, 60),
                y := draw.uniform(0, 60),
                x + draw.uniform(8, 30),
                y + draw.uniform(8, 30),
            )
            for _ in range(draw.randint(0, 3))
        ]
        found = [tuple(v + draw.uniform(-4, 4) for v in t) for t in truth if draw.random() < 0.8]
        found += [
            (x := draw.uniform(0, 60), y := draw.uniform(0, 60), x + 9, y + 9)
            for _ in range(draw.randint(0, 2))
        ]
        pictures.append(Detections(found, truth))
    result = average_precision(pictures)
    levels = np.linspace(0.5, 0.95, 10)
    assert result["ap_50"] == pytest.approx(slow_ap(pictures, 0.5), abs=1e-9)
    assert result["ap_75"] == pytest.approx(slow_ap(pictures, 0.75), abs=1e-9)
    assert result["ap"] == pytest.approx(np.mean([slow_ap(pictures, t) for t in levels]), abs=1e-9)


CROWD = (0, 0, 50, 100)


def test_what_lies_in_an_ignored_region_by_half_of_itself() -> None:
    boxes = [(40, 0, 60, 20), (41, 0, 61, 20), (10, 10, 20, 20), (60, 0, 70, 10), (5, 5, 5, 9)]
    assert covered(boxes, [CROWD]) == [0, 2]
    assert covered(boxes, [CROWD], 0.55) == [2]
    assert covered(boxes, []) == []
    assert covered([(45, 0, 65, 10)], [CROWD, (60, 0, 80, 10)]) == []  # two regions don't add up


@pytest.mark.parametrize("seed", range(8))
def test_ignored_regions_are_cocos_crowds(seed: int) -> None:
    """The same from pycocotools with boxes as they are, and from a slow reading of its rules."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    draw = random.Random(seed)

    def some(most: int) -> list[tuple[int, int, int, int]]:
        return [
            (
                x := draw.randint(0, 60),
                y := draw.randint(0, 60),
                x + draw.randint(5, 40),
                y + draw.randint(5, 40),
            )
            for _ in range(draw.randint(0, most))
        ]

    pictures = []
    for _ in range(6):
        truth, crowds = some(3) or [(0, 0, 9, 9)], some(2)
        near = [tuple(edge + draw.randint(-3, 3) for edge in box) for box in (*truth, *crowds)]
        pictures.append(Detections([*near, *some(2), *([crowds[0]] * 2 if crowds else [])], truth, crowds))
    result = average_precision(pictures)

    def annotation(picture: int, box: tuple[int, ...], **more: float) -> dict:
        x1, y1, x2, y2 = box
        size = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
        return {"image_id": picture, "category_id": 1, **size, **more}

    truths = [annotation(n, box, iscrowd=0) for n, p in enumerate(pictures) for box in p.truth]
    truths += [annotation(n, box, iscrowd=1) for n, p in enumerate(pictures) for box in p.ignored]
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": n} for n in range(6)],
        "categories": [{"id": 1, "name": "o"}],
    }
    coco.dataset["annotations"] = [{"id": n, **one} for n, one in enumerate(truths, 1)]
    coco.createIndex()
    run = COCOeval(
        coco,
        coco.loadRes([annotation(n, box, score=1.0) for n, p in enumerate(pictures) for box in p.found]),
        "bbox",
    )
    run.evaluate()
    run.accumulate()
    run.summarize()
    assert [result[name] for name in ("ap", "ap_50", "ap_75")] == pytest.approx(
        list(run.stats[:3]), abs=1e-12
    )
    assert result["ap_50"] == pytest.approx(slow_ap(pictures, 0.5), abs=1e-9)


def test_huge_pictures_count() -> None:
    """COCO's "all" areas end at 10¹⁰ square pixels."""
    huge = (0, 0, 200_000, 100_000)
    assert average_precision([Detections([huge], [huge])])["ap"] == pytest.approx(1)
    assert average_precision([Detections([(0, 0, 9, 9), huge], [huge])])["ap"] == pytest.approx(0.5)


def test_average_precision_of_nothing() -> None:
    assert average_precision([Detections([], [])]) == {"ap": None, "ap_50": None, "ap_75": None}
    assert average_precision([Detections([], [(0, 0, 5, 5)])]) == {"ap": 0.0, "ap_50": 0.0, "ap_75": 0.0}
    assert average_precision([Detections([(0, 0, 5, 5)], [(0, 0, 5, 5)])])["ap"] == pytest.approx(1)
