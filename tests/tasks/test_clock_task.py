"""Clock reading: which texts are answers, and what they score."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ntil.data.example import Example
from ntil.data.task import Item, aggregate
from tasks.clock import ClockTask, Reading

TASK = ClockTask()
TIMES = st.tuples(st.integers(1, 12), st.integers(0, 59))


def example(hour: int, minute: int) -> Example:
    return Example(id="x", split="test", target={"hour": hour, "minute": minute})


def scores(text: str, hour: int, minute: int) -> dict[str, float | None]:
    return TASK.score(TASK.parse(text), example(hour, minute))


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("3:25", (3, 25)),
        ("03:05", (3, 5)),
        ("12:00", (12, 0)),
        ("1:00", (1, 0)),
        (" 3:25\n", (3, 25)),
        ("It is 3:25.", (3, 25)),
        ("3:25 pm", (3, 25)),
        ("3:25, yes, 3:25", (3, 25)),
        ("3:25 or 03:25", (3, 25)),
    ],
)
def test_answers_are_parsed(text: str, time: tuple[int, int]) -> None:
    assert TASK.parse(text) == Reading(*time)


@pytest.mark.parametrize(
    "text",
    [
        *("", "325", "3.25", "3:5", "3:", ":25", "3 : 25", "three"),
        *("13:00", "0:30", "00:00", "24:00", "3:75", "3:60", "12:99"),
        *("3:25 or 4:25", "3:25 13:00", "3:25:10", "3:255", "123:25", "1.3:25", "٣:٢٥", "3:25 3:99"),
    ],
)
def test_anything_else_is_no_answer(text: str) -> None:
    assert TASK.parse(text) is None


@given(time=TIMES)
def test_the_right_answer_scores_full(time: tuple[int, int]) -> None:
    target = example(*time)
    assert TASK.parse(TASK.answer(target)) == time
    result = TASK.score(TASK.parse(TASK.answer(target)), target)
    for name, metric in TASK.metrics.items():
        assert result[name] == (1.0 if metric.better == "higher" else 0.0)
    assert TASK.error(result) == 0


@pytest.mark.parametrize(
    ("text", "truth", "expected"),
    [
        (
            "12:00",
            (11, 59),
            {"exact": 0, "within_1": 1, "hour": 0, "minute": 0, "gap_circular": 1, "gap_plain": 719},
        ),
        ("11:59", (12, 0), {"exact": 0, "within_1": 1, "gap_circular": 1, "gap_plain": 719}),
        ("12:30", (0, 30), {"exact": 1, "hour": 1, "minute": 1, "gap_circular": 0, "gap_plain": 0}),
        ("6:00", (12, 0), {"gap_circular": 360, "gap_plain": 360, "minute": 1, "hour": 0}),
        ("3:27", (3, 25), {"exact": 0, "within_1": 0, "hour": 1, "minute": 0, "gap_circular": 2}),
        ("4:00", (3, 59), {"exact": 0, "within_1": 1, "hour": 0, "gap_plain": 1, "gap_plain_worst": 1}),
        ("13:00", (1, 0), {"parsed": 0, "exact": 0, "hour": 0, "minute": 0, "gap_plain": None}),
        ("3:75", (3, 25), {"parsed": 0, "exact": 0, "gap_circular": None, "gap_circular_worst": 360}),
        ("", (3, 25), {"parsed": 0, "within_1": 0, "gap_plain_worst": 720}),
    ],
)
def test_scores_by_hand(text: str, truth: tuple[int, int], expected: dict[str, float | None]) -> None:
    result = scores(text, *truth)
    assert {name: result[name] for name in expected} == expected
    assert result.keys() == TASK.metrics.keys()


@given(said=TIMES, truth=TIMES)
def test_scores_agree_with_each_other(said: tuple[int, int], truth: tuple[int, int]) -> None:
    result = TASK.score(Reading(*said), example(*truth))
    gap, plain = result["gap_circular"], result["gap_plain"]
    assert gap is not None
    assert plain is not None
    assert result["exact"] == (gap == 0) == (result["hour"] == result["minute"] == 1)
    assert result["within_1"] == (gap <= 1)
    assert gap <= plain < 720
    assert (result["gap_circular_worst"], result["gap_plain_worst"]) == (gap, plain)


def test_unparsed_answers_are_the_worst() -> None:
    worst_parsed = TASK.error(scores("6:00", 12, 0))
    assert TASK.error(scores("no idea", 12, 0)) > worst_parsed > TASK.error(scores("12:01", 12, 0))


def test_the_mean_leaves_out_what_was_not_scored() -> None:
    truth = example(3, 25)
    items = [Item(truth, TASK.parse(text), scores(text, 3, 25)) for text in ("3:25", "3:35", "?")]
    means = aggregate(TASK, items)
    assert means["exact"] == pytest.approx(1 / 3)
    assert means["parsed"] == pytest.approx(2 / 3)
    assert means["gap_circular"] == 5
    assert means["gap_circular_worst"] == pytest.approx((0 + 10 + 360) / 3)
    assert aggregate(TASK, items[2:])["gap_plain"] is None
    assert aggregate(TASK, []) == dict.fromkeys(TASK.metrics)


def test_an_answer_fits_into_its_tokens() -> None:
    assert all(len(TASK.answer(example(h, m))) + 1 <= TASK.max_new_tokens for h in (1, 12) for m in (0, 59))
    assert ClockTask("Time?", max_new_tokens=9).prompt(example(1, 1)) == "Time?"


@pytest.mark.parametrize("size", [(64, 64), (40, 120), (300, 280)])
def test_the_drawing_shows_truth_and_answer(size: tuple[int, int]) -> None:
    plain = Image.new("RGB", size, "white")
    untouched: Any = np.asarray(plain).copy()
    both, truth, answer = (
        np.asarray(TASK.draw(plain, parsed, target))
        for parsed, target in (
            (Reading(9, 0), example(3, 0)),
            (None, example(3, 0)),
            (Reading(9, 0), None),
        )
    )
    assert min(both.shape[:2]) >= 200
    middle = both.shape[1] // 2
    assert (truth[:, : middle - 20] == 255).all(), "the hour hand of three points to the right"
    assert (answer[:, middle + 20 :] == 255).all()
    assert (both != truth).any()
    assert (np.asarray(plain) == untouched).all()
