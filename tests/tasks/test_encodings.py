"""Encodings of numbers: what is written reads back to the stated precision, exactly, and nothing else is read."""

from decimal import Decimal
from fractions import Fraction

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from ntil.errors import UserError
from tasks.encodings import DecimalFormat, Encoding, PaddedFormat, ScientificFormat, encoding
from tasks.forecast import ScaledDigits, SeriesFormat, Values

NUMBERS = st.decimals(-(10**12), 10**12, allow_nan=False, allow_infinity=False)
SMALL = st.tuples(st.integers(-(10**9), 10**9), st.integers(-30, 30)).map(
    lambda two: Decimal(two[0]).scaleb(two[1])
)


def keeps(form: Encoding, value: Decimal) -> Decimal:
    """The value as it is written, which must read back, match the pattern, and be written the same again."""
    nearest, text = form.rounded(value), form.write(value)
    assert form.read(text) == nearest, text
    assert regex.fullmatch(form.pattern or "", text), (form.pattern, text)
    assert form.rounded(nearest) == nearest
    assert form.write(nearest) == text
    return nearest


@given(st.integers(1, 15).flatmap(lambda d: st.tuples(st.just(d), st.integers(0, d))), st.fractions(0, 1))
def test_padded(sizes: tuple[int, int], share: Fraction) -> None:
    digits, places = sizes
    steps = share * (10**digits - 1)
    value = Decimal(steps.numerator) / Decimal(steps.denominator) / Decimal(10) ** places
    nearest = keeps(PaddedFormat(digits, places), value)
    assert abs(nearest - value) * 10**places <= Decimal("0.5")
    assert len(PaddedFormat(digits, places).write(value)) == digits


@given(st.integers(0, 6), NUMBERS)
def test_decimal(places: int, value: Decimal) -> None:
    nearest = keeps(DecimalFormat(places), value)
    assert abs(Fraction(nearest) - Fraction(value)) * 10**places <= Fraction(1, 2)


@given(st.integers(1, 9), SMALL)
def test_scientific(significant: int, value: Decimal) -> None:
    nearest = keeps(ScientificFormat(significant), value)
    assert abs(Fraction(nearest) - Fraction(value)) <= abs(Fraction(value)) * Fraction(
        1, 2 * 10 ** (significant - 1)
    )


@given(
    st.integers(0, 6),
    st.booleans(),
    st.lists(st.decimals(-900, 900, allow_nan=False), min_size=1, max_size=6),
)
def test_series(precision: int, spaced: bool, values: list[Decimal]) -> None:
    number = ScaledDigits(precision, spaced)
    form = SeriesFormat(number, " , " if spaced else ",", len(values))
    written = Values(map(number.rounded, values))
    text = form.write(written)
    assert form.read(text) == written
    assert regex.fullmatch(form.pattern, text)
    assert form.read(text + form.separator + "1") is None
    assert SeriesFormat(number, form.separator).read(text) == written


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (PaddedFormat(5), "326", "00326"),
        (PaddedFormat(4, 1), "32.65", "0326"),  # half to even
        (PaddedFormat(3), "0", "000"),
        (PaddedFormat(3), "-0.4", "000"),
        (DecimalFormat(2), "12.8", "12.80"),
        (DecimalFormat(2), "-1.73", "-1.73"),
        (DecimalFormat(1), "-0.04", "0.0"),
        (DecimalFormat(0), "2.5", "2"),
        (ScientificFormat(3), "32.6", "+326E-1"),
        (ScientificFormat(3), "18823", "+188E+2"),
        (ScientificFormat(3), "-0.00999999", "-100E-4"),
        (ScientificFormat(3), "0", "+000E+0"),
        (ScientificFormat(1), "7", "+7E+0"),
        (ScaledDigits(3, False), "0.412", "412"),
        (ScaledDigits(2, True), "-1.05", "- 1 0 5"),
        (ScaledDigits(3, False), "123456", "9999999"),
    ],
)
def test_texts(form: Encoding, value: str, text: str) -> None:
    assert form.write(Decimal(value)) == text
    keeps(form, Decimal(value))


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        (PaddedFormat(3), ["", "12", "1234", "+12", "1.2", "٣٣٣", "12 ", "a12"[:2]]),
        (
            DecimalFormat(2),
            ["", "12", "12.8", "012.80", ".80", "1,000.00", "12.80 RM", "1" * 16 + ".00", "+1.00"],
        ),
        (
            ScientificFormat(3),
            ["", "326", "+326", "326E-1", "+326E-0", "+326E1", "+026E+1", "+326E+100", "+000E+1"],
        ),
        (ScaledDigits(3, False), ["", "012", "1 2", "1" * 8, "+1", "0.1", "- 1"]),
        (ScaledDigits(3, True), ["12", "1  2", "-1 2"]),
    ],
)
def test_what_is_no_answer(form: Encoding, texts: list[str]) -> None:
    assert [text for text in texts if form.read(text) is not None and text.strip(" ") == text] == []


@given(st.text("0123456789+-.E ,", max_size=14))
def test_what_is_read_is_what_matches(text: str) -> None:
    for form in (PaddedFormat(4, 1), DecimalFormat(2), ScientificFormat(3), ScaledDigits(3, True)):
        read = form.read(text)
        assert (read is not None) == (regex.fullmatch(form.pattern or "", text.strip(" ")) is not None)
        if read is not None:
            assert form.read(form.write(read)) == read


@pytest.mark.parametrize(
    ("form", "value", "words"),
    [
        (PaddedFormat(3), "1000", "1000 cannot be written as 3 digits"),
        (PaddedFormat(3), "999.5", "cannot be written as 3 digits"),
        (PaddedFormat(3, 1), "-1", "without a sign"),
        (DecimalFormat(0), "1E+15", "more than 15 digits before its point"),
        (ScientificFormat(3), "1E+110", "beyond 99"),
    ],
)
def test_numbers_that_have_no_place(form: Encoding, value: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        form.write(Decimal(value))


def test_settings() -> None:
    assert isinstance(encoding("scientific", 5, 0, 3), ScientificFormat)
    with pytest.raises(UserError, match=r"'decimals' is no way to write a number. Did you mean 'decimal'"):
        encoding("decimals", 5, 0, 3)
    with pytest.raises(UserError, match=r"task\.places must be from 0 to 3, not 4"):
        PaddedFormat(3, 4)
    with pytest.raises(UserError, match=r"task\.significant must be from 1 to 15, not 0"):
        ScientificFormat(0)
    with pytest.raises(UserError, match=r"task\.precision must be from 0 to 6, not 7"):
        ScaledDigits(7, False)
