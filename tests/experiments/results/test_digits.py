"""Which digits are wrong, by hand."""

import pytest
from run_factory import said

from experiments.results.digits import answer_places, number_tokens, wrong_places


def places(answer: str, text: str, *names: str) -> dict[str, bool]:
    return {place.name: place.right for place in answer_places(said(answer, text), names)}


@pytest.mark.parametrize(
    ("answer", "text", "wrong"),
    [
        ("46", "46", 0),
        ("46", "47", 1),
        ("-46", "46", 1),  # the sign
        ("-46", "-46", 0),
        ("-46", "146", 2),  # the sign, and a hundred too much
        ("100", "10", 2),  # a hundred is missing, a ten differs
        ("12.50", "12.5", 1),  # the hundredths were not written
        ("46", "no idea", None),
        ("46", "46 and 3", 1),  # a number too many
        ("12:45", "12:40", 1),
        ("1:05", "12:05", 2),
        ("(412,388),(587,612)", "(412,390),(587,612)", 2),
        ("(412,388)", "(412", 3),
        ("[0.41, 0.39]", "[0.41, 0.38]", 1),
    ],
)
def test_wrong_places(answer: str, text: str, wrong: int | None) -> None:
    assert wrong_places(said(answer, text)) == wrong


def test_places_of_an_answer() -> None:
    assert places("-46", "-45") == {"sign": True, "tens": True, "units": False}
    assert places("246", "46") == {"hundreds": False, "tens": True, "units": True}
    assert places("0.5", "0.50") == {"units": True, "tenths": True}
    assert places("46", "nothing") == {"tens": False, "units": False}
    assert places("12:45", "1:45", "hour", "minute") == {
        "hour tens": False,
        "hour units": False,
        "minute tens": True,
        "minute units": True,
    }


def tokens(answer: str, text: str, *pieces: tuple[str, float]) -> list[tuple[float, bool]]:
    return [tuple(token) for token in number_tokens(said(answer, text, *pieces))]


def test_tokens_are_compared_from_the_number_s_first_digit() -> None:
    written = [("1", 0.9), ("2", 0.8), (":", 1.0), ("4", 0.7), ("0", 0.6)]
    assert tokens("12:45", "12:40", *written) == [(0.9, True), (0.8, True), (0.7, True), (0.6, False)]
    assert tokens("1:40", "12:40", *written) == [(0.9, True), (0.8, False), (0.7, True), (0.6, True)]


def test_tokens_of_several_digits_and_with_a_space() -> None:
    assert tokens(
        "(412, 388)", "(412, 389)", ("(", 1.0), ("412", 0.9), (",", 1.0), (" 389", 0.4), (")", 1.0)
    ) == [
        (0.9, True),
        (0.4, False),
    ]
    assert tokens("2024", "2025", ("202", 0.9), ("5", 0.3)) == [(0.9, True), (0.3, False)]


def test_location_tokens_and_decimals() -> None:
    assert tokens("<loc0397><loc0422>", "<loc0397><loc0423>", ("<loc0397>", 0.9), ("<loc0423>", 0.2)) == [
        (0.9, True),
        (0.2, False),
    ]
    assert tokens("0.98", "0.95", ("0", 0.9), (".", 1.0), ("9", 0.8), ("5", 0.7)) == [
        (0.9, True),
        (0.8, True),
        (0.7, False),
    ]


def test_a_token_that_reads_otherwise_in_the_text_moves_nothing() -> None:
    """Marks that decoding drops, and digits that stand behind them."""
    pieces = [
        ("<|box_start|>", 1.0),
        ("(", 1.0),
        ("7", 0.9),
        (",", 1.0),
        ("7", 0.8),
        (")", 1.0),
        ("<|box_end|>", 1.0),
    ]
    assert tokens("(7,8)", "(7,7)", *pieces) == [(0.9, True), (0.8, False)]


def test_the_probability_of_a_diverged_model_is_left_out() -> None:
    assert tokens("7", "77", ("7", 0.5), ("7", None)) == [(0.5, True)]  # type: ignore[arg-type]
