"""Centres of weighted answers against a search for the least expected loss over every value there could be."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.metrics.centre import (
    centre,
    least_risk,
    most_probable,
    rounded_mean,
    weighted_median,
    weighted_quantile,
)

WEIGHTS = st.integers(0, 8).map(lambda eighths: eighths / 8)


def weighed(values: st.SearchStrategy[Any]) -> Any:
    """Lists of (value, weight), one weight at least above 0."""
    return st.lists(st.tuples(values, WEIGHTS), min_size=1, max_size=8).filter(
        lambda pairs: any(weight for _, weight in pairs)
    )


def split(pairs: Sequence[tuple[Any, float]]) -> tuple[list[Any], list[float]]:
    return [value for value, _ in pairs], [weight for _, weight in pairs]


def risk(answer: Any, values: Sequence[Any], weights: Sequence[float], power: int) -> Fraction:
    total = Fraction(0)
    for value, weight in zip(values, weights, strict=True):
        total += abs(Fraction(answer) - Fraction(value)) ** power * Fraction(weight)
    return total


@given(weighed(st.integers(-20, 20)))
def test_the_median_has_the_least_expected_distance(pairs: list[tuple[int, float]]) -> None:
    values, weights = split(pairs)
    risks = {answer: risk(answer, values, weights, 1) for answer in range(-20, 21)}
    best = [answer for answer in risks if risks[answer] == min(risks.values())]
    found = weighted_median(values, weights)
    assert found in best
    assert found == min(best), "the lower one"
    assert found in values
    assert centre(values, weights, "median") == found


@given(weighed(st.integers(-20, 20)))
def test_the_mean_has_the_least_expected_squared_distance(pairs: list[tuple[int, float]]) -> None:
    values, weights = split(pairs)
    risks = {answer: risk(answer, values, weights, 2) for answer in range(-20, 21)}
    found = centre(values, weights, "mean")
    assert isinstance(found, int)
    assert found == max(answer for answer in risks if risks[answer] == min(risks.values())), "halves upwards"


@given(weighed(st.integers(-2000, 2000)), st.integers(0, 3))
def test_means_keep_the_decimals_of_the_answers(pairs: list[tuple[int, float]], places: int) -> None:
    whole, weights = split(pairs)
    middle = rounded_mean([*whole, 1], [*weights, 0])  # the 1 makes the decimals matter
    values = [Fraction(value, 10**places) for value in (*whole, 1)]
    assert rounded_mean(values, [*weights, 0]) == Fraction(middle, 10**places)
    decimals = [Decimal(value).scaleb(-places) for value in (*whole, 1)]
    found = rounded_mean(decimals, [*weights, 0])
    assert isinstance(found, Decimal)
    assert found == Decimal(middle).scaleb(-places)
    floats = [float(value) for value in values]
    assert rounded_mean(floats, [*weights, 0]) == pytest.approx(middle / 10**places, abs=1e-12)


@given(weighed(st.integers(0, 30)), st.integers(0, 100))
def test_quantiles_by_counting_copies(pairs: list[tuple[int, float]], percent: int) -> None:
    values, weights = split(pairs)
    copies = sorted(
        value for value, weight in zip(values, weights, strict=True) for _ in range(int(weight * 8))
    )
    share = percent / 100
    wanted = next(
        value for value in copies if sum(other <= value for other in copies) >= Fraction(share) * len(copies)
    )
    assert weighted_quantile(values, weights, share) == wanted


class Pair(NamedTuple):
    left: int
    right: int


BOXES = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20)).map(
    lambda box: [(box[0], box[1]), (box[0] + box[2], box[1] + box[3])]
)


@pytest.mark.parametrize("kind", ["median", "mean"])
@given(weighed(BOXES))
def test_boxes_go_coordinate_by_coordinate_and_stay_boxes(kind: Any, pairs: list[Any]) -> None:
    values, weights = split(pairs)
    found = centre(values, weights, kind)
    power = 1 if kind == "median" else 2
    for corner in (0, 1):
        for axis in (0, 1):
            column = [value[corner][axis] for value in values]
            risks = {answer: risk(answer, column, weights, power) for answer in range(41)}
            assert risks[found[corner][axis]] == min(risks.values())
    assert found[0][0] < found[1][0]
    assert found[0][1] < found[1][1]
    assert isinstance(found, list)
    assert isinstance(found[0], tuple)


def test_shapes_keep_their_type_and_odd_ones_have_no_middle() -> None:
    assert centre([Pair(1, 9), Pair(2, 8), Pair(4, 1)], [1, 1, 1], "median") == Pair(2, 8)
    assert isinstance(centre([Pair(1, 9)], [1], "mean"), Pair)
    assert centre(["a", "b", "a", "c"], [0.3, 0.35, 0.1, 0.25], "median") == "a"
    assert centre([1, "b"], [0.4, 0.6], "mean") == "b"
    assert centre([True, False], [0.4, 0.6], "mean") is False
    assert centre([float("inf"), 1.0], [0.6, 0.4], "median") == float("inf")
    lists = [[(0, 0)], [(2, 2), (5, 5)], [(4, 4), (5, 7)], [(6, 1), (5, 9)]]
    assert centre(lists, [0.4, 0.2, 0.2, 0.2], "median") == [(4, 2), (5, 7)], "two points are more probable"
    assert centre([[], [(1, 2)]], [0.6, 0.4], "mean") == []


@given(weighed(st.sampled_from("abcd")))
def test_the_most_probable_value_errs_least(pairs: list[tuple[str, float]]) -> None:
    values, weights = split(pairs)
    wrong = {
        answer: sum(weight for value, weight in pairs if value != answer) for answer in dict.fromkeys(values)
    }
    assert wrong[most_probable(values, weights)] == min(wrong.values())
    assert most_probable(values, weights) == least_risk(
        list(dict.fromkeys(values)), values, weights, lambda answer, value: float(answer != value)
    )


@pytest.mark.parametrize(
    ("values", "weights"), [([], []), ([1], [0.0]), ([1], [1, 2]), ([1], [float("nan")]), ([1, 2], [2, -1])]
)
def test_no_distribution_is_an_error(values: list[int], weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        centre(values, weights, "median")
