"""How far off a run's answers are, in the bins that its task gives (ntil.data.magnitude).

Most are measured on the items' scores, which results/scores/ holds for every run; wrong digits are counted from the
answers themselves, by `experiments.collect`.
"""

import pandas as pd

from ntil.data.magnitude import Magnitude
from ntil.runs.tasks import task_named

WRONG_DIGITS = "wrong_digits"  # the kind of row in results/errors/


def magnitude_of(task: str) -> Magnitude:
    return task_named(task).magnitude


def binned(magnitude: Magnitude, scores: pd.DataFrame) -> dict[str, int]:
    """Bin → number of items, from a row of scores for each; {} where they lack those that it is made from."""
    assert magnitude.measure is not None
    counts = dict.fromkeys(magnitude.bins, 0)
    known = scores.astype(object).where(scores.notna(), None)
    for item in known.to_dict("records"):
        try:
            counts[magnitude.bin(magnitude.measure({str(name): score for name, score in item.items()}))] += 1
        except (KeyError, TypeError):
            return {}
    return counts if any(counts.values()) else {}
