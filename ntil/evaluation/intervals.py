"""How sure a metric is, as far as the choice of test items goes: bootstrap intervals over the items."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ntil.data.task import Item, Task, contribution
from ntil.metrics.resampling import blocks, interval

Array = NDArray[np.float64]

REPLICATES = 1000
SEED = 0


def intervals(task: Task, items: Sequence[Item]) -> dict[str, list[float] | None]:
    """Metric → [low, high], the central 95 % of 1,000 resamples of the items; None where the metric is no ratio of sums
    (`of_split`), or where no resample has a value.
    """
    names = [name for name, metric in task.metrics.items() if not metric.of_split]
    # [items, metrics, 2].
    sums = np.array(
        [[contribution(item.scores, name, task.metrics[name].ratio) for name in names] for item in items]
    )
    drawn = _resampled(sums.reshape(len(items), -1)).reshape(REPLICATES, len(names), 2)
    result: dict[str, list[float] | None] = dict.fromkeys(task.metrics)
    for name, above, below in zip(names, drawn[..., 0].T, drawn[..., 1].T, strict=True):
        values = above[below > 0] / below[below > 0]
        if len(values):
            # Scores that are not finite have no interval.
            result[name] = [math.nan] * 2 if np.isnan(values).any() else [*interval(values)]
    return result


def _resampled(sums: Array) -> Array:
    """Sums of [items, k] over as many items drawn with replacement → [replicates, k]."""
    random, items = np.random.default_rng(SEED), len(sums)
    weights = (
        random.multinomial(items, np.full(items, 1 / items), size) for size in blocks(REPLICATES, items)
    )
    return np.concatenate([drawn @ sums for drawn in weights])
