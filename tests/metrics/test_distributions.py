"""CRPS, quantiles and coverage of discrete distributions: by hand, and against slow, obvious twins."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.metrics.distributions import coverage, covers, crps, interval, quantile

WEIGHTED = st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 9)), min_size=1, max_size=12).filter(
    lambda rows: any(weight for _, weight in rows)
)
Rows = list[tuple[int, int]]


def sides(rows: Rows) -> tuple[list[float], list[float]]:
    return [float(value) for value, _ in rows], [float(weight) for _, weight in rows]


def crps_by_pairs(rows: Rows, truth: int) -> Fraction:
    """E|X − y| − ½ E|X − X′|, each pair of values by itself, in exact fractions."""
    whole = sum(weight for _, weight in rows)
    to_truth = sum(Fraction(w, whole) * abs(x - truth) for x, w in rows)
    apart = sum(Fraction(v * w, whole**2) * abs(x - z) for (x, v), (z, w) in product(rows, rows))
    return to_truth - apart / 2


def quantile_by_search(rows: Rows, level: Fraction) -> int:
    whole = sum(weight for _, weight in rows)
    enough = [x for x, w in rows if w and sum(v for z, v in rows if z <= x) >= level * whole]
    return min(enough)


def test_by_hand() -> None:
    assert crps([3], None, 5) == 2  # certain: the absolute error
    assert crps([3], [0.1], 3) == 0
    assert crps([0, 1], None, 0.5) == pytest.approx(0.25)  # two steps of ½ over ½ each
    assert crps([0, 10], [3, 1], 0) == pytest.approx(10 / 16)
    assert crps([0, 10], [3, 1], -2) == pytest.approx(2 + 10 / 16)
    assert crps([0, 10], [3, 1], 12) == pytest.approx(2 + 10 * 9 / 16)
    assert [quantile([1, 2, 3, 4], None, level) for level in (0.01, 0.25, 0.26, 0.5, 1)] == [1, 1, 2, 2, 4]
    assert quantile([5, 1], [1, 3], 0.75) == 1
    assert interval([*range(1, 11)], None, 0.5) == (3, 8)
    assert covers([*range(1, 11)], None, 8, 0.5)
    assert not covers([*range(1, 11)], None, 9, 0.5)
    assert covers([*range(1, 11)], None, 9, 0.9)
    assert coverage([(0, 1), (2, 3), (0, 9), (4, 4)], [1, 1, 5, 4]) == 0.75


@given(WEIGHTED, st.integers(-80, 80))
def test_crps_is_that_of_all_pairs(rows: Rows, truth: int) -> None:
    assert crps(*sides(rows), truth) == pytest.approx(float(crps_by_pairs(rows, truth)), abs=1e-9)


@given(WEIGHTED, st.integers(1, 20))
def test_quantiles_are_those_found_by_search(rows: Rows, twentieths: int) -> None:
    level = Fraction(twentieths, 20)
    assert quantile(*sides(rows), float(level)) == quantile_by_search(rows, level)


@given(WEIGHTED, st.sampled_from([0.5, 0.9]))
def test_an_interval_holds_its_level(rows: Rows, level: float) -> None:
    low, high = interval(*sides(rows), level)
    inside = sum(weight for value, weight in rows if low <= value <= high)
    assert inside >= level * sum(weight for _, weight in rows) - 1e-9


def test_the_true_distribution_scores_best() -> None:
    """Proper: over truths drawn from weights 1:2:1, those weights have the smallest mean score; and they cover as they say."""
    values, truths = [0.0, 1.0, 2.0], [0.0] + [1.0] * 2 + [2.0]

    def mean(weights: list[float]) -> float:
        return float(np.mean([crps(values, weights, truth) for truth in truths]))

    best = mean([1, 2, 1])
    for other in ([1, 1, 1], [0, 1, 0], [2, 3, 1], [1, 3, 1], [3, 2, 3]):
        assert mean(other) > best


def test_a_sample_of_a_normal_distribution() -> None:
    """Its CRPS at y = 0 is σ(√2 − 1)/√π (Gneiting & Raftery 2007), its 90 % interval ±1.645 σ."""
    sample = np.random.default_rng(0).normal(0, 3, 20_000).tolist()
    assert crps(sample, None, 0.0) == pytest.approx(3 * (2**0.5 - 1) / np.pi**0.5, rel=0.03)
    assert interval(sample, None, 0.9) == pytest.approx((-1.645 * 3, 1.645 * 3), rel=0.03)


@pytest.mark.parametrize(
    ("values", "weights", "words"),
    [
        ([], None, "a value of some weight"),
        ([1.0], [0.0], "a value of some weight"),
        ([1.0], [1.0, 2.0], "1 values and 2 weights"),
        ([1.0], [-1.0], "no weight below 0"),
        ([float("nan")], None, "must be finite"),
    ],
)
def test_refusals(values: list[float], weights: list[float] | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        crps(values, weights, 0.0)
    with pytest.raises(ValueError, match="a level lies above 0"):
        quantile([1.0], None, 0)
    with pytest.raises(ValueError, match="between 0 and 1, not 1"):
        interval([1.0], None, 1)
