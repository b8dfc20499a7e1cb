"""How far a number is from the truth. Values are exact fractions, so that no metric depends on binary rounding."""

from fractions import Fraction

CLOSE = Fraction(1, 1000)  # MATH-401: an answer nearer than this is correct
WORST = 10  # the largest relative error, and that of an answer without a number


def is_close(found: Fraction, truth: Fraction) -> bool:
    """MATH-401's rule: |Δ| < 10⁻³, whatever the size of the truth."""
    return abs(found - truth) < CLOSE


def relative_error(found: Fraction | None, truth: Fraction) -> float:
    """MATH-401's min(10, |ŷ − y| / max(|y|, 1)), and 10 where there is no number."""
    if found is None:
        return float(WORST)
    return float(min(Fraction(WORST), abs(found - truth) / max(abs(truth), Fraction(1))))


def digits_right(found: str, truth: str) -> float:
    """Share of the digit places of two plainly written numbers (sign, digits, point) at which they agree.

    Digits are aligned at the point; the sign is a place of its own; a place that only one of them has counts as wrong.
    """
    ours, theirs = places(found), places(truth)
    every = ours.keys() | theirs.keys()
    return sum(ours.get(place) == theirs.get(place) for place in every) / len(every)


def places(text: str) -> dict[int | str, str]:
    """Power of ten → digit, and "sign" → "+" or "-"."""
    sign = "-" if text.startswith("-") else "+"
    whole, _, fraction = text.lstrip("+-").partition(".")
    found: dict[int | str, str] = {"sign": sign}
    found |= {power: digit for power, digit in enumerate(reversed(whole))}
    return found | {-1 - place: digit for place, digit in enumerate(fraction)}
