"""Gaps between clock readings against stepping minute by minute around the dial."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntil.metrics.clock import DIAL, circular_gap, dial_minutes, plain_gap

DIAL_ORDER = [(12 if h == 0 else h, m) for h in range(12) for m in range(60)]  # 12:00, 12:01, … 11:59
TIMES = st.sampled_from(DIAL_ORDER)


def steps(start: tuple[int, int], end: tuple[int, int], direction: int) -> int:
    """Minutes from `start` to `end`, one at a time."""
    place, count = DIAL_ORDER.index(start), 0
    while DIAL_ORDER[place] != end:
        place, count = (place + direction) % DIAL, count + 1
    return count


@given(one=TIMES, other=TIMES)
def test_circular_is_the_shorter_way(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert circular_gap(*one, *other) == min(steps(one, other, 1), steps(one, other, -1))


@given(one=TIMES, other=TIMES)
def test_plain_never_passes_twelve(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert plain_gap(*one, *other) == abs(DIAL_ORDER.index(one) - DIAL_ORDER.index(other))


def test_all_pairs_of_quarter_hours() -> None:
    for one, other in itertools.product(DIAL_ORDER[::15], repeat=2):
        gap = circular_gap(*one, *other)
        assert gap == circular_gap(*other, *one)
        assert 0 <= gap <= 360
        assert (gap == 0) == (one == other)
        assert gap in (plain_gap(*one, *other), DIAL - plain_gap(*one, *other))


@pytest.mark.parametrize(
    ("one", "other", "plain", "circular"),
    [
        ((12, 0), (11, 59), 719, 1),
        ((12, 0), (0, 0), 0, 0),
        ((6, 0), (12, 0), 360, 360),
        ((1, 0), (12, 59), 1, 1),
        ((3, 25), (3, 25), 0, 0),
        ((11, 30), (12, 30), 660, 60),
    ],
)
def test_by_hand(one: tuple[int, int], other: tuple[int, int], plain: int, circular: int) -> None:
    assert (plain_gap(*one, *other), circular_gap(*one, *other)) == (plain, circular)


def test_minutes_since_twelve() -> None:
    assert [dial_minutes(*time) for time in DIAL_ORDER] == list(range(DIAL))
