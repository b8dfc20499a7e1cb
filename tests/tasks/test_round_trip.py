"""What a task writes it reads, and it scores 1 up to the format's resolution (tests/round_trips.py prints the table)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from round_trips import RECEIPTS, makers, outcome, receipts

from ntil.data.example import Example
from ntil.errors import UserError
from ntil.metrics import polygons
from tasks.clock import ClockTask
from tasks.coordinates import FORMATS, CoordinateFormat
from tasks.mathvista import MathVistaTask
from tasks.text_detection import TextDetectionTask

MAKERS = {name: (task, make) for name, task, make in makers()}


@pytest.mark.parametrize("name", MAKERS)
def test_true_answers_are_read_and_right(name: str) -> None:
    task, make = MAKERS[name]
    result = outcome(task, make, cases=150)
    assert result.unread == 0
    assert result.resolved > 10
    assert result.smallest == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_ten_thousand_true_answers_are_read_and_right(name: str) -> None:
    task, make = MAKERS[name]
    result = outcome(task, make, cases=10_000, seed=1)
    assert (result.unread, result.smallest) == (0, 1)


@pytest.mark.skipif(not RECEIPTS.exists(), reason="real receipts are looked for in ../shared/data/sroie")
@pytest.mark.parametrize("shape", ["box", "polygon"])
@pytest.mark.parametrize("name", FORMATS)
def test_real_receipts(name: str, shape: str) -> None:
    """Scanned receipts of some 50 lines each, most of them a few pixels high: every true answer is read and scored."""
    task = TextDetectionTask(name, shape=shape)
    examples = list(receipts(every=20))
    assert len(examples) == 32
    shares = []
    for example in examples:
        parsed = task.parse(task.answer(example))
        assert parsed is not None
        scores = task.score(parsed, example)
        assert scores["found"] == scores["targets"]
        shares.append((scores["hits"] or 0) / (scores["targets"] or 1))
    # A line of 8 pixels in a picture 600 high is little more than one step of 1/100.
    assert min(shares) > (0.2 if name == "decimals_2" else 0.95)


@given(
    st.sampled_from(sorted(FORMATS)),
    st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
    st.lists(st.tuples(st.floats(-0.1, 1.1), st.floats(-0.1, 1.1)), min_size=3, max_size=12),
)
def test_any_outline_has_readable_steps(
    name: str, size: tuple[int, int], shares: list[tuple[float, float]]
) -> None:
    form = CoordinateFormat.of(name)
    steps = form.outline_to_steps([(x * size[0], y * size[1]) for x, y in shares], size)
    assert form.read(form.write([steps])) == [steps]
    assert len(steps) >= 3
    assert polygons.region(steps).area > 0


def test_an_outline_keeps_what_the_format_can_tell() -> None:
    form = CoordinateFormat.of("integers_1000")
    word = [(10.0, 10.0), (40.0, 12.0), (40.0, 30.0), (10.0, 28.0)]
    assert form.outline_to_steps(word, (1000, 1000)) == [(10, 10), (40, 12), (40, 30), (10, 28)]
    doubled = [word[0], word[0], *word[1:], (9.9, 9.8)]  # the last one closes the outline
    assert form.outline_to_steps(doubled, (1000, 1000)) == [(10, 10), (40, 12), (40, 30), (10, 28)]
    line = [(10.0, 10.1), (40.0, 10.2), (40.0, 10.3), (10.0, 10.4)]
    assert form.outline_to_steps(line, (1000, 1000)) == [(10, 10), (40, 10), (40, 11), (10, 11)]


def test_hours_beyond_the_dial_and_records_that_are_no_time() -> None:
    task = ClockTask()
    answers = [task.answer(Example("x", "test", {"hour": hour, "minute": 5})) for hour in (0, 12, 13, 24)]
    assert answers == ["12:05", "12:05", "1:05", "12:05"]
    with pytest.raises(UserError, match=r"record x: \{'hour': 3, 'minute': 60\} is no time"):
        task.answer(Example("x", "test", {"hour": 3, "minute": 60}))


def test_records_of_mathvista_that_cannot_be_answered_are_named() -> None:
    task = MathVistaTask()
    target = {
        "question_type": "multi_choice",
        "answer_type": "text",
        "choices": ["a", "b"],
        "answer": "c",
        "precision": None,
    }
    with pytest.raises(UserError, match="record x: the answer 'c' is none of its choices"):
        task.answer(Example("x", "test", target))
    target |= {"question_type": "free_form", "answer_type": "integer", "answer": "many"}
    with pytest.raises(UserError, match="record x: the answer 'many' is no number"):
        task.score(None, Example("x", "test", target))
