"""How far off a run's answers are, in the bins that its task gives (ntil.data.magnitude).

Most are measured on the items' scores, which results/scores/ holds for every run; wrong digits are counted from the
answers themselves, by `experiments.collect`.
"""

from collections.abc import Iterable, Mapping

from ntil.data.magnitude import Magnitude
from ntil.runs.tasks import task_named

WRONG_DIGITS = "wrong_digits"  # the kind of row in results/errors/


def magnitude_of(task: str) -> Magnitude:
    return task_named(task).magnitude


def binned(magnitude: Magnitude, items: Iterable[Mapping[str, str]]) -> dict[str, int]:
    """Bin → number of items; {} where the items lack the scores it is made from."""
    assert magnitude.measure is not None
    counts = dict.fromkeys(magnitude.bins, 0)
    for item in items:
        scores = {name: _number(text) for name, text in item.items()}
        try:
            counts[magnitude.bin(magnitude.measure(scores))] += 1
        except (KeyError, TypeError):
            return {}
    return counts if any(counts.values()) else {}


def _number(text: str) -> float | None:
    """A score's cell; None where it is empty, or the name of a run, a split or an item."""
    try:
        return float(text)
    except ValueError:
        return None
