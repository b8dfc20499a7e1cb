"""How good a predicted distribution of a number is. It is discrete: values with weights, from samples (each weight 1) or from
the probabilities of the numbers that a model may write. Weights are at least 0 and need not sum to 1.

A proper score such as CRPS is smallest, in expectation, for the distribution that the truth was drawn from; coverage tells
whether its intervals hold as often as they say, and not how wide they are.
"""

from collections.abc import Sequence
from math import isfinite
from statistics import fmean

from ntil.metrics.centre import weighted_quantile

TINY = 1e-12  # shares are rounded: a sum of them that reaches a level is not passed over
Values = Sequence[float]


def crps(values: Values, weights: Values | None, truth: float) -> float:
    """Continuous ranked probability score ∫ (F(x) − [x ≥ y])² dx = E|X − y| − ½ E|X − X′|, in the unit of y.

    0 for a certain and right answer; |x − y| for a certain answer x. weights None: all are the same.
    """
    ordered, shares = _sorted(values, weights)
    below, score = 0.0, 0.0
    for place, (value, share) in enumerate(zip(ordered, shares, strict=True)):
        after = ordered[place + 1] if place + 1 < len(ordered) else value
        below += share
        if truth <= value:
            score += (after - value) * (1 - below) ** 2
        elif truth >= after:
            score += (after - value) * below**2
        else:
            score += (truth - value) * below**2 + (after - truth) * (1 - below) ** 2
    return score + max(ordered[0] - truth, 0.0) + max(truth - ordered[-1], 0.0)


def quantile(values: Values, weights: Values | None, level: float) -> float:
    """The smallest value up to which at least `level` of the weight lies (0 < level ≤ 1): the inverse of F."""
    if not 0 < level <= 1:
        raise ValueError(f"a level lies above 0 and is at most 1, not {level}.")
    return weighted_quantile(*_sorted(values, weights), level - TINY)


def interval(values: Values, weights: Values | None, level: float) -> tuple[float, float]:
    """The central interval from quantile (1 − level)/2 to (1 + level)/2; it holds at least `level` of the weight."""
    if not 0 < level < 1:
        raise ValueError(f"an interval's level lies between 0 and 1, not {level}.")
    return quantile(values, weights, (1 - level) / 2), quantile(values, weights, (1 + level) / 2)


def covers(values: Values, weights: Values | None, truth: float, level: float) -> bool:
    """Whether the truth lies in the central interval of this level, its ends included."""
    low, high = interval(values, weights, level)
    return low <= truth <= high


def coverage(intervals: Sequence[tuple[float, float]], truths: Values) -> float:
    """The share of truths in their intervals; of calibrated intervals their level."""
    return fmean(low <= truth <= high for (low, high), truth in zip(intervals, truths, strict=True))


def _sorted(values: Values, weights: Values | None) -> tuple[list[float], list[float]]:
    """Rising values with their shares of the whole weight; those without any are left out."""
    given = [1.0] * len(values) if weights is None else list(weights)
    if len(given) != len(values):
        raise ValueError(f"{len(values)} values and {len(given)} weights; each value has one.")
    if not all(isfinite(number) for number in (*values, *given)) or any(weight < 0 for weight in given):
        raise ValueError("values and weights must be finite, and no weight below 0.")
    pairs = sorted((value, weight) for value, weight in zip(values, given, strict=True) if weight > 0)
    whole = sum(weight for _, weight in pairs)
    if not whole:
        raise ValueError("a distribution needs a value of some weight.")
    return [value for value, _ in pairs], [weight / whole for _, weight in pairs]
