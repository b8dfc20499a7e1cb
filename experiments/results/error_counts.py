"""The rows of results/errors/<experiment>.csv: counts over a run's predictions that its scores do not hold.

    kind          bin                          count            right           confidence
    wrong_digits  0 … 5+, no number            items
    place         sign, …, tens, units         digits           right ones
    calibration   0 … 9, tenths of confidence  tokens           right ones      sum of their probabilities

Where a task names the numbers of its answers, a place says of which it is ("minute units"). Only items whose answer holds
digits count.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.results.digits import answer_places, has_digits, number_tokens, wrong_places
from experiments.results.magnitude import WRONG_DIGITS, magnitude_of
from experiments.results.rows import ErrorRow
from ntil.runs.tasks import task_named

PLACE, CALIBRATION = "place", "calibration"
BINS = 10


Row = dict[str, Any]  # without the run, the split and the kind


def error_rows(
    run: str, items: Sequence[Mapping[str, Any]], task: str, splits: Sequence[str]
) -> Iterator[ErrorRow]:
    """From the lines of predictions.jsonl."""
    for split in splits:
        members = [item for item in items if item["split"] == split and has_digits(item)]
        for kind, rows in (
            (WRONG_DIGITS, _wrong_digits(members, task)),
            (PLACE, _places(members, task)),
            (CALIBRATION, _calibration(members)),
        ):
            for row in rows:
                yield ErrorRow(run, split, kind, **row)


def _wrong_digits(items: Sequence[Mapping[str, Any]], task: str) -> Iterator[Row]:
    magnitude = magnitude_of(task)
    if magnitude.measure is None and items:
        counts = Counter(magnitude.bin(wrong_places(item)) for item in items)
        for name in magnitude.bins:
            yield {"bin": name, "count": counts[name]}


def _places(items: Sequence[Mapping[str, Any]], task: str) -> Iterator[Row]:
    names = task_named(task).number_names
    found = sorted(
        (place for item in items for place in answer_places(item, names)), key=lambda place: place.order
    )
    counts = Counter(place.name for place in found)
    right = Counter(place.name for place in found if place.right)
    for name, count in counts.items():
        yield {"bin": name, "count": count, "right": right[name]}


def _calibration(items: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    tokens = [token for item in items for token in number_tokens(item)]
    for index in range(BINS):
        members = [token for token in tokens if confidence_bin(token.probability) == index]
        if members:
            yield {
                "bin": str(index),
                "count": len(members),
                "right": sum(token.right for token in members),
                "confidence": sum(token.probability for token in members),
            }


def confidence_bin(probability: float) -> int:
    """0 for [0, 0.1) … 9 for [0.9, 1]."""
    return min(int(probability * BINS), BINS - 1)
