"""The answer of least expected loss under a distribution over answers (minimum Bayes risk).

    kind      minimises        numbers                                              lists and tuples of numbers
    median    E|X − y|         the lower weighted median, which is one of them      coordinate by coordinate
    mean      E(X − y)²        rounded to the decimals that the answers have        coordinate by coordinate

Everything else, such as text, has no middle: there the most probable value is taken, which minimises E[X ≠ y]. Where lists
differ in length, those of the most probable length (and nesting) have a say. Weights need not sum to 1; sums are exact.
"""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any, Literal, TypeVar, get_args

V = TypeVar("V")
Kind = Literal["median", "mean"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def centre(values: Sequence[Any], weights: Sequence[float], kind: Kind) -> Any:
    """By the module's table. values: at least one, as many as weights; ValueError where there are none or no weight is above 0."""
    _check(values, weights)
    shapes = [_shape(value) for value in values]
    if "other" in shapes:
        return most_probable(values, weights)
    usual = most_probable(shapes, weights)
    kept = [place for place, shape in enumerate(shapes) if shape == usual]
    values, weights = [values[place] for place in kept], [weights[place] for place in kept]
    if usual == "number":
        return weighted_median(values, weights) if kind == "median" else rounded_mean(values, weights)
    middle = [centre(column, weights, kind) for column in zip(*values, strict=True)]
    made: Any = type(values[0])
    return made._make(middle) if hasattr(made, "_make") else made(middle)


def most_probable(values: Sequence[V], weights: Sequence[float]) -> V:
    """The value whose equals weigh most; of several the first."""
    _check(values, weights)
    sums: list[tuple[V, Fraction]] = []
    for value, weight in zip(values, weights, strict=True):
        place = next((i for i, (other, _) in enumerate(sums) if other == value), None)
        if place is None:
            sums.append((value, Fraction(weight)))
        else:
            sums[place] = (value, sums[place][1] + Fraction(weight))
    return max(sums, key=lambda pair: pair[1])[0]


def weighted_quantile(values: Sequence[V], weights: Sequence[float], share: float) -> V:
    """The least value at and below which lies at least this share of the weight."""
    _check(values, weights)
    sortable: Sequence[Any] = values
    order = sorted((i for i, weight in enumerate(weights) if weight > 0), key=lambda i: sortable[i])
    below = list(accumulate(Fraction(weights[place]) for place in order))
    wanted = Fraction(share) * below[-1]
    return next(values[place] for place, sum_ in zip(order, below, strict=True) if sum_ >= wanted)


def weighted_median(values: Sequence[V], weights: Sequence[float]) -> V:
    """The lower one: always one of the values."""
    return weighted_quantile(values, weights, 0.5)


def rounded_mean(values: Sequence[Any], weights: Sequence[float]) -> Any:
    """With as many decimals as the value that has most, halves upwards (so that what is a step apart stays apart).

    The type is that of the values: int, float, Decimal or Fraction. Fractions that are no decimals, such as 1/3, keep their
    common denominator.
    """
    _check(values, weights)
    exact = [_exact(value) for value in values]
    parts = [Fraction(weight) for weight in weights]
    mean = sum((value * part for value, part in zip(exact, parts, strict=True)), Fraction(0)) / sum(parts)
    steps = _steps(exact)
    rounded = Fraction(math.floor(mean * steps + Fraction(1, 2)), steps)
    if all(isinstance(value, int) for value in values):
        return int(rounded)
    if any(isinstance(value, float) for value in values):
        return float(rounded)
    if any(isinstance(value, Decimal) for value in values):
        places = len(str(steps)) - 1
        digits = tuple(map(int, str(abs(rounded.numerator * (steps // rounded.denominator)))))
        return Decimal((int(rounded < 0), digits, -places))
    return rounded


def least_risk(
    options: Sequence[V],
    values: Sequence[Any],
    weights: Sequence[float],
    loss: Callable[[V, Any], float],
) -> V:
    """The option of least expected loss; of several the first."""
    _check(values, weights)

    def risk(option: V) -> Fraction:
        parts = (
            Fraction(loss(option, value)) * Fraction(weight)
            for value, weight in zip(values, weights, strict=True)
        )
        return sum(parts, Fraction(0))

    return min(options, key=risk)


def is_finite_number(value: Any) -> bool:
    """int, float, Fraction or Decimal, and neither true or false nor infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction | Decimal):
        return False
    return isinstance(value, int | Fraction) or math.isfinite(value)


def _check(values: Sequence[Any], weights: Sequence[float]) -> None:
    if len(values) != len(weights):
        raise ValueError(f"{len(values)} values have {len(weights)} weights")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise ValueError(f"weights must be finite, none below 0 and one above it, not {list(weights)[:8]}")


def _shape(value: Any) -> Any:
    """ "number", the shapes within a list or tuple, or "other" where anything in it is neither."""
    if is_finite_number(value):
        return "number"
    if not isinstance(value, list | tuple):
        return "other"
    shapes = tuple(_shape(part) for part in value)
    return "other" if "other" in shapes else shapes


def _exact(value: Any) -> Fraction:
    """A float is the decimal that it is printed as."""
    return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)


def _steps(values: Sequence[Fraction]) -> int:
    """Steps of 1 that all values are whole numbers of: a power of ten where they are decimals."""
    common = rest = math.lcm(*(value.denominator for value in values))
    places = 0
    while (shared := math.gcd(rest, 10)) > 1:
        rest //= shared
        places += 1
    return 10**places if rest == 1 else common
