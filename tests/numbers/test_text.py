"""Numbers in text: what is found, what is refused, and that nothing is lost on the way back."""

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.numbers import find_numbers, format_number, parse_number

finite_decimals = st.builds(
    lambda n, k: Fraction(n, 10**k), st.integers(-(10**12), 10**12), st.integers(0, 12)
)
long_digits = st.text("0123456789", min_size=25, max_size=60)  # integers() would hardly ever be that long
finite_floats = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "digits", "decimal"),
    [
        ("(x1, 0.98) v1.2.3", "1 0 98 1 2 3", "1 0.98 1 2 3"),
        ("-1,234e5", "1 234 5", "1 234 5"),
        ("1.5 and .5 and 5.", "1 5 5 5", "1.5 5 5"),
        ("1..2", "1 2", "1 2"),
        ("1.2.3.4 5.6", "1 2 3 4 5 6", "1 2 3 4 5.6"),
        ("1 .2", "1 2", "1 2"),
        ("007.50", "007 50", "007.50"),
        ("٣ ３ ² ½", "", ""),
        ("no numbers", "", ""),
        ("", "", ""),
    ],
)
def test_find_numbers(text, digits, decimal):
    assert " ".join(n.text for n in find_numbers(text, "digits")) == digits
    assert " ".join(n.text for n in find_numbers(text, "decimal")) == decimal


def test_decimal_is_the_default_format():
    assert [n.text for n in find_numbers("0.98")] == ["0.98"]


@pytest.mark.parametrize("number_format", ["digits", "decimal"])
@given(text=st.text("0123456789. ,-xe²", max_size=30))
def test_found_numbers_cover_all_digits_with_exact_values(number_format, text):
    numbers = find_numbers(text, number_format)
    ends = [0, *(n.end for n in numbers)]
    assert all(n.start >= end for n, end in zip(numbers, ends, strict=False))
    for number in numbers:
        assert text[number.start : number.end] == number.text
        assert number.value == Fraction(Decimal(number.text))
    assert "".join(re.findall("[0-9]", text)) == "".join(n.text.replace(".", "") for n in numbers)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("007", 7),
        ("0.1", Fraction(1, 10)),
        (" -1,234.5 ", Fraction(-2469, 2)),
        ("+5", 5),
        ("−5", -5),
        ("-0", 0),
        ("1e3", 1000),
        ("2.5E-1", Fraction(1, 4)),
        ("1e−2", Fraction(1, 100)),
        ("1,234,567", 1_234_567),
        ("123456789012345678901234567890.5", Fraction(246913578024691357802469135781, 2)),
        ("1e999", 10**999),
        ("\n12\t", 12),
    ],
)
def test_parse_number(text, value):
    assert parse_number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,23",
        "1,2345",
        ",123",
        "1234,567",
        ".5",
        "5.",
        "1/2",
        "12 %",
        "12%",
        "$5",
        "1 2",
        "--5",
        "- 5",
        "1.2.3",
        "1e",
        "e5",
        "1e1234",
        "1e+",
        "nan",
        "inf",
        "0x10",
        "1_000",
        "٣",
        "３",
        "²",
        "1,234,56",
        "one",
    ],
)
def test_text_that_is_not_plainly_one_number_is_refused(text):
    assert parse_number(text) is None


@given(text=st.text("0123456789.,-+eE ", max_size=10))
def test_what_parse_number_takes_python_takes_too(text):
    value = parse_number(text)
    if value is not None:
        assert value == Fraction(Decimal(text.strip().replace(",", "")))


@given(value=finite_decimals)
def test_exact_round_trip(value):
    assert parse_number(format_number(value)) == value


@given(digits=long_digits, places=st.integers(0, 60))
def test_exact_round_trip_of_long_numbers(digits, places):
    value = Fraction(int(digits), 10**places)
    assert parse_number(format_number(value)) == value
    assert format_number(int(digits)) == str(int(digits))


@given(value=st.integers())
def test_integers_are_written_plainly(value):
    assert format_number(value) == str(value)


@given(value=finite_floats)
def test_floats_read_back_as_the_same_float(value):
    text = format_number(value)
    assert float(text) == value
    assert re.fullmatch(r"-?[0-9]+(\.[0-9]*[1-9])?", text)


@given(value=st.one_of(finite_decimals, st.floats(-1e9, 1e9)), places=st.integers(0, 10))
def test_places_round_half_to_even(value, places):
    text = format_number(value, places=places)
    assert re.fullmatch(rf"-?[0-9]+(\.[0-9]{{{places}}})?", text)
    assert ("." in text) == (places > 0)
    assert parse_number(text) == round(Fraction(value), places)


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (0.5, 2, "0.50"),
        (0.5, 0, "0"),
        (1.5, 0, "2"),
        (0.125, 2, "0.12"),
        (Fraction(1, 3), 3, "0.333"),
        (-0.001, 2, "0.00"),
        (0.1, None, "0.1"),
        (3.0, None, "3"),
        (1e22, None, "1" + "0" * 22),
        (1e-7, None, "0.0000001"),
        (Fraction(1, 8), None, "0.125"),
        (10**40, 0, "1" + "0" * 40),
        (10**30, 1, "1" + "0" * 30 + ".0"),
    ],
)
def test_format_number(value, places, text):
    assert format_number(value, places) == text


def test_fraction_without_a_finite_decimal_form_is_refused():
    with pytest.raises(ValueError, match="1/3"):
        format_number(Fraction(1, 3))


def test_numpy_floats_are_floats():
    numpy = pytest.importorskip("numpy")
    assert format_number(numpy.float64(0.5)) == "0.5"
