"""Boxes asked for, written, parsed and scored."""

import numpy as np
import pytest
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
