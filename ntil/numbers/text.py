"""Numbers in text, under the rules of `ntil.numbers.spans`, with exact values.

find_numbers("(x1, 0.98) v1.2.3", "decimal")  →  1, 0.98, 1, 2, 3
parse_number(" -1,234.5 ")                    →  Fraction(-2469, 2)
format_number(0.5, places=2)                  →  "0.50"
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from ntil.numbers.spans import NumberFormat

_RUN = re.compile(r"[0-9]+")
_CHAIN = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_WRITTEN = re.compile(
    r"(?P<sign>[+\-−]?)(?P<integer>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.(?P<fraction>[0-9]+))?(?:[eE](?P<exponent>[+\-−]?[0-9]{1,3}))?"
)
# Of what `parse_number` reads; without named groups.
NUMBER_PATTERN = re.sub(r"\?P<\w+>", "?:", _WRITTEN.pattern)
MOST_DIGITS = 4000  # Python turns no more than 4,300 into an integer


@dataclass(frozen=True)
class NumberText:
    """A number at text[start:end], as it is written there, and its exact value."""

    start: int
    end: int
    text: str
    value: Fraction


def find_numbers(text: str, number_format: NumberFormat = "decimal") -> list[NumberText]:
    """The unsigned numbers that a loss with this format sees in `text`, in order."""
    if number_format not in ("digits", "decimal"):
        raise ValueError(f"number_format must be 'digits' or 'decimal', not {number_format!r}.")
    found: list[NumberText] = []
    for chain in _CHAIN.finditer(text):
        whole = number_format == "decimal" and chain[0].count(".") <= 1
        pieces = [chain] if whole else list(_RUN.finditer(text, *chain.span()))
        found += [NumberText(*piece.span(), piece[0], _value(piece[0])) for piece in pieces]
    return found


def parse_number(text: str) -> Fraction | None:
    """The value of a text that is one number and nothing else, or None.

    Takes a sign, thousands separators (`1,234.5`), an exponent of up to three digits and at most 4,000 others. What is not
    plainly a number (`1,23`, `.5`, `5.`, `1/2`, `12 %`, digits of other scripts) is None, never a guess.
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        return None
    integer, fraction = match["integer"].replace(",", ""), match["fraction"] or ""
    if len(integer + fraction) > MOST_DIGITS:
        return None
    value = _value(f"{integer}.{fraction}")
    if match["exponent"]:
        value *= Fraction(10) ** int(match["exponent"].replace("−", "-"))
    return -value if match["sign"] in ("-", "−") else value


def _value(digits: str) -> Fraction:
    """Of digits with a point or without, however many; `int` alone takes 4,300."""
    integer, _, fraction = digits.partition(".")
    whole = 0
    for start in range(0, len(every := integer + fraction), 4000):
        part = every[start : start + 4000]
        whole = whole * 10 ** len(part) + int(part)
    return Fraction(whole, 10 ** len(fraction))


def format_number(value: int | float | Fraction, places: int | None = None) -> str:
    """Write a number as answers write it: without exponent or separators; `places` decimals, rounding half to even.

    places None: the shortest text that reads back as the same value (a Fraction must then be a finite decimal).
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a number that can be written out.")
        # The shortest decimal that reads back as this float; exactly the float's binary value where places are given.
        fraction = Fraction(repr(float(value))) if places is None else Fraction(value)
    else:
        fraction = Fraction(value)
    if places is None:
        places = next((k for k in range(400) if (fraction * 10**k).denominator == 1), None)
        if places is None:
            raise ValueError(f"{value} has no finite decimal form; give the number of places.")
    units = round(fraction * 10**places)  # Fraction rounds half to even
    digits = str(abs(units)).zfill(places + 1)
    sign = "-" if units < 0 else ""
    return sign + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)
