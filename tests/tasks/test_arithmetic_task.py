"""Sums asked, answers parsed strictly, MATH-401's metrics."""

import pytest

from ntil.data.example import Example
from ntil.errors import UserError
from tasks.arithmetic import ArithmeticTask

TASK = ArithmeticTask()


def example(answer: object = "46", query: str = "12+34=") -> Example:
    return Example("x", "test", {"answer": answer}, query=query)


def scores(text: str, answer: str = "46") -> dict[str, float | None]:
    return TASK.score(TASK.parse(text), example(answer))


def test_prompt_and_answer() -> None:
    assert (TASK.prompt(example()), TASK.answer(example())) == ("12+34=", "46")
    chat = ArithmeticTask("Compute {query}", prefix="The answer is ")
    assert chat.prompt(example()) == "Compute 12+34="
    assert chat.answer(example()) == "The answer is 46"
    for text in ("The answer is 46", "The answer is 46.", chat.answer(example())):
        assert chat.score(chat.parse(text), example())["exact"] == 1
    assert chat.parse("46") is None
    assert chat.parse("The answer is") is None


@pytest.mark.parametrize(
    "text", ["", "46 apples", "46.", "4 6", "4,6", "12+34=46", "forty-six", "٤٦", "46\n47", "--46", "nan"]
)
def test_what_is_no_number(text: str) -> None:
    assert TASK.parse(text) is None
    assert scores(text) == {"correct": 0, "exact": 0, "relative_error": 10, "digits": 0, "no_number": 1}


def test_scores_by_hand() -> None:
    right = {"correct": 1, "exact": 1, "relative_error": 0, "digits": 1, "no_number": 0}
    assert scores("46") == scores(" 46\n") == right
    assert scores("46.000") == right | {"exact": 0, "digits": 0.5}  # sign, 4 and 6 of six places
    assert scores("1,046", "1046") == right | {"exact": 0}
    assert scores("4.6e1")["correct"] == 1
    assert scores("4.6e1")["digits"] is None  # its digits stand at no places
    wrong = scores("47")
    assert (wrong["correct"], wrong["relative_error"]) == (0, pytest.approx(1 / 46))
    assert wrong["digits"] == pytest.approx(2 / 3)
    assert scores("−46", "-46")["correct"] == 1


def test_the_worst_come_first() -> None:
    errors = [TASK.error(scores(text)) for text in ("46", "47", "4600", "?")]
    assert errors == sorted(errors)
    assert errors[0] == 0 < errors[1]


def test_a_record_without_a_number_is_named() -> None:
    with pytest.raises(UserError, match="record x: the answer 46 is not a number written as text"):
        TASK.answer(example(46))
