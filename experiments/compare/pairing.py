"""Which seeds and items of two rows of a table belong together, and what they add to a metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from experiments.compare.statistics import Array, Difference, Sums, contrast, known_or_0
from experiments.results.rows import MetricRow

Scores = Mapping[tuple[str, str], pd.DataFrame]  # (run, split) → a float for each item and metric
_NOTHING = pd.DataFrame()


@dataclass(frozen=True)
class Column:
    """A metric on a split."""

    split: str
    about: MetricRow

    @property
    def metric(self) -> str:
        return self.about.metric


def by_item(scores: pd.DataFrame) -> Scores:
    groups = scores.set_index("item").groupby(["run", "split"], sort=False)
    names = ["run", "split"]
    return {(str(run), str(split)): table.drop(columns=names) for (run, split), table in groups}


def paired(
    ours: Sequence[Mapping[int, str]], baseline: Sequence[Mapping[int, str]], column: Column, scores: Scores
) -> Difference | None:
    """Mean over the rows `ours` (seed → run, each) minus that over `baseline`.

    Paired over the seeds that all rows have and the items that all of these runs have; None without any.
    """
    seeds = sorted(set.intersection(*(set(runs) for runs in [*ours, *baseline])))
    sides = [
        [[scores.get((runs[seed], column.split), _NOTHING) for seed in seeds] for runs in side]
        for side in (ours, baseline)
    ]
    every = [set(table.index) for side in sides for row in side for table in row]
    items = sorted(set.intersection(*every)) if every else []
    if not items:
        return None
    above, below = (
        [_sums(column.about, [table.reindex(items) for table in row]) for row in side] for side in sides
    )
    return contrast(above, below, column.about.better)


def _sums(metric: MetricRow, tables: Sequence[pd.DataFrame]) -> Sums:
    """What the items of each table add to the metric."""

    def cells(name: str) -> Array:
        return np.array([table.get(name, pd.Series(np.nan, table.index)).to_numpy() for table in tables])

    if metric.ratio is None:
        return Sums.of(cells(metric.metric))
    above, below = (np.sum([known_or_0(cells(name)) for name in names], axis=0) for names in metric.ratio)
    return Sums(above, below)
