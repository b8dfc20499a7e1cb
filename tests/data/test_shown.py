"""Which predictions are shown."""

from ntil.data.shown import BEST, RANDOM, WORST, kinds_of, shown_places


def test_the_worst_and_best_come_first_and_equals_stay_in_order() -> None:
    found = shown_places([1.0, 3.0, 0.0, 3.0, 0.0], 2)
    assert found[WORST] == [1, 3]
    assert found[BEST] == [2, 4]
    assert kinds_of(1, {WORST: [1, 3], BEST: [2]}) == (WORST,)
    assert kinds_of(0, {WORST: [1, 3], BEST: [2]}) == ()


def test_the_random_ones_depend_on_the_number_of_predictions_alone() -> None:
    first, second = (shown_places([factor * i for i in range(50)], 6)[RANDOM] for factor in (1.0, -1.0))
    assert first == second
    assert len(set(first)) == 6
    assert sorted(shown_places([2.0, 1.0], 6)[RANDOM]) == [0, 1]
    assert shown_places([], 6) == {WORST: [], BEST: [], RANDOM: []}
