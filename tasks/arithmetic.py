"""Arithmetic in text: what is 12+34?

    prompt  12+34=          (example.query, in a template that is a config value)
    answer  46              the number as the record writes it

An answer is parsed when it is one number and nothing else (`ntil.numbers.text.parse_number`: a sign, thousands
separators and an exponent may be part of it; `46.` or `46 apples` is no answer). `prefix` allows a lead-in such as
"The answer is" that chat models are trained to write; a final full stop behind it is dropped.

Metrics are MATH-401's: correct (|Δ| < 10⁻³), relative error (capped at 10, which an answer without a number gets),
share of answers without a number; and beside them the exact text and the digits right by place.

Version 1: first version.
"""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

from ntil.data.answers import AnswerFormat
from ntil.data.example import Example
from ntil.data.task import Metric, Task
from ntil.errors import UserError
from ntil.metrics.centre import Kind, centre
from ntil.metrics.numbers import WORST, digits_right, is_close, relative_error
from ntil.numbers.text import NUMBER_PATTERN, format_number, parse_number
from tasks.extraction import last_number, value

_DIGITS = re.compile(r"[+-]?[0-9]*\.?[0-9]+")


class Number(NamedTuple):
    """A number as it was written, and its exact value."""

    text: str
    value: Fraction

    def __str__(self) -> str:
        return self.text


class NumberFormat(AnswerFormat[Number]):
    """A number as it was written and nothing else, behind a lead-in (`prefix`)."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix

    @property
    def pattern(self) -> str:
        return re.escape(self.prefix) + NUMBER_PATTERN

    def write(self, value: Number) -> str:
        return self.prefix + value.text

    def read(self, text: str) -> Number | None:
        text = text.strip()
        if self.prefix:
            if not text.startswith(self.prefix.strip()):
                return None
            text = text.removeprefix(self.prefix.strip()).strip().removesuffix(".")
        number = parse_number(text)
        return None if number is None else Number(text, number)


class ArithmeticTask(Task):
    """See the module's docstring. question: a template with {query}; prefix: what stands before the number."""

    name: ClassVar[str] = "arithmetic"
    version: ClassVar[int] = 1
    headline: ClassVar[str] = "correct"
    groups: ClassVar[Sequence[str]] = ("operator", "digits", "module", "group")
    metrics: ClassVar[Mapping[str, Metric]] = {
        "correct": Metric("correct", "higher", "share"),
        "exact": Metric("exact text", "higher", "share"),
        "relative_error": Metric("relative error", "lower", ""),
        "digits": Metric("digits right", "higher", "share"),
        "no_number": Metric("no number", "lower", "share"),
    }

    def __init__(self, question: str = "{query}", prefix: str = "", max_new_tokens: int = 24) -> None:
        self.format = NumberFormat(prefix)
        self.question, self.max_new_tokens = question, max_new_tokens

    def prompt(self, example: Example) -> str:
        return self.question.replace("{query}", example.query or "")

    def truth(self, example: Example) -> Number:
        text: Any = example.target["answer"]
        number = parse_number(text) if isinstance(text, str) else None
        if number is None:
            raise UserError(f"record {example.id}: the answer {text!r} is not a number written as text.")
        return Number(text.strip(), number)

    def parse_otherwise(self, text: str, example: Example) -> Number | None:
        """The number that a sentence, an equation or JSON answers (tasks.extraction)."""
        number = last_number(text)
        found = None if number is None else value(number)
        return None if number is None or found is None else Number(number, found)

    def centre(self, parsed: Sequence[Number], weights: Sequence[float], kind: Kind) -> Number | None:
        """As it was answered where it was, else as a plain decimal; None for a mean of 400 decimals and more."""
        value = centre([number.value for number in parsed], weights, kind)
        written = (number for number in parsed if number.value == value)
        if (found := next(written, None)) is not None:
            return found
        try:
            return Number(format_number(value), value)
        except ValueError:
            return None

    def as_number(self, parsed: Number) -> Fraction:
        return parsed.value

    def score(self, parsed: Number | None, example: Example) -> dict[str, float | None]:
        truth = self.truth(example)
        if parsed is None:
            return {"correct": 0, "exact": 0, "relative_error": float(WORST), "digits": 0, "no_number": 1}
        plain, truly = _plain(parsed.text), _plain(truth.text)
        return {
            "correct": float(is_close(parsed.value, truth.value)),
            "exact": float(parsed.text == truth.text),
            "relative_error": relative_error(parsed.value, truth.value),
            "digits": digits_right(plain, truly) if plain and truly else None,
            "no_number": 0.0,
        }

    def error(self, scores: Mapping[str, float | None]) -> float:
        if scores["correct"]:
            return 0.0
        return (scores["relative_error"] or 0.0) + (scores["no_number"] or 0.0) + 1e-9


def _plain(number: str) -> str:
    """Sign, digits and point; "" where it is written otherwise, such as with an exponent."""
    number = number.replace(",", "").replace("−", "-")
    return number if _DIGITS.fullmatch(number) else ""
