import itertools

import numpy as np
import pytest

from experiments.compare.statistics import Summary, Sums, bootstrap, contrast, summarise, verdict
from ntil.errors import UserError
from ntil.metrics import resampling
from ntil.metrics.resampling import interval

NAN = float("nan")


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, dtype=float)


def test_summary_by_hand() -> None:
    assert summarise([1.0, 2.0, 6.0]) == Summary(3.0, pytest.approx(7**0.5), 3)  # (4 + 1 + 9) / 2 = 7
    assert summarise([0.5]) == Summary(0.5, None, 1)
    assert summarise([]) == Summary(None, None, 0)


def test_difference_by_hand() -> None:
    ours, base = rows([1, 1, 0, 1], [1, 0, 0, 1]), rows([0, 1, 0, 0], [0, 0, 0, 1])
    found = contrast([ours], [base], "higher", replicates=200)
    assert found is not None
    assert found.mean == pytest.approx(0.375)  # (3/4 − 1/4 + 2/4 − 1/4) / 2
    assert (found.seeds, found.items) == (2, 4)


def test_a_constant_difference_has_an_interval_without_width() -> None:
    base = np.random.default_rng(0).random((3, 50))
    found = contrast([base + 0.25], [base], "higher", replicates=500)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.25, 0.25))
    assert found.verdict == "better"


def test_equal_runs_are_not_distinguishable() -> None:
    same = np.random.default_rng(1).random((3, 700))
    found = contrast([same], [same.copy()], "lower", replicates=500)
    assert found is not None
    assert (found.mean, found.low, found.high, found.verdict) == (0, 0, 0, "not distinguishable")


@pytest.mark.parametrize(
    ("low", "high", "better", "word"),
    [
        (0.1, 0.2, "higher", "better"),
        (0.1, 0.2, "lower", "worse"),
        (-0.2, -0.1, "higher", "worse"),
        (-0.2, -0.1, "lower", "better"),
        (-0.1, 0.2, "lower", "not distinguishable"),
        (0.0, 0.2, "higher", "not distinguishable"),
    ],
)
def test_verdict_follows_the_metrics_direction(low: float, high: float, better: str, word: str) -> None:
    assert verdict(low, high, better) == word


def test_the_bootstrap_has_the_exact_distribution() -> None:
    """Against all 2² draws of seeds × 3³ draws of items of a small case, each as likely as the others."""
    ours, base = rows([1, 0, 2], [5, 1, NAN]), rows([0, 0, 1], [1, NAN, 1])
    every = []
    for seeds in itertools.product(range(2), repeat=2):
        for items in itertools.product(range(3), repeat=3):
            pick = np.ix_(seeds, items)
            with np.errstate(invalid="ignore"):
                means = [np.nansum(side[pick], 1) / (~np.isnan(side[pick])).sum(1) for side in (ours, base)]
            every.append((means[0] - means[1]).mean())
    exact, drawn = np.array(every), bootstrap([ours], [base], 60_000, seed=3)
    assert np.isnan(drawn).mean() == pytest.approx(np.isnan(exact).mean(), abs=0.01)
    exact, drawn = exact[~np.isnan(exact)], drawn[~np.isnan(drawn)]
    for value in np.unique(exact.round(9)):
        share = np.mean(exact <= value + 1e-9)
        assert np.mean(drawn <= value + 1e-9) == pytest.approx(share, abs=0.01)


def test_a_ratio_of_sums_has_the_exact_distribution() -> None:
    """Matches over detections: every draw of 3 items of one seed, by hand."""
    ours = Sums(rows([1, 2, 0]), rows([2, 2, 1]))
    base = Sums(rows([1, 0, 0]), rows([4, 1, 2]))
    found = contrast([ours], [base], "higher", replicates=300)
    assert found is not None
    assert found.mean == pytest.approx(3 / 5 - 1 / 7)
    every = []
    for items in itertools.product(range(3), repeat=3):
        sides = [side.above[0, items].sum() / side.below[0, items].sum() for side in (ours, base)]
        every.append(sides[0] - sides[1])
    exact, drawn = np.array(every), bootstrap([ours], [base], 60_000, seed=4)
    for value in np.unique(exact.round(9)):
        share = np.mean(exact <= value + 1e-9)
        assert np.mean(drawn <= value + 1e-9) == pytest.approx(share, abs=0.01)


