"""Errors of numbers: by hand, and against the same said in another way (numpy and pandas; scikit-learn where it is installed)."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.metrics import errors

NUMBERS = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
POSITIVE = st.floats(0.01, 1e6).map(lambda x: round(x, 2))


def pairs(
    numbers: st.SearchStrategy[float], least: int = 2
) -> st.SearchStrategy[tuple[list[float], list[float]]]:
    return st.lists(st.tuples(numbers, numbers), min_size=least, max_size=30).map(
        lambda rows: ([row[0] for row in rows], [row[1] for row in rows])
    )


def test_by_hand() -> None:
    found, truth = [1.0, 4.0, 9.0], [2.0, 4.0, 6.0]
    assert errors.mean_absolute_error(found, truth) == pytest.approx(4 / 3)
    assert errors.median_relative_error(found, truth) == 0.5  # of 1/2, 0 and 1/2
    assert errors.r_squared(found, truth) == pytest.approx(1 - 10 / 8)
    assert errors.spearman(found, truth) == 1
    assert errors.smape(found, truth) == pytest.approx((2 / 3 + 0 + 6 / 15) / 3)
    assert errors.mase(found, truth, 2.0) == pytest.approx(2 / 3)
    assert errors.log_r_squared([1, math.e], [math.e, 1]) == pytest.approx(1 - 2 / 0.5)


def test_what_is_not_defined() -> None:
    assert errors.r_squared([1, 2], [3, 3]) is None
    assert errors.spearman([1, 1], [1, 2]) is None
    assert errors.spearman([1, 2], [2, 2]) is None
    assert errors.log_r_squared([0, 1], [1, 2]) is None
    assert errors.log_r_squared([1, 1], [-1, 2]) is None
    assert errors.relative_error(0, 0) == 0
    assert errors.relative_error(1, 0) == math.inf
    assert errors.smape([0, 1], [0, 0]) == 1
    with pytest.raises(ValueError, match="12 values hold no season of 12"):
        errors.seasonal_naive_error(range(12), 12)


def test_a_season() -> None:
    assert errors.seasonal_naive_error([1, 10, 3, 14, 2, 10], 2) == pytest.approx((2 + 4 + 1 + 4) / 4)
    assert errors.seasonal_naive_error([5, 6, 8], 1) == 1.5


@pytest.mark.parametrize(
    ("found", "truth", "is_one"),
    [
        (1, 1, False), (2, 1, False), (0.5, 1, False), (2.001, 1, True), (0.499, 1, True), (-1, 1, True),
        (0, 1, True), (1, 0, True), (0, 0, False), (-2, -1, False), (-3, -1, True),
    ],
)  # fmt: skip
def test_catastrophes(found: float, truth: float, is_one: bool) -> None:
    assert errors.is_catastrophic(found, truth) == is_one


def test_the_farthest_answer() -> None:
    assert [errors.farthest(y, 0, 10) for y in (2, 8, 5, -3, 12)] == [10, 0, 10, 10, 0]


def test_ranks_are_shared() -> None:
    assert errors.ranks([10, 20, 10, 30, 10]) == [2, 4, 2, 5, 2]


@given(pairs(NUMBERS))
def test_as_numpy_and_pandas_say_it(both: tuple[list[float], list[float]]) -> None:
    found, truth = both
    ours, theirs = np.array(found), np.array(truth)
    assert errors.mean_absolute_error(found, truth) == pytest.approx(np.abs(ours - theirs).mean())
    whole = np.abs(ours) + np.abs(theirs)
    shares = 2 * np.divide(np.abs(ours - theirs), whole, where=whole > 0, out=np.zeros_like(whole))
    assert errors.smape(found, truth) == pytest.approx(shares.mean())
    assert errors.ranks(found) == pd.Series(found).rank().tolist()
    if len(set(found)) > 1 and len(set(truth)) > 1:
        expected = np.corrcoef(pd.Series(found).rank(), pd.Series(truth).rank())[0, 1]
        assert errors.spearman(found, truth) == pytest.approx(expected, abs=1e-9)
    if theirs.var() > 1e-6:
        expected = 1 - ((ours - theirs) ** 2).mean() / theirs.var()
        assert errors.r_squared(found, truth) == pytest.approx(expected, rel=1e-6)


@given(pairs(POSITIVE))
def test_of_positive_numbers(both: tuple[list[float], list[float]]) -> None:
    found, truth = both
    ours, theirs = np.array(found), np.array(truth)
    assert errors.median_relative_error(found, truth) == pytest.approx(
        np.median(np.abs(ours / theirs - 1)), rel=1e-9, abs=1e-9
    )
    far = np.abs(np.log2(ours / theirs))
    for guess, y, distance in zip(found, truth, far, strict=True):
        if abs(distance - 1) > 1e-9:
            assert errors.is_catastrophic(guess, y) == (distance > 1)
    if np.log(theirs).var() > 1e-6:
        expected = errors.r_squared(list(np.log(ours)), list(np.log(theirs)))
        assert errors.log_r_squared(found, truth) == pytest.approx(expected)


@given(pairs(NUMBERS))
def test_as_scikit_learn_and_scipy_say_it(both: tuple[list[float], list[float]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    stats = pytest.importorskip("scipy.stats")
    found, truth = both
    assert errors.mean_absolute_error(found, truth) == pytest.approx(
        metrics.mean_absolute_error(truth, found)
    )
    if np.var(truth) > 1e-6:
        assert errors.r_squared(found, truth) == pytest.approx(metrics.r2_score(truth, found), rel=1e-6)
    if len(set(found)) > 1 and len(set(truth)) > 1:
        assert errors.spearman(found, truth) == pytest.approx(
            stats.spearmanr(found, truth).statistic, abs=1e-9
        )
