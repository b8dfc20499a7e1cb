"""The blocks and the interval that every bootstrap shares."""

import numpy as np
import pytest

from ntil.metrics import resampling
from ntil.metrics.resampling import blocks, interval


@pytest.mark.parametrize(
    ("replicates", "items", "expected"), [(10, 30, [3, 3, 3, 1]), (4, 1, [4]), (2, 500, [1, 1])]
)
def test_blocks_hold_what_memory_allows(
    monkeypatch: pytest.MonkeyPatch, replicates: int, items: int, expected: list[int]
) -> None:
    monkeypatch.setattr(resampling, "CHUNK", 100)
    assert list(blocks(replicates, items)) == expected


def test_the_interval_is_that_of_the_sorted_replicates_that_have_a_value() -> None:
    assert interval(np.array([np.nan, *range(101)]), level=0.9) == pytest.approx((5.0, 95.0))
    values = np.random.default_rng(0).normal(size=1000)
    assert interval(values) == pytest.approx(np.quantile(values, [0.025, 0.975]))
