"""How a number is written in an answer. Each encoding writes, reads strictly, and gives the pattern between the two.

    padded       00326        as many digits as set, `places` of them behind a point that is not written; no sign
    decimal      -326.50      `places` decimals
    scientific   +326E+0      sign, `significant` digits, a power of ten: +326E-1 is 32.6 (Decoding-based Regression, Song &
                              Bahri 2025, whose tokens <+><3><2><6><E-1> are characters here)

A number is rounded to the nearest that its encoding has (half to even); what it has reads back as it is, to the last digit.
"""

import re
from abc import abstractmethod
from decimal import ROUND_HALF_EVEN, Context, Decimal

from ntil.data.answers import AnswerFormat
from ntil.errors import UserError, did_you_mean

LONGEST = 15  # digits before the point
LARGEST = 99  # power of ten
_CONTEXT = Context(prec=400, rounding=ROUND_HALF_EVEN)  # no number that is read is rounded


class Encoding(AnswerFormat[Decimal]):
    """An answer format of one number. `rounded` gives the nearest number that it has; UserError where there is none."""

    @abstractmethod
    def rounded(self, value: Decimal) -> Decimal: ...

    def write(self, value: Decimal) -> str:
        return self._text(self.rounded(value))

    def read(self, text: str) -> Decimal | None:
        text = text.strip(" ")
        return self._value(text) if re.fullmatch(self.pattern or "", text) else None

    @abstractmethod
    def _text(self, value: Decimal) -> str: ...

    @abstractmethod
    def _value(self, text: str) -> Decimal: ...


class PaddedFormat(Encoding):
    """`00326`: a number from 0 to 10^(digits − places) in steps of 10^−places, without its point."""

    def __init__(self, digits: int, places: int = 0) -> None:
        _check("digits", digits, 1, 2 * LONGEST)
        _check("places", places, 0, digits)
        self.digits, self.places = digits, places

    @property
    def pattern(self) -> str:
        return f"[0-9]{{{self.digits}}}"

    def rounded(self, value: Decimal) -> Decimal:
        nearest = _in_steps(value, self.places)
        if nearest < 0 or nearest.scaleb(self.places, _CONTEXT) >= 10**self.digits:
            raise UserError(
                f"{value} cannot be written as {self.digits} digits, {self.places} of them decimals, without a sign; more digits "
                "(task.digits), or task.encoding=decimal or scientific, can."
            )
        return abs(nearest)

    def _text(self, value: Decimal) -> str:
        return f"{int(value.scaleb(self.places, _CONTEXT)):0{self.digits}d}"

    def _value(self, text: str) -> Decimal:
        return Decimal(text).scaleb(-self.places, _CONTEXT)


class DecimalFormat(Encoding):
    """`-326.50`: a number of at most 15 digits before its point, in steps of 10^−places."""

    def __init__(self, places: int = 0) -> None:
        _check("places", places, 0, LONGEST)
        self.places = places

    @property
    def pattern(self) -> str:
        whole = rf"-?(?:0|[1-9][0-9]{{0,{LONGEST - 1}}})"
        return rf"{whole}\.[0-9]{{{self.places}}}" if self.places else whole

    def rounded(self, value: Decimal) -> Decimal:
        nearest = _in_steps(value, self.places)
        if abs(nearest) >= 10**LONGEST:
            raise UserError(
                f"{value} has more than {LONGEST} digits before its point; task.encoding=scientific can write it."
            )
        return nearest if nearest else abs(nearest)

    def _text(self, value: Decimal) -> str:
        return f"{value:f}"

    def _value(self, text: str) -> Decimal:
        return self.rounded(Decimal(text))


class ScientificFormat(Encoding):
    """`+326E-1`: sign, a whole number of `significant` digits that does not begin with 0, and a power of ten; 0 is `+000E+0`."""

    def __init__(self, significant: int = 3) -> None:
        _check("significant", significant, 1, LONGEST)
        self.significant = significant

    @property
    def pattern(self) -> str:
        rest, zeros = self.significant - 1, "0" * self.significant
        return rf"[+-][1-9][0-9]{{{rest}}}E(?:\+0|[+-][1-9][0-9]?)|\+{zeros}E\+0"

    def rounded(self, value: Decimal) -> Decimal:
        if not value:
            return Decimal(0)
        nearest = Context(prec=self.significant, rounding=ROUND_HALF_EVEN).plus(value)
        if abs(self._power(nearest)) > LARGEST:
            raise UserError(f"{value} needs a power of ten beyond {LARGEST}.")
        return nearest

    def _power(self, value: Decimal) -> int:
        return value.adjusted() - self.significant + 1

    def _text(self, value: Decimal) -> str:
        if not value:
            return f"+{'0' * self.significant}E+0"
        power = self._power(value)
        digits = int(abs(value).scaleb(-power, _CONTEXT))
        return f"{'-' if value < 0 else '+'}{digits}E{power:+d}"

    def _value(self, text: str) -> Decimal:
        digits, _, power = text.partition("E")
        return Decimal(digits).scaleb(int(power), _CONTEXT) if int(digits) else Decimal(0)


def encoding(name: str, digits: int, places: int, significant: int) -> Encoding:
    """The encoding of a task's settings; each takes of them what it needs."""
    made = {
        "padded": lambda: PaddedFormat(digits, places),
        "decimal": lambda: DecimalFormat(places),
        "scientific": lambda: ScientificFormat(significant),
    }
    if name not in made:
        near = did_you_mean(name, made)
        raise UserError(
            f"task.encoding={name!r} is no way to write a number.{near} There are {', '.join(made)}."
        )
    return made[name]()


def _in_steps(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), context=_CONTEXT)


def _check(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise UserError(f"task.{name} must be from {least} to {most}, not {value}.")
