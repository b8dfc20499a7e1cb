"""Generated sums: `12+34=` and its exact answer, from each item's own random stream (data_prep.generated).

train, val and test ask for numbers of the same lengths and never for the same sum (`3+5` and `5+3` are the same): a hash
of the sum decides where it belongs. `extrapolation` asks for longer numbers.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Annotated

import numpy as np

from data_prep.generated import Drawn, Generated, generated
from data_prep.schema import Choice, Of, Range, Within
from ntil.errors import UserError

SHARES = {"train": range(80), "val": range(80, 90), "test": range(90, 100)}  # of 100 hash values


@dataclass(frozen=True)
class SumsConfig(Generated):
    """One generated data set: conf/data/sums_easy.yaml and its sibling."""

    SPLITS = ("train", "val", "test", "extrapolation")
    ITEMS, MOST = "sums", 100_000_000

    operators: Annotated[Choice, Of("+-*/")]
    digits: Annotated[Range, Within(1, 40, "digits")]  # of an operand, before its point
    extrapolation_digits: Annotated[Range, Within(1, 60, "digits")]
    places: Annotated[Range, Within(0, 9, "decimal places")]  # of an operand

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.splits.get("extrapolation") and self.extrapolation_digits.low <= self.digits.high:
            raise UserError("extrapolation_digits must lie above digits: only then is their length unseen.")


def drawn(config: SumsConfig, split: str, rng: np.random.Generator) -> Drawn:
    lengths = config.extrapolation_digits if split == "extrapolation" else config.digits
    while True:
        operator = config.operators.draw(rng)
        digits = _whole(lengths, rng)
        left, right, answer = MAKERS[operator](partial(_operand, config, rng), digits, rng)
        if split == "extrapolation" or home(operator, left, right) == split:
            break
    return Drawn(
        {"answer": f"{answer:f}"}, {"operator": operator, "digits": digits}, f"{left}{operator}{right}="
    )


def home(operator: str, left: Decimal, right: Decimal) -> str:
    """The split that a sum belongs to, whatever the order of operands that may be swapped."""
    operands = sorted((f"{left:f}", f"{right:f}")) if operator in "+*" else [f"{left:f}", f"{right:f}"]
    value = int(hashlib.sha256(operator.join(operands).encode()).hexdigest(), 16) % 100
    return next(split for split, share in SHARES.items() if value in share)


Operand = Callable[[int], Decimal]


def _operand(config: SumsConfig, rng: np.random.Generator, digits: int) -> Decimal:
    """A number of exactly `digits` digits before its point (0 may stand alone)."""
    first = rng.integers(0 if digits == 1 else 1, 10)
    whole = f"{first}{''.join(str(d) for d in rng.integers(0, 10, digits - 1))}"
    places = _whole(config.places, rng)
    fraction = "".join(str(d) for d in rng.integers(0, 10, places))
    return Decimal(f"{whole}.{fraction}" if fraction else whole)


def _whole(numbers: Range, rng: np.random.Generator) -> int:
    return int(rng.integers(int(numbers.low), int(numbers.high) + 1))


def _shorter(digits: int, rng: np.random.Generator) -> int:
    return int(rng.integers(1, digits + 1))


Problem = tuple[Decimal, Decimal, Decimal]  # left, right, answer


def _swapped(one: Decimal, other: Decimal, rng: np.random.Generator) -> tuple[Decimal, Decimal]:
    return (one, other) if rng.random() < 0.5 else (other, one)


def _add(operand: Operand, digits: int, rng: np.random.Generator) -> Problem:
    left, right = _swapped(operand(digits), operand(_shorter(digits, rng)), rng)
    return left, right, left + right


def _subtract(operand: Operand, digits: int, rng: np.random.Generator) -> Problem:
    left, right = _swapped(operand(digits), operand(_shorter(digits, rng)), rng)
    return left, right, left - right


def _multiply(operand: Operand, digits: int, rng: np.random.Generator) -> Problem:
    left, right = _swapped(operand(digits), operand(_shorter(digits, rng)), rng)
    return left, right, left * right


def _divide(operand: Operand, digits: int, rng: np.random.Generator) -> Problem:
    """Made backwards, so that the quotient is exact."""
    quotient, divisor = operand(digits), operand(_shorter(digits, rng))
    while divisor == 0:
        divisor = operand(_shorter(digits, rng))
    return quotient * divisor, divisor, quotient


MAKERS = {"+": _add, "-": _subtract, "*": _multiply, "/": _divide}

BUILDER = generated(
    "sums", SumsConfig, drawn, version=1, help="generated arithmetic in text, easy and medium"
)
