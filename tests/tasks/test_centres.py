"""The middle of several answers, as each task has it."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.metrics.clock import circular_gap
from tasks.arithmetic import ArithmeticTask
from tasks.clock import ClockTask, Reading
from tasks.localization import DetectionTask, LocalizationTask
from tasks.mathvista import MathVistaTask
from tasks.text_detection import TextDetectionTask

EVERY_TIME = [Reading(hour, minute) for hour in range(1, 13) for minute in range(60)]
TIMES = st.lists(
    st.tuples(st.sampled_from(EVERY_TIME), st.integers(1, 8).map(lambda eighths: eighths / 8)),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize(("kind", "power"), [("median", 1), ("mean", 2)])
@given(pairs=TIMES)
def test_clocks_have_the_least_expected_gap_of_all_times(
    kind: Any, power: int, pairs: list[tuple[Reading, float]]
) -> None:
    times, weights = [time for time, _ in pairs], [weight for _, weight in pairs]

    def risk(answer: Reading) -> float:
        return sum(weight * circular_gap(*answer, *time) ** power for time, weight in pairs)

    found = ClockTask().centre(times, weights, kind)
    assert risk(found) == pytest.approx(min(map(risk, EVERY_TIME)))
    assert kind == "mean" or found in times


def test_clocks_by_hand() -> None:
    task = ClockTask()
    around = [Reading(11, 58), Reading(12, 2), Reading(12, 3)]
    assert task.centre(around, [1, 1, 1], "median") == Reading(12, 2)
    assert task.centre(around, [1, 1, 1], "mean") == Reading(12, 1)
    assert task.centre([Reading(12, 50), Reading(1, 10)], [1, 1], "mean") == Reading(1, 0)
    assert task.centre([Reading(3, 0)], [0.2], "mean") == Reading(3, 0)
    assert task.as_number(Reading(3, 0)) is None


def test_sums_are_written_as_they_were_or_plainly() -> None:
    task = ArithmeticTask()
    numbers = parsed(task, "1,000", "1e1", "12.5")
    assert [str(task.centre(numbers, weights, "median")) for weights in ([3, 1, 1], [1, 3, 1])] == [
        "1,000",
        "1e1",
    ]
    assert str(task.centre(numbers, [1, 1, 2], "mean")) == "258.8"
    assert str(task.centre(numbers[1:], [1, 1], "mean")) == "11.3"
    assert task.as_number(numbers[2]) == Fraction(25, 2)
    assert task.centre(parsed(task, "1e-999", "4e-999"), [1, 1], "mean") is None
    prefixed = ArithmeticTask(prefix="The answer is ")
    number = prefixed.centre(parsed(prefixed, "The answer is 4", "The answer is 7"), [1, 1], "mean")
    assert number is not None
    assert prefixed.format.write(number) == "The answer is 6"


def parsed(task: Any, *texts: str) -> list[Any]:
    values = [task.parse(text) for text in texts]
    assert None not in values
    return values


def test_boxes_have_medians_of_their_coordinates() -> None:
    task = LocalizationTask()
    said = parsed(task, "(10,10),(20,90)", "(12,11),(30,30)", "(11,70),(90,80)")
    assert task.format.write(task.centre(said, [1, 1, 1], "median")) == "(11,11),(30,80)"


def test_lists_of_boxes_have_the_most_probable_count() -> None:
    for task in (DetectionTask(), TextDetectionTask()):
        said = parsed(task, "none", "(1,1),(5,5)", "(2,1),(6,6)", "(3,2),(9,9)")
        assert task.format.write(task.centre(said, [0.4, 0.2, 0.2, 0.2], "median")) == "(2,1),(6,6)"
        assert task.format.write(task.centre(said, [0.7, 0.1, 0.1, 0.1], "median")) == "none"


def test_polygons_and_sentences_have_no_middle() -> None:
    task = TextDetectionTask(shape="polygon")
    said = parsed(task, "(0,0),(9,0),(9,9)", "(9,9),(0,0),(9,0)", "(0,0),(5,0),(5,5)")
    assert task.centre(said, [0.3, 0.3, 0.4], "median") == said[2]
    words = MathVistaTask()
    said = parsed(words, "12", "(B)", "13")
    assert words.centre(said, [0.3, 0.4, 0.3], "mean") == said[1]
