"""Which seeds and items of two rows of a table belong together, and what they add to a metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.compare.labels import metric_title
from experiments.compare.statistics import Array, Difference, Sums, contrast, known_or_0
from experiments.results.csv_files import Row

Scores = Mapping[tuple[str, str], Mapping[str, Row]]  # (run, split) → item → its row


@dataclass(frozen=True)
class Column:
    """A metric on a split."""

    split: str
    metric: str
    label: str
    better: str
    unit: str
    digits: int
    ratio: tuple[tuple[str, ...], ...] | None = (
        None  # of sums of these scores; None: mean of the metric's own
    )

    @property
    def title(self) -> str:
        return metric_title(self.label, self.unit, self.better)


def by_item(rows: Sequence[Row]) -> Scores:
    result: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        result.setdefault((row["run"], row["split"]), {})[row["item"]] = row
    return result


def paired(
    ours: Sequence[Mapping[int, str]], baseline: Sequence[Mapping[int, str]], column: Column, scores: Scores
) -> Difference | None:
    """Mean over the rows `ours` (seed → run, each) minus that over `baseline`.

    Paired over the seeds that all rows have and the items that all of these runs have; None without any.
    """
    seeds = sorted(set.intersection(*(set(runs) for runs in [*ours, *baseline])))
    sides = [
        [[scores.get((runs[seed], column.split), {}) for seed in seeds] for runs in side]
        for side in (ours, baseline)
    ]
    every = [set(table) for side in sides for row in side for table in row]
    items = sorted(set.intersection(*every)) if every else []
    if not items:
        return None
    above, below = (
        [_sums(column, [[table[item] for item in items] for table in row]) for row in side] for side in sides
    )
    return contrast(above, below, column.better)


def _sums(column: Column, tables: Sequence[Sequence[Row]]) -> Sums:
    """What the items of each table add to the column's metric."""

    def cells(name: str) -> Array:
        return np.array([[number_of(row.get(name)) for row in table] for table in tables])

    if column.ratio is None:
        return Sums.of(cells(column.metric))
    above, below = (np.sum([known_or_0(cells(name)) for name in names], axis=0) for names in column.ratio)
    return Sums(above, below)


def number_of(cell: str | None) -> float:
    return float(cell) if cell else float("nan")