def test_a_contrast_of_means_has_the_exact_distribution() -> None:
    """The main effect of a factor from four rows of two seeds: every draw of seeds and items, by hand."""
    having = [rows([1, 0, 2], [5, 1, 4]), rows([2, 2, 0], [1, 0, 3])]
    lacking = [rows([0, 0, 1], [1, 2, 1]), rows([1, 3, 0], [0, 0, 2])]
    found = contrast(having, lacking, "higher", replicates=300)
    assert found is not None
    assert found.mean == pytest.approx(((3 + 10 + 4 + 4) - (1 + 4 + 4 + 2)) / 3 / 2 / 2)
    every = []
    for seeds in itertools.product(range(2), repeat=2):
        for items in itertools.product(range(3), repeat=3):
            pick = np.ix_(seeds, items)
            sides = [np.mean([row[pick].mean() for row in side]) for side in (having, lacking)]
            every.append(sides[0] - sides[1])
    exact, drawn = np.array(every), bootstrap(having, lacking, 60_000, seed=6)
    for value in np.unique(exact.round(9)):
        share = np.mean(exact <= value + 1e-9)
        assert np.mean(drawn <= value + 1e-9) == pytest.approx(share, abs=0.01)


def test_seeds_share_the_items_that_were_drawn() -> None:
    """Items that all seeds find easy or hard do not become more by training more seeds."""
    random = np.random.default_rng(5)
    item = random.normal(0, 1, 400)
    ours = np.tile(item, (8, 1))
    low, high = interval(bootstrap([ours], [np.zeros_like(ours)], 4000, seed=0))
    assert high - low == pytest.approx(2 * 1.96 * item.std() / 400**0.5, rel=0.08)


def test_variation_between_seeds_widens_the_interval() -> None:
    steady = np.full((5, 100), 0.5)
    moving = steady + np.array([[-0.2], [-0.1], [0.0], [0.1], [0.2]])
    low, high = interval(bootstrap([moving], [np.full((5, 100), 0.5)], 4000, seed=0))
    assert low < -0.08
    assert high > 0.08
    assert interval(bootstrap([steady], [steady], 4000, seed=0)) == (0, 0)


def test_pairing_uses_the_same_items_on_both_sides() -> None:
    random = np.random.default_rng(2)
    hard = random.normal(0, 10, (1, 300))
    found = contrast([hard + 0.1 + random.normal(0, 0.01, (1, 300))], [hard], "higher", replicates=1000)
    assert found is not None
    assert found.verdict == "better"  # unpaired, ±1.1 would drown 0.1


def test_chunks_do_not_change_how_many_replicates_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "CHUNK", 250)
    assert bootstrap([np.ones((2, 100))], [np.zeros((2, 100))], 11, seed=0).tolist() == [1.0] * 11


def test_the_same_numbers_each_time() -> None:
    random = np.random.default_rng(0)
    ours, base = random.random((2, 40)), random.random((2, 40))
    assert contrast([ours], [base], "higher") == contrast([ours], [base], "higher")


def test_a_run_without_any_score_has_no_difference() -> None:
    assert contrast([rows([1, 1], [NAN, NAN])], [rows([0, 1], [0, 1])], "higher") is None
    assert contrast([np.empty((0, 0))], [np.empty((0, 0))], "higher") is None


def test_wrong_shapes_and_directions_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        contrast([np.zeros((2, 3))], [np.zeros((2, 4))], "higher")
    with pytest.raises(ValueError, match="one shape"):
        contrast([np.zeros((2, 3)), np.zeros((2, 4))], [np.zeros((2, 3))], "higher")
    with pytest.raises(ValueError, match="one shape"):
        contrast([], [np.zeros((2, 3))], "higher")
    with pytest.raises(UserError, match="'up'"):
        contrast([np.zeros((1, 2))], [np.zeros((1, 2))], "up")
