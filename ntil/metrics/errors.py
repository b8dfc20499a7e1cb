"""Errors of numbers that are uncertain by nature, over the items of a split: found values ŷ beside true values y.

Each takes equally many of both, as floats. An item without an answer has no ŷ; who scores it says what it is counted as.
"""

from collections.abc import Sequence
from itertools import groupby
from math import inf, log
from statistics import fmean, median

FACTOR = 2.0  # off by more is a catastrophic answer
WORST_SMAPE = 2.0  # its largest value, and that of an answer without numbers

Values = Sequence[float]


def relative_error(found: float, truth: float) -> float:
    """|ŷ − y| / |y|; where y is 0, 0 for a right answer and infinite for any other."""
    off = abs(found - truth)
    return off / abs(truth) if truth else (inf if off else 0.0)


def mean_absolute_error(found: Values, truth: Values) -> float:
    """Mean of |ŷ − y|, in the unit of y."""
    return fmean(abs(guess - y) for guess, y in zip(found, truth, strict=True))


def median_relative_error(found: Values, truth: Values) -> float:
    """Median of |ŷ − y| / |y|; infinite where half of the items or more are."""
    return median(relative_error(guess, y) for guess, y in zip(found, truth, strict=True))


def r_squared(found: Values, truth: Values) -> float | None:
    """1 − Σ(ŷ − y)² / Σ(y − ȳ)² with the mean ȳ of these very y; None where they are all the same."""
    centre = fmean(truth)
    spread = sum((y - centre) ** 2 for y in truth)
    rest = sum(abs(guess - y) ** 2 for guess, y in zip(found, truth, strict=True))
    return 1 - rest / spread if spread else None


def log_r_squared(found: Values, truth: Values) -> float | None:
    """R² of the logarithms; None where some value of either is not positive."""
    if min(*found, *truth) <= 0:
        return None
    return r_squared([log(value) for value in found], [log(value) for value in truth])


def spearman(found: Values, truth: Values) -> float | None:
    """Spearman's rank correlation, equal values sharing their mean rank; None where ŷ or y are all the same."""
    one, other = ranks(found), ranks(truth)
    centre = (len(truth) + 1) / 2
    together = sum((a - centre) * (b - centre) for a, b in zip(one, other, strict=True))
    spreads = [sum((rank - centre) ** 2 for rank in side) for side in (one, other)]
    return together / (spreads[0] * spreads[1]) ** 0.5 if all(spreads) else None


def ranks(values: Values) -> list[float]:
    """1 for the smallest; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    first = 1
    for _, same in groupby(order, key=values.__getitem__):
        places = list(same)
        for place in places:
            result[place] = first + (len(places) - 1) / 2
        first += len(places)
    return result


def smape(found: Values, truth: Values) -> float:
    """Mean of 2|ŷ − y| / (|ŷ| + |y|), from 0 to 2; 0 where both are 0 (Makridakis' M4 competition, without its 100 %)."""
    return fmean(
        2 * abs(guess - y) / (abs(guess) + abs(y)) if guess or y else 0.0
        for guess, y in zip(found, truth, strict=True)
    )


def mase(found: Values, truth: Values, naive_error: float) -> float:
    """Mean |ŷ − y| over `naive_error` (Hyndman & Koehler 2006): below 1 is better than the seasonal naive forecast was."""
    return mean_absolute_error(found, truth) / naive_error


def seasonal_naive_error(series: Values, period: int) -> float:
    """Mean |y_t − y_{t − period}| over a series: the scale of MASE. Taken of the training part alone."""
    if len(series) <= period:
        raise ValueError(f"{len(series)} values hold no season of {period} to compare.")
    return mean_absolute_error(series[:-period], series[period:])


def is_catastrophic(found: float, truth: float, factor: float = FACTOR) -> bool:
    """Off by more than × factor; another sign is, and so is 0 for what is not 0."""
    if found * truth <= 0:
        return found != truth
    return max(found / truth, truth / found) > factor


def farthest(truth: float, low: float, high: float) -> float:
    """The worst answer from [low, high]: what an item without an answer is counted as."""
    return low if truth - low > high - truth else high
