"""Boxes asked for, written, parsed and scored."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ntil.data.example import Example
from ntil.data.task import Item, aggregate
from tasks.coordinates import FORMATS
from tasks.localization import DetectionTask, LocalizationTask


def example(
    *boxes: tuple[float, ...], size: tuple[int, int] = (200, 100), query: str | None = "red ring"
) -> Example:
    target = {"boxes": [list(box) for box in boxes], "width": size[0], "height": size[1]}
    return Example("x", "test", target, query=query, meta={"category": "ring"})


TRUTH = (50.0, 20.0, 150.0, 80.0)


@pytest.mark.parametrize("name", FORMATS)
def test_the_right_answer_scores_full_marks(name: str) -> None:
    task, asked = LocalizationTask(name), example(TRUTH)
    scores = task.score(task.parse(task.answer(asked)), asked)
    assert scores["acc_50"] == scores["acc_75"] == scores["parsed"] == 1
    assert (scores["iou"] or 0) > 0.95
    assert (scores["centre"] or 0) < 0.01
    assert task.error(scores) == 0


def test_scores_by_hand() -> None:
    task = LocalizationTask()
    # Shifted right by half its width: intersection 50 × 60, union 150 × 60.
    scores = task.score(task.parse("(500,200),(1000,800)"), example(TRUTH))
    assert scores["iou"] == pytest.approx(1 / 3)
    assert scores["acc_50"] == scores["acc_75"] == 0
    assert scores["centre"] == pytest.approx(50 / (200**2 + 100**2) ** 0.5)
    # 60 of 100 pixels high, all of the width: IoU 0.6.
    scores = task.score(task.parse("(250,200),(750,560)"), example(TRUTH))
    assert scores["iou"] == pytest.approx(0.6)
    assert (scores["acc_50"], scores["acc_75"]) == (1, 0)


HALVES = st.tuples(*[st.integers(1, 40)] * 2), st.tuples(*[st.integers(0, 900)] * 2), st.integers(1, 300)


@given(*HALVES)
def test_ties_count_as_they_should(side: tuple[int, int], corner: tuple[int, int], part: int) -> None:
    """An answer whose IoU is exactly 1/2 or 3/4 reaches that threshold, in pictures whose sides no format divides."""
    (wide, high), (x, y) = side, corner
    size = (x + 4 * wide * part, y + high + 3)
    task = LocalizationTask("pixels")
    for quarters, verdicts in ((2, (1, 0)), (3, (1, 1)), (1, (0, 0))):
        truth = example((x, y, x + 4 * wide, y + high), size=size)
        scores = task.score([(x, y), (x + quarters * wide, y + high)], truth)
        assert (scores["acc_50"], scores["acc_75"]) == verdicts
        assert scores["iou"] == quarters / 4
        detection = DetectionTask("pixels").score([[(x, y), (x + quarters * wide, y + high)]], truth)
        assert detection["hits"] == verdicts[0]


@given(st.sampled_from(sorted(name for name in FORMATS if FORMATS[name].steps)), *HALVES[:2])
def test_ties_of_truths_in_hundredths_of_pixels(
    name: str, side: tuple[int, int], corner: tuple[int, int]
) -> None:
    """The truth is written with two decimals, the answer is a step of 1/1000, 1/100 or 1/1023 of the picture."""
    task, (x, y) = LocalizationTask(name), corner
    steps = task.coordinates.steps
    assert steps is not None
    size = (steps * side[0], steps * side[1]) if not task.coordinates.square else (steps * side[0],) * 2
    across, down = Fraction(size[0], steps), Fraction(size[1], steps)
    x, y = x * steps // 1001, y * steps // 1001
    low, high = (x * across, y * down), ((x + 1) * across, (y + 1) * down)
    half = float(low[0] + (high[0] - low[0]) / 2)
    scores = task.score(
        [(x, y), (x + 1, y + 1)], example((float(low[0]), float(low[1]), half, float(high[1])), size=size)
    )
    assert (scores["iou"], scores["acc_50"]) == (0.5, 1)


@pytest.mark.parametrize(
    "text", ["", "none", "(1,2),(3,4); (1,2),(3,4)", "(5,5),(5,9)", "(9,1),(3,4)", "ring (1,2),(3,4)"]
)
def test_what_cannot_be_parsed_is_counted_and_is_no_zero_box(text: str) -> None:
    task, corner = LocalizationTask(), example((0, 0, 10, 10))
    assert task.parse(text) is None
    scores = task.score(None, corner)
    assert scores == {"acc_50": 0, "acc_75": 0, "iou": 0, "centre": None, "parsed": 0}
    assert task.error(scores) > task.error(task.score(task.parse("(900,900),(999,999)"), corner))


def test_prompts() -> None:
    assert LocalizationTask().prompt(example(TRUTH)) == "Where is red ring?"
    assert (
        LocalizationTask(question="{query}?").prompt(Example("", "predict", {}, query="{query} ring"))
        == "{query} ring?"
    )
    assert LocalizationTask().prompt(Example("", "predict", {})) == "Where is the object?"


def test_the_constant_answer_is_the_median_box() -> None:
    train = [example((0, 0, 20, 20)), example((10, 10, 30, 30)), example((20, 40, 80, 100))]
    assert LocalizationTask().constant(train) == "(50,100),(150,300)"


def test_lists_of_boxes() -> None:
    task = DetectionTask()
    asked = example((100, 0, 140, 40), (0, 0, 40, 40), (0, 50, 40, 90))
    assert task.answer(asked) == "(0,0),(200,400); (0,500),(200,900); (500,0),(700,400)"
    perfect = task.score(task.parse(task.answer(asked)), asked)
    assert perfect == {"hits": 3, "found": 3, "targets": 3, "parsed": 1}
    assert task.error(perfect) == 0
    partly = task.score(task.parse("(0,0),(200,400); (0,0),(200,400)"), asked)  # the same box twice hits once
    assert partly == {"hits": 1, "found": 2, "targets": 3, "parsed": 1}
    nothing = example()
    assert task.answer(nothing) == "none"
    assert task.parse("none") == []
    assert task.parse("none; (0,0),(1,1)") is None
    items = [
        Item(asked, task.parse("(0,0),(200,400)"), partly),
        Item(nothing, None, task.score(None, nothing)),
    ]
    result = aggregate(task, items)
    assert result["recall"] == pytest.approx(1 / 3)
    assert result["precision"] == pytest.approx(1 / 2)
    assert result["h_mean"] == pytest.approx(2 / 5)
    assert result["parsed"] == 0.5
    assert 0 < (result["ap_50"] or 0) < 1


def test_ignored_regions_count_neither_way() -> None:
    task = DetectionTask()
    asked = example((0, 0, 40, 40))
    asked.target["ignored"] = [[100, 0, 200, 100]]
    assert task.answer(asked) == "(0,0),(200,400)"
    scores = task.score(task.parse("(0,0),(200,400); (550,0),(650,1000); (400,0),(599,1000)"), asked)
    assert scores == {
        "hits": 1,
        "found": 2,
        "targets": 1,
        "parsed": 1,
    }  # the second lies in it, the third by too little
    over = example((100, 0, 140, 40))  # a target inside of an ignored region is matched first
    over.target["ignored"] = [[100, 0, 200, 100]]
    scores = task.score(task.parse("(500,0),(700,400); (500,0),(700,400)"), over)
    assert scores == {"hits": 1, "found": 1, "targets": 1, "parsed": 1}
    assert task.error(scores) == 0
    everything = "(0,0),(200,400); (550,0),(650,1000)"
    parsed = task.parse(everything)
    result = aggregate(task, [Item(asked, parsed, task.score(parsed, asked))])
    assert (result["h_mean"], result["ap"]) == (1, pytest.approx(1))
    plain = Image.new("RGB", (200, 100), "white")
    colours = {tuple(pixel) for pixel in np.asarray(task.draw(plain, parsed, asked)).reshape(-1, 3)}
    assert {(128, 128, 128), (0, 158, 115), (213, 94, 0)} <= colours


@pytest.mark.parametrize("size", [(64, 64), (300, 80)])
def test_the_drawing_shows_truth_and_answer(size: tuple[int, int]) -> None:
    task, asked = LocalizationTask(), example((10, 10, 40, 40), size=size)
    plain = Image.new("RGB", size, "white")
    drawings = [
        np.asarray(task.draw(plain, answer, truth))
        for answer, truth in ((None, None), (None, asked), ([(500, 500), (900, 900)], asked))
    ]
    assert (drawings[0] == 255).all()
    assert len({drawing.tobytes() for drawing in drawings}) == 3
    assert np.asarray(plain).min() == 255  # the original is untouched
