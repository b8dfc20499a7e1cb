"""Every answer format reads what it writes, and its pattern matches all that it writes: for values that are made up."""

import random
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st
from round_trips import makers

from ntil.data.answers import AnswerFormat
from ntil.data.example import Example
from ntil.metrics.polygons import region
from ntil.numbers.text import NUMBER_PATTERN, parse_number
from tasks.arithmetic import Number, NumberFormat
from tasks.clock import Reading, TimeFormat
from tasks.coordinates import FORMATS, CoordinateFormat
from tasks.mathvista import SentenceFormat
from tasks.shapes import BoxFormat, ShapesFormat

COORDINATES = st.sampled_from(sorted(FORMATS)).map(CoordinateFormat.of)
PREFIXES = st.sampled_from(["", "The answer is ", "x=-", "3.", "Answer:\n", "(a|b)* "])
MAKERS = {name: (task, make) for name, task, make in makers()}


def numbers() -> st.SearchStrategy[Number]:
    texts = st.from_regex(regex.compile(NUMBER_PATTERN).pattern, fullmatch=True).filter(
        lambda text: parse_number(text) is not None
    )
    return texts.map(lambda text: Number(text, parse_number(text)))  # type: ignore[arg-type]


def steps(form: CoordinateFormat) -> st.SearchStrategy[tuple[int, int]]:
    whole = st.integers(0, 9_999_999 if form.steps is None else form.steps)
    return st.tuples(whole, whole)


def boxes(form: CoordinateFormat) -> st.SearchStrategy[list[tuple[int, int]]]:
    corners = st.tuples(steps(form), steps(form)).map(
        lambda two: [tuple(map(min, *two)), tuple(map(max, *two))]
    )
    return corners.filter(lambda box: box[0][0] < box[1][0] and box[0][1] < box[1][1])  # type: ignore[return-value]


def polygons(form: CoordinateFormat) -> st.SearchStrategy[list[tuple[int, int]]]:
    return st.lists(steps(form), min_size=3, max_size=7).filter(lambda points: region(points).area > 0)


def keeps_its_word(form: AnswerFormat[Any], value: Any) -> None:
    text = form.write(value)
    assert form.read(text) == value, text
    if form.pattern is not None:
        assert regex.fullmatch(form.pattern, text), (form.pattern, text)


@given(st.integers(1, 12), st.integers(0, 59))
def test_times(hour: int, minute: int) -> None:
    keeps_its_word(TimeFormat(), Reading(hour, minute))


@given(PREFIXES, numbers())
def test_numbers(prefix: str, number: Number) -> None:
    keeps_its_word(NumberFormat(prefix), number)


@given(st.text(max_size=80))
def test_a_number_pattern_is_what_is_read(text: str) -> None:
    matches = regex.fullmatch(NUMBER_PATTERN, text, regex.ASCII) is not None
    assert (parse_number(text) is not None) <= (regex.fullmatch(NUMBER_PATTERN, text.strip()) is not None)
    assert not matches or parse_number(text) is not None


@given(st.text(max_size=200))
def test_sentences(text: str) -> None:
    read = SentenceFormat().read(text)
    if read is not None:
        keeps_its_word(SentenceFormat(), read)


@given(st.data(), COORDINATES)
def test_one_box(data: st.DataObject, form: CoordinateFormat) -> None:
    keeps_its_word(BoxFormat(form), data.draw(boxes(form)))


@given(st.data(), COORDINATES, st.sampled_from(["box", "polygon"]))
def test_lists_of_shapes(data: st.DataObject, form: CoordinateFormat, shape: str) -> None:
    one = boxes(form) if shape == "box" else polygons(form)
    keeps_its_word(ShapesFormat(form, shape), data.draw(st.lists(one, max_size=4)))


@pytest.mark.parametrize("name", MAKERS)
def test_true_answers_of_every_task_match_its_pattern(name: str) -> None:
    task, make = MAKERS[name]
    draw = random.Random(7)
    for number in range(100):
        case = make(draw)
        example = Example(str(number), "test", case.target, query=case.query)
        answer = task.answer(example)
        assert task.parse(answer) == task.truth(example)
        assert task.answer_pattern is None or regex.fullmatch(task.answer_pattern, answer), answer


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_pattern_refuses_what_no_list_of_shapes_is(name: str) -> None:
    form = FORMATS[name]
    box = form.write([[(0, 0), (7, 9)]])
    polygon = form.write([[(0, 0), (7, 0), (7, 9)]])
    boxes_, outlines = ShapesFormat(form), ShapesFormat(form, "polygon")
    for text, one, many, outline in (
        (box, True, True, False),
        (f"{box}; {box}", False, True, False),
        (polygon, False, False, True),
        (f"{polygon}; {polygon}", False, False, True),
        ("none", False, True, True),
        ("", False, False, False),
        (f"{box}; none", False, False, False),
        (f"{box}.", False, False, False),
    ):
        assert bool(regex.fullmatch(BoxFormat(form).pattern, text)) == one
        assert bool(regex.fullmatch(boxes_.pattern, text)) == many
        assert bool(regex.fullmatch(outlines.pattern, text)) == outline
