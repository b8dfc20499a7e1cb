"""Mean, standard deviation and the paired bootstrap that says whether a loss differs from the baseline.

The paired difference is taken over the seeds that both have and, for each seed, over the same test items. A metric is a
ratio of sums over the items: for a mean, of the scores over their count, where an item without a score (None, kept as
nan) is left out, as in the metric itself; for precision and its like, of what each item adds above and below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntil.errors import UserError
from ntil.metrics.resampling import blocks, interval

Array = NDArray[np.float64]
Draws = NDArray[np.unsignedinteger]

REPLICATES = 10_000
SEED = 20_250_513
FEW_SEEDS = 5  # under which an interval understates how seeds vary, and a table says so
ENOUGH_SEEDS = 3  # under which the overview does not count a setting at all


class Sums(NamedTuple):
    """What each item adds to a metric's numerator and denominator, [seeds, items] each."""

    above: Array
    below: Array

    @classmethod
    def of(cls, scores: "Array | Sums") -> "Sums":
        """Scores with nan for "none" make a mean."""
        if isinstance(scores, Sums):
            return scores
        return cls(known_or_0(scores), (~np.isnan(scores)).astype(float))

    def ratio(self) -> Array:
        """[seeds] the metric of each seed; nan where nothing stands below."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.above.sum(axis=1) / self.below.sum(axis=1))


def known_or_0(scores: Array) -> Array:
    """nan, which is "none", as 0; what is infinite stays so."""
    return np.where(np.isnan(scores), 0.0, scores)


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation (n − 1) over seeds; sd is None for one seed, mean too for none."""

    mean: float | None
    sd: float | None
    count: int


@dataclass(frozen=True)
class Difference:
    """Loss minus baseline with its bootstrap interval; verdict: better, worse or not distinguishable."""

    mean: float
    low: float
    high: float
    seeds: int
    items: int
    verdict: str


def summarise(values: list[float]) -> Summary:
    if not values:
        return Summary(None, None, 0)
    with np.errstate(
        invalid="ignore", over="ignore"
    ):  # of values that are not finite neither is the deviation
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return Summary(float(np.mean(values)), sd, len(values))


def contrast(
    ours: Sequence[Array | Sums],
    baseline: Sequence[Array | Sums],
    better: str,
    replicates: int = REPLICATES,
    seed: int = SEED,
) -> Difference | None:
    """Two-level paired bootstrap of metric(ours) − metric(baseline), rows of [seeds, items] each.

    Each side is the mean of the metric over its rows: one for a loss against the baseline, several for the main effect
    of a factor. A replicate draws as many seeds and as many items as there are, with replacement, the same ones for all
    rows. All seeds of a replicate share its items, because they were tested on the same ones: drawing items anew for
    each seed would treat S seeds on n items as S·n independent items and make the interval too narrow.
    None where a side has a run without any score.
    """
    if better not in ("higher", "lower"):
        raise UserError(f"a metric is better when 'higher' or 'lower', not {better!r}.")
    present, absent = [Sums.of(row) for row in ours], [Sums.of(row) for row in baseline]
    shapes = {row.above.shape for row in [*present, *absent]}
    if not present or not absent or len(shapes) != 1 or any(len(shape) != 2 for shape in shapes):
        raise ValueError(f"expected [seeds, items] arrays of one shape on both sides, got {sorted(shapes)}")
    seeds, items = shapes.pop()
    if not seeds * items:
        return None
    above, below = (np.mean([row.ratio() for row in side], axis=0) for side in (present, absent))
    differences = above - below
    if not np.isfinite(differences).all():
        return None
    low, high = interval(bootstrap(present, absent, replicates, seed))
    return Difference(float(np.mean(differences)), low, high, seeds, items, verdict(low, high, better))


def bootstrap(
    ours: Sequence[Array | Sums], baseline: Sequence[Array | Sums], replicates: int, seed: int
) -> Array:
    """[replicates] differences of the metric's mean over each side's rows, one for each draw of seeds and items."""
    rows = [Sums.of(row) for row in [*ours, *baseline]]
    seeds, items = rows[0].above.shape
    above = np.concatenate([row.above for row in rows]).T  # [items, rows·seeds]
    below = np.concatenate([row.below for row in rows]).T
    is_mean_of_all = bool((below == 1).all())
    result = []
    for item_draws, seed_draws in _weights(replicates, seed, seeds, items):
        item_weight, seed_weight = item_draws.astype(float), seed_draws.astype(float)
        drawn = float(items) if is_mean_of_all else item_weight @ below  # the same number, at half the work
        # A draw may hold nothing to divide by: nan, left out of the interval.
        with np.errstate(invalid="ignore", divide="ignore"):
            means = ((item_weight @ above) / drawn).reshape(-1, len(rows), seeds)
        differences = means[:, : len(ours)].mean(axis=1) - means[:, len(ours) :].mean(axis=1)
        # A seed that was not drawn has no say, not even as 0 · nan.
        result.append(np.where(seed_weight > 0, seed_weight * differences, 0.0).sum(axis=1) / seeds)
    # Equal runs must differ by 0, not by the last bit of a sum.
    return np.round(np.concatenate(result), 12)


def verdict(low: float, high: float, better: str) -> str:
    """`better` or `worse` only where the interval leaves out 0."""
    if low <= 0 <= high:
        return "not distinguishable"
    return "better" if (low > 0) == (better == "higher") else "worse"


@lru_cache(maxsize=2)
def _weights(replicates: int, seed: int, seeds: int, items: int) -> list[tuple[Draws, Draws]]:
    """How often each item and each seed was drawn, in chunks. Kept, since all columns of a table draw the same ones."""
    random = np.random.default_rng(seed)
    return [(_draws(random, size, items), _draws(random, size, seeds)) for size in blocks(replicates, items)]


def _draws(random: np.random.Generator, replicates: int, size: int) -> Draws:
    """[replicates, size]: how often each of `size` things was drawn in `size` draws with replacement."""
    drawn = random.integers(size, size=(replicates, size))
    drawn += np.arange(replicates)[:, None] * size
    counts = np.bincount(drawn.ravel(), minlength=replicates * size).reshape(replicates, size)
    return counts.astype(np.min_scalar_type(size))
