"""MathVista's scoring rules, by hand."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from ntil.data.example import Example
from ntil.errors import UserError
from tasks.mathvista import MathVistaTask

TASK = MathVistaTask()


def example(answer: str, kind: str = "integer", choices: list[str] | None = None, **fields: Any) -> Example:
    target = {
        "question_type": "multi_choice" if choices else "free_form",
        "answer_type": kind,
        "choices": choices,
        "unit": None,
        "precision": None,
        "answer": answer,
    }
    return Example("x", "test", {**target, **fields}, query="How high?")


def right(text: str, asked: Example) -> bool:
    return TASK.score(TASK.parse(text), asked)["accuracy"] == 1


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("12", "12"),
        ("12.0", "12"),
        ("12.9", "12"),  # int(float(x)) cuts
        ("1,234", "1234"),
        ("−5", "-5"),
        ("First 3, then 4.", "4"),  # the last number
        ('There are 3 of 9. The answer is "3".', "3"),
        ("The answer is: '17' dollars, not 20", "17"),
        ("It is 45%", "45"),
        ("007", "7"),
    ],
)
def test_integers(text: str, answer: str) -> None:
    assert right(text, example(answer))


@pytest.mark.parametrize(
    ("text", "answer", "precision"),
    [("3.50", "3.5", 1), ("3.46", "3.5", 1), ("2", "2.0", 1), ("1.255", "1.25", 2), ("0.125", "0.12", 2)],
)
def test_floats_are_rounded_to_the_precision(text: str, answer: str, precision: int) -> None:
    assert right(text, example(answer, "float", precision=precision))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("(B)", "blue"),
        ("The answer is (B) blue", "blue"),
        ("B", "blue"),
        ("B.", "blue"),
        ("blue", "blue"),
        ('The answer is "green"', "green"),
    ],
)
def test_choices(text: str, answer: str) -> None:
    assert right(text, example(answer, "text", choices=["red", "blue", "green"]))


def test_choices_of_numbers_and_lists() -> None:
    assert right("(C)", example("30", "integer", choices=["10", "20", "30"]))
    assert right("30", example("30", "integer", choices=["10", "20", "30"]))
    assert right("I think [1, 2]", example("[1, 2]", "list"))
    assert not right("[1,2]", example("[1, 2]", "list"))


def test_failed_extraction_is_counted_and_wrong() -> None:
    for text, asked in (("", example("3")), ("three", example("3")), ("1, 2", example("[1, 2]", "list"))):
        scores = TASK.score(TASK.parse(text), asked)
        assert (scores["accuracy"], scores["parsed"]) == (0, 0)
    scores = TASK.score(None, example("3"))
    assert (scores["within_5"], scores["relative_error"]) == (0, 1)
    assert TASK.score(TASK.parse("9" * 400), example("3"))["parsed"] == 0


def test_errors_of_numbers() -> None:
    scores = TASK.score(TASK.parse("104"), example("100"))
    assert (scores["accuracy"], scores["within_5"], scores["relative_error"]) == (0, 1, pytest.approx(0.04))
    far = TASK.score(TASK.parse("900"), example("100"))
    assert (far["within_5"], far["relative_error"]) == (0, 1)
    choice = TASK.score(TASK.parse("(A)"), example("1", "integer", choices=["1", "2"]))
    assert (choice["within_5"], choice["relative_error"]) == (None, None)
    errors = [TASK.error(TASK.score(TASK.parse(text), example("100"))) for text in ("100", "104", "900", "?")]
    assert errors == sorted(errors)
    assert errors[0] == 0


def test_prompts() -> None:
    asked = example("blue", "text", choices=["red", "blue"], unit="cm")
    assert TASK.prompt(asked) == (
        "Hint: Answer the question with the letter of the right choice, e.g., (A), at the end.\n"
        "Question: How high? (Unit: cm)\nChoices:\n(A) red\n(B) blue"
    )
    assert TASK.answer(asked) == "(B)"
    assert "2 decimal places, e.g., 1.23" in TASK.prompt(example("0.12", "float", precision=2))
    assert MathVistaTask("short").prompt(asked) == "How high? (Unit: cm) (A) red (B) blue"
    assert MathVistaTask("short").prompt(Example("", "predict", {}, query="bar A?")) == "bar A?"
    with pytest.raises(UserError, match="full or short"):
        MathVistaTask("long")


def test_the_drawing_holds_question_truth_and_answer() -> None:
    plain = Image.new("RGB", (64, 64), "grey")
    drawn = TASK.draw(plain, TASK.parse("7"), example("3"))
    assert drawn.size == (256, 256 + 60)
    colours = {tuple(pixel) for pixel in np.asarray(drawn)[256:].reshape(-1, 3)}
    assert {(0, 158, 115), (213, 94, 0)} <= colours
    assert TASK.draw(plain, None, None).size == (256, 256)
