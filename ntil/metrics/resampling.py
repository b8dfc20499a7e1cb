"""What every bootstrap here shares: its level, the size of its blocks, and the interval of its replicates."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
CHUNK = 2_000_000  # item draws held in memory at once


def blocks(replicates: int, items: int) -> Iterator[int]:
    """How many replicates to draw at once, block by block; of the memory that CHUNK allows."""
    step = max(1, CHUNK // items)
    for start in range(0, replicates, step):
        yield min(step, replicates - start)


def interval(replicates: NDArray[np.float64], level: float = LEVEL) -> tuple[float, float]:
    """The central `level` of the replicates (percentile interval); those without a value (nan) are left out."""
    tail = (1 - level) / 2
    low, high = np.nanquantile(replicates, [tail, 1 - tail])
    return float(low), float(high)
