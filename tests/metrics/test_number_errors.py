"""MATH-401's metrics and digits by place, by hand."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.metrics.numbers import digits_right, is_close, relative_error


@pytest.mark.parametrize(
    ("found", "truth", "error"),
    [
        (Fraction(50), Fraction(40), 0.25),
        (Fraction(1, 2), Fraction(1, 4), 0.25),  # below 1 the difference is taken as it is
        (Fraction(-40), Fraction(40), 2.0),
        (Fraction(10**9), Fraction(1), 10.0),
        (None, Fraction(1), 10.0),
        (Fraction(7), Fraction(7), 0.0),
    ],
)
def test_relative_error(found: Fraction | None, truth: Fraction, error: float) -> None:
    assert relative_error(found, truth) == pytest.approx(error)


def test_close_is_nearer_than_a_thousandth() -> None:
    truth = Fraction(314, 100)
    assert is_close(truth + Fraction(9, 10_000), truth)
    assert not is_close(truth + Fraction(1, 1000), truth)
    assert not is_close(truth - Fraction(1, 1000), truth)


@pytest.mark.parametrize(
    ("found", "truth", "share"),
    [
        ("46", "46", 1.0),
        ("47", "46", 2 / 3),  # sign and tens
        ("146", "46", 3 / 4),
        ("-46", "46", 2 / 3),
        ("4.6", "46", 1 / 4),  # the sign; 4 stands at the units, 6 at the tenths, the tens are missing
        ("4.60", "4.6", 3 / 4),
        ("0.05", "0.15", 3 / 4),
    ],
)
def test_digits_by_place(found: str, truth: str, share: float) -> None:
    assert digits_right(found, truth) == pytest.approx(share)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_digits_are_symmetric_and_only_equal_numbers_have_all(one: int, other: int) -> None:
    assert digits_right(str(one), str(other)) == digits_right(str(other), str(one))
    assert (digits_right(str(one), str(other)) == 1) == (one == other)
